"""Bones, forward kinematics and kinematic chain space: values, gradients, contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import BUILT_IN, COCO17, H36M16, Skeleton
from poseda.ops import reference
from poseda.ops.samples import augment_arguments

TensorCheck = Callable[..., None]


def poses(batch: int, skeleton: Skeleton = H36M16, **given: Any) -> Tensor:
    return augment_arguments(batch, skeleton, give=(), **given)["pose_3d"]


@pytest.mark.parametrize("skeleton", BUILT_IN.values(), ids=BUILT_IN)
@pytest.mark.parametrize("batch", [0, 1, 37])
def test_bones_and_forward_kinematics_are_the_references(
    batch: int, skeleton: Skeleton, device: torch.device, dtype: torch.dtype, assert_close: TensorCheck
) -> None:
    pose = poses(batch, skeleton, dtype=dtype, device=device)
    bones = ops.bones(pose, skeleton)
    assert torch.equal(bones, reference.bones(pose, skeleton))
    joints = ops.forward_kinematics(pose[:, 0], bones, skeleton)
    assert_close(joints, pose)


def test_any_leading_dimensions(device: torch.device) -> None:
    pose = poses(6, device=device).view(2, 3, 16, 3)
    assert ops.bones(pose, H36M16).shape == (2, 3, 15, 3)
    assert ops.bones(pose[0, 0], H36M16).shape == (15, 3)
    assert ops.forward_kinematics(pose[:, :, 0], ops.bones(pose, H36M16), H36M16).shape == pose.shape


def test_tree_maps_differentiate_twice(device: torch.device) -> None:
    pose = poses(2, dtype=torch.float64, device=device).requires_grad_()

    def squares(value: Tensor) -> Tensor:
        bones = ops.bones(value, H36M16)
        return (ops.forward_kinematics(value[:, 0], bones * bones, H36M16) ** 2).sum()

    assert torch.autograd.gradcheck(squares, (pose,))
    assert torch.autograd.gradgradcheck(squares, (pose,))


def naive_features(pose: Tensor, skeleton: Skeleton) -> Tensor:
    bones = reference.bones(pose, skeleton)
    unit = bones / bones.norm(dim=-1, keepdim=True)
    cosines = []
    for part in skeleton.parts.values():
        for first, a in enumerate(part):
            for b in part[first + 1 :]:
                cosines.append((unit[:, a] * unit[:, b]).sum(-1))
    return torch.stack(cosines, -1)


@pytest.mark.parametrize("skeleton", BUILT_IN.values(), ids=BUILT_IN)
def test_chain_features_are_cosines_between_bones_of_a_part(
    skeleton: Skeleton,
    device: torch.device,
    dtype: torch.dtype,
    assert_close: TensorCheck,
    assert_gradient_close: TensorCheck,
) -> None:
    results = []
    for function, kind in ((ops.kinematic_chain_space, dtype), (naive_features, torch.float64)):
        pose = poses(21, skeleton, dtype=kind, device=device).requires_grad_()
        features = function(pose, skeleton)
        weight = torch.linspace(-1, 1, features.numel(), device=device, dtype=kind).view(features.shape)
        results.append((features, torch.autograd.grad((features * weight).sum(), pose)[0]))
    assert_close(results[0][0], results[1][0])
    assert_gradient_close(results[0][1], results[1][1])


def test_chain_features_are_blind_to_rotation_and_length(
    device: torch.device, assert_close: TensorCheck
) -> None:
    arguments = augment_arguments(8, give=("body_rotation", "bone_scale"), dtype=torch.float64, device=device)
    changed = ops.augment(**arguments).pose_3d
    before = ops.kinematic_chain_space(arguments["pose_3d"], H36M16)
    assert_close(ops.kinematic_chain_space(changed, H36M16), before)


def test_a_bone_without_length_has_no_cosine_and_no_gradient(device: torch.device) -> None:
    pose = poses(2, device=device)
    head = H36M16.joint("head_top")
    pose[:, head] = pose[:, H36M16.parents[head]]
    pose.requires_grad_()
    features = ops.kinematic_chain_space(pose, H36M16)
    (gradient,) = torch.autograd.grad(features.sum(), pose)
    assert features.isfinite().all() and gradient.isfinite().all()
    assert not gradient[:, head].any()


def test_opcheck_of_tree_transforms(device: torch.device) -> None:
    rows = poses(3, dtype=torch.float64, device=device).requires_grad_()
    for inverse in (False, True):
        for transpose in (False, True):
            call = (rows, list(H36M16.parents), inverse, transpose)
            torch.library.opcheck(torch.ops.poseda.tree_transform.default, call)


def test_opcheck_of_kinematic_chain_space(device: torch.device) -> None:
    op, rows = torch.ops.poseda, poses(3, dtype=torch.float64, device=device)
    chain = (list(H36M16.parents), list(H36M16.part_bones), list(H36M16.part_sizes))
    features = op.kinematic_chain_space.default(rows, *chain)
    torch.library.opcheck(op.kinematic_chain_space.default, (rows.clone().requires_grad_(), *chain))
    backward = (torch.rand_like(features), rows, *chain)
    torch.library.opcheck(op.kinematic_chain_space_backward.default, backward)


def test_gradcheck_of_chain_features(device: torch.device) -> None:
    pose = poses(2, dtype=torch.float64, device=device).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ops.kinematic_chain_space(x, H36M16), (pose,))


@pytest.mark.parametrize(
    "skeleton",
    [H36M16, COCO17, Skeleton.declare("stick", {"root": None, "tip": "root"})],
    ids=lambda skeleton: skeleton.name,
)
def test_second_derivatives_of_chain_features(skeleton: Skeleton, device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(2, skeleton.num_joints, 3, dtype=torch.float64, generator=generator).to(device)
    assert torch.autograd.gradgradcheck(
        lambda x: ops.kinematic_chain_space(x, skeleton), (pose.requires_grad_(),)
    )


def test_gradients_with_a_graph_are_those_of_the_kernel(device: torch.device, dtype: torch.dtype) -> None:
    """Gradient penalties take the gradient with create_graph=True, which is not the kernel's."""
    pose = poses(5, dtype=dtype, device=device)
    head = H36M16.joint("head_top")
    pose[0, head] = pose[0, H36M16.parents[head]]  # a bone without length
    pose.requires_grad_()
    for function in (
        lambda: ops.kinematic_chain_space(pose, H36M16),
        lambda: ops.bones(pose, H36M16),
        lambda: ops.forward_kinematics(pose[:, 0], pose[:, 1:], H36M16),
    ):
        (expected,) = torch.autograd.grad(function().square().sum(), pose)
        (actual,) = torch.autograd.grad(function().square().sum(), pose, create_graph=True)
        torch.testing.assert_close(actual, expected)
        (second,) = torch.autograd.grad(actual.square().sum(), pose)
        assert second.isfinite().all() and second.any()


