"""Labelled poses of a source from a file or a folder. The content decides the format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from poseda.datasets.domain_file import DomainFile
from poseda.datasets.filming import FixedCamera
from poseda.datasets.formats.cameras import read_rigs_by_subject
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import in_natural_order, kind_of
from poseda.datasets.formats.human36m import read_human36m
from poseda.datasets.formats.motion import read_bvh_source
from poseda.datasets.formats.mpi_inf_3dhp import read_annot, read_annot_data, read_spin
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.plain_sources import read_plain_source, read_world
from poseda.datasets.formats.threedpw import read_3dpw
from poseda.datasets.records import LabelledPoses
from poseda.geometry.skeleton import H36M16, Skeleton

FORMATS = (
    "a domain npz, an npz with pose_3d or positions, VideoPose3D data_3d npz, SPIN's mpi_inf_3dhp_valid.npz, "
    "BVH, MPI-INF-3DHP annot.mat or annot_data.mat, 3DPW pkl"
)
"""Every format of labelled poses, for messages."""

SUFFIXES = (".bvh", ".mat", ".pkl")
"""Files of a folder and its subfolders that are read."""


def read_source(
    path: str | Path,
    *,
    skeleton: Skeleton = H36M16,
    cameras: str | Path | None = None,
    subjects: tuple[str, ...] | None = None,
    joints: Mapping[str, str] | None = None,
    stride: int = 1,
) -> LabelledPoses:
    """Read labelled 3D poses.

    Args:
        path: a file, or a folder of BVH, annot.mat, annot_data.mat or 3DPW files.
        skeleton: to convert to.
        cameras: JSON of the data set's cameras, where its files have none (Human3.6M, MPI-INF-3DHP's test
            set). Motion without cameras (BVH, npz with positions) is otherwise seen by an assumed studio rig.
        subjects: of Human3.6M. Default: the five training subjects.
        joints: of a BVH with unknown names: our joint to its name.
        stride: keep one frame in this many.

    Raises:
        DataError: if the content has no known format, is damaged, or lacks cameras; one sentence.
    """
    path = Path(path)
    if stride < 1:
        raise Field(path, "stride").fail("1 or more", stride)
    files = _files(path)
    kind = _common_kind(path, files)
    if kind == "npz":
        return _npz(Archive(path), skeleton, cameras, subjects, stride)
    if kind == "bvh":
        return read_bvh_source(files, skeleton, joints, stride, _rig(cameras))
    if kind == "mat5":
        return read_annot(files, skeleton, cameras, stride)
    if kind == "hdf5":
        return read_annot_data(files, skeleton, cameras, stride)
    if kind == "pickle" or path.suffix == ".pkl":
        return read_3dpw(files, skeleton, stride)
    raise Field(path).fail(FORMATS, kind)


def _common_kind(path: Path, files: list[Path]) -> str:
    kinds = {kind_of(file) for file in files}
    if len(kinds) > 1:
        raise Field(path, "folder").fail("files of one kind", ", ".join(sorted(kinds)))
    return kinds.pop()


def _files(path: Path) -> list[Path]:
    """The file itself, or those of a folder and its subfolders that may be sources."""
    if not path.is_dir():
        return [path]
    files = in_natural_order([file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES])
    files.sort(key=lambda file: str(file.parent))
    if not files:
        raise Field(path, "folder").fail(f"files ending in {', '.join(SUFFIXES)}", "none")
    return files


def _rig(cameras: str | Path | None) -> list[FixedCamera] | None:
    """The first subject's cameras of a Human3.6M-like JSON."""
    return None if cameras is None else next(iter(read_rigs_by_subject(cameras).values()))


def _npz(
    archive: Archive,
    skeleton: Skeleton,
    cameras: str | Path | None,
    subjects: tuple[str, ...] | None,
    stride: int,
) -> LabelledPoses:
    if "positions_3d" in archive:
        return read_human36m(archive, skeleton, cameras, subjects, stride)
    if "S" in archive and "part" in archive:
        return read_spin(archive, skeleton, cameras, stride)
    if "source_pose_3d" in archive:
        whole = DomainFile(archive.path, skeleton).source()
        return whole.rows(torch.arange(0, len(whole), stride))
    if "positions" in archive:
        return read_world(archive, skeleton, stride, _rig(cameras))
    if "pose_3d" in archive:
        return read_plain_source(archive, skeleton, stride)
    raise archive.fail("members", FORMATS, ", ".join(archive.members)[:80] or "nothing")
