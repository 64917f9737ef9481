"""What real detectors miss: ``python -m benchmarks.detections --clips CLIP.npz ... [--json FILE]``.

Of the first halves of real detections before calibrated cameras (:mod:`benchmarks.real.clips`), twelve limb
joints a frame:

- how many frames lack joints, and how many of these because the picture ends before the person;
- for how long a joint is unseen, and whether the joints of a window are unseen in all of its frames;
- whether joints are lost together;
- whether errors in the picture go with confidence.

A joint is seen with a confidence of 0.3. A frame counts where four limb joints are seen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.mocap.tables import markdown_table
from benchmarks.real.clips import LIMBS, View, views
from poseda.bench.record import json_alone, save_record
from poseda.datasets.detections import DEFAULT_CONFIDENCE
from poseda.datasets.formats.npz import Archive
from poseda.geometry.camera import denormalize_screen, project

FEWEST = 4
"""Seen limb joints of a frame that shows a person."""

WINDOWS = (9, 27, 81)
"""Lengths of windows, frames: those of the lifters of windows."""

TOGETHER = 2
"""Frames within which two joints are lost together."""

LENS_PX = 3.0
"""Misfit of a lens, pixels: it matters little to whether a joint lies in the picture."""

FEWEST_RANKED = 30
"""Fewest joints whose confidences and errors are compared."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings and rows."""

KINDS = tuple(dict.fromkeys(joint.partition("_")[2] for joint in LIMBS))
"""Joints of either side."""

QUANTILES = (0.1, 0.5, 0.9)
"""Of the durations for which joints are unseen."""


@dataclass(frozen=True)
class Footage:
    """The first half of what a camera saw of a person.

    Args:
        name: file and camera.
        rate: frames a second.
        place: (F, 12, 2) pixels, NaN where not detected.
        confidence: (F, 12).
        truth: (F, 12, 2) pixels of the 3D, NaN where unknown.
        size: width and height, pixels.
        shown: (F,) bool, frames that show a person.
    """

    name: str
    rate: float
    place: np.ndarray
    confidence: np.ndarray
    truth: np.ndarray
    size: tuple[int, int]
    shown: np.ndarray

    @classmethod
    def of(cls, view: View, rate: float) -> Footage:
        """The first half of a view."""
        half = view.half(second=False)
        found, names = half.detections, half.detections.layout.joint_names
        at = [names.index(joint) for joint in LIMBS]
        confidence = np.asarray(found.confidence)[:, at]
        size, camera = half.intrinsics.size, half.intrinsics.camera
        points = torch.from_numpy(half.truth)
        screen = project(points, camera.to(points.dtype)).masked_fill(points[..., 2:] <= 0, torch.nan)
        truth = denormalize_screen(screen, *map(float, size)).numpy()
        shown = (confidence >= DEFAULT_CONFIDENCE).sum(1) >= FEWEST
        return cls(half.name, rate, np.asarray(found.pose_2d)[:, at], confidence, truth, size, shown)

    @property
    def seen(self) -> np.ndarray:
        """(F, 12) bool."""
        return self.confidence >= DEFAULT_CONFIDENCE

    def extent(self) -> np.ndarray:
        """(F,) pixels: the diagonal of the box of the seen joints."""
        place = np.where(self.seen[..., None], self.place, np.nan)
        low = np.nan_to_num(place, nan=np.inf).min(1)
        high = np.nan_to_num(place, nan=-np.inf).max(1)
        return np.asarray(np.where(self.shown, np.linalg.norm(high - low, axis=-1), np.nan))

    def stretches(self) -> Iterator[slice]:
        """Frames in a row that show the person."""
        edges = np.flatnonzero(np.diff(self.shown.astype(int), prepend=0, append=0))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            yield slice(int(begin), int(end))


def open_footage(paths: Sequence[Path]) -> list[Footage]:
    """All views of these files that show somebody."""
    found = []
    for path in paths:
        rate = float(Archive(path).read("fps", (), "fiu"))
        found += [Footage.of(view, rate) for view in views(path, LENS_PX)]
    return [footage for footage in found if footage.shown.any()]


