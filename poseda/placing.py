"""Where a pose of known shape stands: the root from which it is seen as it was seen, by least squares."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.camera import Camera, undistort

REFINEMENTS = 4
"""Reweightings after which the misfit in the picture has settled: each weighs joints by their new depth."""


def locate(
    local: Tensor, screen: Tensor, camera: Camera, seen: Tensor | None = None, refinements: int = 0
) -> Tensor:
    """Place poses where their joints are seen.

    A joint seen along the ray (x, y, 1) gives ``X + tx = x (Z + tz)`` and its like for y, linear in the root.
    The first solution weighs all joints alike in space; each refinement divides by the depths it found and
    multiplies by the focal length, so that misfits count as the picture shows them (the lens left aside).

    Args:
        local: (N, J, 3) metres, relative to the root.
        screen: (N, J, 2) screen coordinates.
        camera: N cameras or one shared, of the same dtype.
        seen: (N, J) bool, or None where all are.
        refinements: reweighted solutions after the first.

    Returns:
        (N, 3) metres. NaN where the seen joints do not fix a place before the camera.
    """
    plane = (screen - camera.center[:, None]) / camera.focal[:, None]
    ray = undistort(plane, camera.distortion)
    weight = torch.ones_like(ray)
    if seen is not None:
        weight = weight * seen[..., None]
        ray = ray.where(seen[..., None], torch.zeros_like(ray))
    root = _solve(local, ray, weight)
    for _ in range(refinements):
        depth = (local[..., 2] + root[:, None, 2])[..., None]
        root = _solve(local, ray, weight * (camera.focal[:, None] / depth.clamp(min=0.01)) ** 2)
    behind = (local[..., 2] + root[:, None, 2]) <= 0
    if seen is not None:
        behind = behind & seen
    return root.masked_fill((behind.any(1) | ~root.isfinite().all(1))[:, None], torch.nan)


def _solve(local: Tensor, ray: Tensor, weight: Tensor) -> Tensor:
    """Weighted least squares over joints and axes: (N, 3), not finite where it has no single solution."""
    rows, joints = local.shape[:2]
    matrix = local.new_zeros(rows, joints, 2, 3)
    for axis in range(2):
        matrix[:, :, axis, axis] = 1
        matrix[:, :, axis, 2] = -ray[..., axis]
    rhs = ray * local[..., 2:] - local[..., :2]
    flat, scale = matrix.flatten(1, 2), weight.flatten(1, 2)[..., None]
    across = (flat * scale).transpose(1, 2)
    solution, failed = torch.linalg.solve_ex(across @ flat, across @ rhs.flatten(1, 2)[..., None])
    return solution[..., 0].masked_fill((failed != 0)[:, None], torch.nan)
