"""Cameras: the one place that knows the screen convention and the distortion model.

Screen coordinates are normalised over the **width** in both axes, so the aspect ratio is kept:
``u = 2 px / width - 1`` and ``v = (2 py - height) / width``. Camera space is right-handed, in metres,
x right, y down, z forward.

Distortion is the Human3.6M model as VideoPose3D and its descendants simplify it. With x = X/Z, y = Y/Z and
r2 = x^2 + y^2, a point lands at

    focal * ((x, y) * (1 + k1 r2 + k2 r2^2 + k3 r2^3 + p1 x + p2 y) + (p1, p2) * r2) + center

OpenCV's model differs in order and in the tangential terms; :meth:`Camera.from_opencv` fits ours to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

UNDISTORT_STEPS = 8
"""Newton steps that invert the distortion. Convergence is quadratic; lenses in use need four in float64."""


def normalize_screen(pixels: Tensor, width: float, height: float) -> Tensor:
    """Turn pixels ``(..., 2)`` into screen coordinates ``(..., 2)``, both axes over the width."""
    _check_resolution(width, height)
    offset = pixels.new_tensor([width, height])
    return (2 * pixels - offset) / width


def denormalize_screen(screen: Tensor, width: float, height: float) -> Tensor:
    """Turn screen coordinates ``(..., 2)`` into pixels ``(..., 2)``; inverse of :func:`normalize_screen`."""
    _check_resolution(width, height)
    offset = screen.new_tensor([width, height])
    return (screen * width + offset) / 2


def _check_resolution(width: float, height: float) -> None:
    if not (width > 0 and height > 0):
        raise ValueError(
            f"resolution: expected a positive width and height in pixels, got {width} x {height}"
        )


@dataclass(frozen=True)
class Camera:
    """A table of cameras. A first dimension of 1 is shared by the whole batch.

    Args:
        focal: (N, 2) focal lengths fx, fy in half screen widths.
        center: (N, 2) principal points cx, cy in screen coordinates.
        distortion: (N, 5) k1, k2, k3, p1, p2, or None for a pinhole.
        aspect: (N,) height / width of the picture, or None where the edge of the screen does not matter.

    Raises:
        TypeError: if an entry is not a floating-point tensor or the entries differ in dtype or device.
        ValueError: if a shape is not as above.
    """

    focal: Tensor
    center: Tensor
    distortion: Tensor | None = None
    aspect: Tensor | None = None

    def __post_init__(self) -> None:
        columns = {"focal": 2, "center": 2, "distortion": 5, "aspect": None}
        for name, width in columns.items():
            value = getattr(self, name)
            if value is None and name in ("distortion", "aspect"):
                continue
            if (
                not isinstance(value, Tensor)
                or not value.is_floating_point()
                or value.layout != torch.strided
            ):
                kind = f"{value.dtype}, {value.layout}" if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(f"camera.{name}: expected a dense floating-point tensor, got {kind}")
            expected = "(N,)" if width is None else f"(N, {width})"
            if value.dim() != (1 if width is None else 2) or (width is not None and value.shape[1] != width):
                raise ValueError(f"camera.{name}: expected shape {expected}, got {tuple(value.shape)}")
            if value.dtype != self.focal.dtype or value.device != self.focal.device:
                raise TypeError(
                    f"camera.{name}: expected {self.focal.dtype} on {self.focal.device} as camera.focal, "
                    f"got {value.dtype} on {value.device}"
                )
        rows = len(self)
        for name in columns:
            value = getattr(self, name)
            if value is not None and value.shape[0] not in (1, rows):
                raise ValueError(f"camera.{name}: expected {rows} rows or 1, got {value.shape[0]}")

    def __len__(self) -> int:
        return max(
            v.shape[0] for v in (self.focal, self.center, self.distortion, self.aspect) if v is not None
        )

    @classmethod
    def from_pixels(
        cls, fx: float, fy: float, cx: float, cy: float, width: float, height: float, distortion: Any = None
    ) -> Camera:
        """Build one shared camera from intrinsics in pixels and the picture's size."""
        fx, fy, cx, cy, width, height = map(float, (fx, fy, cx, cy, width, height))
        _check_resolution(width, height)
        if not all(map(math.isfinite, (2 * fx / width, 2 * fy / width, 2 * cx / width, 2 * cy / width))):
            raise ValueError(f"fx, fy, cx, cy: expected finite pixels, got {fx}, {fy}, {cx}, {cy}")
        center = normalize_screen(torch.tensor([[cx, cy]], dtype=torch.float64), width, height)
        return cls(
            focal=torch.tensor([[2 * fx / width, 2 * fy / width]], dtype=torch.float32),
            center=center.float(),
            distortion=None
            if distortion is None
            else torch.as_tensor(distortion, dtype=torch.float32).reshape(1, 5),
            aspect=torch.tensor([height / width], dtype=torch.float32),
        )

    @classmethod
    def from_field_of_view(cls, horizontal_degrees: float, width: float, height: float) -> Camera:
        """Build one shared pinhole camera from its horizontal field of view and the picture's size."""
        if not 0 < horizontal_degrees < 180:
            raise ValueError(f"horizontal_degrees: expected 0 to 180 degrees, got {horizontal_degrees}")
        focal = width / 2 / float(np.tan(np.radians(horizontal_degrees) / 2))
        return cls.from_pixels(focal, focal, width / 2, height / 2, width, height)

    @classmethod
    def from_opencv(
        cls, matrix: Any, coefficients: Any, width: float, height: float, tolerance_px: float = 1.0
    ) -> Camera:
        """Fit this package's distortion model to OpenCV's over the whole picture.

        Args:
            matrix: (3, 3) intrinsics in pixels, no skew.
            coefficients: 0, 4 or 5 numbers k1, k2, p1, p2[, k3] in OpenCV's order.
            width, height: size of the picture in pixels.
            tolerance_px: largest misfit to accept, in pixels.

        Raises:
            ValueError: if a shape is wrong or the misfit exceeds the tolerance; the message states the
            misfit.
        """
        matrix = np.asarray(matrix, dtype=np.float64)
        given = np.asarray(coefficients, dtype=np.float64).ravel()
        if matrix.shape != (3, 3):
            raise ValueError(f"matrix: expected shape (3, 3), got {matrix.shape}")
        if given.size not in (0, 4, 5):
            raise ValueError(f"coefficients: expected 0, 4 or 5 numbers (k1 k2 p1 p2 [k3]), got {given.size}")
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
        if not given.any():
            return cls.from_pixels(fx, fy, cx, cy, width, height)
        k1, k2, p1, p2, k3 = np.concatenate([given, np.zeros(5 - given.size)])
        grid_x, grid_y = np.meshgrid(np.linspace(0, width, 41), np.linspace(0, height, 41))
        x, y = ((grid_x - cx) / fx).ravel(), ((grid_y - cy) / fy).ravel()
        r2 = x * x + y * y
        # OpenCV's displacement, then ours, which is linear in its five coefficients: least squares.
        radial = k1 * r2 + k2 * r2**2 + k3 * r2**3
        shift_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        shift_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        basis_x = np.stack([x * r2, x * r2**2, x * r2**3, x * x + r2, x * y], -1)
        basis_y = np.stack([y * r2, y * r2**2, y * r2**3, x * y, y * y + r2], -1)
        basis, shift = (
            np.concatenate([fx * basis_x, fy * basis_y]),
            np.concatenate([fx * shift_x, fy * shift_y]),
        )
        fitted = np.linalg.lstsq(basis, shift, rcond=None)[0]
        misfit = float(np.abs(basis @ fitted - shift).max())
        if misfit > tolerance_px:
            raise ValueError(
                f"coefficients: OpenCV's distortion can be matched to {misfit:.2f} px only, expected at most "
                f"{tolerance_px} px; undistort the 2D poses first"
            )
        return cls.from_pixels(fx, fy, cx, cy, width, height, fitted)

    def to(self, *args: Any, **kwargs: Any) -> Camera:
        """Move or cast every entry, as ``Tensor.to``."""
        return self._map(lambda value: value.to(*args, **kwargs))

    def rows(self, index: Tensor) -> Camera:
        """Pick rows by an int64 or boolean index. Entries of one row, which all rows share, stay shared."""
        return self._map(lambda value: value if value.shape[0] == 1 else value[index])

    def expand(self, size: int) -> Camera:
        """Repeat a shared camera to ``size`` rows without copying."""
        return self._map(lambda value: value.expand(size, *value.shape[1:]))

    def mirrored(self) -> Camera:
        """The camera that sees the world left-right reversed: cx and p1 change sign."""
        flip_center = self.center.new_tensor([-1.0, 1.0])
        distortion = self.distortion
        if distortion is not None:
            distortion = distortion * distortion.new_tensor([1.0, 1.0, 1.0, -1.0, 1.0])
        return replace(self, center=self.center * flip_center, distortion=distortion)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Camera:
        def optional(value: Tensor | None) -> Tensor | None:
            return None if value is None else function(value)

        return Camera(
            function(self.focal), function(self.center), optional(self.distortion), optional(self.aspect)
        )


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

    Beyond its fold a lens shows one place twice or not at all, and Newton's steps end anywhere.

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


