"""Human3.6M as VideoPose3D stores it: poses in the world, seen through the user's cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseda.datasets.conversion import conversion
from poseda.datasets.filming import film_world
from poseda.datasets.formats.cameras import read_rigs_by_subject
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.videopose3d import actions_of
from poseda.datasets.layouts import H36M32, Layout
from poseda.datasets.records import LabelledPoses, concatenated
from poseda.geometry.skeleton import H36M17, Skeleton

STUDIO_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
"""Human3.6M's training subjects. Each has a calibration of its own for the four cameras."""


def read_human36m(
    archive: Archive,
    skeleton: Skeleton,
    cameras: str | Path | None,
    subjects: tuple[str, ...] | None,
    stride: int,
) -> LabelledPoses:
    """VideoPose3D's data_3d_h36m.npz: ``positions_3d``: subject → action → (N, 32 or 17, 3) metres, z up.

    The file has no cameras, so the user gives them. Without a choice of subjects, the five training subjects
    are read.
    """
    if cameras is None:
        raise Field(archive.path, "cameras").fail("a JSON with Human3.6M's cameras (--cameras)", "none")
    rigs, positions = read_rigs_by_subject(cameras), archive.objects("positions_3d")
    if subjects is None:
        subjects = tuple(name for name in STUDIO_SUBJECTS if name in positions) or None
    parts = []
    for clip, (subject, _, action) in enumerate(actions_of(positions, subjects)):
        if subject not in rigs:
            raise Field(Path(cameras), "extrinsics").fail(f"subject {subject}", ", ".join(rigs)[:80])
        pose = action.array(("N", "J", 3), finite=False)[::stride]
        if pose.shape[1] not in (len(H36M32), H36M17.num_joints):
            raise action.fail("32 or 17 joints", pose.shape[1])
        layout = H36M32 if pose.shape[1] == len(H36M32) else Layout.of(H36M17)
        pose, seen = conversion(layout, skeleton)(pose)
        whole = np.flatnonzero(seen.all(1))
        columns = {"subject": np.full(len(whole), str(subject)), "frame": whole}
        parts.append(film_world(pose[whole], np.full(len(whole), clip), columns, rigs[subject]))
    return concatenated(parts)
