"""How much a generator changes poses: rotations, lengths and tilt, from the samples alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.rotation import angle_between, rotation_matrix
from poseda.geometry.skeleton import Skeleton
from poseda.geometry.standing import body_axis, missing_joints


@dataclass(frozen=True)
class Diversity:
    """What changed in the valid poses of the samples.

    Args:
        bone: (N, K) rotation of each bone relative to the body, degrees.
        length: (N, K) change of each bone's length, percent.
        body: (N,) rotation of the whole body, degrees.
        tilt_before, tilt_after: (N,) angle between the camera's vertical and the direction in which the body
            stands, degrees; None where the skeleton does not say what standing is.
    """

    bone: np.ndarray
    length: np.ndarray
    body: np.ndarray
    tilt_before: np.ndarray | None
    tilt_after: np.ndarray | None


def measure(samples: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> Diversity | None:
    """Compare source poses with augmented ones; None where a run had no generator or did not keep its
    rotations.

    Args:
        samples, notes: as a run keeps them.
    """
    if "augmented_body" not in samples or not samples["augmented_valid"].any():
        return None
    valid = samples["augmented_valid"].astype(bool)
    before, after, body = (
        torch.from_numpy(samples[name][valid]).double()
        for name in ("source_3d", "augmented_3d", "augmented_body")
    )
    skeleton = Skeleton(notes["skeleton"], tuple(notes["joint_names"]), tuple(notes["parents"]))
    old, new = ops.bones(before, skeleton), ops.bones(after, skeleton)
    rotated = (rotation_matrix(body)[:, None] @ old[..., None])[..., 0]
    tilts = _tilts(before, after, skeleton)
    return Diversity(
        angle_between(rotated, new).rad2deg().numpy(),
        (100 * (new.norm(dim=-1) / old.norm(dim=-1).clamp_min(1e-9) - 1)).numpy(),
        body.norm(dim=-1).rad2deg().numpy(),
        *tilts,
    )


def _tilts(
    before: Tensor, after: Tensor, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    if missing_joints(skeleton):
        return None, None
    upward = torch.tensor([0.0, -1.0, 0.0], dtype=before.dtype)
    one, other = (
        angle_between(body_axis(pose, skeleton), upward.expand(len(pose), 3)).rad2deg()
        for pose in (before, after)
    )
    return one.numpy(), other.numpy()
