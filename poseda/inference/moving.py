"""Cameras that pan and tilt: windows of frames vote for the upward direction, with a smooth path between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import LiftedFootage, Told, lift_frames

WINDOW = 1.0
"""Seconds whose frames vote together."""

SMOOTH = 1.0
"""Seconds, the width of the kernel through the votes. Each weighs by its own uncertainty, too."""

RIDGE = 0.1 * SMOOTH**2
"""Square seconds that hold the line level where votes are few."""

SUREST = 0.05
"""Radians; no vote is trusted beyond this."""


def lift_moving(
    lifter: WideLifter,
    frames: Observation,
    clip: np.ndarray,
    track: np.ndarray,
    seconds: np.ndarray,
    run_of_row: Tensor | None,
    average: bool,
) -> LiftedFootage:
    """Lift frames of moving cameras: windows vote for upward, and a smooth path of the votes is told.

    Args:
        lifter: in evaluation mode.
        frames: N single frames.
        clip, track: (N,) whose frames are of one camera, and of one person.
        seconds: (N,) times.
        run_of_row, average: see :func:`~poseda.method.two_passes.lift_frames`.
    """
    number = np.floor(seconds / WINDOW).astype(np.int64)
    _, window = np.unique(np.stack([clip, number], 1), axis=0, return_inverse=True)
    window = window.reshape(-1)
    told = Told(find_lengths=False)
    person = torch.from_numpy(track)
    votes = lift_frames(lifter, frames, torch.from_numpy(window), person, told, run_of_row, average)
    up, error = votes.up.cpu().numpy(), votes.up_error.cpu().numpy()
    path, spread = np.full_like(up, np.nan), np.full_like(error, np.nan)
    for one in np.unique(clip):
        rows = np.flatnonzero(clip == one)
        _, first = np.unique(window[rows], return_index=True)
        middles = np.array([seconds[rows][window[rows] == window[rows[at]]].mean() for at in first])
        path[rows], spread[rows] = smooth_path(seconds[rows], middles, up[rows[first]], error[rows[first]])
    told = Told(up=torch.from_numpy(path), find_lengths=False)
    lifted = lift_frames(lifter, frames, torch.from_numpy(clip), person, told, run_of_row, average)
    return replace(lifted, up_error=torch.from_numpy(spread).to(lifted.up))


def smooth_path(
    seconds: np.ndarray, middles: np.ndarray, up: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directions at all times from those of windows: at each time a line through the votes near it.

    Args:
        seconds: (N,) times.
        middles: (W,) times of the windows.
        up: (W, 3) unit vectors; NaN where a window has too few frames.
        error: (W,) radians.

    Returns:
        (N, 3) unit vectors and (N,) their uncertainties, radians; NaN where no window tells.
    """
    known = np.isfinite(up).all(1)
    if not known.any():
        return np.full((len(seconds), 3), np.nan, up.dtype), np.full(len(seconds), np.nan, error.dtype)
    middles, up, error = middles[known], up[known], error[known]
    away = middles - seconds[:, None]
    weight = np.exp(-0.5 * (away / SMOOTH) ** 2) + 1e-12  # far from all votes, the nearest ones count alike
    weight = weight / np.maximum(error, SUREST) ** 2
    weight = weight / weight.sum(1, keepdims=True)
    mean = (weight * away).sum(1, keepdims=True)
    # The line's value at the time itself; the ridge keeps a lone vote level.
    slope = weight * (away - mean) / ((weight * (away - mean) ** 2).sum(1, keepdims=True) + RIDGE)
    path = (weight - mean * slope) @ up
    spread = np.sqrt((weight * np.maximum(error, SUREST) ** 2).sum(1))
    return path / np.linalg.norm(path, axis=1, keepdims=True), spread
