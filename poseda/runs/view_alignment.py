"""What the arm `gpa_lpa_view` found of a target: the tilt of each view, and the proportions of its people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poseda.runs.folder import RunFolder


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
        proportions: joint to the change of the bones that end there, left and right, one value a seed,
        percent.
        limits: a sentence for each estimate that stands at a limit.
    """

    views: tuple[View, ...]
    proportions: dict[str, tuple[float, ...]]
    limits: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: RunFolder, seeds: Sequence[int]) -> FoundAlignment | None:
        """Read it from a run folder; None where no seed has it.

        Raises:
            ValueError: if a file is damaged.
        """
        files = [folder.weights(seed, "gpa_lpa_view", "view_alignment") for seed in seeds]
        return cls.of([file.load()[1] for file in files if file.exists()])

    @classmethod
    def of(cls, found: Sequence[dict[str, Any]]) -> FoundAlignment | None:
        """Join the notes of each seed's file; None where there is no seed."""
        if not found:
            return None
        views = tuple(
            View(
                of_seeds[0]["poses"], *(tuple(view[name] for view in of_seeds) for name in ("pitch", "roll"))
            )
            for of_seeds in zip(*(notes["views"] for notes in found), strict=True)
        )
        proportions = {
            name.removeprefix("right_").removeprefix("left_"): tuple(notes["build"][name] for notes in found)
            for name in found[0]["build"]
        }
        limits = dict.fromkeys(sentence for notes in found for sentence in notes.get("limits", ()))
        return cls(views, proportions, tuple(limits))