def cropped(footage: Footage) -> dict[str, Any]:
    """Frames that lack joints, and those whose unseen joints lie beyond the picture by the 3D, by side."""
    rows, size = footage.shown, np.array(footage.size, float)
    unseen, place = ~footage.seen[rows], footage.truth[rows]
    with np.errstate(invalid="ignore"):
        beyond = np.stack([place < 0, place > size], -1) & unseen[..., None, None]  # (F, 12, axis, end)
    cut = beyond.any((-2, -1)).sum(1)
    sides = beyond.any(1).sum(0)
    return {
        "frames": int(rows.sum()),
        "lacking": int(unseen.any(1).sum()),
        "unseen_share": float(unseen.mean()),
        "cropped": int((cut > 0).sum()),
        "joints_beyond": float(cut[cut > 0].mean()) if cut.any() else 0.0,
        "sides": dict(zip(("left", "right", "top", "bottom"), sides.flatten().tolist(), strict=True)),
    }


def runs(footage: Footage) -> list[tuple[str, int, bool]]:
    """Runs of frames in which a joint is unseen: joint, frames, whether an end lies outside the stretch."""
    found = []
    for stretch in footage.stretches():
        unseen = ~footage.seen[stretch]
        for number, joint in enumerate(LIMBS):
            edges = np.flatnonzero(np.diff(unseen[:, number].astype(int), prepend=0, append=0))
            for begin, end in zip(edges[::2], edges[1::2], strict=True):
                found.append((joint, int(end - begin), bool(begin == 0 or end == len(unseen))))
    return found


def lost_together(footage: Footage) -> dict[str, int]:
    """How often a joint that becomes unseen is not the only one, within :data:`TOGETHER` frames."""
    lost = alone = same_limb = 0
    limbs = [joint.partition("_")[0] + str(joint.endswith(("hip", "knee", "ankle"))) for joint in LIMBS]
    for stretch in footage.stretches():
        seen = footage.seen[stretch]
        begins = np.argwhere(seen[:-1] & ~seen[1:])
        for frame, joint in begins:
            near = begins[(abs(begins[:, 0] - frame) <= TOGETHER) & (begins[:, 1] != joint), 1]
            lost += 1
            alone += len(near) == 0
            same_limb += any(limbs[other] == limbs[joint] for other in near)
    return {"lost": lost, "alone": alone, "same_limb": same_limb}


def windows(footage: Footage, length: int) -> dict[str, int | float]:
    """Windows, those that lack joints, and how many of the joints they lack are lacking throughout."""
    found = dict.fromkeys(("windows", "lacking", "changing", "joints", "throughout"), 0)
    partly: list[float] = []
    for stretch in footage.stretches():
        for begin in range(stretch.start, stretch.stop - length + 1, length):
            share = (~footage.seen[begin : begin + length]).mean(0)
            lacking, throughout = share > 0, share == 1
            found["windows"] += 1
            found["lacking"] += int(lacking.any())
            found["changing"] += int((lacking & ~throughout).any())
            found["joints"] += int(lacking.sum())
            found["throughout"] += int(throughout.sum())
            partly += share[lacking & ~throughout].tolist()
    return found | {"partly_share": float(np.mean(partly)) if partly else 0.0}


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's rho, ties in the middle of their ranks; None for too few values or constant ones."""

    def ranks(values: np.ndarray) -> np.ndarray:
        _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
        return np.asarray((count.cumsum() - (count - 1) / 2)[inverse])

    if len(one) < FEWEST_RANKED or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def confidence(footage: Footage) -> dict[str, Any]:
    """Spearman's rho of confidence and distance to the reprojected 3D, a share of the person's size.

    Of all seen joints, and the mean over joints of each by itself: some joints are harder than others.
    """
    with np.errstate(invalid="ignore"):
        error = np.linalg.norm(footage.place - footage.truth, axis=-1) / footage.extent()[:, None]
    known = footage.seen & footage.shown[:, None] & np.isfinite(error)
    found = [
        (rho, int(own.sum()))
        for own, score, off in zip(known.T, footage.confidence.T, error.T, strict=True)
        if (rho := rank_correlation(score[own], off[own])) is not None
    ]
    count = sum(many for _, many in found)
    return {
        "joints": int(known.sum()),
        "rho": rank_correlation(footage.confidence[known], error[known]),
        "rho_by_joint": sum(rho * many for rho, many in found) / count if count else None,
    }


