"""Where lifted people stand: the placement of GPA, solved for the root, and where its path jumps.

:func:`poseda.geometry.placements.locate` answers another question: where a pose fits all of its joints best.
Here it stands as in training, by the place and the box of the detected one. Either way each frame is placed
alone, so the path trembles. The fit (:mod:`poseda.inference.fit`) places all frames of a person together.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from poseda import ops
from poseda.export import LiftedPoses
from poseda.geometry.camera import Camera
from poseda.geometry.placements import measure
from poseda.geometry.skeleton import Skeleton

JUMP = 50.0
"""m/s^2, five times free fall: a hip is hardly accelerated more, even where somebody lands."""

SUCCESSIVE = 0.2
"""Seconds up to which two frames follow each other. Over longer gaps a place tells no acceleration."""


def root_position(pose_3d: Tensor, pose_2d: Tensor, camera: Camera, skeleton: Skeleton, gpa: str) -> Tensor:
    """The root at which a pose is seen where, and as large as, it was detected.

    Args:
        pose_3d: (N, J, 3) metres, root-relative.
        pose_2d: (N, J, 2) screen coordinates.
        camera: N cameras or one shared.
        skeleton: of the poses.
        gpa: ``closed_form`` or ``exact``, see :func:`poseda.ops.augment`.

    Returns:
        (N, 3) metres, camera frame; NaN where the pose cannot stand before the camera at that size.
    """
    placed = ops.augment(
        pose_3d,
        skeleton=skeleton,
        camera=camera,
        placement=measure(pose_2d, skeleton),
        gpa=cast(ops.Gpa, gpa),
    )
    root = placed.pose_3d[:, skeleton.parents.index(-1)]
    return root.where(placed.valid[:, None], torch.nan)


def jumping_frames(poses: LiftedPoses) -> int:
    """How many frames hold a root that accelerates by more than :data:`JUMP` between its neighbours.

    Args:
        poses: as lifted; without roots no frame jumps.
    """
    if poses.root is None:
        return 0
    return sum(_jumps(poses.root[rows], poses.time[rows]) for _, _, rows in poses.tracks())


def _jumps(root: np.ndarray, seconds: np.ndarray) -> int:
    """Jumping frames of one person's roots (F, 3), NaN where unknown, at times (F,)."""
    known = np.isfinite(root).all(1)
    place, step = root[known].astype(np.float64), np.diff(seconds[known])
    if len(place) < 3:
        return 0
    velocity = np.diff(place, axis=0) / step[:, None]
    acceleration = np.linalg.norm(np.diff(velocity, axis=0), axis=1) / ((step[1:] + step[:-1]) / 2)
    return int(((acceleration > JUMP) & (np.maximum(step[1:], step[:-1]) <= SUCCESSIVE)).sum())
