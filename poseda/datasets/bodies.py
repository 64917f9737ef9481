"""Bodies in pictures, their boxes, how far they are from each other, and pairs. This needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST_SHARED = 3
"""Fewest joints seen in both pictures to measure a distance by joints; with fewer, by the boxes."""

Boxes = tuple[np.ndarray, np.ndarray]
"""(N, 2) least and (N, 2) greatest places of the seen joints; zeros where no joint is seen."""


def boxes(pose_2d: np.ndarray, seen: np.ndarray) -> Boxes:
    """Boxes of the seen joints (N, J) of poses (N, J, 2)."""
    there: np.ndarray = np.asarray(seen.any(1))[:, None]
    low = np.where(seen[..., None], pose_2d, np.inf).min(1)
    high = np.where(seen[..., None], pose_2d, -np.inf).max(1)
    return np.where(there, low, 0.0), np.where(there, high, 0.0)


@dataclass(frozen=True)
class Bodies:
    """Detected bodies, as arrays that broadcast against each other.

    Args:
        points: (..., J, 2), zeros where unseen.
        seen: (..., J) bool.
        centre: (..., 2) of the box of the seen joints.
        size: (...) the longer side of that box; 0 where no joint is seen.
    """

    points: np.ndarray
    seen: np.ndarray
    centre: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, pose_2d: np.ndarray, seen: np.ndarray) -> Bodies:
        """Bodies of poses (N, J, 2) with the joints that are seen (N, J)."""
        seen = seen & np.isfinite(pose_2d).all(-1)
        low, high = boxes(pose_2d, seen)
        points = np.where(seen[..., None], pose_2d, 0.0)
        return cls(points, seen, (low + high) / 2, (high - low).max(1))

    def rows(self, index: np.ndarray, size: np.ndarray | None = None) -> Bodies:
        """Some of the bodies, in the shape of the index, perhaps with other sizes."""
        own = self.size[index] if size is None else size
        return Bodies(self.points[index], self.seen[index], self.centre[index], own)


def distances(last: Bodies, now: Bodies, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances between bodies, in bodies, once the earlier ones have moved by (..., 2).

    Returns:
        the mean of joints and box, and the lesser of the two. Detectors confuse the joints of people who fall
        or lie, whose box stays; and the box of someone half hidden moves, whose joints stay. A joint counts
        with one body at most, so that a wrong joint says little. Infinite where a body is unseen.
    """
    both = last.seen & now.seen
    shared, size = both.sum(-1), np.maximum(last.size, now.size)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        centre = now.centre - last.centre - moved
        box = np.sqrt(np.einsum("...i,...i->...", centre, centre)) / size
        away = now.points - last.points - moved[..., None, :]
        joints = np.sqrt(np.einsum("...i,...i->...", away, away)) / size[..., None]
        joints = np.where(both, np.minimum(joints, 1.0), 0.0).sum(-1) / shared
    joints = np.where(shared >= FEWEST_SHARED, joints, box)
    unseen = (last.size == 0) | (now.size == 0)
    mean, least = (joints + box) / 2, np.minimum(joints, box)
    return np.where(unseen, np.inf, mean), np.where(unseen, np.inf, least)


def assigned(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the assignment with the least sum among those with the most pairs.

    Args:
        cost: (A, B), infinite where a row and a column cannot be a pair.
    """
    near = np.isfinite(cost)
    for axis in (1, 0):
        # Where nobody wants what another wants, each gets the nearest.
        lines = np.flatnonzero(near.any(axis))
        best = cost.argmin(axis)[lines]
        if len(set(best.tolist())) == len(best):
            return (lines, best) if axis else (best, lines)
    from scipy.optimize import linear_sum_assignment  # here, because most files need it not

    rows, columns = linear_sum_assignment(np.where(near, cost, 1e6))
    kept = near[rows, columns]
    return rows[kept], columns[kept]
