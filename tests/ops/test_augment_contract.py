"""What the op promises besides its values: autograd, compilation, errors, repeatability."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from poseda import ops
from poseda.ops._arguments import DIFFERENTIABLE
from poseda.ops._arguments import augment as record
from poseda.ops._native import INSTRUCTION_SETS
from poseda.ops.samples import augment_arguments

EVERYTHING = (
    "bone_rotation",
    "group_scale",
    "body_rotation",
    "placement",
    "placement_index",
    "distortion",
    "aspect",
)
SEQUENCE = ("bone_rotation", "bone_scale", "body_rotation", "root", "distortion")


@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("gpa", ["closed_form", "exact"])
def test_opcheck(gpa: str, frames: int | None, device: torch.device) -> None:
    arguments = augment_arguments(
        5, give=EVERYTHING, dtype=torch.float64, device=device, frames=frames, rows=4
    )
    inputs = record(**arguments, gpa=gpa)
    leaves = [v.requires_grad_() if isinstance(v, Tensor) and v.is_floating_point() else v for v in inputs]
    torch.library.opcheck(torch.ops.poseda.augment.default, tuple(leaves))
    pose_3d, pose_2d, valid = torch.ops.poseda.augment.default(*inputs)
    backward = (
        torch.randn_like(pose_3d),
        torch.randn_like(pose_2d),
        valid,
        pose_3d.detach() if gpa == "exact" else None,
        511,
        *(v.detach() if isinstance(v, Tensor) else v for v in inputs),
    )
    torch.library.opcheck(torch.ops.poseda.augment_backward.default, backward)


CASES = {
    "method": {"give": EVERYTHING},
    "exact": {"give": ("bone_rotation", "placement", "joint_mask"), "gpa": "exact"},
    "exact lens": {"give": ("bone_rotation", "placement", "distortion"), "gpa": "exact"},
    "propagated": {"give": ("bone_rotation", "bone_scale", "distortion"), "propagate": True},
    "sequence": {"give": SEQUENCE, "frames": 3},
    "shared": {"give": ("bone_rotation", "body_rotation", "shared_parameters", "shared_camera", "placement")},
}


@pytest.mark.parametrize("case", CASES)
def test_gradcheck_on_the_shipped_kernels(case: str, device: torch.device) -> None:
    settings = dict(CASES[case])
    drawn = {"give": settings.pop("give"), "frames": settings.pop("frames", None)}
    arguments = augment_arguments(3, dtype=torch.float64, device=device, rows=2, **drawn)
    names = [k for k, v in arguments.items() if isinstance(v, Tensor) and v.is_floating_point()]
    camera = arguments["camera"]
    lens = [name for name in ("focal", "center", "distortion") if getattr(camera, name) is not None]
    leaves = [arguments[name].requires_grad_() for name in names]
    leaves += [getattr(camera, name).requires_grad_() for name in lens]

    def call(*values: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip([*names, *lens], values, strict=True))
        seen = replace(camera, **{name: given.pop(name) for name in lens})
        result = ops.augment(**{**arguments, **given, "camera": seen}, **settings)
        assert result.valid.all()
        return result.pose_3d, result.pose_2d

    assert torch.autograd.gradcheck(call, leaves, nondet_tol=0.0)


def test_only_gradients_that_are_wanted_are_computed(device: torch.device) -> None:
    arguments = augment_arguments(4, give=EVERYTHING, device=device, rows=3)
    inputs = record(**arguments)
    pose_3d, pose_2d, valid = torch.ops.poseda.augment.default(*inputs)
    for bit, name in enumerate(DIFFERENTIABLE):
        results = torch.ops.poseda.augment_backward.default(pose_3d, pose_2d, valid, None, 1 << bit, *inputs)
        computed = {other for other, value in zip(DIFFERENTIABLE, results, strict=True) if value is not None}
        assert computed == ({name} if name != "root" else set())


@pytest.mark.parametrize(
    ("name", "give"),
    [
        ("bone_rotation", ("bone_rotation",)),
        ("bone_rotation", ("bone_rotation", "shared_parameters")),
        ("placement", ("placement", "placement_index")),
    ],
    ids=["of each pose", "shared", "of a table"],
)
def test_a_second_derivative_is_refused_by_name(
    name: str, give: tuple[str, ...], device: torch.device
) -> None:
    arguments = augment_arguments(2, give=give, device=device, rows=3)
    leaf = arguments[name].requires_grad_()
    (first,) = torch.autograd.grad(ops.augment(**arguments).pose_2d.sum(), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match=r"poseda::.*: the second derivative is not implemented"):
        (first.sum() + leaf.sum()).backward()


def test_forward_mode_is_refused_by_name() -> None:
    arguments = augment_arguments(3)
    with forward_ad.dual_level():
        arguments["pose_3d"] = forward_ad.make_dual(
            arguments["pose_3d"], torch.ones_like(arguments["pose_3d"])
        )
        with pytest.raises(RuntimeError, match=r"poseda::augment: forward-mode .* is not implemented"):
            ops.augment(**arguments)


@pytest.mark.parametrize(
    ("name", "give"),
    [
        ("pose_3d", ("bone_rotation", "placement", "distortion")),
        ("bone_rotation", ("bone_rotation", "shared_parameters")),
        ("placement", ("placement", "placement_index")),
    ],
    ids=["of each pose", "shared", "of a table"],
)
def test_gradients_by_function_transforms_are_the_same(
    name: str, give: tuple[str, ...], device: torch.device
) -> None:
    arguments = augment_arguments(4, give=give, device=device, rows=3)
    leaf = arguments.pop(name)

    def call(leaf: Tensor) -> Tensor:
        return ops.augment(**arguments, **{name: leaf}).pose_2d

    wanted = leaf.clone().requires_grad_()
    (expected,) = torch.autograd.grad(call(wanted).square().sum(), wanted)
    assert torch.equal(torch.func.grad(lambda leaf: call(leaf).square().sum())(leaf), expected)
    screen, pull_back = torch.func.vjp(call, leaf)
    assert torch.equal(pull_back(2 * screen)[0], expected)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            lambda call, pose: torch.func.vmap(call)(pose),
            "augment: vmap is not implemented; the op is batched",
        ),
        (
            lambda call, pose: torch.func.jvp(call, (pose,), (pose,)),
            "augment: forward-mode differentiation is",
        ),
        (lambda call, pose: torch.func.jacrev(call)(pose), "augment_backward: vmap is not implemented"),
        (
            lambda call, pose: torch.func.grad(lambda x: torch.func.grad(call)(x).sum())(pose),
            "augment_backward: the second derivative is not implemented",
        ),
    ],
    ids=["vmap", "jvp", "jacrev", "grad of grad"],
)
def test_other_function_transforms_are_refused_by_name(
    transform: Any, message: str, device: torch.device
) -> None:
    arguments = augment_arguments(2, give=("shared_camera",), device=device)
    pose = arguments.pop("pose_3d")

    def call(poses: Tensor) -> Tensor:
        return ops.augment(poses.reshape(-1, 16, 3), **arguments).pose_2d.square().sum()

    with pytest.raises(RuntimeError, match=f"poseda::{message}"):
        transform(call, pose)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_and_returned_as_float32(
    half: torch.dtype, device: torch.device
) -> None:
    arguments = augment_arguments(4, give=("bone_rotation", "placement"), device=device)
    rotation = arguments["bone_rotation"].to(half).requires_grad_()
    result = ops.augment(**{**arguments, "bone_rotation": rotation})
    assert result.pose_3d.dtype == torch.float32
    expected = ops.augment(**{**arguments, "bone_rotation": rotation.detach().float()})
    assert torch.equal(result.pose_2d, expected.pose_2d)
    (gradient,) = torch.autograd.grad(result.pose_2d.sum(), rotation)
    assert gradient.dtype == half
    with torch.autocast(device.type, dtype=torch.bfloat16):
        assert torch.equal(ops.augment(**arguments).pose_2d, ops.augment(**arguments).pose_2d.float())


def test_inputs_are_left_as_they_were(device: torch.device) -> None:
    """The published placement snippet writes into its inputs."""
    arguments = augment_arguments(5, give=EVERYTHING, device=device, rows=4)
    before = {k: v.clone() for k, v in arguments.items() if isinstance(v, Tensor)}
    ops.augment(**arguments)
    assert all(torch.equal(arguments[name], value) for name, value in before.items())


def test_the_same_bits_for_any_number_of_threads() -> None:
    arguments = augment_arguments(5000, give=(*EVERYTHING, "shared_camera"), rows=50)
    leaves = [arguments[n].requires_grad_() for n in ("bone_rotation", "placement")]
    leaves.append(arguments["camera"].focal.requires_grad_())
    results = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            result = ops.augment(**arguments)
            results.append(
                [*result, *torch.autograd.grad(result.pose_2d.sum() + result.pose_3d.sum(), leaves)]
            )
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


DIGEST = """
import hashlib, torch
from poseda import ops
from poseda.ops.samples import augment_arguments
digest = hashlib.sha256()
for dtype in (torch.float32, torch.float64):
    for gpa in ("closed_form", "exact"):
        for propagate in (False, True):
            arguments = augment_arguments(777, dtype=dtype, rows=31, frames=2)
            names = ("pose_3d", "bone_rotation", "bone_scale", "body_rotation")
            leaves = [arguments[name].requires_grad_() for name in names]
            with torch.no_grad():
                leaves[1][::3] *= 20  # some angles beyond pi
            result = ops.augment(**arguments, gpa=gpa, propagate=propagate)
            gradients = torch.autograd.grad(result.pose_2d.sum() + result.pose_3d.sum(), leaves)
            for value in (*result, *gradients):
                digest.update(value.detach().numpy().tobytes())
