"""The distortion model of lenses: the one place that knows it.

It is the Human3.6M model as VideoPose3D and its descendants simplify it. With x = X/Z, y = Y/Z and
r2 = x^2 + y^2, a point of the plane z = 1 lands at

    (x, y) * (1 + k1 r2 + k2 r2^2 + k3 r2^3 + p1 x + p2 y) + (p1, p2) * r2

OpenCV's model differs in order and in the tangential terms; :mod:`poseda.geometry.opencv` converts it.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNDISTORT_STEPS = 8
"""Newton steps that invert the distortion. Convergence is quadratic; lenses in use need four in float64."""


def distort(points: Tensor, distortion: Tensor | None) -> Tensor:
    """Apply the lens to points on the plane z = 1.

    Args:
        points: (N, ..., 2) x, y = X/Z, Y/Z.
        distortion: (N or 1, 5) k1, k2, k3, p1, p2, or None.

    Returns:
        (N, ..., 2).
    """
    if distortion is None:
        return points
    radial, tangential = distortion[..., :3], distortion[..., 3:]
    shape = (distortion.shape[0], *([1] * (points.dim() - 2)))
    k1, k2, k3 = (radial[..., i].reshape(*shape, 1) for i in range(3))
    p = tangential.reshape(*shape, 2)
    r2 = (points * points).sum(-1, keepdim=True)
    factor = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + (p * points).sum(-1, keepdim=True)
    return points * factor + p * r2


def undistort(points: Tensor, distortion: Tensor | None) -> Tensor:
    """Invert :func:`distort` by Newton's method, differentiable by the implicit function theorem.

    A point that the lens shows nowhere has no inverse and the result means nothing: ask :func:`sees`.
    """
    if distortion is None:
        return points
    with torch.no_grad():
        solution = points
        for _ in range(UNDISTORT_STEPS):
            residual = distort(solution, distortion) - points
            solution = solution - _solve_2x2(_distort_jacobian(solution, distortion), residual)
        jacobian = _distort_jacobian(solution, distortion)
    # One more Newton step with the Jacobian held fixed has the implicit function's gradient.
    return solution - _solve_2x2(jacobian, distort(solution, distortion) - points)


@torch.no_grad()
def sees(ray: Tensor, points: Tensor, distortion: Tensor) -> Tensor:
    """Whether the lens shows a ray at a point, on the branch that holds the centre.

    Beyond its fold a lens shows a place at two points or at none, and Newton's method may end anywhere.

    Args:
        ray: (..., 2) what :func:`undistort` found, on the plane z = 1.
        points: (..., 2) what it was given.
        distortion: (N or 1, 5).

    Returns:
        (...) bool.
    """
    tolerance = 1e-10 if points.dtype == torch.float64 else 1e-5
    error = (distort(ray, distortion) - points).abs().amax(-1)
    a, b, c, d = _distort_jacobian(ray, distortion)
    return (error <= tolerance * (1 + points.abs().amax(-1))) & (a * d - b * c > 0) & (a > 0)


def _distort_jacobian(points: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shape = (distortion.shape[0], *([1] * (points.dim() - 2)))
    k1, k2, k3, p1, p2 = (distortion[:, i].reshape(shape) for i in range(5))
    x, y = points[..., 0], points[..., 1]
    r2 = x * x + y * y
    factor = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + p1 * x + p2 * y
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
    fx, fy = slope * x + p1, slope * y + p2
    return (
        factor + x * fx + 2 * p1 * x,
        x * fy + 2 * p1 * y,
        y * fx + 2 * p2 * x,
        factor + y * fy + 2 * p2 * y,
    )


def _solve_2x2(matrix: tuple[Tensor, Tensor, Tensor, Tensor], rhs: Tensor) -> Tensor:
    a, b, c, d = matrix
    determinant = a * d - b * c
    x, y = rhs[..., 0], rhs[..., 1]
    return torch.stack([(d * x - b * y) / determinant, (a * y - c * x) / determinant], -1)
