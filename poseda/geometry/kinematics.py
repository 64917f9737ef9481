"""Poses as bones of a tree: from joint positions to bones, and back by forward kinematics.

Bone ``k`` ends at joint ``k + 1``, as in :mod:`poseda.geometry.skeleton`. The functions on tensors that train
are in :mod:`poseda.ops`; the ones on numpy arrays here serve data files and domains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from poseda.geometry.rotation import Array

SHORTEST = 1e-3
"""Metres; a shorter bone counts as this long, where lengths are divided by or have a logarithm."""


def root_relative(pose_3d: Tensor) -> Tensor:
    """(..., J, 3) with the root, every skeleton's first joint, at the origin."""
    return pose_3d - pose_3d[..., :1, :]


def bones_of(pose: Array, parents: Sequence[int]) -> Array:
    """Vectors from each joint's parent to the joint: (..., J, 3) positions to (..., K, 3)."""
    return np.asarray(pose[..., 1:, :] - pose[..., list(parents[1:]), :])


def forward_kinematics(root: Array, bones: Array, parents: Sequence[int]) -> Array:
    """Joint positions from the root's position and the bones.

    Args:
        root: (N, 3).
        bones: (N, K, 3) vectors, already rotated.
        parents: J indices, -1 for the root, parents before children.

    Returns:
        (N, J, 3).
    """
    pose = np.zeros((len(bones), len(parents), 3))
    pose[:, 0] = root
    for joint, parent in enumerate(parents):
        if parent >= 0:
            pose[:, joint] = pose[:, parent] + bones[:, joint - 1]
    return pose


def chain_rotations(rotation: Array, parents: Sequence[int]) -> Array:
    """Rotations in the world from the rotation of each joint against its parent.

    Args:
        rotation: (N, J, 3, 3), overwritten by the result to save memory.
        parents: J indices, -1 for the root, parents before children.

    Returns:
        (N, J, 3, 3).
    """
    for joint, parent in enumerate(parents):
        if parent >= 0:
            rotation[:, joint] = rotation[:, parent] @ rotation[:, joint]
    return rotation
