"""Lengths of the bones of bodies, left and right together."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.skeleton import Skeleton


def group_lengths(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Mean length of the bones of each symmetric group: (N, J, 3) to (N, G), metres."""
    lengths = ops.bones(pose_3d.contiguous(), skeleton=skeleton).norm(dim=-1)
    # In double precision, because a GPU may round the factors of a float32 product.
    mean = lengths.double() @ _shares(skeleton, torch.float64, lengths.device)
    return mean.to(lengths.dtype)


@lru_cache(maxsize=32)
def _shares(skeleton: Skeleton, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(K, G) share of each bone in its group's mean, on the device: a copy would make the host wait."""
    groups = torch.tensor(skeleton.bone_groups)
    member = torch.nn.functional.one_hot(groups, skeleton.num_groups).to(dtype)
    return (member / member.sum(0)).to(device)
