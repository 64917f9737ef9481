"""Domain npz files: one archive holds the four splits, a member a field, named ``{split}_{field}``.

Members are read one by one and only when asked for, so :meth:`ArchiveDomains.adaptation` works on a file
without the target's 3D poses. Nothing is unpickled, and no member is expanded before its header is checked.
"""

from __future__ import annotations

import hashlib
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import torch

from poseda.camera import Camera
from poseda.datasets.domain import (
    SPLITS,
    AdaptationData,
    DataError,
    LabelledPoses,
    UnlabelledPoses,
    check_evaluated,
    check_in_front,
)
from poseda.datasets.unpickle import unpickle
from poseda.skeleton import H36M16, Skeleton

EXTRA_COLUMNS = ("subject", "time", "frame", "camera", "pitch", "rotation")
"""Optional fields of labelled splits that reports group by."""

MAX_EXPANSION = 64
"""A pose member may be this many times larger than the whole file; real poses compress about twofold."""

FREE_BYTES = 1 << 26
"""Members up to this size are read whatever the file's size: constant columns compress without bound."""

FARTHEST = 50.0
"""No body is this large in metres and no screen coordinate this far out: beyond it the unit is wrong."""

_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    KeyError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,
    tokenize.TokenError,
)
"""What zipfile and numpy raise on damaged archives (RuntimeError: encryption, unknown compression; the last
two: numpy's parser of headers)."""

APART = {"target_test": "target_train", "source_val": "source"}
"""Splits that are evaluated, and the split that is learned from whose clips they must not hold.

Source and target number their clips separately, so no other two splits are compared.
"""

_KINDS = {
    "f": "floating point",
    "fiu": "numbers",
    "iu": "integers",
    "b": "bool",
    "U": "text",
    "fiubU": "plain values",
}


