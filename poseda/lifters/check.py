"""Whether a lifter fits the run that is to train it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.geometry.skeleton import Skeleton


def check_lifter(lifter: nn.Module, config: RunConfig, skeleton: Skeleton) -> None:
    """Let a lifter lift two windows of zeros, so that one that does not fit is refused before it is trained.

    Raises:
        ValueError: if it fails, returns something else than poses, or has nothing to train.
    """
    frames, joints = config.frames, skeleton.num_joints
    if not any(parameter.requires_grad for parameter in lifter.parameters()):
        raise ValueError(f"lifter {config.lifter!r}: expected parameters to train, got none")
    tried = copy.deepcopy(lifter).eval()
    device = next(tried.parameters()).device
    wanted = f"poses of shape (2, {frames} or 1, {joints}, 3) from (2, {frames}, {joints}, 2)"
    try:
        with torch.no_grad():
            lifted = tried(torch.zeros(2, frames, joints, 2, device=device))
    except Exception as error:  # foreign code may raise anything
        raise ValueError(f"lifter {config.lifter!r}: expected {wanted}, got an error ({error})") from error
    found = tuple(lifted.shape) if isinstance(lifted, Tensor) else type(lifted).__name__
    if found not in ((2, frames, joints, 3), (2, 1, joints, 3)):
        raise ValueError(f"lifter {config.lifter!r}: expected {wanted}, got {found}")
