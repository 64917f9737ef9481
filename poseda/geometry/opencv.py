"""What OpenCV writes of a camera: intrinsic matrices and distortion coefficients, checked and converted.

Intrinsics are K = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels. With (x, y) on the plane z = 1 and
r2 = x^2 + y^2, OpenCV's lens shows a point at

    (x, y) * (1 + k1 r2 + k2 r2^2 + k3 r2^3) + (2 p1 x y + p2 (r2 + 2 x^2), p1 (r2 + 2 y^2) + 2 p2 x y)

The lens of :mod:`poseda.geometry.camera` has the same radial terms, but other tangential ones.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]

SKEW = 1e-6
"""Largest skew, in focal lengths, that counts as rounding: a thousandth of a pixel at 1 000 pixels."""

GRID = 41
"""Points along each side of the picture at which two lenses are compared."""


class Pixels(NamedTuple):
    """Cameras in pixels, but with this package's lens. Each table has N rows or one."""

    focal: Tensor  # (N, 2) float64
    center: Tensor  # (N, 2) float64
    size: Tensor  # (N, 2) float64, width and height
    lens: Tensor | None  # (N, 5) float64 k1, k2, k3, p1, p2


def read(
    matrix: Any,
    width: Any,
    height: Any,
    coefficients: Any,
    tolerance_px: float,
    names: tuple[str, str] = ("K", "distortion"),
) -> Pixels:
    """Check cameras as OpenCV has them and convert their lens.

    Args:
        matrix: (N, 3, 3) or (3, 3) intrinsics in pixels. Gradients reach ``focal`` and ``center``.
        width, height: of the picture in pixels, one number or (N,).
        coefficients: 0, 4 or 5 numbers k1, k2, p1, p2[, k3], one row or N, or None.
        tolerance_px: largest misfit of the lens to accept, in pixels.
        names: of matrix and coefficients, for messages.

    Raises:
        TypeError: if an argument does not consist of numbers.
        ValueError: if a shape or number is wrong, or the misfit exceeds the tolerance.
    """
    tables = {
        names[0]: _matrices(names[0], matrix),
        "width": _lengths("width", width),
        "height": _lengths("height", height),
    }
    if coefficients is not None:
        tables[names[1]] = _coefficients(names[1], coefficients)
    rows = max((len(table) for table in tables.values() if len(table) != 1), default=1)
    for name, table in tables.items():
        if len(table) not in (1, rows):
            raise ValueError(f"{name}: expected {rows} rows or 1, got {len(table)}")
    pixels, across, down, *given = tables.values()
    sizes = torch.broadcast_tensors(across.to(pixels.device), down.to(pixels.device))
    size = torch.stack(sizes, -1)
    lens = None
    if given and bool(given[0].any()):
        fitted = _lenses(names[1], _array(given[0]), _array(pixels), _array(size), tolerance_px)
        lens = torch.from_numpy(fitted).to(pixels.device)
    return Pixels(pixels[:, [0, 1], [0, 1]], pixels[:, :2, 2], size, lens)


def _matrices(name: str, value: Any) -> Tensor:
    """Read intrinsic matrices: (N, 3, 3)."""
    matrix = _numbers(name, value)
    if matrix.dim() not in (2, 3) or matrix.shape[-2:] != (3, 3):
        raise ValueError(f"{name}: expected shape (N, 3, 3) or (3, 3), got {tuple(matrix.shape)}")
    matrix = matrix.reshape(-1, 3, 3)
    for row, found in enumerate(matrix.tolist()):
        (fx, skew, _), (below, fy, _), last = found
        finite = all(map(math.isfinite, found[0] + found[1]))
        if not (finite and fx > 0 and fy > 0 and below == 0 and last == [0, 0, 1]):
            raise ValueError(
                f"{name}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels with fx and fy above 0, "
                f"got {found} in row {row}"
            )
        if abs(skew) > SKEW * fx:
            raise ValueError(
                f"{name}: expected no skew, got {skew:g} pixels in row {row}; "
                "bring the 2D poses to a camera without skew first"
            )
    return matrix


def _lengths(name: str, value: Any) -> Tensor:
    """Read widths or heights in pixels: (N,)."""
    lengths = _numbers(name, value)
    if lengths.dim() > 1:
        raise ValueError(f"{name}: expected one number or shape (N,), got shape {tuple(lengths.shape)}")
    lengths = lengths.reshape(-1)
    bad = lengths[~((lengths > 0) & lengths.isfinite())]
    if len(bad):
        raise ValueError(f"{name}: expected positive pixels, got {float(bad[0]):g}")
    return lengths


