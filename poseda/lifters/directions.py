"""Upward directions in a camera: a grid of them, distributions over it, and the vote of many frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from poseda.geometry.camera import tilt_of, tilted_up
from poseda.geometry.device_table import device_table

WIDTH = math.radians(8)
"""Width of a grid point's kernel on the sphere, radians."""

SURPRISE = -4.0
"""Log likelihood below which a frame does not count against a direction any further: it may be an outlier."""

MAP_STEP = 2.0
"""Degrees between the directions at which the likelihood of a frame is computed. It changes over WIDTH."""

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

PITCHES = range(-28, 89, 2)
"""Degrees of pitch that a vote may choose."""

CANDIDATES = _mesh(PITCHES, ROLLS)
"""(D, 3) unit vectors that a vote may choose."""

ON_SPHERE = 10_000
"""Directions of the world that a vote of several cameras looks at, two degrees apart."""

AT_ONCE = 2_000
"""Directions that are scored at once, for the memory's sake."""

LEVEL, TILTED = 6.0, 0.2
"""Most cameras are rolled by a few degrees: the standard deviation, and the share of the others."""


def _roll_prior(roll: Tensor) -> Tensor:
    """Log probability of cameras rolled by these degrees, up to a constant."""

    def narrow(degrees: Tensor) -> Tensor:
        return torch.exp(-0.5 * (degrees / LEVEL) ** 2)

    rolls = torch.tensor(list(ROLLS)).float()
    share = (1 - TILTED) * narrow(roll) / narrow(rolls).sum() + TILTED / len(rolls)
    return share.log()


