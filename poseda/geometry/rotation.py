"""Rotations, in torch where they train and in numpy where they make data.

Matrices act on column vectors: ``R @ v``. Rotation vectors are axis times angle, in radians. A positive angle
is counter-clockwise when its axis points at the reader (right-hand rule).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
"""A numpy array of float64."""

TINY = 1e-24
"""Added to squared lengths, so that the gradient of a length is finite at zero."""


# -------------------------------------------------------------------------------------------------- in torch


def rotation_matrix(rotation: Tensor) -> Tensor:
    """Rodrigues' formula, exact (value and gradient) at zero angle.

    Args:
        rotation: (..., 3) rotation vectors, radians.

    Returns:
        (..., 3, 3).
    """
    squared = (rotation * rotation).sum(-1)[..., None, None]
    small = squared < 1e-4
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6 * (1 - squared / 20 * (1 - squared / 42)), angle.sin() / angle)
    cosine = torch.where(
        small, 0.5 * (1 - squared / 12 * (1 - squared / 30 * (1 - squared / 56))), (1 - angle.cos()) / safe
    )
    zero = torch.zeros_like(rotation[..., 0])
    x, y, z = rotation.unbind(-1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    return identity + sine * cross + cosine * (cross @ cross)


def composed(second: Tensor, first: Tensor) -> Tensor:
    """The rotation vector that does ``first``, then ``second``: (..., 3) each, of angles up to pi together.

    It multiplies unit quaternions, and is differentiable except at an angle of pi.
    """
    (a, u), (b, v) = _quaternion(second), _quaternion(first)
    scalar = a * b - (u * v).sum(-1, keepdim=True)
    vector = a * v + b * u + torch.linalg.cross(u, v)
    sine = (vector.square().sum(-1, keepdim=True) + TINY).sqrt()
    return 2 * torch.atan2(sine, scalar) / sine * vector


def _quaternion(rotation: Tensor) -> tuple[Tensor, Tensor]:
    half = (rotation.square().sum(-1, keepdim=True) + TINY).sqrt() / 2
    return half.cos(), 0.5 * torch.sinc(half / math.pi) * rotation


def shortest_rotation(start: Tensor, end: Tensor) -> Tensor:
    """The rotation vector of the smallest rotation that takes one direction to another.

    Args:
        start, end: (..., 3) unit vectors, not opposite to each other.

    Returns:
        (..., 3) radians.
    """
    axis = torch.linalg.cross(start, end)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (start * end).sum(-1, keepdim=True))
    return axis * angle / sine.clamp_min(1e-12)


def turned_onto(start: Tensor, end: Tensor, turn: Tensor) -> Tensor:
    """The rotation vector that turns about one direction, and then takes it to another the shortest way.

    It is ``composed(shortest_rotation(start, end), turn * start)`` in a third of the operations: the terms of
    the product of quaternions are the half-way vector and the cross product.

    Args:
        start, end: (..., 3) unit vectors, not opposite to each other.
        turn: (..., 1) radians about ``start``, from -pi to pi.

    Returns:
        (..., 3) radians.
    """
    between, half = start + end, turn / 2
    cosine = half.cos()
    vector = torch.addcmul(half.sin() * between, cosine, torch.linalg.cross(start, end))
    sine = vector.norm(dim=-1, keepdim=True)
    # A quaternion of any length: atan2 needs the ratio alone. |start + end|^2 is 2 (1 + cos).
    angle = 2 * torch.atan2(sine, cosine * (0.5 * between.square().sum(-1, keepdim=True)))
    return vector * (angle / sine.clamp_min(1e-12))


def angle_between(one: Tensor, other: Tensor) -> Tensor:
    """Angle between vectors of any length, exact near 0 and pi too: (..., 3) each to (...,), radians."""
    sine = torch.linalg.cross(one, other).norm(dim=-1)
    return torch.atan2(sine, (one * other).sum(-1))


# -------------------------------------------------------------------------------------------------- in numpy


def unit(vector: Array) -> Array:
    """Vectors (..., 3) scaled to length 1."""
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


def rotated(rotation: Array, points: Array) -> Array:
    """Points rotated about the origin, by one rotation for all poses or by one for each.

    Args:
        rotation: (3, 3) or (N, 3, 3).
        points: (N, J, 3).

    Returns:
        (N, J, 3).
    """
    if rotation.ndim == 2:
        return np.asarray(points @ rotation.T)
    return np.asarray(np.einsum("nij,nkj->nki", rotation, points))


def about_axis(axis: str, angle: Array) -> Array:
    """Rotations about a coordinate axis.

    Args:
        axis: ``x``, ``y`` or ``z``. A rotation about z takes x towards y, about x y towards z, about y z
            towards x.
        angle: (...,) radians.

    Returns:
        (..., 3, 3).
    """
    sine, cosine = np.sin(angle), np.cos(angle)
    one, two = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.broadcast_to(np.eye(3), (*angle.shape, 3, 3)).copy()
    matrix[..., one, one] = matrix[..., two, two] = cosine
    matrix[..., two, one], matrix[..., one, two] = sine, -sine
    return matrix


def cross_matrix(vector: Array) -> Array:
    """Matrices that take the cross product with a vector: ``cross_matrix(a) @ b = a x b``, (..., 3, 3)."""
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    rows = [np.stack(row, -1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return np.stack(rows, -2)


def shortest_rotation_matrix(start: Array, end: Array) -> Array:
    """The smallest rotations that take directions to others; :func:`shortest_rotation` as matrices.

    Args:
        start, end: (..., 3) unit vectors. Opposite ones are rotated about an axis at right angles to them. A
            zero vector gives the identity.

    Returns:
        (..., 3, 3).
    """
    axis = cross_matrix(np.cross(start, end))
    cosine = (start[..., None, :] @ end[..., :, None])[..., 0]
    matrix = np.eye(3) + axis + axis @ axis / np.maximum(1 + cosine, 1e-12)[..., None]
    opposite = cosine[..., 0] < -1 + 1e-9
    if opposite.any():
        away = np.eye(3)[np.abs(start[opposite]).argmin(-1)]
        about = unit(np.cross(start[opposite], away))
        matrix[opposite] = 2 * about[..., :, None] * about[..., None, :] - np.eye(3)
    matrix[~(start.any(-1) & end.any(-1))] = np.eye(3)
    return matrix


def best_rotation(start: Array, end: Array) -> Array:
    """The rotations that take one set of directions nearest to others, in least squares (Kabsch 1976).

    Args:
        start: (C, 3).
        end: (F, C, 3).

    Returns:
        (F, 3, 3).
    """
    left, _, right = np.linalg.svd(np.einsum("fci,cj->fij", end, start))
    flip = np.tile(np.ones(3), (len(end), 1))
    flip[:, 2] = np.sign(np.linalg.det(left @ right))
    return np.asarray((left * flip[:, None]) @ right)


def euler_zxy(rotation: Array) -> Array:
    """Angles a, b, c of ``R = Rz(a) Rx(b) Ry(c)`` over F successive frames, without jumps by 360 degrees.

    Where b is a right angle, only a + c or a - c is determined; then c is 0.

    Args:
        rotation: (F, 3, 3).

    Returns:
        (F, 3) degrees about z, x, y.
    """
    x = np.arcsin(np.clip(rotation[:, 2, 1], -1, 1))
    z = np.arctan2(-rotation[:, 0, 1], rotation[:, 1, 1])
    y = np.arctan2(-rotation[:, 2, 0], rotation[:, 2, 2])
    locked = np.abs(rotation[:, 2, 1]) > 1 - 1e-9
    z[locked] = np.arctan2(rotation[locked, 1, 0], rotation[locked, 0, 0])
    y[locked] = 0
    return np.asarray(np.degrees(np.unwrap(np.stack([z, x, y], -1), axis=0)))