class Archive:
    """Checked access to the members of one npz.

    Args:
        path: the file.

    Raises:
        DataError: if it is missing or not an npz.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            found = "a folder" if self.path.is_dir() else "nothing"
            raise DataError(f"{self.path}: expected an npz file, found {found}")
        try:
            with zipfile.ZipFile(self.path) as archive:
                self.members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except _BROKEN as error:
            raise DataError(
                f"{self.path}: expected an npz file, found one that does not open ({_brief(error)})"
            ) from error

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def fail(self, name: str, expected: str, found: object) -> DataError:
        """The one sentence in which every complaint about a member is made."""
        return DataError(f"{self.path}: {name}: expected {expected}, found {found}")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of a member, from its first bytes.

        Raises:
            DataError: if the member is missing, damaged, holds objects, or would expand beyond reason.
        """
        if name not in self:
            raise self._absent(name)
        info = self.members[name]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as member:
                shape, dtype = _read_header(member)
                start = member.tell()
        except _BROKEN as error:
            raise self.fail(name, "a numpy array", f"a damaged member ({_brief(error)})") from error
        if dtype.hasobject:
            raise self.fail(name, "plain numbers or text", "Python objects, which are not unpickled")
        self._check_size(name, start, shape, dtype)
        return shape, dtype

    def read_objects(self, name: str) -> object:
        """Read a member that holds Python objects: arrays and plain containers, through our own unpickler.

        Returns:
            the object itself where the member is a single one (VideoPose3D's files), else the array.

        Raises:
            DataError: if it is missing, damaged, too large, or holds anything else.
        """
        if name not in self:
            raise self._absent(name)
        info = self.members[name]
        allowed = self._allowed()
        if info.file_size > allowed:
            raise self.fail(
                name, f"at most {allowed} bytes in a file of this size", f"{info.file_size} bytes"
            )
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as member:
                shape, dtype = _read_header(member)
                content = member.read(info.file_size)
        except _BROKEN as error:
            raise self.fail(name, "a numpy array", f"a damaged member ({_brief(error)})") from error
        if dtype != np.dtype(object):
            raise self.fail(name, "Python objects", dtype)
        value = unpickle(content, f"{self.path}: {name}")
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise self.fail(name, f"objects of shape {shape}", getattr(value, "shape", type(value).__name__))
        return value[()] if value.ndim == 0 else value

    def _absent(self, name: str) -> DataError:
        near = ", ".join(sorted(self.members)[:8])
        return self.fail(name, "this member", f"a file with {len(self.members)} others ({near}, ...)")

    def _allowed(self) -> int:
        return max(FREE_BYTES, MAX_EXPANSION * self.path.stat().st_size)

    def _check_size(self, name: str, start: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        info, size = self.members[name], dtype.itemsize
        for length in shape:
            size *= length
        if start + size != info.file_size:
            raise self.fail(name, f"{start + size} bytes for {dtype} {shape}", f"{info.file_size} bytes")
        allowed = self._allowed()
        if size > allowed:
            raise self.fail(
                name, f"at most {allowed} bytes in a file of this size", f"{dtype} {shape}, {size} bytes"
            )

    def read(self, name: str, shape: tuple[int | str, ...], kinds: str = "f") -> np.ndarray:
        """Read one member.

        Args:
            name: of the member.
            shape: expected; a letter stands for any length above zero.
            kinds: numpy kinds to accept.

        Raises:
            DataError: if shape, dtype or content is not as expected.
        """
        found, dtype = self.header(name)
        fits = len(found) == len(shape) and all(
            length > 0 if isinstance(wanted, str) else length == wanted
            for wanted, length in zip(shape, found, strict=True)
        )
        if not fits:
            wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
            raise self.fail(name, f"shape {wanted}" + " with N > 0" * ("N" in shape), f"shape {found}")
        if dtype.kind not in kinds:
            raise self.fail(name, _KINDS[kinds], dtype)
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                values = archive[name]
        except _BROKEN as error:
            raise self.fail(name, f"{dtype} {found}", f"a damaged member ({_brief(error)})") from error
        if values.shape != found or values.dtype != dtype:
            raise self.fail(
                name, f"one member of that name with {dtype} {found}", f"{values.dtype} {values.shape}"
            )
        return values

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _brief(error: Exception) -> str:
    """What a library says of damaged content, which it may quote at length."""
    return " ".join(str(error).split())[:120]


def _float32(values: np.ndarray) -> np.ndarray:
    """Cast; what is too large becomes Inf, which the check for finite numbers reports."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"npy version {version}")
    if any(length < 0 for length in shape):
        raise ValueError(f"negative length in shape {shape}")
    return shape, dtype


class ArchiveDomains:
    """The domains of one npz file.

    Each split has ``pose_2d (N, J, 2)``, ``focal (N, 2)``, ``center (N, 2)`` and ``clip (N,)``; labelled
    splits also ``pose_3d (N, J, 3)``. Optional: ``distortion (N, 5)``, ``aspect (N,)``, ``valid (N,)`` (rows
    that are false are dropped), ``visible (N, J)`` for the target, and the columns of :data:`EXTRA_COLUMNS`.
    A member ``skeleton`` may name a built-in skeleton.

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
        """Rows left out of each split read so far because they are marked invalid."""
        return dict(self._dropped)

    def source(self) -> LabelledPoses:
        """The labelled source alone; a file may hold no target."""
        return check_in_front(self._labelled("source"), f"{self._archive.path}: source_pose_3d")

    def adaptation(self) -> AdaptationData:
        """What may be learned from; reads no 3D pose of the target."""
        return AdaptationData(
            self.skeleton,
            self.source(),
            self._labelled("source_val"),
            self._unlabelled("target_train"),
        )

    def evaluation(self, split: str = "target_test") -> LabelledPoses:
        """Labelled poses to compare predictions with: ``target_test`` or ``source_val``.

        Raises:
            DataError: also if a clip of the split is learned from.
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
        return UnlabelledPoses(torch.from_numpy(pose_2d), camera, clip, visible)

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
        """Refuse clips that stand in the split that is learned from, too; a file may lack that split."""
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
