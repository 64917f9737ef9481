"""Lifting: whole clips with a trained lifter, and windows in a training step."""

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
    run_of_row: Tensor | None = None,
) -> Tensor:
    """Lift (N, J, 2) screen coordinates to (N, J, 3) root-relative metres.

    Args:
        lifter: (N, T, J, 2) to (N, T or 1, J, 3); it stays in evaluation mode.
        pose_2d: (N, J, 2) screen coordinates.
        skeleton: of the poses.
        flip: average with the mirrored prediction of the mirrored pose.
        frames: T.
        run_of_row: (N,), read if T > 1: rows of one number are consecutive frames. Windows repeat the first
            or last frame of a run where they reach beyond it.
    """
    lifter.eval()

    def lift(screen: Tensor) -> Tensor:
        if run_of_row is None or frames == 1:
            parts = screen.split(lift_batch(1, screen.device))
            return torch.cat([lifter(part[:, None])[:, 0] for part in parts])
        return lift_clips(lifter, screen, run_of_row.to(screen.device), frames)

    lifted = lift(pose_2d)
    if flip:
        lifted = (lifted + mirror(lift(mirror(pose_2d, skeleton)), skeleton)) / 2
    return root_relative(lifted.float())


def lift_windows(lifter: nn.Module, pose_2d: Tensor, pose_3d: Tensor) -> tuple[Tensor, Tensor]:
    """Lift windows, and return the true poses of the same frames beside the lifted ones.

    A lifter that returns one pose a window is compared with the window's target frame.

    Args:
        lifter: (N, T, J, 2) to (N, T or 1, J, 3).
        pose_2d: (N, T, J, 2) screen coordinates.
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
    """The frame of a window that a lifter's single pose belongs to: its ``target_frame``, or the middle."""
    target: int | None = getattr(lifter, "target_frame", None)
    return frames // 2 if target is None else int(target)