@pytest.mark.parametrize("scale", [1e-15, 1e-18, 1e-21, 1e-25])
def test_gradients_with_a_graph_are_finite_at_any_scale(scale: float, device: torch.device) -> None:
    pose = (scale * poses(5, device=device)).requires_grad_()
    features = ops.kinematic_chain_space(pose, H36M16).sum()
    (expected,) = torch.autograd.grad(features, pose, retain_graph=True)
    (actual,) = torch.autograd.grad(features, pose, create_graph=True)
    assert actual.isfinite().all()
    if scale > 1e-20:  # below, the kernel's squared lengths have few digits left
        torch.testing.assert_close(scale * actual, scale * expected)


def test_a_gradient_penalty_trains_a_critic(device: torch.device) -> None:
    pose = poses(8, device=device).requires_grad_()
    critic = torch.nn.Linear(33, 1).to(device)
    score = critic(ops.kinematic_chain_space(pose, H36M16))
    (slope,) = torch.autograd.grad(score.sum(), pose, create_graph=True)
    slope.flatten(1).norm(dim=1).sub(1).square().mean().backward()
    assert critic.weight.grad is not None and critic.weight.grad.any() and pose.grad is not None


@pytest.mark.parametrize("function", ["bones", "forward_kinematics", "kinematic_chain_space", "project"])
def test_gradients_by_function_transforms_are_the_same(function: str, device: torch.device) -> None:
    pose = poses(3, dtype=torch.float64, device=device) + 5
    lens = torch.tensor([[-0.2, 0.24, -0.002, -0.001, -0.003]], dtype=torch.float64, device=device)
    camera = Camera(torch.full_like(lens[:, :2], 2.3), torch.zeros_like(lens[:, :2]), lens)
    call: Callable[[torch.Tensor], torch.Tensor] = {
        "bones": lambda x: ops.bones(x, H36M16),
        "forward_kinematics": lambda x: ops.forward_kinematics(x[:, 0], x[:, 1:], H36M16),
        "kinematic_chain_space": lambda x: ops.kinematic_chain_space(x, H36M16),
        "project": lambda x: ops.project(x, camera),
    }[function]

    def loss(x: torch.Tensor) -> torch.Tensor:
        return call(x).sin().sum()

    leaf = pose.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    (second,) = torch.autograd.grad(expected.square().sum(), leaf)
    torch.testing.assert_close(torch.func.grad(loss)(pose), expected.detach())
    value, pull_back = torch.func.vjp(call, pose)
    torch.testing.assert_close(pull_back(value.cos())[0], expected.detach())
    twice = torch.func.grad(lambda x: torch.func.grad(loss)(x).square().sum())(pose)
    torch.testing.assert_close(twice, second)
    with pytest.raises(
        RuntimeError, match=r"poseda::\w+: vmap is not implemented; the op is batched, use its"
    ):
        torch.func.vmap(lambda x: call(x[None]))(pose)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.bones(torch.ones(2, 15, 3), H36M16), ValueError, r"pose_3d: expected shape .* P = 16"),
        (
            lambda: ops.bones(torch.ones(2, 16, 3).long(), H36M16),
            TypeError,
            r"pose_3d: expected a dense floating-point",
        ),
        (lambda: ops.bones(torch.ones(2, 16, 3), None), TypeError, r"skeleton: expected .*, got NoneType"),
        (
            lambda: ops.forward_kinematics(torch.ones(3, 3), torch.ones(2, 15, 3), H36M16),
            ValueError,
            r"root: expected shape \(2, 3\), got \(3, 3\)",
        ),
    ],
)
def test_a_wrong_argument_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_batch_that_no_memory_holds_is_refused_in_one_sentence() -> None:
    pose = torch.zeros(1, 16, 3).expand(2**40, 16, 3)
    for function in (ops.bones, ops.kinematic_chain_space):
        with pytest.raises(RuntimeError, match=r"^not enough memory for 1099511627776 poses$"):
            function(pose, H36M16)


def test_features_of_no_parts_take_no_memory() -> None:
    poses = torch.zeros(1, 3, 3).expand(2**40, 3, 3)
    assert torch.ops.poseda.kinematic_chain_space(poses, [-1, 0, 1], [], []).shape == (2**40, 0)


def test_rows_without_dimensions_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"rows: unexpected shape \(\)"):
        torch.ops.poseda.tree_transform(torch.tensor(0.0), [-1, 0], False, False)


def test_half_precision_becomes_float32(device: torch.device) -> None:
    pose = poses(2, device=device).half()
    assert ops.bones(pose, H36M16).dtype == torch.float32
    assert ops.kinematic_chain_space(pose, H36M16).dtype == torch.float32
