"""Upward directions put to the test: told a wrong one, a lifter gives poses that fit their picture worse.

The vote of the first pass says how people usually stand. This says whether the poses that follow from a
direction can be seen as they were. The two err in different ways, so they are multiplied.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from poseda.geometry.camera import Camera, project, tilted_up
from poseda.geometry.placements import locate
from poseda.lifters.directions import Evidence
from poseda.lifters.observation import Observation

TRIED_PITCHES, TRIED_ROLLS = range(-24, 85, 6), range(-40, 41, 10)
"""Degrees. Between them evidence is linear."""

WEIGHT = 1.0
"""Of the log of a frame's squared misfit. Chosen on first halves of real views (benchmarks/README.md)."""

TRIALS = 64
"""Most frames of a camera that are lifted once for each direction."""

SMALLEST = 1e-6
"""Least squared misfit, relative to the person's size: a thousandth of it."""

STEPS = 3
"""Gauss-Newton steps of the place at which a pose fits best."""


@torch.no_grad()
def evidence(lift: Callable[[Observation], Tensor], frames: Observation, worth: float) -> Evidence:
    """The log likelihood of a camera's tilts, from how well the poses told them fit the picture.

    Args:
        lift: gives the poses (N, J, 3) of frames, metres, root at the origin.
        frames: N single frames of the camera.
        worth: how many independent frames these are.
    """
    some = frames.rows(torch.linspace(0, len(frames) - 1, min(len(frames), TRIALS)).long())
    tilts = torch.cartesian_prod(torch.tensor(list(TRIED_PITCHES)), torch.tensor(list(TRIED_ROLLS)))
    directions = tilted_up(torch.deg2rad(tilts.float())).to(some.rays)
    every = some.rows(torch.arange(len(some)).repeat(len(directions)))
    pose = lift(every.told(directions.repeat_interleave(len(some), 0)))
    off = _misfit(pose, every).reshape(len(directions), len(some)).nanmedian(1).values
    logs = off.clamp_min(SMALLEST).log()
    table = -WEIGHT * worth * logs.reshape(len(TRIED_PITCHES), len(TRIED_ROLLS))
    return Evidence(table.nan_to_num(0.0), TRIED_PITCHES, TRIED_ROLLS)


def _misfit(pose_3d: Tensor, frames: Observation) -> Tensor:
    """(N,) mean squared distance of seen joints and their rays, relative to the person's size."""
    rays, seen = frames.rays[:, 0], frames.seen[:, 0]
    camera = Camera(rays.new_ones(1, 2), rays.new_zeros(1, 2))
    root = locate(pose_3d, rays, camera, seen, STEPS)
    off = (project(pose_3d + root[:, None], camera) - rays).square().sum(-1)
    hidden = ~seen[..., None]
    size = rays.masked_fill(hidden, -torch.inf).amax(1) - rays.masked_fill(hidden, torch.inf).amin(1)
    return off.where(seen, torch.nan).nanmean(1) / size.square().sum(1)
