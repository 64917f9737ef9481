"""Lengths of a person's bones: what a lifter says of them, and the height at which a body of them stands."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.skeleton import Skeleton

SHORTEST = 1e-4
"""Metres; bones of no length count as this long, for a finite logarithm."""

FEW = 3
"""Frames at which a track's own proportions weigh as much as those of all tracks."""

ANKLE_SHARE = 0.039
LEG_SHARE = 0.491
"""Height of the ankle, and thigh with shank, over stature.

Drillis and Contini, "Body Segment Parameters" (1966).
"""


def usual_lengths(pose_3d: Tensor, track: Tensor, tracks: int, skeleton: Skeleton) -> Tensor:
    """Lengths of people's bones: medians over the frames of a track and both sides of the body.

    Where a track has few frames, its proportions are drawn towards those of all tracks. Its size is its own.

    Args:
        pose_3d: (F, J, 3) metres.
        track: (F,) int64 in 0 to N - 1, rising.
        tracks: N.
        skeleton: of the poses.

    Returns:
        (N, G) metres, a column for each symmetric group of bones; NaN where a track has no frame.
    """
    length = ops.bones(pose_3d, skeleton).norm(dim=-1).clamp_min(SHORTEST).log().numpy()
    groups, count = np.array(skeleton.bone_groups), np.bincount(track.numpy(), minlength=tracks)
    own = np.full((tracks, groups.max() + 1), np.nan, np.float32)
    parts = np.split(length, np.cumsum(count)[:-1])
    for number in np.flatnonzero(count):
        own[number] = [np.median(parts[number][:, groups == group]) for group in range(own.shape[1])]
    there, share = count > 0, (count / (count + FEW))[:, None]
    everyone = (share * own)[there].sum(0) / share[there].sum(0) if there.any() else own[:0].sum(0)
    alike = everyone + (own - everyone).mean(1, keepdims=True)
    return torch.from_numpy(np.exp(share * own + (1 - share) * alike).astype(np.float32))


def standing_height(lengths: Tensor, skeleton: Skeleton) -> Tensor:
    """Height of people who stand upright, from floor to top of the head.

    It adds up the bones from ``head_top`` down to the ankle and the ankle's height, a share of the whole. The
    bone that goes sideways to the hip is left out. Without ``head_top``, the legs tell the height.

    Args:
        lengths: (N, G) metres of symmetric groups of bones.
        skeleton: its joints are found by name.

    Returns:
        (N,) metres.

    Raises:
        ValueError: if the skeleton lacks a joint that is needed; the message names those.
    """
    missing = [
        f"left_{name}" for name in ("hip", "knee", "ankle") if f"left_{name}" not in skeleton.joint_names
    ]
    if missing:
        raise ValueError(
            f"stature: expected a skeleton with {', '.join(missing)}, got {skeleton.name!r}; leave it out"
        )
    hip, knee, ankle = (skeleton.joint(f"left_{name}") for name in ("hip", "knee", "ankle"))
    if "head_top" not in skeleton.joint_names:
        return _sum(lengths, {knee, ankle}, skeleton) / LEG_SHARE
    up, down = _to_root(skeleton.joint("head_top"), skeleton), _to_root(ankle, skeleton)
    return _sum(lengths, (up ^ down) - {hip}, skeleton) / (1 - ANKLE_SHARE)


def _to_root(joint: int, skeleton: Skeleton) -> set[int]:
    """A joint and those above it, without the root."""
    path = set()
    while joint > 0:
        path.add(joint)
        joint = skeleton.parents[joint]
    return path


def _sum(lengths: Tensor, joints: set[int], skeleton: Skeleton) -> Tensor:
    """(N,) sum of the bones that end at joints."""
    return lengths[:, [skeleton.bone_groups[joint - 1] for joint in sorted(joints)]].sum(1)
