"""Poses about their root."""

from __future__ import annotations

from torch import Tensor


def root_relative(pose_3d: Tensor) -> Tensor:
    """(..., J, 3) with the root, every skeleton's first joint, at the origin."""
    return pose_3d - pose_3d[..., :1, :]
