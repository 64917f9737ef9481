"""Labelled poses of a source, whatever holds them: the format is told by the content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.domain_file import ArchiveDomains
from poseda.datasets.filming import FixedCamera, labelled
from poseda.datasets.formats import motion, mpi_inf_3dhp
from poseda.datasets.formats.detect import kind_of
from poseda.datasets.formats.human36m import read_human36m, read_rigs_by_subject
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.text import fail, natural
from poseda.datasets.formats.threedpw import read_3dpw
from poseda.datasets.records import LabelledPoses
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16, Skeleton

FORMATS = (
    "a domain npz, an npz with pose_3d or positions, VideoPose3D data_3d npz, SPIN's mpi_inf_3dhp_valid.npz, "
    "BVH, MPI-INF-3DHP annot.mat or annot_data.mat, 3DPW pkl"
)

SUFFIXES = (".bvh", ".mat", ".pkl")
"""Files of a folder that are read, its subfolders', too."""


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
        cameras: JSON of the data set's cameras, where it does not bring its own (Human3.6M, MPI-INF-3DHP's
            test set). Motion without any (BVH, npz with positions) is filmed by an assumed studio rig.
        subjects: of Human3.6M. Default: the five training subjects.
        joints: of a BVH whose names do not tell: our joint to its name.
        stride: take every so manieth frame.

    Raises:
        DataError: if the content is none of the formats, damaged, or lacks cameras; one sentence.
    """
    path = Path(path)
    if stride < 1:
        raise fail(path, "stride", "1 or more", stride)
    files = _files(path)
    kinds = {kind_of(file) for file in files}
    if len(kinds) > 1:
        raise fail(path, "folder", "files of one kind", ", ".join(sorted(kinds)))
    kind = kinds.pop()
    if kind == "npz":
        return _npz(Archive(path), skeleton, cameras, subjects, stride)
    if kind == "bvh":
        return motion.read_bvh_source(files, skeleton, joints, stride, _rig(cameras))
    if kind == "mat5":
        return mpi_inf_3dhp.read_annot(files, skeleton, cameras, stride)
    if kind == "hdf5":
        return mpi_inf_3dhp.read_annot_data(files, skeleton, cameras, stride)
    if kind == "pickle" or path.suffix == ".pkl":
        return read_3dpw(files, skeleton, stride)
    raise fail(path, "file", FORMATS, kind)


def _files(path: Path) -> list[Path]:
    """The file itself, or those of a folder and its subfolders that may be sources."""
    if not path.is_dir():
        return [path]
    files = natural([file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES])
    files.sort(key=lambda file: str(file.parent))
    if not files:
        raise fail(path, "folder", f"files ending in {', '.join(SUFFIXES)}", "none")
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
        return mpi_inf_3dhp.read_spin(archive, skeleton, cameras, stride)
    if "source_pose_3d" in archive:
        whole = ArchiveDomains(archive.path, skeleton).source()
        return whole.rows(torch.arange(0, len(whole), stride))
    if "positions" in archive:
        return motion.read_world_npz(archive, skeleton, stride, _rig(cameras))
    if "pose_3d" in archive:
        return _plain(archive, skeleton, stride)
    raise fail(archive.path, "members", FORMATS, ", ".join(archive.members)[:80] or "nothing")


def _plain(archive: Archive, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """``pose_3d`` (N, J, 3) metres in the camera frame, ``focal`` (2,) and ``center`` (2,), or (N, 2) each.

    Optional: ``distortion`` (5,) or (N, 5), ``pose_2d`` (N, J, 2) (default: the projection), ``clip`` (N,).
    """
    pose = archive.read("pose_3d", ("N", skeleton.num_joints, 3)).astype(np.float64)
    rows = len(pose)

    def entry(name: str, width: int) -> torch.Tensor:
        shape, _ = archive.header(name)
        wanted = (width,) if len(shape) == 1 else (rows, width)
        return torch.from_numpy(archive.read(name, wanted, "fiu").astype(np.float64).reshape(-1, width))

    distortion = entry("distortion", 5) if "distortion" in archive else None
    lens = Camera(focal=entry("focal", 2), center=entry("center", 2), distortion=distortion)
    screen = None
    if "pose_2d" in archive:
        screen = archive.read("pose_2d", (rows, skeleton.num_joints, 2)).astype(np.float64)
    clip = archive.read("clip", (rows,), "iu") if "clip" in archive else np.zeros(rows, np.int64)
    for name, values in (("pose_3d", pose), ("pose_2d", screen), ("focal", lens.focal.numpy())):
        if values is not None and not np.isfinite(values).all():
            raise archive.fail(name, "finite numbers", "NaN or Inf")
    if not bool((lens.focal > 0).all()) or not (pose[..., 2] > 0).all():
        raise archive.fail("pose_3d, focal", "depths and focal lengths above zero", "others")
    poses = labelled(pose, lens, clip, {}, screen)
    return poses.rows(torch.arange(0, rows, stride))
