"""Upward directions in a camera: a grid of them, distributions over it, and the vote of many frames."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from poseda.geometry.camera import tilted_up

WIDTH = math.radians(8)
"""Width of a grid point's kernel on the sphere, radians."""

SURPRISE = -4.0
"""Log likelihood below which a frame does not count against a direction any further: it may be an outlier."""

RARE = 1e-3
"""Added to probabilities before they are compared. The ratio of two that are near zero tells nothing."""

VOTERS = 300
"""Most frames of one camera that vote; they are spread evenly."""


def _mesh(pitch: range, roll: range) -> Tensor:
    both = torch.cartesian_prod(torch.tensor(list(pitch)), torch.tensor(list(roll)))
    return tilted_up(torch.deg2rad(both.float()))


GRID = _mesh(range(-25, 90, 9), range(-45, 46, 15))
"""(C, 3) unit vectors: upward in cameras of these pitches and rolls. The classes of the scene network."""

ROLLS = range(-46, 47, 4)
"""Degrees of roll that a vote may choose."""

CANDIDATES = _mesh(range(-28, 89, 2), ROLLS)
"""(D, 3) unit vectors that a vote may choose."""

LEVEL, TILTED = 6.0, 0.2
"""Most cameras are rolled by a few degrees: the standard deviation, and the share of the others."""


def _roll_prior() -> Tensor:
    """(D,) log probability of the candidates by their roll, up to a constant."""
    roll = torch.tensor(list(ROLLS)).float()
    narrow = torch.exp(-0.5 * (roll / LEVEL) ** 2)
    share = (1 - TILTED) * narrow / narrow.sum() + TILTED / len(roll)
    return share.log().repeat(len(CANDIDATES) // len(roll))


def soft_classes(up: Tensor) -> Tensor:
    """Share of each grid point for upward directions: (N, 3) to (N, C), each row sums to one."""
    grid = _grid(up.dtype, up.device)
    return (up @ grid.T / WIDTH**2).softmax(1)


@lru_cache(maxsize=8)
def _grid(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The grid on a device, where it stays: a copy would make the host wait."""
    return GRID.to(device, dtype)


def vote(
    log_probability: Tensor, log_prior: Tensor, turn: Tensor, independent: float | None = None
) -> tuple[Tensor, Tensor]:
    """The upward direction of one camera on which its frames agree best: the product of their likelihoods.

    Args:
        log_probability: (N, C) of each frame, in the axes of its virtual camera.
        log_prior: (C,) of the views that the lifter was trained on. Without it every frame would vote for
            what is usual.
        turn: (N, 3, 3) camera axes into virtual ones.
        independent: how many frames of other content these are worth; successive ones of one posture are
            worth one. Default: N. Few leave the usual roll of cameras its weight.

    Returns:
        (3,) unit vector, upward in the camera's axes; and its uncertainty, radians: the spread of the
        candidates by their likelihood.
    """
    some = torch.linspace(0, len(turn) - 1, min(len(turn), VOTERS)).long().to(turn.device)
    grid, candidates = GRID.to(turn), CANDIDATES.to(turn)
    share, usual = log_probability[some].exp(), log_prior.exp()
    likelihood = ((share + RARE) / (usual + RARE)).log()[:, None]
    there = torch.einsum("nij,dj->ndi", turn[some], candidates)
    kernel = (there @ grid.T / WIDTH**2).log_softmax(2)
    score = (kernel + likelihood).logsumexp(2).clamp_min(SURPRISE).sum(0)
    worth = min(independent or len(turn), len(turn)) / len(some)
    score = score * worth + _roll_prior().to(score)
    best = candidates[score.argmax()]
    weight = score.softmax(0)
    error = torch.linalg.cross(candidates, best.expand_as(candidates)).norm(dim=1).asin()
    return best, (weight * error.square()).sum().sqrt()
