"""The pose that the cameras of a rig agree on: of what each lifts by itself, the most likely together.

A lifter errs mostly along the line of sight, where its picture says least. Another camera sees just that from
the side. So poses of one person at one moment, lifted in several cameras, make a better one. Only rotations
between the cameras are needed, no positions, as poses are about the root.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from poseda.datasets.rig import Rig
from poseda.lifters.observation import Observation, towards

ALONG = 3.5
"""Errors along the line of sight over those across it, root mean square: 70 and 21 mm for the package's
lifter on the embedded source, which it has not seen."""

LEAST = 0.02
"""Metres; a smaller expected error counts as this one."""

DOUBTED = 3.0
"""Squared distance from the others, in expected errors, at which a camera counts half."""

TURNS = 4
"""How often cameras are weighed again by their distance from the others."""


class AgreedPoses(NamedTuple):
    """Poses of several cameras put together.

    Attributes:
        pose_3d: (N, J, 3) metres, camera axes of each row; those of single cameras are as they were.
        agreed: (N,) bool, whether another camera saw the same moment.
    """

    pose_3d: Tensor
    agreed: Tensor


def agreed_poses(pose_3d: Tensor, error: Tensor, frames: Observation, rig: Rig) -> AgreedPoses:
    """Put together what several cameras lift of one person at one moment.

    A joint is where the weighed squares of its distances from the lifted ones are least. A distance counts
    by the expected error, and along a camera's line of sight by much less. A camera that is far from the
    others, because its detections follow somebody else, counts little.

    Args:
        pose_3d: (N, J, 3) metres, camera axes, root at the origin.
        error: (N, J) expected errors, metres.
        frames: what each row shows.
        rig: of the rows; the rotations of its cameras are known.
    """
    assert rig.rotation is not None, "checked by the caller"
    camera, moment = rig.camera.to(pose_3d.device), rig.moment.to(pose_3d.device)
    together = shared(moment) & pose_3d.isfinite().flatten(1).all(1) & error.isfinite().all(1)
    together &= shared(moment.masked_fill(~together, -1))
    rows = together.nonzero()[:, 0]
    if not len(rows):
        return AgreedPoses(pose_3d, together)
    turn = rig.rotation.to(pose_3d.device, torch.float64)[camera[rows]]
    number = moment[rows].unique(return_inverse=True)[1]
    world = pose_3d[rows].double() @ turn
    sight = (towards(frames.rows(rows))[:, 2:].double() @ turn)[:, 0]
    weight = _weights(error[rows].double(), sight)
    trust = world.new_ones(len(rows))
    for _ in range(TURNS):
        joint = _most_likely(world, weight * trust[:, None, None, None], number)
        off = world - joint[number]
        trust = 1 / (1 + torch.einsum("nja,njab,njb->nj", off, weight, off).mean(1) / DOUBTED)
    agreed = (joint[number] @ turn.mT).to(pose_3d.dtype)
    return AgreedPoses(pose_3d.index_copy(0, rows, agreed), together)


def shared(moment: Tensor) -> Tensor:
    """(N,) bool, whether a moment is known and of several rows."""
    _, number, count = moment.unique(return_inverse=True, return_counts=True)
    return (count[number] > 1) & (moment >= 0)


def _weights(error: Tensor, sight: Tensor) -> Tensor:
    """Inverse covariances (N, J, 3, 3) of lifted joints."""
    along = sight[:, :, None] * sight[:, None, :]
    across = torch.eye(3, dtype=sight.dtype, device=sight.device) - along
    shape = across + along / ALONG**2
    return shape[:, None] / error.clamp_min(LEAST).square()[..., None, None]


def _most_likely(world: Tensor, weight: Tensor, number: Tensor) -> Tensor:
    """(M, J, 3) joints of M moments, each from the rows of its number."""
    moments = int(number.max()) + 1
    total = weight.new_zeros(moments, *weight.shape[1:]).index_add_(0, number, weight)
    pulled = torch.einsum("njab,njb->nja", weight, world)
    goal = pulled.new_zeros(moments, *pulled.shape[1:]).index_add_(0, number, pulled)
    return torch.linalg.solve(total, goal)
