"""Weak labels of a few frames of each clip: the 3D of the file, made worse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.real.clips import FEWEST, frames_shown, views
from poseda.datasets.conversion import convert_known
from poseda.datasets.detections import DEFAULT_CONFIDENCE
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.records import WeakLabels
from poseda.geometry.skeleton import H36M16


def weak_labels(paths: Sequence[Path], count: int, noise: float, seed: int = 0) -> WeakLabels:
    """Labels of the rows of :func:`benchmarks.real.clips.first_halves`, in metres.

    All cameras of a file have those of the same moments, with the same errors, as if triangulated.

    Args:
        paths: of the clips.
        count: moments of each file, evenly over those of its first half that have enough joints in 3D.
        noise: by which a joint is off, root mean square, metres.
        seed: of the noise.
    """
    rng, first = np.random.default_rng(seed), 0
    poses, masks, rows = [], [], []
    for path in paths:
        halves = [view.half(second=False) for view in views(path)]
        errors = noise / 3**0.5 * rng.standard_normal(halves[0].body.shape)
        moments = _moments(np.isfinite(halves[0].body).all(-1), count)
        for view in halves:
            screen, shown = frames_shown(view, DEFAULT_CONFIDENCE)
            at = np.flatnonzero(np.isin(shown, moments))
            body = (view.body + errors @ view.rotation.T)[shown[at]]
            pose, known = convert_known(body, layout_of_names(view.joints), H36M16)
            enough = known.sum(1) >= FEWEST
            poses.append(pose[enough])
            masks.append(known[enough])
            rows.append(first + at[enough])
            first += len(screen)
    row = torch.from_numpy(np.concatenate(rows))
    return WeakLabels(
        torch.from_numpy(np.concatenate(poses)).float(),
        torch.from_numpy(np.concatenate(masks)),
        row,
        torch.ones(len(row), dtype=torch.bool),
    )


def _moments(known: np.ndarray, count: int) -> np.ndarray:
    """Frames with enough of the joints (F, L), so many of them, evenly."""
    frames = np.flatnonzero(known.sum(1) >= FEWEST)
    at = np.linspace(0, len(frames) - 1, min(count, len(frames)))
    return frames[at.round().astype(np.int64)]
