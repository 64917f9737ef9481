"""Poses that a reader of detections gathers one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from poseda.datasets.detections import Detections2D, Reading
from poseda.datasets.formats.field import Field
from poseda.datasets.layouts import BY_JOINTS, Layout

Size = tuple[int, int]
"""Width and height of a picture, pixels."""

UNTRACKED = -1
"""The person of a detection whose file has no usable track."""


@dataclass
class Sightings:
    """Poses gathered row by row.

    Args:
        path: of the file or folder.
        format: its name, for messages.
        layout: of the joints, or None: their number decides it.
        layout_told_by: what told the layout, if one is given; see :class:`Reading`.
        rate: frames per second, where the file has it.
        clip_names: number of a clip to its name.
        dropped: reason to the number of detections that were left out for it.
        warnings: sentences about doubtful content.
    """

    path: Path
    format: str
    layout: Layout | None = None
    layout_told_by: Literal["names", "number", "flag", "format"] = "number"
    rate: float | None = None
    clip_names: dict[int, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    sizes: list[tuple[float, float] | None] = field(default_factory=list)

    def add(
        self,
        points: np.ndarray,
        place: Field,
        frame: int,
        person: int | None = 0,
        clip: int = 0,
        size: tuple[float, float] | None = None,
    ) -> None:
        """Add a pose.

        Args:
            points: (J, 3) of x, y, confidence.
            place: where it is in the file.
            frame, clip: see :class:`Detections2D`.
            person: track, or None where the file has no usable one.
            size: of its picture, if the file has it.

        Raises:
            DataError: if its number of joints fits no layout, or not that of the rows before.
        """
        body, kept = BY_JOINTS.get(len(points), (None, len(points)))
        if self.layout is None:
            if body is None:
                known = ", ".join(map(str, BY_JOINTS))
                raise place.fail(f"{known} joints, or --layout", f"{len(points)} joints")
            self.layout = body
        if len(self.layout) not in (kept, len(points)):
            raise place.fail(f"{len(self.layout)} joints of {self.layout.name}", len(points))
        self.points.append(points[: len(self.layout)])
        self.rows.append((clip, UNTRACKED if person is None else person, frame))
        self.sizes.append(size)

    def detections(self, image_size: Size | None = None) -> Detections2D:
        """All rows as one table, in order of clip, person and frame.

        Args:
            image_size: width and height given by the user, where the file has none.

        Raises:
            DataError: if there is no pose, or the file's size is another than the user's.
        """
        if not self.points or self.layout is None:
            raise Field(self.path, "detections").fail(f"at least one pose ({self.format})", "none")
        points, rows = np.stack(self.points), np.array(self.rows, np.int64)
        untracked = rows[:, 1] == UNTRACKED
        rows[untracked, 1] = _place_in_picture(rows[untracked])
        order = np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))
        points, rows = points[order], rows[order]
        finite = np.isfinite(points[..., :2]).all(-1)
        confidence = np.where(finite & np.isfinite(points[..., 2]), points[..., 2], 0.0)
        return Detections2D(
            pose_2d=np.where(finite[..., None], points[..., :2], np.nan),
            confidence=confidence,
            frame=rows[:, 2],
            person=rows[:, 1],
            clip=rows[:, 0],
            layout=self.layout,
            image_size=self._image_size(order, image_size),
            format=self.format,
            path=self.path,
            reading=Reading(
                layout_told_by=self.layout_told_by,
                image_size_told_by=self._size_told_by(image_size),
                tracking=_tracking(rows, untracked),
                rate=self.rate,
                rate_told_by="unknown" if self.rate is None else "file",
                clip_names=dict(self.clip_names),
                dropped=dict(self.dropped),
                warnings=tuple(self.warnings),
            ),
        )

    def _size_told_by(self, given: Size | None) -> Literal["file", "flag", "unknown"]:
        if all(size is not None for size in self.sizes):
            return "file"
        return "unknown" if given is None else "flag"

    def _image_size(self, order: np.ndarray, given: Size | None) -> np.ndarray | None:
        known = [size for size in self.sizes if size is not None]
        if len(known) < len(self.sizes):
            return None if given is None else np.tile(np.array(given, np.float64), (len(order), 1))
        other = next((size for size in known if given is not None and size != given), None)
        if given is not None and other is not None:
            shown = " x ".join(f"{n:g}" for n in other)
            raise Field(self.path, "image size").fail(f"{given[0]} x {given[1]} as given", shown)
        return np.array(known, np.float64)[order]


def _tracking(rows: np.ndarray, untracked: np.ndarray) -> Literal["file", "followed", "single"]:
    """How the people of (N, 3) rows of clip, person and frame are told apart."""
    if untracked.any():
        return "followed"
    return "file" if len(np.unique(rows[:, 1])) > 1 else "single"


def _place_in_picture(rows: np.ndarray) -> np.ndarray:
    """(N,) place of each row of clip, person and frame among those of its picture, in the file's order."""
    places: Counter[tuple[int, int]] = Counter()
    numbers = np.empty(len(rows), np.int64)
    for at, (clip, _, frame) in enumerate(rows.tolist()):
        numbers[at] = places[clip, frame]
        places[clip, frame] += 1
    return numbers
