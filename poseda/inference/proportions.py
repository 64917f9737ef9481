"""Lengths of a person's bones: what a lifter says of them, and the height at which a body of them stands."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.anatomy import CLEARANCE
from poseda.geometry.skeleton import Skeleton

SHORTEST = 1e-4
"""Metres; bones of no length count as this long, for a finite logarithm."""

LEG_SHARE = 0.491
"""Thigh and shank over stature (Drillis and Contini, "Body Segment Parameters", 1966)."""


def usual_lengths(pose_3d: Tensor, track: Tensor, skeleton: Skeleton) -> Tensor:
    """The medians of bone lengths over the frames of a track and both sides of the body.

    Args:
        pose_3d: (F, J, 3) metres.
        track: (F,) 0 to N - 1, rising, each at least once.
        skeleton: of the poses.

    Returns:
        (N, G) metres, a column for each symmetric group of bones.
    """
    length = ops.bones(pose_3d, skeleton).norm(dim=-1).clamp_min(SHORTEST).numpy()
    groups = np.array(skeleton.bone_groups)
    ends = np.flatnonzero(np.diff(track.numpy())) + 1
    table = [
        [np.median(part[:, groups == group]) for group in range(groups.max() + 1)]
        for part in np.split(length, ends)
    ]
    return torch.tensor(np.array(table).reshape(-1, groups.max() + 1), dtype=pose_3d.dtype)


def standing_height(lengths: Tensor, skeleton: Skeleton) -> Tensor:
    """Height of people who stand upright, from floor to top of the head.

    It adds up the bones from ``head_top`` down to the ankle, without the one that goes sideways to the hip, and
    the ankle's own height. A skeleton without ``head_top`` is as tall as its legs say.

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
    return _sum(lengths, (up ^ down) - {hip}, skeleton) + CLEARANCE["ankle"]


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
