"""Projection: values by the camera's plain form, gradients, contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry import camera as cameras
from poseda.geometry.camera import Camera
from poseda.ops.samples import augment_arguments

TensorCheck = Callable[..., None]


@pytest.mark.parametrize("give", [(), ("distortion",), ("shared_camera", "distortion")], ids=str)
@pytest.mark.parametrize("frames", [None, 3])
def test_project_is_the_cameras(
    frames: int | None,
    give: tuple[str, ...],
    device: torch.device,
    dtype: torch.dtype,
    assert_close: TensorCheck,
    assert_gradient_close: TensorCheck,
) -> None:
    given = augment_arguments(19, give=give, frames=frames, dtype=torch.float64, device=device)
    results = []
    for function, kind in ((ops.project, dtype), (cameras.project, torch.float64)):
        points = given["pose_3d"].to(kind).requires_grad_()
        lens = given["camera"].to(kind)
        leaves = [points, lens.focal.requires_grad_(), lens.center.requires_grad_()]
        if lens.distortion is not None:
            leaves.append(lens.distortion.requires_grad_())
        screen = function(points, lens)
        weight = torch.linspace(-1, 1, screen.numel(), device=device, dtype=kind).view(screen.shape)
        results.append((screen, torch.autograd.grad((screen * weight).sum(), leaves)))
    (actual, gradients), (expected, expected_gradients) = results
    assert_close(actual, expected)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        assert_gradient_close(gradient, expected_gradient)


def test_opcheck(device: torch.device) -> None:
    points = augment_arguments(3, give=(), frames=1, dtype=torch.float64, device=device)["pose_3d"]
    camera = torch.rand(3, 9, dtype=torch.float64, device=device)
    grad = torch.rand(3, 1, 16, 2, dtype=torch.float64, device=device)
    backward = (grad, points, camera, True)
    torch.library.opcheck(torch.ops.poseda.project_backward.default, backward)
    forward = (points.clone().requires_grad_(), camera.clone().requires_grad_(), True)
    torch.library.opcheck(torch.ops.poseda.project.default, forward)


def test_gradcheck(device: torch.device) -> None:
    points = augment_arguments(2, give=(), dtype=torch.float64, device=device)["pose_3d"].requires_grad_()
    lens = torch.tensor([[-0.2, 0.24, -0.002, -0.001, -0.003]], dtype=torch.float64, device=device)
    focal = torch.full((1, 2), 2.3, dtype=torch.float64, device=device)

    def screen(points: Tensor, f: Tensor, d: Tensor) -> Tensor:
        return ops.project(points, Camera(f, torch.zeros_like(f), d))

    assert torch.autograd.gradcheck(screen, (points, focal.requires_grad_(), lens.requires_grad_()))


@pytest.mark.parametrize("lens", [True, False], ids=["lens", "pinhole"])
@pytest.mark.parametrize("rows", [1, 2], ids=["shared", "a camera each"])
def test_second_derivatives(rows: int, lens: bool, device: torch.device) -> None:
    given = augment_arguments(2, give=(), dtype=torch.float64, device=device)
    points = given["pose_3d"][:, :3].clone().requires_grad_()
    entries = [torch.full((rows, 2), 2.3), torch.full((rows, 2), 0.1)]
    if lens:
        entries.append(torch.tensor([[-0.2, 0.24, -0.002, -0.001, -0.003]]).repeat(rows, 1))
    leaves = [entry.to(device, torch.float64).requires_grad_() for entry in entries]

    def screen(points: Tensor, *entries: Tensor) -> Tensor:
        return ops.project(points, Camera(*entries))

    assert torch.autograd.gradgradcheck(screen, (points, *leaves))


def test_gradients_with_a_graph_are_those_of_the_kernel(device: torch.device, dtype: torch.dtype) -> None:
    given = augment_arguments(5, give=("distortion",), frames=3, dtype=dtype, device=device)
    points, camera = given["pose_3d"].requires_grad_(), given["camera"]
    leaves = [points, camera.focal.requires_grad_(), camera.distortion.requires_grad_()]
    both = [
        torch.autograd.grad(ops.project(points, camera).square().sum(), leaves, create_graph=graph)
        for graph in (False, True)
    ]
    for plain, graphed in zip(*both, strict=True):
        torch.testing.assert_close(graphed, plain)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ops.project(torch.ones(2, 65, 4), Camera(torch.ones(1, 2), torch.ones(1, 2))),
            ValueError,
            r"points: expected shape \(\.\.\., P, 3\), got \(2, 65, 4\)",
        ),
        (
            lambda: ops.project(torch.ones(2, 5, 3), Camera(torch.ones(3, 2), torch.ones(3, 2))),
            ValueError,
            "camera: expected 2 rows or 1, got 3",
        ),
    ],
)
def test_a_wrong_argument_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_batch_that_no_memory_holds_is_refused_in_one_sentence() -> None:
    camera = Camera(torch.ones(1, 2), torch.zeros(1, 2))
    with pytest.raises(RuntimeError, match=r"^not enough memory for 1099511627776 poses$"):
        ops.project(torch.ones(1, 16, 3).expand(2**40, 16, 3), camera)


def test_half_precision_becomes_float32(device: torch.device) -> None:
    given = augment_arguments(2, give=("distortion",), device=device)
    screen = ops.project(given["pose_3d"].half(), given["camera"].to(torch.float16))
    assert screen.dtype == torch.float32


@pytest.mark.parametrize("points", [0, 65, 1000])
def test_project_takes_any_number_of_points(points: int, device: torch.device) -> None:
    camera = augment_arguments(3, give=("distortion",), device=device)["camera"]
    place = torch.randn(3, points, 3, device=device) + torch.tensor([0.0, 0.0, 9.0], device=device)
    torch.testing.assert_close(ops.project(place, camera), cameras.project(place, camera))


@pytest.mark.parametrize("points", [0, 1, 64, 65, 67, 150, 6890])
def test_the_op_takes_any_number_of_points(
    points: int, device: torch.device, assert_close: TensorCheck, assert_gradient_close: TensorCheck
) -> None:
    """More than the row of a kernel holds are cut into pieces of equal size; 67 is a prime."""
    lens = augment_arguments(3, give=("distortion",), dtype=torch.float64, device=device)["camera"]
    assert lens.distortion is not None
    table = torch.cat([lens.focal, lens.center, lens.distortion], -1).requires_grad_()
    place = torch.randn(3, 2, points, 3, dtype=torch.float64) * 0.3 + torch.tensor([0.0, 0.0, 5.0])
    place = place.to(device).transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    screen = torch.ops.poseda.project(place, table, True)
    weight = torch.randn_like(screen)
    found = torch.autograd.grad((screen * weight).sum(), (place, table))
    expected = cameras.project(place, Camera(table[:, :2], table[:, 2:4], table[:, 4:]))
    assert_close(screen, expected)
    wanted = torch.autograd.grad((expected * weight).sum(), (place, table))
    for gradient, truth in zip(found, wanted, strict=True):
        assert_gradient_close(gradient, truth)
