"""Distance between two samples of 2D poses. The sampled units are clips, not frames.

The measure is the energy distance (Szekely and Rizzo, 2013), normalised to the coefficient of inhomogeneity:
``H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 E|X - Y|)``. It is 0 where two distributions agree, and at
most 1. Frames of one clip resemble each other, so resampling draws whole clips.
"""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.geometry import placements as gpa
from poseda.geometry.skeleton import Skeleton

ROWS_AT_ONCE = 512
"""Rows for which all distances are held in memory at a time."""

FEATURES = ("placement", "posture")
"""Features that are compared: where people stand and how large they are, and their posture on the screen."""


def screen_features(pose_2d: Tensor, seen: Tensor, skeleton: Skeleton) -> tuple[dict[str, Tensor], Tensor]:
    """What the distances compare of 2D poses.

    Args:
        pose_2d: (N, J, 2) screen coordinates.
        seen: (N, J) bool.
        skeleton: of the poses.

    Returns:
        By name of :data:`FEATURES`, over the M poses with known root and box: ``placement`` (M, 4) root
        u, v and box w, h; ``posture`` (M, 2 J) joints relative to the root over w + h, unseen ones on the
        root. Then which poses those are: (N,) bool.
    """
    root = skeleton.parents.index(-1)
    placement, usable = gpa.measure_seen(pose_2d, seen, root)
    placement = placement[usable]
    local = pose_2d[usable] - placement[:, None, :2]
    local = local.where(seen[usable][..., None], torch.zeros_like(local))
    posture = local / placement[:, 2:].sum(1)[:, None, None]
    return {"placement": placement, "posture": posture.flatten(1)}, usable


class ClipDistances:
    """Distances between the clips of a sample, summed once, so that any grouping of clips is a small product.

    Args:
        features: (N, D); the distance of two rows is Euclidean.
        clip: (N,) int64 from 0 to C - 1.
        clips: C.
    """

    def __init__(self, features: Tensor, clip: Tensor, clips: int) -> None:
        features = features.double()
        self.rows = torch.bincount(clip, minlength=clips).double()
        self.sums = torch.zeros(clips, clips, dtype=torch.float64)
        for start in range(0, len(features), ROWS_AT_ONCE):
            part = torch.cdist(features[start : start + ROWS_AT_ONCE], features)
            by_clip = torch.zeros(len(part), clips, dtype=torch.float64).index_add_(1, clip, part)
            self.sums.index_add_(0, clip[start : start + ROWS_AT_ONCE], by_clip)

    def between(self, one: Tensor, other: Tensor) -> Tensor:
        """Coefficient of inhomogeneity of groups of clips.

        Args:
            one, other: (..., C) how often each clip stands in the group, float64; no group without rows.

        Returns:
            (...) from 0 to 1; 0 where all rows are alike.
        """
        across, inner, outer = (
            ((a @ self.sums) * b).sum(-1) / ((a @ self.rows) * (b @ self.rows))
            for a, b in ((one, other), (one, one), (other, other))
        )
        apart = 2 * across
        return torch.where(apart > 0, (apart - inner - outer) / apart, torch.zeros_like(apart)).clamp(min=0)


def inhomogeneity(one: Tensor, other: Tensor) -> float:
    """Coefficient of two samples (N, D) and (M, D), frames counted alike."""
    clip = torch.cat([torch.zeros(len(one), dtype=torch.int64), torch.ones(len(other), dtype=torch.int64)])
    groups = torch.eye(2, dtype=torch.float64)
    return float(ClipDistances(torch.cat([one, other]), clip, 2).between(groups[0], groups[1]))
