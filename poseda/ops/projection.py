"""Projection without augmentation."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.camera import project as plain_project
from poseda.geometry.symbolic import differs
from poseda.ops import _autograd as autograd
from poseda.ops import _native as native
from poseda.ops._arguments import HALF, check_points
from poseda.ops._row_sums import sum_rows

native.load()


def project(points: Tensor, camera: Camera) -> Tensor:
    """Project points to the screen; ``poseda.geometry.camera.project`` says the same in plain torch.

    Example:
        >>> from poseda import Camera, ops
        >>> camera = Camera(torch.full((1, 2), 2.0), torch.zeros(1, 2))
        >>> ops.project(torch.tensor([[[1.0, 0.0, 4.0]]]), camera)
        tensor([[[0.5000, 0.0000]]])

    Args:
        points: (N, P, 3) or (N, T, P, 3) metres, camera frame, any number of points.
        camera: N cameras, or one shared.

    Returns:
        (N, P, 2) or (N, T, P, 2) screen coordinates. Nothing is clamped or marked. A point at depth 0 has no
        finite projection; one behind the camera is mirrored. :func:`poseda.ops.augment` marks such poses.
        Differentiable any number of times.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    points = check_points("points", points)
    if points.dim() not in (3, 4):
        raise ValueError(f"points: expected shape (N, P, 3) or (N, T, P, 3), got {tuple(points.shape)}")
    if not isinstance(camera, Camera):
        raise TypeError(f"camera: expected a poseda.geometry.camera.Camera, got {type(camera).__name__}")
    rows = camera.num_rows  # a symbol under export, unlike len
    if differs(rows, points.shape[0]) and differs(rows, 1):
        raise ValueError(f"camera: expected {points.shape[0]} rows or 1, got {rows}")
    if camera.focal.dtype in HALF:
        camera = camera.to(torch.float32)
    if camera.focal.dtype != points.dtype or camera.focal.device != points.device:
        raise TypeError(
            f"camera: expected {points.dtype} on {points.device} as points, "
            f"got {camera.focal.dtype} on {camera.focal.device}"
        )
    entries = [camera.focal, camera.center]
    entries.append(camera.focal.new_zeros(1, 5) if camera.distortion is None else camera.distortion)
    table = torch.cat([entry.expand(rows, -1) for entry in entries], -1)
    framed = points if points.dim() == 4 else points.unsqueeze(1)
    screen = _project(framed, table, camera.distortion is not None)
    return screen if points.dim() == 4 else screen.squeeze(1)


@torch.library.register_fake("poseda::project")
def _project_fake(points: Tensor, camera: Tensor, distorted: bool) -> Tensor:
    return points.new_empty((*points.shape[:-1], 2))


@torch.library.register_fake("poseda::project_backward")
def _project_backward_fake(
    grad: Tensor, points: Tensor, camera: Tensor, distorted: bool
) -> tuple[Tensor, Tensor]:
    return points.new_empty(points.shape), points.new_empty((*points.shape[:2], camera.shape[1]))


def _project_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.distorted = inputs[2]


def _project_backward(ctx: Any, wanted: list[int], grad: Tensor) -> tuple[Tensor | None, ...]:
    points, camera = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True
        plain = functools.partial(_plain_project, distorted=ctx.distorted)
        return *autograd.differentiate_again(plain, points, camera, grad=grad), None
    grad_points, grad_camera = _project_gradients(grad, points, camera, ctx.distorted)
    if 1 not in wanted:
        return grad_points, None, None
    if camera.shape[0] == 1:
        return grad_points, sum_rows(grad_camera.flatten(0, 1)), None
    return grad_points, grad_camera.sum(1), None


def _plain_project(points: Tensor, camera: Tensor, distorted: bool) -> Tensor:
    """The op in plain torch."""
    focal, center, distortion = camera.split([2, 2, 5], -1)
    return plain_project(points, Camera(focal, center, distortion if distorted else None))


_project = autograd.attach(torch.ops.poseda.project.default, _project_backward, _project_setup)
_project_gradients = autograd.refuse_second_derivative(torch.ops.poseda.project_backward.default)
