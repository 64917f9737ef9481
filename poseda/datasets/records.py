"""The records that readers make of every data file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from poseda.config import FEWEST_JOINTS
from poseda.datasets.errors import DataError
from poseda.datasets.rig import Rig
from poseda.geometry.camera import Camera
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton

SPLITS = ("source", "source_val", "target_train", "target_test")
"""The four disjoint parts of a two-domain benchmark; no clip is in two of them."""

EVALUATED = ("target_test", "source_val")
"""Splits with labels that may be compared with predictions."""


USUAL_RATE = 30.0
"""Frames per second of a target that does not say its rate."""


@dataclass(frozen=True)
class SourceReading:
    """How a source was read: what was found, guessed, made up and left out.

    Args:
        format: name of the format; empty for data that come from no file.
        files: how many were read.
        rates: frames per second that occur in them, ascending; empty where unknown.
        up: which axis points up and what told it, each once.
        made_up: joint that a file lacks to the joints that it is made from.
        dropped: reason to the number of frames that were left out for it.
        skipped: file that could not be read to the reason why.
        warnings: sentences about doubtful content.
    """

    format: str = ""
    files: int = 0
    rates: tuple[float, ...] = ()
    up: tuple[str, ...] = ()
    made_up: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def joined(self, other: SourceReading) -> SourceReading:
        """How this and another file were read."""
        return SourceReading(
            self.format or other.format,
            self.files + other.files,
            tuple(sorted({*self.rates, *other.rates})),
            tuple(dict.fromkeys((*self.up, *other.up))),
            {**other.made_up, **self.made_up},
            dict(Counter(self.dropped) + Counter(other.dropped)),
            {**self.skipped, **other.skipped},
            (*self.warnings, *other.warnings),
        )


@dataclass(frozen=True)
class LabelledPoses:
    """Poses with their 3D labels.

    Args:
        pose_3d: (N, J, 3) float32 metres, camera frame, absolute.
        pose_2d: (N, J, 2) float32 screen coordinates.
        camera: N cameras.
        clip: (N,) int64, the recording each row comes from.
        columns: optional numpy arrays of N rows (subject, time, frame, camera, pitch, rotation). ``frame``
            numbers the frames of a recording, and shows where some are missing.
        reading: how they were read from files.

    Raises:
        ValueError: if shapes or row counts disagree.
    """

    pose_3d: Tensor
    pose_2d: Tensor
    camera: Camera
    clip: Tensor
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    reading: SourceReading = SourceReading()

    def __post_init__(self) -> None:
        _check_rows(self.pose_2d, self.camera, self.clip)
        expected = (*self.pose_2d.shape[:2], 3)
        if self.pose_3d.shape != expected:
            raise ValueError(
                f"pose_3d: expected shape {expected} as pose_2d, got {tuple(self.pose_3d.shape)}"
            )
        for name, column in self.columns.items():
            if len(column) != len(self):
                raise ValueError(f"columns[{name!r}]: expected {len(self)} rows, got {len(column)}")

    def __len__(self) -> int:
        return len(self.pose_2d)

    @property
    def root_relative(self) -> Tensor:
        """(N, J, 3) metres, root at the origin."""
        return root_relative(self.pose_3d)

    def rows(self, index: Tensor) -> LabelledPoses:
        """Pick rows by an int64 or boolean index."""
        at = index.cpu().numpy()
        columns = {"frame": np.arange(len(self)), **self.columns}
        return LabelledPoses(
            self.pose_3d[index],
            self.pose_2d[index],
            self.camera[index],
            self.clip[index],
            {name: column[at] for name, column in columns.items()},
            self.reading,
        )

    def to(self, *args: Any, **kwargs: Any) -> LabelledPoses:
        """Move the tensors to a device, as ``Tensor.to``; dtypes are kept by giving a device only."""
        return replace(
            self,
            pose_3d=self.pose_3d.to(*args, **kwargs),
            pose_2d=self.pose_2d.to(*args, **kwargs),
            camera=self.camera.to(*args, **kwargs),
            clip=self.clip.to(self.pose_2d.to(*args, **kwargs).device),
        )


@dataclass(frozen=True)
class UnlabelledPoses:
    """2D poses without labels: all that is known of a target. By design there is no field for 3D.

    Args:
        pose_2d: (N, J, 2) float32 screen coordinates.
        camera: N cameras.
        clip: (N,) int64.
        visible: (N, J) bool, or None where every joint was seen. Unseen joints hold zeros.
        observed: (J,) bool, the joints that the detector shows, or None for all. The others are made from
            these, and show nothing of their own.
        rig: which camera saw each row, and when, where there are several.
        time: (N,) float64 seconds within the recording, or None where unknown. Frames of files that do not
            say their rate are counted at :data:`USUAL_RATE`.
        up: (N, 3) upward in camera axes, which the user gives, or None where it is to be found.
        enough: (N,) bool, rows whose detector showed enough joints, or None to count them in ``shown``.

    Raises:
        ValueError: if shapes or row counts disagree.
    """

    pose_2d: Tensor
    camera: Camera
    clip: Tensor
    visible: Tensor | None = None
    observed: Tensor | None = None
    rig: Rig | None = None
    time: Tensor | None = None
    up: Tensor | None = None
    enough: Tensor | None = None

    def __post_init__(self) -> None:
        _check_rows(self.pose_2d, self.camera, self.clip)
        expected = tuple(self.pose_2d.shape[:2])
        if self.visible is not None and (self.visible.dtype != torch.bool or self.visible.shape != expected):
            found = f"{self.visible.dtype} {tuple(self.visible.shape)}"
            raise ValueError(f"visible: expected bool {expected}, got {found}")

    def __len__(self) -> int:
        return len(self.pose_2d)

    def rows(self, index: Tensor) -> UnlabelledPoses:
        """Pick rows by an int64 or boolean index."""
        columns = ("visible", "time", "up", "enough")
        picked = {name: None if (rows := getattr(self, name)) is None else rows[index] for name in columns}
        return replace(
            self,
            pose_2d=self.pose_2d[index],
            camera=self.camera[index],
            clip=self.clip[index],
            rig=None if self.rig is None else self.rig.rows(index),
            **picked,
        )

    @property
    def shown(self) -> Tensor | None:
        """(N, J) bool, the joints that were seen and show something of their own; None where all do."""
        if self.observed is None or bool(self.observed.all()):
            return self.visible
        whole = self.observed.expand(self.pose_2d.shape[:2])
        return whole if self.visible is None else self.visible & whole

    @property
    def liftable(self) -> Tensor:
        """(N,) bool, rows that show enough joints for `poseda lift` to lift them with masks."""
        if self.enough is not None:
            return self.enough
        if self.shown is None:
            return torch.ones(len(self), dtype=torch.bool, device=self.pose_2d.device)
        return self.shown.sum(1) >= min(FEWEST_JOINTS, self.pose_2d.shape[1])

    def to(self, *args: Any, **kwargs: Any) -> UnlabelledPoses:
        """Move the tensors to a device, as ``Tensor.to``."""
        pose_2d = self.pose_2d.to(*args, **kwargs)
        visible = None if self.visible is None else self.visible.to(pose_2d.device)
        observed = None if self.observed is None else self.observed.to(pose_2d.device)
        rig = None if self.rig is None else self.rig.to(pose_2d.device)
        return replace(
            self,
            pose_2d=pose_2d,
            camera=self.camera.to(*args, **kwargs),
            clip=self.clip.to(pose_2d.device),
            visible=visible,
            observed=observed,
            rig=rig,
            time=None if self.time is None else self.time.to(pose_2d.device),
            up=None if self.up is None else self.up.to(pose_2d.device),
            enough=None if self.enough is None else self.enough.to(pose_2d.device),
        )


@dataclass(frozen=True)
class WeakLabels:
    """3D poses of a few rows of a target that another model made, which the user trusts.

    Args:
        pose_3d: (W, J, 3) float32 in camera axes, relative to any point; zeros where unknown.
        known: (W, J) bool.
        row: (W,) int64 rows of the target, each once.
        metric: (W,) bool, whether the pose is in metres; else its scale means nothing.
    """

    pose_3d: Tensor
    known: Tensor
    row: Tensor
    metric: Tensor

    def __len__(self) -> int:
        return len(self.row)

    def among(self, rows: Tensor) -> WeakLabels:
        """The labels of those rows (N,) that a target keeps, numbered anew."""
        kept = torch.isin(self.row, rows)
        order = rows.argsort()
        row = order[torch.searchsorted(rows[order], self.row[kept])]
        return replace(self.at(kept), row=row)

    def at(self, index: Tensor) -> WeakLabels:
        """Pick labels by an int64 or boolean index."""
        return WeakLabels(self.pose_3d[index], self.known[index], self.row[index], self.metric[index])

    def to(self, device: torch.device) -> WeakLabels:
        """Move to a device."""
        return WeakLabels(*(part.to(device) for part in (self.pose_3d, self.known, self.row, self.metric)))


@dataclass(frozen=True)
class AdaptationData:
    """All the data that adapting code receives.

    Args:
        skeleton: of all poses.
        source, source_val: labelled poses.
        target: its 2D, without labels of ours.
        weak: labels of a few of its rows that the user's own files gave, or None.
    """

    skeleton: Skeleton
    source: LabelledPoses
    source_val: LabelledPoses
    target: UnlabelledPoses
    weak: WeakLabels | None = None


class Domains(Protocol):
    """A source and a target domain. Only :meth:`evaluation` and :meth:`oracle` give labels of the target."""

    @property
    def name(self) -> str:
        """The name in reports."""

    @property
    def skeleton(self) -> Skeleton:
        """The joints of every pose in it."""

    def adaptation(self) -> AdaptationData:
        """The data to learn from. It reads no 3D pose of the target."""

    def evaluation(self, split: str = "target_test") -> LabelledPoses:
        """Labelled poses to compare predictions with: ``target_test`` or ``source_val``."""

    def oracle(self) -> LabelledPoses:
        """Labelled target_train, for the oracle arm and for breakdowns of finished evaluations only."""

    def fingerprint(self) -> str:
        """SHA-256 of the content, hexadecimal."""


def check_in_front(poses: LabelledPoses, where: str) -> LabelledPoses:
    """Return source poses if all of their joints are in front of the camera.

    Args:
        poses: to check.
        where: file and field, for the message.

    Raises:
        DataError: if a depth is not above zero. Such a pose can neither be placed nor seen.
    """
    behind = (poses.pose_3d[..., 2] <= 0).any(1)
    if bool(behind.any()):
        first = int(behind.int().argmax())
        raise DataError(
            f"{where}: expected camera coordinates with depths above 0 m, found joints at or behind the "
            f"camera in {int(behind.sum())} of {len(poses)} rows, first {first}"
        )
    return poses


def check_evaluated(split: str) -> str:
    """Return the split if its labels may be compared with predictions.

    Raises:
        ValueError: if not; the message names the splits that may.
    """
    if split not in EVALUATED:
        raise ValueError(f"split: expected one of {', '.join(EVALUATED)} for evaluation, got {split!r}")
    return split


def _check_rows(pose_2d: Tensor, camera: Camera, clip: Tensor) -> None:
    if pose_2d.dim() != 3 or pose_2d.shape[-1] != 2:
        raise ValueError(f"pose_2d: expected shape (N, J, 2), got {tuple(pose_2d.shape)}")
    if len(camera) != len(pose_2d):
        raise ValueError(f"camera: expected {len(pose_2d)} rows as pose_2d, got {len(camera)}")
    if clip.shape != pose_2d.shape[:1] or clip.dtype != torch.int64:
        raise ValueError(
            f"clip: expected int64 of shape ({len(pose_2d)},), got {clip.dtype} {tuple(clip.shape)}"
        )


def concatenated(parts: Sequence[LabelledPoses]) -> LabelledPoses:
    """The rows of several tables, one table after the other.

    Columns that not all tables have are left out, and so are aspects. Missing distortions become zeros.

    Raises:
        DataError: if there are no tables.
    """
    if not parts:
        raise DataError("source: expected poses before a camera, found none")
    shared = set.intersection(*(set(part.columns) for part in parts))
    camera = Camera(
        focal=torch.cat([part.camera.focal.expand(len(part), 2) for part in parts]),
        center=torch.cat([part.camera.center.expand(len(part), 2) for part in parts]),
        distortion=_distortions(parts),
        aspect=_aspects(parts),
    )
    return LabelledPoses(
        torch.cat([part.pose_3d for part in parts]),
        torch.cat([part.pose_2d for part in parts]),
        camera,
        torch.cat([part.clip for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in sorted(shared)},
    )


def _distortions(parts: Sequence[LabelledPoses]) -> Tensor | None:
    given = [part.camera.distortion for part in parts]
    if all(value is None for value in given):
        return None
    return torch.cat(
        [
            torch.zeros(len(part), 5) if value is None else value.expand(len(part), 5)
            for part, value in zip(parts, given, strict=True)
        ]
    )


def _aspects(parts: Sequence[LabelledPoses]) -> Tensor | None:
    given = [part.camera.aspect for part in parts]
    known = [value.expand(len(part)) for part, value in zip(parts, given, strict=True) if value is not None]
    return torch.cat(known) if len(known) == len(parts) else None
