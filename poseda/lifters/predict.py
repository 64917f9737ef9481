"""Lifting with a trained lifter: batches that fit a cache, whole clips, and the mirrored average."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.flip import mirror
from poseda.lifters.windows import lift_batch, lift_clips


@torch.no_grad()
def predict(
    lifter: nn.Module,
    pose_2d: Tensor,
    skeleton: Skeleton,
    flip: bool,
    frames: int = 1,
    piece: Tensor | None = None,
) -> Tensor:
    """Lift (N, J, 2) screen coordinates to (N, J, 3) root-relative metres.

    Args:
        lifter: (N, T, J, 2) to (N, T or 1, J, 3); left in evaluation mode.
        pose_2d: (N, J, 2).
        skeleton: of the poses.
        flip: average with the mirrored prediction of the mirrored pose.
        frames: T.
        piece: (N,) where T > 1: rows of one number are consecutive frames. At the ends of a piece its first
            or last frame is repeated.
    """
    lifter.eval()

    def lift(screen: Tensor) -> Tensor:
        if piece is None or frames == 1:
            parts = screen.split(lift_batch(1, screen.device))
            return torch.cat([lifter(part[:, None])[:, 0] for part in parts])
        return lift_clips(lifter, screen, piece.to(screen.device), frames)

    lifted = lift(pose_2d)
    if flip:
        lifted = (lifted + mirror(lift(mirror(pose_2d, skeleton)), skeleton)) / 2
    return root_relative(lifted.float())


def lift_windows(lifter: nn.Module, pose_2d: Tensor, pose_3d: Tensor) -> tuple[Tensor, Tensor]:
    """What a lifter makes of windows, and the truth of the same frames: of each, or of the one it stands for.

    Args:
        lifter: (N, T, J, 2) to (N, T or 1, J, 3).
        pose_2d: (N, T, J, 2).
        pose_3d: (N, T, J, 3) metres, the truth.

    Returns:
        lifted and true poses, (N, T or 1, J, 3) root-relative metres.
    """
    lifted, truth = lifter(pose_2d).float(), root_relative(pose_3d)
    if lifted.shape[1] < truth.shape[1]:
        at = target_frame(lifter, truth.shape[1])
        truth = truth[:, at : at + 1]
    return lifted, truth


def target_frame(lifter: nn.Module, frames: int) -> int:
    """Which frame of a window a lifter's single pose is of: as it says, or the middle one (None too)."""
    target: int | None = getattr(lifter, "target_frame", None)
    return frames // 2 if target is None else int(target)