print(torch.ops.poseda.instruction_set(), digest.hexdigest())
"""


def test_the_same_bits_for_any_instruction_set() -> None:
    found = {}
    for name in INSTRUCTION_SETS:
        environment = {**os.environ, "POSEDA_CPU_ISA": name}
        run = subprocess.run(
            [sys.executable, "-P", "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        used, digest = run.stdout.split()
        found[used] = digest
    assert "generic" in found and len(set(found.values())) == 1, found


def test_an_unknown_instruction_set_is_refused_by_name() -> None:
    environment = {**os.environ, "POSEDA_CPU_ISA": "sse9"}
    run = subprocess.run(
        [sys.executable, "-P", "-c", "import poseda.ops"], env=environment, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert "POSEDA_CPU_ISA: expected one of generic, avx2, avx512, got 'sse9'" in run.stderr


@pytest.mark.needs_cuda
def test_runs_on_the_current_stream_and_replays_in_a_graph() -> None:
    arguments = augment_arguments(256, device="cuda", rows=64)
    leaf = arguments["bone_rotation"].requires_grad_()

    def step() -> tuple[Tensor, Tensor]:
        result = ops.augment(**arguments)
        return result.pose_2d, torch.autograd.grad(result.pose_2d.sum() + result.pose_3d.sum(), leaf)[0]

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        arguments["pose_3d"].add_(0.01)
    graph.replay()
    for replayed, eager in zip(captured, step(), strict=True):
        assert torch.equal(replayed, eager)


@pytest.mark.needs_cuda
def test_does_not_wait_for_the_device() -> None:
    arguments = augment_arguments(64, device="cuda", rows=16)
    leaf = arguments["bone_rotation"].requires_grad_()
    weight = torch.ones(64, 16, 2, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.autograd.grad(ops.augment(**arguments).pose_2d, leaf, weight)
    finally:
        torch.cuda.set_sync_debug_mode("default")
