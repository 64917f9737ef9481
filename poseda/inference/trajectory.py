"""Where lifted people stand: the placement of GPA, solved for the root.

:func:`poseda.geometry.placements.locate` answers another question: where a pose fits all of its joints best.
Here it stands as in training, by the place and the box of the detected one.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.placements import measure
from poseda.geometry.skeleton import Skeleton


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
