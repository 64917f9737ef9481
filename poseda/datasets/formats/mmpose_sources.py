"""Human3.6M and MPI-INF-3DHP as MMPose prepares them: an npz with `S`, `part` and `imgname`."""

from __future__ import annotations

import re

import numpy as np
import torch

from poseda.datasets.conversion import conversion
from poseda.datasets.filming import labelled, screen_of
from poseda.datasets.formats.npz import Archive
from poseda.datasets.layouts import MPI_INF_3DHP_17, Layout
from poseda.datasets.records import LabelledPoses, SourceReading, concatenated
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M17, Skeleton

FEWEST = 3
"""Poses of a clip from which its lens is found. A pose has 17 joints, and a lens four numbers."""

MAX_MISFIT = 20.0
"""Median error of a lens, pixels, beyond which 2D and 3D do not belong together."""


def is_mmpose_source(archive: Archive) -> bool:
    """MMPose's form: 17 joints in 2D and 3D, and the names of the pictures."""
    if not all(name in archive for name in ("S", "part", "imgname")):
        return False
    shape, _ = archive.header("S")
    return len(shape) == 3 and shape[1:] == (17, 4)


def read_mmpose_source(archive: Archive, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """``S`` (N, 17, 4) metres in the camera frame, ``part`` (N, 17, 3) pixels, ``imgname`` (N,).

    The file has no cameras. The lens of each clip is the one that projects its 3D poses onto its 2D poses, by
    least squares. The picture is taken to be as wide and high as twice the middle of that lens.

    Raises:
        DataError: if the joints are neither Human3.6M's nor MPI-INF-3DHP's, or no lens fits.
    """
    names = archive.read("imgname", ("N",), "U")
    pose = archive.read("S", (len(names), 17, 4)).astype(np.float64)[..., :3]
    pixels = archive.read("part", (len(names), 17, 3)).astype(np.float64)[..., :2]
    if not (np.isfinite(pose).all() and np.isfinite(pixels).all() and np.abs(pose).max(initial=0) < 1e4):
        raise archive.fail("S, part", "finite numbers, metres and pixels", "NaN, Inf or beyond")
    layout = _layout(archive, pose)
    clips, frames = _clips(names)
    convert, parts, misfits = conversion(layout, skeleton), [], []
    for clip in np.unique(clips):
        rows = np.flatnonzero(clips == clip)
        lens, size, misfit = _lens(archive, pose[rows], pixels[rows])
        misfits.append(misfit)
        kept = rows[::stride]
        columns = {"image": names[kept], "frame": frames[kept]}
        screen = screen_of(convert(pixels[kept])[0], *size)
        parts.append(labelled(convert(pose[kept])[0], lens, np.full(len(kept), clip), columns, screen))
    poses = concatenated(parts)
    fitted = (
        f"{archive.path.name}: cameras are fitted to 2D and 3D, with a median error of at most "
        f"{max(misfits):.1f} pixels"
    )
    reading = SourceReading("MMPose npz", 1, made_up=convert.made_up, warnings=(fitted,))
    return LabelledPoses(poses.pose_3d, poses.pose_2d, poses.camera, poses.clip, poses.columns, reading)


def _layout(archive: Archive, pose: np.ndarray) -> Layout:
    """The layout in which the pelvis is in the middle of the hips."""
    for layout in (Layout.of(H36M17), MPI_INF_3DHP_17):
        pelvis, left, right = (
            pose[:, layout.joint_names.index(n)] for n in ("pelvis", "left_hip", "right_hip")
        )
        away = np.linalg.norm((left + right) / 2 - pelvis, axis=-1)
        if np.median(away) < 0.25 * np.median(np.linalg.norm(left - right, axis=-1)):
            return layout
    raise archive.fail("S", "joints in the order of h36m17 or mpi_inf_3dhp_17", "no pelvis between the hips")


def _clips(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) number of the clip and (N,) of the frame, from names such as ``S1/S1_Walking.5413_000001.jpg``."""
    found = [re.fullmatch(r"(.*?)[_/.]?(\d{1,9})\.\w+", name) for name in names.tolist()]
    stems = [match[1] if match else "" for match in found]
    _, clips = np.unique(stems, return_inverse=True)
    return clips.reshape(-1), np.array([int(match[2]) if match else 0 for match in found], np.int64)


def _lens(archive: Archive, pose: np.ndarray, pixels: np.ndarray) -> tuple[Camera, tuple[int, int], float]:
    """The lens that fits (N, 17, 3) to (N, 17, 2), the picture's size and the median error in pixels."""
    if len(pose) < FEWEST or not (pose[..., 2] > 0).all():
        few = f"{len(pose)} with the nearest joint at {pose[..., 2].min():g} m"
        raise archive.fail("S", f"clips of at least {FEWEST} poses before their camera", few)
    lines = list[tuple[float, float]]()
    error = np.empty((2, pose[..., 0].size))
    for axis in (0, 1):
        ray = (pose[..., axis] / pose[..., 2]).reshape(-1)
        table = np.stack([ray, np.ones_like(ray)], -1)
        line, *_ = np.linalg.lstsq(table, pixels[..., axis].reshape(-1), rcond=None)
        lines.append((float(line[0]), float(line[1])))
        error[axis] = table @ line - pixels[..., axis].reshape(-1)
    (fx, cx), (fy, cy) = lines
    misfit = float(np.median(np.hypot(*error)))
    if not (min(fx, fy) > 0 and min(cx, cy) > 1 and misfit < MAX_MISFIT):
        raise archive.fail(
            "S, part", "3D poses that project onto the 2D poses", f"errors of {misfit:.0f} pixels"
        )
    size = (round(2 * cx), round(2 * cy))
    return Camera.from_pixels(fx, fy, cx, cy, *size).to(torch.float64), size, misfit
