"""What the arm `gpa_lpa_view` found of a target: the tilt of each view, and the build of its people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

SHOWN = 3
"""Views, and bones, that a line of text has room for."""


@dataclass(frozen=True)
class View:
    """What was found of one view.

    Args:
        poses: of the target in it.
        pitch, roll: of its camera, one value a seed, degrees; pitch is downward.
    """

    poses: int
    pitch: tuple[float, ...]
    roll: tuple[float, ...]


@dataclass(frozen=True)
class FoundAlignment:
    """What was found with each seed.

    Args:
        views: their number and their poses do not depend on the seed.
        build: joint to the change of the bones that end there, left and right, one value a seed, percent.
    """

    views: tuple[View, ...]
    build: dict[str, tuple[float, ...]]

    @classmethod
    def read(cls, out: Path, seeds: Sequence[int]) -> FoundAlignment | None:
        """Read it from a run folder; None where no seed has it.

        Raises:
            ValueError: if a file is damaged.
        """
        from poseda.runs.checkpoint import load_checkpoint
        from poseda.runs.weights import weights_path

        paths = [weights_path(out, seed, "gpa_lpa_view", "alignment") for seed in seeds]
        found = [load_checkpoint(path)[1] for path in paths if path.exists()]
        if not found:
            return None
        views = tuple(
            View(
                of_seeds[0]["poses"], *(tuple(view[name] for view in of_seeds) for name in ("pitch", "roll"))
            )
            for of_seeds in zip(*(notes["views"] for notes in found), strict=True)
        )
        build = {name: tuple(notes["build"][name] for notes in found) for name in found[0]["build"]}
        return cls(views, {name.removeprefix("right_").removeprefix("left_"): v for name, v in build.items()})

    def sentence(self) -> str:
        """One line: the tilt of the largest views and the bones that differ most, means over seeds."""
        largest = sorted(self.views, key=lambda view: -view.poses)
        tilts = ", ".join(
            f"{signed(mean(view.pitch))}°/{signed(mean(view.roll))}°" for view in largest[:SHOWN]
        )
        more = f" and {len(largest) - SHOWN} views more" if len(largest) > SHOWN else ""
        changed = sorted(self.build, key=lambda name: -abs(mean(self.build[name])))[:SHOWN]
        bones = ", ".join(f"{name.replace('_', ' ')} {signed(mean(self.build[name]))} %" for name in changed)
        return f"gpa_lpa_view found pitch/roll of {tilts}{more}; bones to {bones}"


def signed(value: float) -> str:
    """With one decimal and a sign, which 0 has not."""
    return f"{value:+.1f}" if round(value, 1) else "0.0"
