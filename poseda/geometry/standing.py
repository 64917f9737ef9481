"""The axis of a body, from its ankles to its shoulders."""

from __future__ import annotations

from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton

AXIS_JOINTS = ("ankle", "shoulder")
"""The axis of a body goes from the midpoint of the first joints, left and right, to that of the second."""


def missing_joints(skeleton: Skeleton) -> list[str]:
    """The joints of a body's axis that a skeleton lacks."""
    wanted = [f"{side}_{name}" for name in AXIS_JOINTS for side in ("left", "right")]
    return [name for name in wanted if name not in skeleton.joint_names]


def body_axis(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Axis of each body, upward: (N, J, 3) to unit vectors (N, 3)."""
    low, high = (
        pose_3d[:, [skeleton.joint(f"{side}_{name}") for side in ("left", "right")]].mean(1)
        for name in AXIS_JOINTS
    )
    return nn.functional.normalize(high - low, dim=-1)