@lru_cache(maxsize=1)
def _own_prior() -> Tensor:
    """(D,) of the candidates."""
    rolls = torch.tensor(list(ROLLS)).float()
    return _roll_prior(rolls).repeat(len(CANDIDATES) // len(rolls))


def soft_classes(up: Tensor) -> Tensor:
    """Share of each grid point for upward directions: (N, 3) to (N, C), each row sums to one."""
    grid = _grid(up.dtype, up.device)
    return (up @ grid.T / WIDTH**2).softmax(1)


@device_table
def _grid(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The grid on a device."""
    return GRID.to(device, dtype)


@lru_cache(maxsize=8)
def _map(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, tuple[int, int]]:
    """Share of each grid point (C, M) at the directions of a map, and the map's rows and columns.

    Rows are latitudes towards the last axis, columns are longitudes about it.
    """
    rows, columns = round(180 / MAP_STEP) + 1, round(360 / MAP_STEP) + 1
    latitude = torch.linspace(-math.pi / 2, math.pi / 2, rows)[:, None].expand(rows, columns)
    longitude = torch.linspace(-math.pi, math.pi, columns).expand(rows, columns)
    x, y = latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin()
    towards = torch.stack([x, y, latitude.sin()], 2).flatten(0, 1)
    return soft_classes(towards.to(device, dtype)).T.contiguous(), (rows, columns)


class Evidence(NamedTuple):
    """Log likelihoods of tilts, up to a constant, beside what frames vote for.

    Attributes:
        table: (P, R) of pitches and rolls.
        pitches, rolls: degrees of its rows and columns, in even steps. Between them it is linear, and beyond
            them constant.
    """

    table: Tensor
    pitches: range
    rolls: range

    def of(self, up: Tensor) -> Tensor:
        """(D,) log likelihoods of directions (D, 3) in the camera's axes."""
        degrees = tilt_of(up).rad2deg()
        place = [
            2 * (degrees[:, at] - values[0]) / (values[-1] - values[0]) - 1
            for at, values in enumerate((self.pitches, self.rolls))
        ]
        grid = torch.stack(place[::-1], 1)[None, None]
        table = self.table.to(up)[None, None]
        sampled = grid_sample(table, grid, padding_mode="border", align_corners=True)
        return sampled[0, 0, 0]


class Ballot(NamedTuple):
    """What the frames of one camera say of the upward direction.

    Attributes:
        log_probability: (N, C) of each frame, in the axes of its virtual camera.
        turn: (N, 3, 3) camera axes into virtual ones.
        independent: how many frames of other content these are worth; successive ones of one posture are
            worth one. None: N. Few leave the usual roll of cameras its weight.
        evidence: what else is known of the camera's tilt, or None.
    """

    log_probability: Tensor
    turn: Tensor
    independent: float | None = None
    evidence: Evidence | None = None

    def scores(self, candidates: Tensor, log_prior: Tensor) -> Tensor:
        """(D,) log likelihood of directions (D, 3) in the camera's axes, before any roll is usual.

        Args:
            candidates: unit vectors.
            log_prior: (C,) of the views that the lifter was trained on. Without it every frame would vote for
                what is usual.
        """
        some = torch.linspace(0, len(self.turn) - 1, min(len(self.turn), VOTERS)).long().to(self.turn.device)
        share, usual = self.log_probability[some].exp(), log_prior.exp()
        # Every frame has candidates of its own, as its virtual camera looks elsewhere. So its likelihood is
        # computed for one map of directions and read between them: a tenth of the time.
        kernel, map_size = _map(share.dtype, share.device)
        likelihood = ((share + RARE) / (usual + RARE)) @ kernel
        maps = likelihood.log_().clamp_min_(SURPRISE).unflatten(1, (1, *map_size))
        x, y, z = (self.turn[some] @ candidates.T).unbind(1)
        place = torch.stack([torch.atan2(y, x) / math.pi, z.clamp(-1, 1).asin() / (math.pi / 2)], 2)
        score = grid_sample(maps, place[:, None], align_corners=True)[:, 0, 0].sum(0)
        score = score * (min(self.independent or len(self.turn), len(self.turn)) / len(some))
        return score if self.evidence is None else score + self.evidence.of(candidates)


def vote(ballot: Ballot, log_prior: Tensor) -> tuple[Tensor, Tensor]:
    """The upward direction of one camera on which its frames agree best: the product of their likelihoods.

    Args:
        ballot: of the camera.
        log_prior: (C,) of the views that the lifter was trained on.

    Returns:
        (3,) unit vector, upward in the camera's axes; and its uncertainty, radians: the spread of the
        candidates by their likelihood.
    """
    candidates = CANDIDATES.to(ballot.turn)
    score = ballot.scores(candidates, log_prior)
    return _elected(candidates, score + _own_prior().to(score))


def vote_together(ballots: Sequence[Ballot], rotation: Tensor, log_prior: Tensor) -> tuple[Tensor, Tensor]:
    """The upward direction on which cameras agree whose rotations to one world are known.

    Gravity is one direction of the world. So the likelihoods of the cameras multiply, and so does what is
    usual of their rolls.

    Args:
        ballots: of C cameras.
        rotation: (C, 3, 3) from the world to the axes of each camera.
        log_prior: (C,) of the views that the lifter was trained on.

    Returns:
        (3,) unit vector, upward in the world; and its uncertainty, radians.
    """
    rotation = rotation.to(ballots[0].turn)
    world = _sphere().to(rotation)
    # (D, C, 3) in each camera. A direction counts that at least one camera might have voted for alone.
    seen = torch.einsum("cij,dj->dci", rotation, world)
    pitch, roll = tilt_of(seen).rad2deg().unbind(-1)
    usual = (pitch >= PITCHES[0]) & (pitch <= PITCHES[-1]) & (roll >= ROLLS[0]) & (roll <= ROLLS[-1])
    kept = usual.any(1)
    world, seen = world[kept], seen[kept]
    score = _roll_prior(roll[kept]).sum(1)
    for at, ballot in enumerate(ballots):
        score = score + torch.cat([ballot.scores(part, log_prior) for part in seen[:, at].split(AT_ONCE)])
    return _elected(world, score)


def _elected(candidates: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of candidates (D, 3) near the best by their scores (D,), and the spread of all about it."""
    weight = score.softmax(0)
    near = candidates @ candidates[score.argmax()] > math.cos(2 * WIDTH)
    best = torch.nn.functional.normalize((weight * near) @ candidates, dim=0)
    error = torch.linalg.cross(candidates, best.expand_as(candidates)).norm(dim=1).asin()
    return best, (weight * error.square()).sum().sqrt()


@lru_cache(maxsize=1)
def _sphere() -> Tensor:
    """(D, 3) unit vectors all over the sphere, about as dense as the candidates: a golden spiral."""
    number = torch.arange(ON_SPHERE, dtype=torch.float64) + 0.5
    height, turn = 1 - 2 * number / ON_SPHERE, number * math.pi * (1 + math.sqrt(5))
    radius = (1 - height.square()).sqrt()
    return torch.stack([radius * turn.cos(), height, radius * turn.sin()], 1).float()
