"""Where a pose of known shape stands: the root from which it is seen as it was seen, by least squares."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.geometry.camera import Camera, undistort

REFINEMENTS = 5
"""Gauss-Newton steps after which the misfit in the picture has settled."""

NEAREST = 0.01
"""Metres; while steps are taken, no joint counts as nearer than this."""


def locate(
    local: Tensor, screen: Tensor, camera: Camera, seen: Tensor | None = None, refinements: int = 0
) -> Tensor:
    """Place poses where their joints are seen.

    A joint seen along the ray (x, y, 1) gives ``X + tx = x (Z + tz)`` and its like for y, linear in the root.
    That solution weighs joints alike in space. Each refinement is a Gauss-Newton step on the misfit in the
    picture, as a lens without distortion would show it.

    Args:
        local: (N, J, 3) metres, relative to the root.
        screen: (N, J, 2) screen coordinates.
        camera: N cameras or one shared, of the same dtype.
        seen: (N, J) bool, or None where all are.
        refinements: steps after the linear solution.

    Returns:
        (N, 3) metres. NaN where the seen joints do not fix a place before the camera.
    """
    plane = (screen - camera.center[:, None]) / camera.focal[:, None]
    ray = undistort(plane, camera.distortion)
    weight = torch.ones_like(ray)
    if seen is not None:
        weight = weight * seen[..., None]
        ray = ray.where(seen[..., None], torch.zeros_like(ray))
    root = _solve(ray, ray * local[..., 2:] - local[..., :2], weight)
    for _ in range(refinements):
        placed = local + root[:, None]
        depth = placed[..., 2:].clamp(min=NEAREST)
        shown = placed[..., :2] / depth
        scale = weight * (camera.focal[:, None] / depth) ** 2
        root = root + _solve(shown, (ray - shown) * depth, scale)
    behind = (local[..., 2] + root[:, None, 2]) <= 0
    if seen is not None:
        behind = behind & seen
    return root.masked_fill((behind.any(1) | ~root.isfinite().all(1))[:, None], torch.nan)


def _solve(slope: Tensor, rhs: Tensor, weight: Tensor) -> Tensor:
    """Least squares of ``tx - slope tz = rhs`` over joints and its like for y.

    Args:
        slope, rhs, weight: (N, J, 2), for x and y.

    Returns:
        (N, 3), NaN where there is no single solution.
    """
    matrix = torch.cat([torch.eye(2).to(slope).expand(*slope.shape, 2), -slope[..., None]], -1)
    flat, scale = matrix.flatten(1, 2), weight.flatten(1, 2)[..., None]
    across = (flat * scale).transpose(1, 2)
    solution, failed = torch.linalg.solve_ex(across @ flat, across @ rhs.flatten(1, 2)[..., None])
    return solution[..., 0].masked_fill((failed != 0)[:, None], torch.nan)
