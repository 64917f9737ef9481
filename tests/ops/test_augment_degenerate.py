"""Degenerate input: a documented value and a finite gradient, and neighbours unhurt."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.ops.samples import augment_arguments

GIVE = ("bone_rotation", "bone_scale", "body_rotation", "placement", "distortion", "aspect")


def spoil(name: str, arguments: dict[str, Any], row: int) -> dict[str, Any]:
    """Make one pose of the batch invalid in the named way."""
    arguments = {k: v.clone() if isinstance(v, Tensor) else v for k, v in arguments.items()}
    if name == "nan pose":
        arguments["pose_3d"][row, 5, 1] = math.nan
    elif name == "infinite pose":
        arguments["pose_3d"][row, 5, 1] = math.inf
    elif name == "no length":
        arguments["bone_scale"][row, 3] = -1.0
    elif name == "nan rotation":
        arguments["bone_rotation"][row, 2] = math.nan
    elif name == "infinite rotation":
        arguments["body_rotation"][row, 0] = math.inf
    elif name == "rotation too long":
        arguments["bone_rotation"][row, 2] = 1e4
    elif name == "empty box":
        arguments["placement"][row, 2:] = 0.0
    elif name == "negative box":
        arguments["placement"][row, 2] = -0.1
    elif name == "coincident joints":
        arguments["pose_3d"][row] = arguments["pose_3d"][row, :1]
    elif name == "nothing spans the box":
        arguments["joint_mask"] = torch.ones_like(arguments["pose_3d"][..., 0], dtype=torch.bool)
        arguments["joint_mask"][row] = False
    elif name == "nan camera":
        camera: Camera = arguments["camera"]
        focal = camera.focal.clone()
        focal[row] = math.nan
        arguments["camera"] = Camera(focal, camera.center, camera.distortion, camera.aspect)
    elif name == "a place the lens does not show":
        camera = arguments["camera"]
        assert camera.distortion is not None
        lens = camera.distortion.clone()
        lens[row] = torch.tensor([-0.5, 0.0, 0.0, 0.0, 0.0])  # shows nothing beyond radius 0.54
        arguments["camera"] = Camera(camera.focal, camera.center, lens, camera.aspect)
        arguments["placement"][row, :2] = 1.5
    elif name == "off screen":
        arguments["placement"][row, 0] = 0.999
    else:
        arguments["placement"][row, 2:] = 200.0  # "too near"
    return arguments


WAYS = [
    "nan pose",
    "infinite pose",
    "no length",
    "nan rotation",
    "infinite rotation",
    "rotation too long",
    "empty box",
    "negative box",
    "coincident joints",
    "nothing spans the box",
    "nan camera",
    "a place the lens does not show",
    "off screen",
    "too near",
]


@pytest.mark.parametrize("gpa", ["closed_form", "exact"])
@pytest.mark.parametrize("way", WAYS)
def test_one_invalid_pose_is_zero_and_its_neighbours_are_unhurt(
    way: str, gpa: str, device: torch.device, dtype: torch.dtype
) -> None:
    row = 4
    good = augment_arguments(9, give=GIVE, dtype=dtype, device=device)
    good |= {"gpa": gpa, "require_in_frame": way == "off screen"}
    bad = spoil(way, good, row)
    results = []
    for arguments in (good, bad):
        leaves = {
            k: v.requires_grad_()
            for k, v in arguments.items()
            if isinstance(v, Tensor) and v.is_floating_point()
        }
        result = ops.augment(**arguments)
        gradients = torch.autograd.grad(result.pose_3d.sum() + result.pose_2d.sum(), list(leaves.values()))
        results.append((result, dict(zip(leaves, gradients, strict=True))))
    (expected, expected_gradients), (actual, actual_gradients) = results
    assert not actual.valid[row]
    assert not actual.pose_3d[row].any() and not actual.pose_2d[row].any()
    others = [i for i in range(9) if i != row and actual.valid[i]]
    assert len(others) >= 6
    for name, gradient in actual_gradients.items():
        assert not gradient[row].any(), f"{name}: an invalid pose passes a gradient"
        assert torch.equal(gradient[others], expected_gradients[name][others])
    assert torch.equal(actual.pose_2d[others], expected.pose_2d[others])


def test_an_invalid_frame_makes_its_sequence_invalid(device: torch.device) -> None:
    arguments = augment_arguments(3, give=("bone_rotation",), device=device, frames=4)
    arguments["pose_3d"][1, 3, 2, 2] = math.nan
    leaf = arguments["pose_3d"].requires_grad_()
    result = ops.augment(**arguments)
    assert result.valid.tolist() == [True, False, True]
    assert not result.pose_3d[1].any() and not result.pose_2d[1].any()
    (gradient,) = torch.autograd.grad(result.pose_2d.sum(), leaf)
    assert not gradient[1].any() and gradient[0].any()


def test_a_shared_parameter_gathers_no_nan_from_an_invalid_pose(device: torch.device) -> None:
    arguments = augment_arguments(
        40, give=("bone_rotation", "shared_parameters", "shared_camera"), device=device
    )
    arguments["pose_3d"][7] = math.nan
    leaf = arguments["bone_rotation"].requires_grad_()
    (gradient,) = torch.autograd.grad(ops.augment(**arguments).pose_2d.sum(), leaf)
    assert gradient.isfinite().all() and gradient.any()


def test_a_zero_length_bone_stays_so_with_zero_gradient_through_its_rotation(
    device: torch.device, dtype: torch.dtype
) -> None:
    arguments = augment_arguments(3, give=("bone_rotation", "bone_scale"), dtype=dtype, device=device)
    skeleton = arguments["skeleton"]
    head = skeleton.joint("head_top")
    arguments["pose_3d"][:, head] = arguments["pose_3d"][:, skeleton.parents[head]]
    rotation = arguments["bone_rotation"].requires_grad_()
    result = ops.augment(**arguments)
    assert torch.equal(result.pose_3d[:, head], result.pose_3d[:, skeleton.parents[head]])
    (gradient,) = torch.autograd.grad(result.pose_2d.sum(), rotation)
    assert not gradient[:, head - 1].any() and gradient[:, head - 2].any()


@pytest.mark.parametrize("angle", [0.0, 1e-20, 1e-8, 1e-4, math.pi, 2 * math.pi, 6 * math.pi, 1000.0])
@pytest.mark.parametrize("propagate", [False, True], ids=["alone", "propagated"])
def test_special_angles_have_right_and_finite_gradients(
    angle: float, propagate: bool, device: torch.device
) -> None:
    arguments = augment_arguments(2, give=(), dtype=torch.float64, device=device)
    axis = torch.randn(2, 15, 3, dtype=torch.float64, device=device)
    rotation = (angle * axis / axis.norm(dim=-1, keepdim=True)).requires_grad_()

    def joints(w: Tensor) -> Tensor:
        return ops.augment(**arguments, bone_rotation=w, propagate=propagate).pose_3d

    assert torch.autograd.gradcheck(joints, (rotation,), eps=1e-6, atol=1e-5)


def test_an_index_out_of_range_is_an_invalid_pose(device: torch.device) -> None:
    arguments = augment_arguments(6, device=device, rows=4)
    arguments["placement_index"][1], arguments["placement_index"][4] = 4, -1
    result = ops.augment(**arguments)
    assert result.valid.tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize("frames", [None, 3])
def test_an_empty_batch_gives_empty_results_and_gradients(
    frames: int | None, device: torch.device, dtype: torch.dtype
) -> None:
    arguments = augment_arguments(
        0, give=("bone_rotation", "placement"), dtype=dtype, device=device, frames=frames
    )
    leaf = arguments["bone_rotation"].requires_grad_()
    result = ops.augment(**arguments)
    lead = (0,) if frames is None else (0, frames)
    assert result.pose_3d.shape == (*lead, 16, 3) and result.pose_2d.shape == (*lead, 16, 2)
    assert result.valid.shape == (0,)
    (gradient,) = torch.autograd.grad(result.pose_2d.sum(), leaf)
    assert gradient.shape == leaf.shape


def test_an_empty_batch_gives_a_shared_parameter_a_zero_gradient(device: torch.device) -> None:
    arguments = augment_arguments(0, give=("bone_rotation",), device=device)
    leaf = torch.ones(1, 15, 3, device=device, requires_grad=True)
    result = ops.augment(**{**arguments, "bone_rotation": leaf})
    (gradient,) = torch.autograd.grad(result.pose_2d.sum(), leaf)
    assert gradient.shape == (1, 15, 3) and not gradient.any()
