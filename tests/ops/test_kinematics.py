"""The small ops beside augment: values by the reference and by hand, gradients, contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry import camera as cameras
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import BUILT_IN, H36M16, Skeleton
from poseda.ops import reference
from poseda.ops.samples import augment_arguments

TensorCheck = Callable[..., None]


def poses(batch: int, skeleton: Skeleton = H36M16, **given: Any) -> Tensor:
    return augment_arguments(batch, skeleton, give=(), **given)["pose_3d"]


# ---- bones and forward kinematics


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


# ---- projection


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


# ---- kinematic chain space


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


# ---- Procrustes


def naive_alignment(prediction: Tensor, target: Tensor) -> Tensor:
    """By singular values, mirrored solutions turned back."""
    p, q = prediction - prediction.mean(1, keepdim=True), target - target.mean(1, keepdim=True)
    u, s, v = torch.linalg.svd(p.transpose(1, 2) @ q)
    sign = torch.ones_like(s)
    sign[:, 2] = torch.det(u @ v).sign()
    scale = (s * sign).sum(-1) / (p * p).sum((1, 2))
    return scale[:, None, None] * (p @ (u * sign[:, None]) @ v) + target.mean(1, keepdim=True)


def test_alignment_is_that_of_singular_values(
    device: torch.device, dtype: torch.dtype, assert_close: TensorCheck
) -> None:
    target = poses(500, dtype=dtype, device=device)
    prediction = target + 0.2 * torch.randn_like(target)
    expected = naive_alignment(prediction.double(), target.double())
    assert_close(
        ops.procrustes_align(prediction, target), expected, atol=2e-6 if dtype == torch.float32 else 1e-12
    )


def test_alignment_undoes_a_similarity(device: torch.device, assert_close: TensorCheck) -> None:
    arguments = augment_arguments(40, give=("body_rotation",), dtype=torch.float64, device=device)
    target = arguments["pose_3d"]
    moved = 2.5 * ops.augment(**arguments).pose_3d + torch.tensor([1.0, -2.0, 3.0], device=device)
    assert_close(ops.procrustes_align(moved, target), target)


def test_a_mirrored_pose_is_turned_never_mirrored(device: torch.device) -> None:
    target = poses(60, dtype=torch.float64, device=device)
    mirrored = target * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64, device=device)
    aligned = ops.procrustes_align(mirrored, target)
    error, naive = (aligned - target).norm(dim=-1), (naive_alignment(mirrored, target) - target).norm(dim=-1)
    assert (error.mean(1) > 0.01).all()
    torch.testing.assert_close((error**2).sum(1), (naive**2).sum(1))


@pytest.mark.parametrize("way", ["collinear", "point", "flat", "both points", "tiny", "huge"])
def test_alignment_of_poses_without_three_dimensions_is_finite_and_best(
    way: str, device: torch.device
) -> None:
    target = poses(5, dtype=torch.float64, device=device) - torch.tensor([0, 0, 5.0], device=device)
    prediction = target.clone()
    if way == "collinear":
        prediction = target[..., :1] * torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64, device=device)
    elif way == "point":
        prediction = torch.ones_like(target)
    elif way == "flat":
        prediction[..., 2] = 0
    elif way == "both points":
        prediction, target = torch.ones_like(target), torch.zeros_like(target)
    else:
        prediction = target * (1e-30 if way == "tiny" else 1e30)
    aligned = ops.procrustes_align(prediction, target)
    assert aligned.isfinite().all()
    if way in ("point", "both points"):
        torch.testing.assert_close(aligned, target.mean(1, keepdim=True).expand_as(target))
    elif way in ("tiny", "huge"):
        torch.testing.assert_close(aligned, target)
    else:
        ours = ((aligned - target) ** 2).sum((1, 2))
        naive = ((naive_alignment(prediction, target) - target) ** 2).sum((1, 2))
        assert (ours <= naive * (1 + 1e-9)).all()


# ---- contract


def test_opcheck_of_every_sibling(device: torch.device) -> None:
    op, parents = torch.ops.poseda, list(H36M16.parents)
    rows = poses(3, dtype=torch.float64, device=device)
    for inverse in (False, True):
        for transpose in (False, True):
            torch.library.opcheck(
                op.tree_transform.default, (rows.requires_grad_(), parents, inverse, transpose)
            )
    camera = torch.rand(3, 9, dtype=torch.float64, device=device).requires_grad_()
    points = rows.detach().view(3, 1, 16, 3).requires_grad_()
    torch.library.opcheck(op.project.default, (points, camera, True))
    grad = torch.rand(3, 1, 16, 2, dtype=torch.float64, device=device)
    torch.library.opcheck(op.project_backward.default, (grad, points.detach(), camera.detach(), True))
    parts = [list(part) for part in H36M16.parts.values()]
    chain = (parents, [bone for part in parts for bone in part], [len(part) for part in parts])
    features = op.kinematic_chain_space.default(rows, *chain)
    torch.library.opcheck(op.kinematic_chain_space.default, (rows, *chain))
    torch.library.opcheck(
        op.kinematic_chain_space_backward.default, (torch.rand_like(features), rows.detach(), *chain)
    )
    torch.library.opcheck(op.procrustes_align.default, (rows.detach(), rows.detach() + 1))


def test_gradcheck_of_every_sibling(device: torch.device) -> None:
    pose = poses(2, dtype=torch.float64, device=device).requires_grad_()
    lens = torch.tensor([[-0.2, 0.24, -0.002, -0.001, -0.003]], dtype=torch.float64, device=device)
    focal = torch.full((1, 2), 2.3, dtype=torch.float64, device=device)

    def screen(points: Tensor, f: Tensor, d: Tensor) -> Tensor:
        return ops.project(points, Camera(f, torch.zeros_like(f), d))

    assert torch.autograd.gradcheck(screen, (pose, focal.requires_grad_(), lens.requires_grad_()))
    assert torch.autograd.gradcheck(lambda x: ops.kinematic_chain_space(x, H36M16), (pose,))


def test_siblings_compile_to_one_graph(device: torch.device) -> None:
    pose = poses(4, device=device)
    lens = augment_arguments(4, give=("distortion",), device=device)["camera"]

    def everything(value: Tensor) -> tuple[Tensor, ...]:
        bones = ops.bones(value, H36M16)
        return (
            ops.forward_kinematics(value[:, 0], bones, H36M16),
            ops.project(value, lens),
            ops.kinematic_chain_space(value, H36M16),
            ops.procrustes_align(value, value.flip(0)),
        )

    for eager, compiled in zip(
        everything(pose), torch.compile(everything, fullgraph=True)(pose), strict=True
    ):
        assert torch.equal(eager, compiled)


@pytest.mark.parametrize("op", ["kinematic_chain_space", "project"])
def test_second_derivatives_are_refused_by_name(op: str, device: torch.device) -> None:
    pose = poses(2, device=device).requires_grad_()
    lens = augment_arguments(2, give=(), device=device)["camera"]
    value = ops.project(pose, lens) if op == "project" else ops.kinematic_chain_space(pose, H36M16)
    (first,) = torch.autograd.grad(value.sum(), pose, create_graph=True)
    with pytest.raises(
        RuntimeError, match=f"poseda::{op}_backward: the second derivative is not implemented"
    ):
        first.sum().backward()


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
        (
            lambda: ops.project(torch.ones(2, 65, 3), Camera(torch.ones(1, 2), torch.ones(1, 2))),
            ValueError,
            r"points: expected shape .* P = 1 to 64",
        ),
        (
            lambda: ops.project(torch.ones(2, 5, 3), Camera(torch.ones(3, 2), torch.ones(3, 2))),
            ValueError,
            "camera: expected 2 rows or 1, got 3",
        ),
        (
            lambda: ops.procrustes_align(torch.ones(2, 16, 3), torch.ones(2, 17, 3)),
            ValueError,
            r"target: expected shape \(2, 16, 3\), got \(2, 17, 3\)",
        ),
        (
            lambda: ops.procrustes_align(torch.ones(2, 16, 3), torch.ones(2, 16, 3).double()),
            TypeError,
            "target: expected torch.float32 on cpu",
        ),
    ],
)
def test_a_wrong_argument_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_half_precision_becomes_float32(device: torch.device) -> None:
    pose = poses(2, device=device).half()
    assert ops.bones(pose, H36M16).dtype == torch.float32
    assert ops.kinematic_chain_space(pose, H36M16).dtype == torch.float32
    lens = augment_arguments(2, give=("distortion",), device=device)["camera"]
    assert ops.project(pose, lens.to(torch.float16)).dtype == torch.float32
