"""Which way a body stands up, from its ankles to its shoulders."""

from __future__ import annotations

from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton

STANDING_UP = ("ankle", "shoulder")
"""A body stands up along the line from the middle of its left and right … to that of its left and right …"""


def missing_joints(skeleton: Skeleton) -> list[str]:
    """The joints that a skeleton lacks to say what standing up is."""
    wanted = [f"{side}_{name}" for name in STANDING_UP for side in ("left", "right")]
    return [name for name in wanted if name not in skeleton.joint_names]


def body_axis(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """The direction in which each of the bodies (N, J, 3) stands up: (N, 3), unit."""
    low, high = (
        pose_3d[:, [skeleton.joint(f"{side}_{name}") for side in ("left", "right")]].mean(1)
        for name in STANDING_UP
    )
    return nn.functional.normalize(high - low, dim=-1)
