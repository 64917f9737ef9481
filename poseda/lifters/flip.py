"""Left and right: mirrored poses, and a lifter averaged over a pose and its mirror image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseda.geometry.device_table import device_table
from poseda.geometry.skeleton import Skeleton


def mirror(pose: Tensor, skeleton: Skeleton) -> Tensor:
    """Swap left and right, and negate the first axis.

    A mirrored camera sees the mirrored person so. The third channel stays: confidence in 2D, depth in 3D.

    Args:
        pose: (..., J, C) with C of 2 or 3 and x in the first channel.
        skeleton: names the mirror twin of each joint.

    Returns:
        (..., J, C).

    Raises:
        ValueError: if the joints are not the skeleton's.
    """
    if pose.dim() < 2 or pose.shape[-2] != skeleton.num_joints:
        raise ValueError(f"pose: expected shape (..., {skeleton.num_joints}, C), got {tuple(pose.shape)}")
    order = mirror_order(skeleton, pose.device)
    return pose.index_select(-2, order) * negate_first(3, pose.device, pose.dtype)[: pose.shape[-1]]


def mirror_order(skeleton: Skeleton, device: torch.device) -> Tensor:
    """(J,) the twin of each joint, on the device."""
    return _order(skeleton.mirror, device)


@device_table
def _order(twins: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(twins, device=device)


@device_table
def negate_first(size: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """(size,) ones, the first negative: mirrors points and directions."""
    return torch.tensor([-1.0] + [1.0] * (size - 1), dtype=dtype, device=device)


class FlipAverage(nn.Module):
    """A lifter that averages another lifter's pose with its pose of the mirrored input, mirrored back.

    Args:
        lifter: any module (N, T, J, C) to (N, T or 1, J, 3).
        skeleton: of the poses.
    """

    order: Tensor
    sign: Tensor

    def __init__(self, lifter: nn.Module, skeleton: Skeleton) -> None:
        super().__init__()
        self.lifter, self.joints = lifter, skeleton.num_joints
        self.any_frames = bool(getattr(lifter, "any_frames", False))
        self.target_frame: int | None = getattr(lifter, "target_frame", None)
        # Buffers, so that they move with the lifter and are exported with it.
        self.register_buffer("order", torch.tensor(skeleton.mirror), persistent=False)
        self.register_buffer("sign", torch.tensor([-1.0, 1.0, 1.0]), persistent=False)

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift (N, T, J, C) screen coordinates to (N, T or 1, J, 3) metres."""
        return (self.lifter(pose_2d) + self._mirror(self.lifter(self._mirror(pose_2d)))) / 2

    def _mirror(self, pose: Tensor) -> Tensor:
        return pose.index_select(-2, self.order) * self.sign[: pose.shape[-1]]