def _coefficients(name: str, value: Any) -> Tensor:
    """Read k1, k2, p1, p2[, k3]: (N, 5), zeros filled in.

    Other counts are refused: three numbers may be k1, k2, p1 or k1, k2, k3.
    """
    given = _numbers(name, value)
    # One camera may come as (5,), (1, 5) or (5, 1).
    table = given.dim() > 1 and given.shape[-1] > 1
    rows = given.reshape(-1, given.shape[-1]) if table else given.reshape(1, -1)
    if rows.shape[1] not in (0, 4, 5):
        raise ValueError(
            f"{name}: expected 0, 4 or 5 numbers (k1 k2 p1 p2 [k3]) a camera, got {rows.shape[1]}"
        )
    if not bool(rows.isfinite().all()):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return torch.nn.functional.pad(rows, (0, 5 - rows.shape[1]))


def _lenses(name: str, coefficients: Array, matrix: Array, size: Array, tolerance_px: float) -> Array:
    """Convert OpenCV's lens to this package's: exactly where it is radial, else by a fit over the picture.

    Args:
        name: of the argument, for the message.
        coefficients: (N or 1, 5) k1, k2, p1, p2, k3.
        matrix: (N or 1, 3, 3) intrinsics in pixels.
        size: (N or 1, 2) width and height in pixels.
        tolerance_px: largest misfit to accept, in pixels.

    Returns:
        (N, 5) k1, k2, k3, p1, p2.

    Raises:
        ValueError: if a misfit exceeds the tolerance; the message states the misfit.
    """
    count = np.broadcast_shapes(*((len(table),) for table in (coefficients, matrix, size)))[0]
    pixels = matrix[:, [0, 1, 0, 1], [0, 1, 2, 2]]
    table = np.concatenate(
        [np.broadcast_to(part, (count, part.shape[1])) for part in (coefficients, pixels, size)], 1
    )
    # Many rows have few lenses: each is fitted once.
    kinds, first, which = np.unique(table, axis=0, return_index=True, return_inverse=True)
    lenses = np.empty((len(kinds), 5))
    for lens, kind, row in zip(lenses, kinds, first, strict=True):
        lens[:], misfit = _fit(kind)
        if misfit > tolerance_px:
            where = f"{name} of row {row}" if count > 1 else name
            raise ValueError(
                f"{where}: OpenCV's distortion can be matched to {misfit:.2f} px only, expected at most "
                f"{tolerance_px} px; undistort the 2D poses first"
            )
    return lenses[which.reshape(-1)]


def _fit(row: Array) -> tuple[Array, float]:
    """This package's coefficients (5,) for a row of the table above, and the largest misfit in pixels."""
    k1, k2, p1, p2, k3, fx, fy, cx, cy, width, height = row
    if p1 == 0 and p2 == 0:
        return np.array([k1, k2, k3, 0.0, 0.0]), 0.0
    grid_x, grid_y = np.meshgrid(np.linspace(0, width, GRID), np.linspace(0, height, GRID))
    x, y = ((grid_x - cx) / fx).ravel(), ((grid_y - cy) / fy).ravel()
    r2 = x * x + y * y
    # OpenCV's displacement, then ours, which is linear in its five coefficients: least squares.
    radial = k1 * r2 + k2 * r2**2 + k3 * r2**3
    shift_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    shift_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    basis_x = np.stack([x * r2, x * r2**2, x * r2**3, x * x + r2, x * y], -1)
    basis_y = np.stack([y * r2, y * r2**2, y * r2**3, x * y, y * y + r2], -1)
    basis = np.concatenate([fx * basis_x, fy * basis_y])
    shift = np.concatenate([fx * shift_x, fy * shift_y])
    fitted = np.linalg.lstsq(basis, shift, rcond=None)[0]
    return fitted, float(np.abs(basis @ fitted - shift).max())


def _numbers(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(torch.float64)
    try:
        return torch.from_numpy(np.array(value, np.float64))
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise TypeError(f"{name}: expected numbers in a regular array, got {kind}") from error


def _array(table: Tensor) -> Array:
    return np.asarray(table.detach().cpu().numpy(), np.float64)
