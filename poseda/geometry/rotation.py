"""Rotation vectors (axis times angle, radians) in plain torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TINY = 1e-24
"""Added to squared lengths, so that the gradient of a length is finite at zero."""


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

    Through unit quaternions; differentiable everywhere but at a half turn.
    """
    (a, u), (b, v) = _quaternion(second), _quaternion(first)
    scalar = a * b - (u * v).sum(-1, keepdim=True)
    vector = a * v + b * u + torch.linalg.cross(u, v)
    sine = (vector.square().sum(-1, keepdim=True) + TINY).sqrt()
    return 2 * torch.atan2(sine, scalar) / sine * vector


def _quaternion(rotation: Tensor) -> tuple[Tensor, Tensor]:
    half = (rotation.square().sum(-1, keepdim=True) + TINY).sqrt() / 2
    return half.cos(), 0.5 * torch.sinc(half / math.pi) * rotation


def shortest_turn(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotation from one direction to another, not its opposite: (..., 3) unit vectors each."""
    axis = torch.linalg.cross(start, end)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (start * end).sum(-1, keepdim=True))
    return axis * angle / sine.clamp_min(1e-12)
