"""Labelled poses of a source from a file or a folder. The content decides the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from poseda.datasets.domain_file import DomainFile
from poseda.datasets.filming import FixedCamera
from poseda.datasets.formats.c3d import read_c3d
from poseda.datasets.formats.cameras import read_rigs_by_subject
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import in_natural_order, kind_of, left_out, read_each, read_json
from poseda.datasets.formats.human36m import read_human36m
from poseda.datasets.formats.mmpose_sources import is_mmpose_source, read_mmpose_source
from poseda.datasets.formats.motion import Motion, bvh_motion, read_motion
from poseda.datasets.formats.mpi_inf_3dhp import read_annot, read_annot_data, read_spin
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.own_export import (
    read_own_csv,
    read_own_json,
    read_own_npz,
)
from poseda.datasets.formats.own_files import is_own_csv, is_own_json, is_own_npz
from poseda.datasets.formats.plain_sources import read_plain_source, read_world
from poseda.datasets.formats.threedpw import read_3dpw
from poseda.datasets.formats.trc import read_trc
from poseda.datasets.joint_map import JointMap
from poseda.datasets.records import LabelledPoses, SourceReading
from poseda.geometry.skeleton import H36M16, Skeleton

FORMATS = (
    "a domain npz, an npz with pose_3d or positions, VideoPose3D data_3d npz, MMPose's npz of Human3.6M or "
    "MPI-INF-3DHP, SPIN's mpi_inf_3dhp_valid.npz, BVH, TRC, C3D, MPI-INF-3DHP annot.mat or annot_data.mat, "
    "3DPW pkl, npz, JSON or CSV of poseda lift with roots"
)
"""Every format of labelled poses, for messages."""

MOST_WARNINGS = 5
"""Most warnings about the files of a source that are shown."""

SUFFIXES = (".bvh", ".c3d", ".mat", ".pkl", ".trc")
"""Files of a folder and its subfolders that are read."""

FOLDER_KINDS = ("bvh", "c3d", "hdf5", "mat5", "pickle", "trc")
"""Kinds of files that may fill a folder."""

MOTION: dict[str, Callable[[Path], Motion]] = {"bvh": bvh_motion, "c3d": read_c3d, "trc": read_trc}
"""Readers of motion in a world, by the kind of file."""


def read_source(
    path: str | Path,
    *,
    skeleton: Skeleton = H36M16,
    cameras: str | Path | None = None,
    subjects: tuple[str, ...] | None = None,
    joints: Mapping[str, str | int] | JointMap | None = None,
    stride: int = 1,
    strict: bool = False,
) -> LabelledPoses:
    """Read labelled 3D poses. How they were read is in their ``reading``.

    Args:
        path: a file, or a folder of BVH, TRC, C3D, annot.mat, annot_data.mat or 3DPW files.
        skeleton: to convert to.
        cameras: JSON of the data set's cameras, where its files have none (Human3.6M, MPI-INF-3DHP's test
            set). Motion without cameras (BVH, TRC, C3D, npz with positions) is otherwise seen by an assumed
            studio rig.
        subjects: of Human3.6M. Default: the five training subjects.
        joints: our joint to its name in the files, where the name does not tell. A :class:`JointMap` is not
            checked for names that no file has.
        stride: keep one frame in this many.
        strict: refuse a bad file of a folder. Default: leave it out if another is good, and say so.

    Raises:
        DataError: if the content has no known format, is damaged, or lacks cameras; one sentence.
    """
    path = Path(path)
    if stride < 1:
        raise Field(path, "stride").fail("1 or more", stride)
    names = JointMap.of(joints)
    kind, files, skipped = _of_one_kind(path, _files(path), strict)
    bad: dict[str, str] = {}
    if kind == "npz":
        poses = _npz(Archive(path), skeleton, cameras, subjects, names, stride)
    elif kind in MOTION:
        poses, bad = read_motion(files, MOTION[kind], skeleton, names, stride, _rig(cameras), strict)
    elif kind == "mat5":
        poses, bad = read_annot(files, skeleton, cameras, stride, strict)
    elif kind == "hdf5":
        poses, bad = read_annot_data(files, skeleton, cameras, stride, strict)
    elif kind == "pickle" or path.suffix == ".pkl":
        poses, bad = read_3dpw(files, skeleton, stride, strict)
    else:
        poses = _text(path, kind, skeleton, stride)
    if names is not joints:
        names.check()
    read = poses.reading if poses.reading.format else SourceReading(kind, len(files) - len(bad))
    return replace(poses, reading=replace(read, skipped={**read.skipped, **skipped, **bad}))


def source_account(poses: LabelledPoses, path: Path) -> list[str]:
    """How a source was read, in sentences: what was found, made up, left out and doubted.

    Args:
        poses: that :func:`read_source` has read.
        path: file or folder they are from.
    """
    read = poses.reading
    facts = [f"source: {read.format}, {read.files} file{'s' * (read.files != 1)}", *read.up]
    if read.rates:
        facts.append(f"{', '.join(f'{rate:g}' for rate in read.rates)} frames per second")
    if read.made_up:
        facts.append(f"made up: {', '.join(f'{joint} ({how})' for joint, how in read.made_up.items())}")
    facts += [f"{count} frames left out: {reason}" for reason, count in read.dropped.items()]
    more = len(read.warnings) - MOST_WARNINGS
    lines = ["; ".join(facts), *read.warnings[:MOST_WARNINGS]]
    lines += [f"and {more} more warnings about files of the source"] if more > 0 else []
    return [*lines, left_out(read.skipped, path)] if read.skipped else lines


def _of_one_kind(path: Path, files: list[Path], strict: bool) -> tuple[str, list[Path], dict[str, str]]:
    """The kind of most files, the files of that kind, and why the others are left out.

    Raises:
        DataError: if files of several kinds can be read, or a file cannot and ``strict`` is set.
    """
    kinds, skipped = read_each(files, lambda _, file: (file, kind_of(file)), strict)
    known = {kind for _, kind in kinds if kind in FOLDER_KINDS}
    if len(known) > 1:
        raise Field(path, "folder").fail("files of one kind", ", ".join(sorted(known)))
    kind = known.pop() if known else kinds[0][1]
    for file, other in kinds:
        if other != kind:
            skipped[str(file)] = f"expected {kind} as the other files, found {other}"
            if strict:
                raise Field(file).fail(f"{kind} as the other files", other)
    kept = [file for file, other in kinds if other == kind]
    raw = {file for file in kept if any(other != file and _is_filtered(other, file) for other in kept)}
    skipped |= {str(file): "its filtered copy is read" for file in raw}
    return kind, [file for file in kept if file not in raw], skipped


def _is_filtered(file: Path, raw: Path) -> bool:
    """Whether a file is the filtered copy of another, as Pose2Sim names it."""
    return file.parent == raw.parent and file.stem.startswith(f"{raw.stem}_filt")


def _files(path: Path) -> list[Path]:
    """The file itself, or those of a folder and its subfolders that may be sources."""
    if not path.is_dir():
        return [path]
    files = in_natural_order([file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES])
    files.sort(key=lambda file: str(file.parent))
    if not files:
        raise Field(path, "folder").fail(f"files ending in {', '.join(SUFFIXES)}", "none")
    return files


def _text(path: Path, kind: str, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """What `poseda lift` writes as JSON or CSV.

    Raises:
        DataError: for any other text; the message says what it is.
    """
    found = f"other {kind}"
    if kind == "json":
        file = read_json(path)
        if is_own_json(file):
            return read_own_json(file, skeleton, stride)
        entry = file.value[0] if isinstance(file.value, list) and file.value else file.value
        found = f"JSON with {', '.join(map(str, entry))[:60]}" if isinstance(entry, dict) else "other JSON"
    elif kind == "text" and is_own_csv(path):
        return read_own_csv(path, skeleton, stride)
    raise Field(path).fail(f"labelled 3D poses: {FORMATS}", found)


def _rig(cameras: str | Path | None) -> list[FixedCamera] | None:
    """The first subject's cameras of a Human3.6M-like JSON."""
    return None if cameras is None else next(iter(read_rigs_by_subject(cameras).values()))


def _npz(
    archive: Archive,
    skeleton: Skeleton,
    cameras: str | Path | None,
    subjects: tuple[str, ...] | None,
    joints: JointMap,
    stride: int,
) -> LabelledPoses:
    if "positions_3d" in archive:
        return read_human36m(archive, skeleton, cameras, subjects, stride)
    if is_mmpose_source(archive):
        return read_mmpose_source(archive, skeleton, stride)
    if "S" in archive and "part" in archive:
        return read_spin(archive, skeleton, cameras, stride)
    if "source_pose_3d" in archive:
        whole = DomainFile(archive.path, skeleton).source()
        return whole.rows(torch.arange(0, len(whole), stride))
    if "positions" in archive:
        return read_world(archive, skeleton, joints, stride, _rig(cameras))
    if is_own_npz(archive):
        return read_own_npz(archive, skeleton, stride)
    if "pose_3d" in archive:
        return read_plain_source(archive, skeleton, stride)
    raise archive.fail("members", FORMATS, ", ".join(archive.members)[:80] or "nothing")