def project(points: Tensor, camera: Camera) -> Tensor:
    """Project points in plain torch; ``poseda.ops.project`` is the fused form.

    Args:
        points: (N, ..., 3) metres, camera frame.
        camera: N cameras or one shared.

    Returns:
        (N, ..., 2) screen coordinates. Points at depth 0 give non-finite coordinates.
    """
    shape = (*([1] * (points.dim() - 2)), 2)
    xy = distort(points[..., :2] / points[..., 2:], camera.distortion)
    return camera.focal.reshape(-1, *shape) * xy + camera.center.reshape(-1, *shape)


def pitch_roll(up: Tensor) -> Tensor:
    """Pitch (downward) and roll of a camera that sees upward as (..., 3): (..., 2) radians."""
    return torch.stack([torch.atan2(-up[..., 2], -up[..., 1]), torch.atan2(up[..., 0], -up[..., 1])], -1)


def up_of(pitch_roll: Tensor) -> Tensor:
    """Inverse of :func:`pitch_roll`, for angles below a right angle: (..., 2) to (..., 3), unit."""
    pitch, roll = pitch_roll.unbind(-1)
    return torch.nn.functional.normalize(
        torch.stack([roll.tan(), -torch.ones_like(roll), -pitch.tan()], -1), dim=-1
    )
