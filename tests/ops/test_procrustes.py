"""Procrustes alignment: values by singular values, hard cases, contract."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from fresh import run_fresh
from torch import Tensor
from torch.autograd import forward_ad

from poseda import ops
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.ops.samples import augment_arguments

TensorCheck = Callable[..., None]


def poses(batch: int, skeleton: Skeleton = H36M16, **given: Any) -> Tensor:
    return augment_arguments(batch, skeleton, give=(), **given)["pose_3d"]


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


@pytest.mark.parametrize("name", ["prediction", "target"])
def test_a_pose_that_wants_a_gradient_is_refused_with_the_remedy(name: str, device: torch.device) -> None:
    given = {"prediction": poses(3, device=device), "target": poses(3, device=device, seed=1)}
    expected = ops.procrustes_align(**given)
    given[name].requires_grad_()
    message = f"{name}: requires a gradient, which procrustes_align does not have; pass {name}.detach()"
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.procrustes_align(**given)
    with torch.no_grad():
        assert torch.equal(ops.procrustes_align(**given), expected)


def refused_under_compile() -> None:
    import torch

    from poseda import ops

    pose = torch.randn(3, 16, 3, requires_grad=True)
    try:
        torch.compile(ops.procrustes_align, fullgraph=True)(pose, pose.detach())
    except RuntimeError as error:
        assert "prediction: requires a gradient" in str(error)
    else:
        raise AssertionError("a gradient was lost silently")


def test_a_pose_that_wants_a_gradient_is_refused_under_compile() -> None:
    run_fresh(refused_under_compile)


def test_opcheck(device: torch.device) -> None:
    rows = poses(3, dtype=torch.float64, device=device)
    torch.library.opcheck(torch.ops.poseda.procrustes_align.default, (rows, rows + 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
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


def test_forward_mode_is_refused_by_name():
    target, pose = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="procrustes_align: forward-mode"):
        ops.procrustes_align(forward_ad.make_dual(pose, torch.ones_like(pose)), target)
    with pytest.raises(RuntimeError, match="procrustes_align: forward-mode"):
        torch.func.jvp(lambda x: ops.procrustes_align(x, target), (pose,), (torch.ones_like(pose),))
