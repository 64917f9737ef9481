"""2D detections as a file gives them, and how they become the unlabelled poses of a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from poseda.datasets.layouts import Layout

DEFAULT_FIELD_OF_VIEW = 55.0
"""Degrees across the longer side of the picture, assumed where the camera is unknown (as MeTRAbs does)."""

DEFAULT_CONFIDENCE = 0.3
"""Joints of less confidence count as unseen."""


ToldBy = Literal["names", "number", "flag", "format"]
SizeToldBy = Literal["file", "flag", "unknown"]
Tracking = Literal["file", "followed", "single"]


@dataclass(frozen=True)
class Reading:
    """How a file was read: what told each fact, and what was left out.

    Args:
        layout_told_by: ``names`` of the joints, their ``number``, the user's ``flag``, or the ``format``.
        image_size_told_by: the ``file``, the user's ``flag``, or ``unknown``.
        tracking: people are tracked by the ``file``, ``followed`` by us, or ``single``: one person a picture.
        rate: frames per second, or None where unknown.
        rate_told_by: the ``file``, the user's ``flag``, or ``unknown``.
        clip_names: number of a clip to its name: of a file, a video or an action.
        dropped: reason to the number of detections that were left out for it.
        warnings: sentences about doubtful content.
    """

    layout_told_by: ToldBy = "number"
    image_size_told_by: SizeToldBy = "unknown"
    tracking: Tracking = "single"
    rate: float | None = None
    rate_told_by: Literal["file", "flag", "unknown"] = "unknown"
    clip_names: Mapping[int, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def merged(cls, readings: Sequence[Reading], clip_names: Mapping[int, str]) -> Reading:
        """How several files were read, whose clips have new numbers and names."""
        first, dropped = readings[0], Counter[str]()
        for reading in readings:
            dropped.update(reading.dropped)
        ways = {reading.tracking for reading in readings}
        rates = {reading.rate for reading in readings}
        alike = len(rates) == 1
        counts = Counter(sentence for reading in readings for sentence in reading.warnings)
        return replace(
            first,
            tracking=next(way for way in ("followed", "file", "single") if way in ways),
            rate=first.rate if alike else None,
            rate_told_by=first.rate_told_by if alike else "unknown",
            clip_names=dict(clip_names),
            dropped=dict(dropped),
            warnings=tuple(
                sentence if times == 1 else f"{sentence} ({times} files)"
                for sentence, times in counts.items()
            ),
        )


@dataclass(frozen=True)
class Detections2D:
    """N detected poses, in order of clip, person and frame.

    Args:
        pose_2d: (N, J, 2) float64, pixels or screen coordinates, NaN where the file has no place.
        confidence: (N, J) float64; 0 is unseen. The scale is the detector's; most end at 1.
        frame: (N,) int64 within the recording.
        person: (N,) int64 track within the clip: the file's, or where it has none, ours.
        clip: (N,) int64 recording (file, video, action) of a row.
        layout: the joints in their order.
        image_size: (N, 2) float64 width and height in pixels, or None where unknown.
        format: its name, for messages.
        path: of the file or folder.
        units: of pose_2d.
        reading: how the file was read.

    Raises:
        ValueError: if shapes or row counts disagree.
    """

    pose_2d: np.ndarray
    confidence: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    clip: np.ndarray
    layout: Layout
    image_size: np.ndarray | None
    format: str
    path: Path
    units: Literal["pixels", "screen"] = "pixels"
    reading: Reading = Reading()

    def __post_init__(self) -> None:
        rows, joints = len(self), len(self.layout)
        shapes = {"pose_2d": (rows, joints, 2), "confidence": (rows, joints), "frame": (rows,)}
        shapes |= {"person": (rows,), "clip": (rows,)}
        if self.image_size is not None:
            shapes["image_size"] = (rows, 2)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.pose_2d)

    def rows(self, index: np.ndarray) -> Detections2D:
        """Pick rows by a mask or an index."""
        columns = ("pose_2d", "confidence", "frame", "person", "clip")
        size = None if self.image_size is None else self.image_size[index]
        return replace(self, **{name: getattr(self, name)[index] for name in columns}, image_size=size)

    def clip_name(self, clip: int) -> str:
        """The name of a clip; its number where it has none."""
        return self.reading.clip_names.get(clip) or str(clip)

    @property
    def track(self) -> np.ndarray:
        """(N,) int64: one number for each person of each recording."""
        _, track = np.unique(np.stack([self.clip, self.person], -1), axis=0, return_inverse=True)
        return np.asarray(track.reshape(-1), np.int64)
