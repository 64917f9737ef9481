"""Domain npz files: one archive holds the four splits, a member a field, named ``{split}_{field}``.

Members are read one by one, when they are asked for. So :meth:`DomainFile.adaptation` works on a file without
the target's 3D poses.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.formats.npz import Archive
from poseda.datasets.records import (
    SPLITS,
    AdaptationData,
    DataError,
    LabelledPoses,
    UnlabelledPoses,
    check_evaluated,
    check_in_front,
)
from poseda.datasets.upright import Upright, find_up
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16, Skeleton

EXTRA_COLUMNS = ("subject", "time", "frame", "camera", "pitch", "rotation")
"""Optional fields of labelled splits that reports group by."""

FARTHEST = 50.0
"""No body is this large in metres, and no screen coordinate this far out. Beyond it the unit is wrong."""

APART = {"target_test": "target_train", "source_val": "source"}
"""Splits that are evaluated, and the training split with which they must not share a clip.

Source and target number their clips separately, so no other two splits are compared.
"""


class DomainFile:
    """The domains of one npz file.

    Each split has ``pose_2d (N, J, 2)``, ``focal (N, 2)``, ``center (N, 2)`` and ``clip (N,)``. Labelled
    splits also have ``pose_3d (N, J, 3)``. Optional are ``distortion (N, 5)``, ``aspect (N,)``, ``valid
    (N,)``, ``visible (N, J)`` for the target, and :data:`EXTRA_COLUMNS`. Rows that are not valid are left
    out. A member ``skeleton`` may name a built-in skeleton.

    Args:
        path: the file.
        skeleton: used if the file names none. Default h36m16.

    Raises:
        DataError: if the file is not such an npz.
    """

    def __init__(self, path: str | Path, skeleton: Skeleton | None = None) -> None:
        self._archive = Archive(path)
        self._skeleton = self._named_skeleton() or skeleton or H36M16
        self._dropped: dict[str, int] = {}

    @property
    def name(self) -> str:
        return self._archive.path.stem

    @property
    def skeleton(self) -> Skeleton:
        return self._skeleton

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many rows of each split read so far are left out, because they are marked invalid."""
        return dict(self._dropped)

    def source(self) -> LabelledPoses:
        """The labelled source alone; a file without a target has one too."""
        return check_in_front(self._labelled("source"), f"{self._archive.path}: source_pose_3d")

    @property
    def source_up(self) -> str:
        """What tells which way is up in the source, in words."""
        return self._upright.note

    @property
    def source_account(self) -> tuple[str, ...]:
        """What was found out about the source, in sentences."""
        return (self._upright.line,)

    @cached_property
    def _upright(self) -> Upright:
        return find_up(self.source(), self.skeleton)

    def adaptation(self) -> AdaptationData:
        """The data to learn from. It reads no 3D pose of the target."""
        return AdaptationData(
            self.skeleton,
            self.source(),
            self._labelled("source_val"),
            self._unlabelled("target_train"),
        )

    def evaluation(self, split: str = "target_test") -> LabelledPoses:
        """Labelled poses to compare predictions with: ``target_test`` or ``source_val``.

        Raises:
            DataError: also if a clip of the split is in the training split too.
        """
        poses = self._labelled(check_evaluated(split))
        self._check_apart(split, poses.clip)
        return poses

    def oracle(self) -> LabelledPoses:
        """Labelled target_train, for the oracle arm and for nothing else."""
        return self._labelled("target_train")

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return self._archive.fingerprint

    def _named_skeleton(self) -> Skeleton | None:
        if "skeleton" not in self._archive:
            return None
        try:
            return Skeleton.named(str(self._archive.read("skeleton", (), "U")))
        except DataError:
            raise
        except ValueError as error:
            raise DataError(f"{self._archive.path}: {error}") from error

    def _labelled(self, split: str) -> LabelledPoses:
        pose_2d, keep = self._pose_2d(split)
        rows, joints = pose_2d.shape[:2]
        pose_3d = _float32(self._archive.read(f"{split}_pose_3d", (rows, joints, 3))[keep])
        self._check_finite(f"{split}_pose_3d", pose_3d)
        self._check_unit(f"{split}_pose_3d", pose_3d - pose_3d[:, :1], "metres")
        pose_2d = pose_2d[keep]
        self._check_screen(f"{split}_pose_2d", pose_2d)
        columns = {
            column: values[keep]
            for column in EXTRA_COLUMNS
            if (values := self._column(f"{split}_{column}", rows)) is not None
        }
        if not keep.all():
            columns.setdefault("frame", np.flatnonzero(keep))
        camera, clip = self._camera_and_clip(split, keep)
        return LabelledPoses(torch.from_numpy(pose_3d), torch.from_numpy(pose_2d), camera, clip, columns)

    def _unlabelled(self, split: str) -> UnlabelledPoses:
        pose_2d, keep = self._pose_2d(split)
        name, visible = f"{split}_visible", None
        pose_2d = pose_2d[keep]
        if name in self._archive:
            seen = self._archive.read(name, (len(keep), pose_2d.shape[1]), "b")[keep]
            pose_2d = np.where(seen[..., None], pose_2d, np.float32(0))
            visible = torch.from_numpy(seen)
        self._check_screen(f"{split}_pose_2d", pose_2d)
        camera, clip = self._camera_and_clip(split, keep)
        column, time = self._column(f"{split}_time", len(keep)), None
        if column is not None and column.ndim == 1 and column.dtype.kind in "iuf":
            time = torch.from_numpy(column[keep].astype(np.float64))
        return UnlabelledPoses(torch.from_numpy(pose_2d), camera, clip, visible, time=time)

    def _pose_2d(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """All rows of a split's 2D poses (N, J, 2) float32, and which rows are kept (N,)."""
        assert split in SPLITS
        name = f"{split}_pose_2d"
        pose_2d = self._archive.read(name, ("N", self.skeleton.num_joints, 2))
        rows = len(pose_2d)
        keep = np.ones(rows, bool)
        if f"{split}_valid" in self._archive:
            keep = self._archive.read(f"{split}_valid", (rows,), "b")
        if not keep.any():
            raise self._archive.fail(f"{split}_valid", "at least one valid row", f"none in {rows}")
        self._dropped[split] = int(rows - keep.sum())
        return _float32(pose_2d), keep

    def _camera_and_clip(self, split: str, keep: np.ndarray) -> tuple[Camera, torch.Tensor]:
        rows = len(keep)

        def entry(field: str, shape: tuple[int, ...]) -> torch.Tensor:
            values = _float32(self._archive.read(f"{split}_{field}", shape, "fiu")[keep])
            self._check_finite(f"{split}_{field}", values)
            return torch.from_numpy(values)

        focal = entry("focal", (rows, 2))
        if not bool((focal > 0).all()):
            raise self._archive.fail(f"{split}_focal", "positive focal lengths", float(focal.min()))
        camera = Camera(
            focal=focal,
            center=entry("center", (rows, 2)),
            distortion=entry("distortion", (rows, 5)) if f"{split}_distortion" in self._archive else None,
            aspect=entry("aspect", (rows,)) if f"{split}_aspect" in self._archive else None,
        )
        clip = self._archive.read(f"{split}_clip", (rows,), "iu")[keep].astype(np.int64)
        return camera, torch.from_numpy(clip)

    def _check_apart(self, split: str, clip: torch.Tensor) -> None:
        """Refuse clips that are in the training split too; a file may lack that split."""
        other = APART[split]
        if f"{other}_clip" not in self._archive:
            return
        learned = self._archive.read(f"{other}_clip", ("N",), "iu")
        if f"{other}_valid" in self._archive:
            learned = learned[self._archive.read(f"{other}_valid", (len(learned),), "b")]
        shared = np.intersect1d(clip.numpy(), learned.astype(np.int64))
        if len(shared):
            raise self._archive.fail(
                f"{split}_clip",
                f"other clips than those of {other}",
                f"{len(shared)} in both, first {shared[0]}",
            )

    def _column(self, name: str, rows: int) -> np.ndarray | None:
        if name not in self._archive:
            return None
        shape, _ = self._archive.header(name)
        return self._archive.read(name, (rows, *shape[1:]), "fiubU")

    def _check_finite(self, name: str, values: np.ndarray) -> None:
        bad = ~np.isfinite(values).reshape(len(values), -1).all(1)
        if bad.any():
            first = int(bad.argmax())
            raise self._archive.fail(
                name, "finite numbers", f"NaN or Inf in {int(bad.sum())} rows, first {first}"
            )

    def _check_screen(self, name: str, values: np.ndarray) -> None:
        self._check_finite(name, values)
        self._check_unit(name, values, "screen coordinates (2 px / width - 1)")

    def _check_unit(self, name: str, values: np.ndarray, unit: str) -> None:
        typical = float(np.median(np.abs(values).reshape(len(values), -1).max(1)))
        if typical > FARTHEST:
            raise self._archive.fail(name, unit, f"values around {typical:.0f}")


def _float32(values: np.ndarray) -> np.ndarray:
    """Cast to float32. Too large numbers become Inf, which the check for finite numbers refuses."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