def durations(found: Sequence[tuple[Footage, tuple[str, int, bool]]]) -> dict[str, Any]:
    """Of runs, by joint: how many, how many are cut, and quantiles of frames and seconds."""
    result = {}
    for kind in KINDS:
        own = [(footage, run) for footage, run in found if run[0].endswith(kind)]
        if own:
            frames, seconds = zip(*((run[1], run[1] / footage.rate) for footage, run in own), strict=True)
            result[kind] = {
                "runs": len(own),
                "cut": sum(run[2] for _, run in own),
                "frames": np.quantile(frames, QUANTILES).tolist(),
                "seconds": np.quantile(seconds, QUANTILES).tolist(),
            }
    return result


def measure(paths: Sequence[Path]) -> dict[str, Any]:
    """All numbers, view by view, and those of all views together."""
    whole = open_footage(paths)
    record = [
        {
            "view": footage.name,
            "rate": footage.rate,
            **cropped(footage),
            "lost": lost_together(footage),
            "windows": {str(length): windows(footage, length) for length in WINDOWS},
            "confidence": confidence(footage),
        }
        for footage in whole
    ]
    return {
        "clips": [path.stem for path in paths],
        "views": record,
        "runs": durations([(footage, run) for footage in whole for run in runs(footage)]),
    }


def by_view(record: dict[str, Any]) -> Table:
    """A row a view."""

    def signed(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    cells = []
    for view in record["views"]:
        frames, told = view["frames"], view["confidence"]
        shares = (view["lacking"] / frames, view["unseen_share"], view["cropped"] / frames)
        rho = (signed(told["rho"]), signed(told["rho_by_joint"]))
        cells.append([view["view"], str(frames), *(f"{100 * share:.0f}" for share in shares), *rho])
    mean = [
        100 * float(np.mean([view[name] / view["frames"] for view in record["views"]]))
        for name in ("lacking", "cropped")
    ]
    unseen = 100 * float(np.mean([view["unseen_share"] for view in record["views"]]))
    cells.append(["**mean**", "", *(f"**{one:.0f}**" for one in (mean[0], unseen, mean[1])), "", ""])
    titles = ("frames that lack joints, %", "joints unseen, %", "frames cut by the border, %")
    return ("view", "frames", *titles, "rho of confidence and error", "joint by joint"), cells


def by_joint(record: dict[str, Any]) -> Table:
    """For how long joints are unseen."""
    cells = []
    for kind, found in record["runs"].items():
        numbers = [f"{value:.0f}" for value in found["frames"]] + [f"{one:.2f}" for one in found["seconds"]]
        cells.append([kind, str(found["runs"]), str(found["cut"]), *numbers])
    ends = [f"{100 * quantile:.0f} %" for quantile in QUANTILES]
    units = [f"{unit}: {end}" for unit in ("frames", "seconds") for end in ends]
    return ("joint", "runs", "begun before or not ended", *units), cells


def by_window(record: dict[str, Any]) -> Table:
    """Whether the joints of windows are unseen throughout. Each view with a window counts alike."""
    cells = []
    for length in map(str, WINDOWS):
        own = [view["windows"][length] for view in record["views"] if view["windows"][length]["lacking"]]
        shares = [
            [one["lacking"] / one["windows"] for one in own],
            [one["changing"] / one["lacking"] for one in own],
            [1 - one["throughout"] / one["joints"] for one in own],
            [one["partly_share"] for one in own if one["changing"]],
        ]
        means = [f"{100 * np.mean(share):.0f}" if share else "" for share in shares]
        cells.append([length, str(len(own)), *means])
    titles = (
        "windows that lack joints, %",
        "of these, with joints unseen in part of it, %",
        "joints unseen in part of it, %",
        "of its frames, %",
    )
    return ("frames of a window", "views that lack joints", *titles), cells


TABLES = (by_view, by_joint, by_window)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="files as benchmarks.real reads")
    parser.add_argument("--json", type=Path, help="record the results here")
    asked = parser.parse_args(arguments)
    record = measure(asked.clips)
    with json_alone(asked.json):
        print("\n".join(markdown_table(*table(record)) for table in TABLES))
    save_record(asked.json, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
