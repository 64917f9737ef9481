"""Lengths of the bones of bodies, left and right together."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.skeleton import Skeleton


def group_lengths(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Mean length of the bones of each symmetric group: (N, J, 3) to (N, G), metres."""
    lengths = ops.bones(pose_3d.contiguous(), skeleton=skeleton).norm(dim=-1)
    groups = torch.tensor(skeleton.bone_groups, device=lengths.device)
    total = lengths.new_zeros(len(lengths), skeleton.num_groups).index_add_(1, groups, lengths)
    return total / torch.bincount(groups, minlength=skeleton.num_groups)
