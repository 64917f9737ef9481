"""Human3.6M as VideoPose3D stores it: poses in the world, and the cameras that filmed them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseda.datasets.conversion import conversion
from poseda.datasets.filming import FixedCamera, filmed, fixed_camera, together
from poseda.datasets.formats.calibration import read_cameras
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.npz_detections import pose_table, walk_positions
from poseda.datasets.formats.text import fail
from poseda.datasets.layouts import H36M32, Layout
from poseda.datasets.records import LabelledPoses
from poseda.geometry.skeleton import H36M17, Skeleton

STUDIO_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
"""Human3.6M's training subjects; each has its own calibration of the four cameras."""


STUDIO_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
"""Training subjects; each has its own calibration of the four cameras."""


def read_rigs_by_subject(path: str | Path) -> dict[str, list[FixedCamera]]:
    """Human3.6M's cameras by subject.

    The file holds, at top level or under ``human36m``: ``intrinsics``, a list of four cameras
    (``focal_length``, ``center``, ``radial_distortion``, ``tangential_distortion``, ``res_w``, ``res_h``,
    pixels), and ``extrinsics``, for each subject a list of four (``R_world_to_cam`` 3 x 3, ``position_m``).

    Raises:
        DataError: if it does not.
    """
    content = read_cameras(path, "human36m")
    try:
        return {
            subject: [fixed_camera(e, i) for e, i in zip(extrinsics, content["intrinsics"], strict=True)]
            for subject, extrinsics in content["extrinsics"].items()
        }
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise fail(Path(path), "human36m", "intrinsics and extrinsics of its cameras", found) from error


def read_human36m(
    archive: Archive,
    skeleton: Skeleton,
    cameras: str | Path | None,
    subjects: tuple[str, ...] | None,
    stride: int,
) -> LabelledPoses:
    """VideoPose3D's data_3d_h36m.npz: ``positions_3d``: subject → action → (N, 32 or 17, 3) metres, z up.

    The cameras are the user's; without a choice of subjects, the five training subjects are read.
    """
    path = archive.path
    if cameras is None:
        raise fail(path, "cameras", "a JSON with Human3.6M's cameras (--cameras)", "none")
    rigs = read_rigs_by_subject(cameras)
    positions = archive.read_objects("positions_3d")
    if subjects is None and isinstance(positions, dict):
        subjects = tuple(name for name in STUDIO_SUBJECTS if name in positions) or None
    parts = []
    for clip, (subject, action, value) in enumerate(
        walk_positions(path, "positions_3d", positions, subjects)
    ):
        where = f"positions_3d[{subject}][{action}]"
        if subject not in rigs:
            raise fail(Path(cameras), "extrinsics", f"subject {subject}", ", ".join(rigs)[:80])
        pose = pose_table(path, where, value, (3,))[::stride]
        if pose.shape[1] not in (len(H36M32), H36M17.num_joints):
            raise fail(path, where, "32 or 17 joints", pose.shape[1])
        layout = H36M32 if pose.shape[1] == len(H36M32) else Layout.of(H36M17)
        pose, seen = conversion(layout, skeleton)(pose)
        whole, rig = seen.all(1), rigs[subject]
        columns = {"subject": np.full(int(whole.sum()), str(subject)), "frame": np.flatnonzero(whole)}
        parts.append(filmed(pose[whole], rig, np.full(int(whole.sum()), clip), columns))
    return together(parts)
