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
from poseda.geometry.skeleton import H36M16
from poseda.ops import reference
from poseda.ops._arguments import AugmentArguments
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


def flat(arguments: dict[str, Any], exact: bool = False, propagate: bool = False) -> tuple[Any, ...]:
    """The op's own arguments for a public call's."""
    camera = arguments["camera"]
    lens = {name: getattr(camera, name) for name in ("focal", "center", "distortion", "aspect")}
    tensors = AugmentArguments(*({**arguments, **lens}.get(name) for name in AugmentArguments._fields))
    scale = arguments.get("bone_scale")
    grouped = scale is not None and scale.shape[-1] == H36M16.num_groups
    groups = list(H36M16.bone_groups) if grouped else []
    return (*tensors, list(H36M16.parents), groups, propagate, exact, 0.1, False)


@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("gpa", ["closed_form", "exact"])
def test_opcheck(gpa: str, frames: int | None, device: torch.device) -> None:
    arguments = augment_arguments(
        5, give=EVERYTHING, dtype=torch.float64, device=device, frames=frames, rows=4
    )
    inputs = flat(arguments, exact=gpa == "exact")
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


def test_opcheck_of_the_sums(device: torch.device) -> None:
    rows = torch.randn(300, 4, dtype=torch.float64, device=device)
    torch.library.opcheck(torch.ops.poseda.sum_rows.default, (rows,))
    index = torch.randint(0, 7, (300,), device=device)
    sorted_index, order = torch.sort(index, stable=True)
    torch.library.opcheck(torch.ops.poseda.sum_picked_rows.default, (rows, sorted_index, order, 7))
    sums = torch.ops.poseda.sum_picked_rows(rows, sorted_index, order, 7)
    torch.testing.assert_close(sums, torch.zeros(7, 4).to(rows).index_add_(0, index, rows))
    torch.testing.assert_close(torch.ops.poseda.sum_rows(rows), rows.sum(0, keepdim=True))
    # An order that points outside adds nothing and reads nothing.
    wild = torch.full_like(order, 10**9)
    assert not torch.ops.poseda.sum_picked_rows(rows, sorted_index, wild, 7).any()


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
    inputs = flat(arguments)
    pose_3d, pose_2d, valid = torch.ops.poseda.augment.default(*inputs)
    names = (
        "pose_3d",
        "focal",
        "center",
        "distortion",
        "bone_rotation",
        "bone_scale",
        "body_rotation",
        "root",
        "placement",
    )
    for bit, name in enumerate(names):
        results = torch.ops.poseda.augment_backward.default(pose_3d, pose_2d, valid, None, 1 << bit, *inputs)
        computed = {other for other, value in zip(names, results, strict=True) if value.numel()}
        assert computed == ({name} if name != "root" else set())


def test_compiles_to_one_graph_with_the_eager_results(device: torch.device) -> None:
    arguments = augment_arguments(12, give=EVERYTHING, device=device, rows=5)
    leaf = arguments["bone_rotation"].requires_grad_()
    table = arguments["placement"].requires_grad_()

    def step(rotation: Tensor, placement: Tensor) -> tuple[Tensor, ...]:
        return ops.augment(**{**arguments, "bone_rotation": rotation, "placement": placement})

    results = []
    for function in (step, torch.compile(step, fullgraph=True)):
        pose_3d, pose_2d, valid = function(leaf, table)
        results.append(
            [pose_3d, pose_2d, valid, *torch.autograd.grad(pose_3d.sum() + pose_2d.sum(), [leaf, table])]
        )
    for eager, compiled in zip(*results, strict=True):
        assert torch.equal(eager, compiled)


def test_compiles_with_a_dynamic_batch(device: torch.device) -> None:
    compiled = torch.compile(lambda **given: ops.augment(**given).pose_2d, fullgraph=True, dynamic=True)
    for batch in (3, 8, 21):
        arguments = augment_arguments(batch, give=("bone_rotation", "placement"), device=device)
        assert torch.equal(compiled(**arguments), ops.augment(**arguments).pose_2d)


def test_a_second_derivative_is_refused_by_name(device: torch.device) -> None:
    arguments = augment_arguments(2, give=("bone_rotation",), device=device)
    leaf = arguments["bone_rotation"].requires_grad_()
    (first,) = torch.autograd.grad(ops.augment(**arguments).pose_2d.sum(), leaf, create_graph=True)
    with pytest.raises(
        RuntimeError, match=r"poseda::augment_backward: the second derivative is not implemented"
    ):
        first.sum().backward()


def test_forward_mode_is_refused_by_name() -> None:
    arguments = augment_arguments(3)
    with forward_ad.dual_level():
        arguments["pose_3d"] = forward_ad.make_dual(
            arguments["pose_3d"], torch.ones_like(arguments["pose_3d"])
        )
        with pytest.raises(RuntimeError, match=r"poseda::augment: forward-mode .* is not implemented"):
            ops.augment(**arguments)


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad])
def test_function_transforms_are_refused_by_name(transform: Any, device: torch.device) -> None:
    arguments = augment_arguments(2, give=("shared_camera",), device=device)
    pose = arguments.pop("pose_3d")
    with pytest.raises(
        RuntimeError, match=r"poseda::augment: vmap and other function transforms are not impl"
    ):
        transform(lambda poses: ops.augment(poses.reshape(-1, 16, 3), **arguments).pose_2d.sum())(pose)


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


BAD = {
    "joints": (
        lambda a: {"pose_3d": a["pose_3d"][:, :15]},
        ValueError,
        r"pose_3d: expected shape \(N, 16, 3\)",
    ),
    "rank": (lambda a: {"pose_3d": a["pose_3d"][0]}, ValueError, r"pose_3d: expected shape .* got \(16, 3\)"),
    "bones": (
        lambda a: {"bone_rotation": a["bone_rotation"][:, :4]},
        ValueError,
        r"bone_rotation: expected shape \(5, 15, 3\)",
    ),
    "batch": (
        lambda a: {"body_rotation": a["body_rotation"][:3]},
        ValueError,
        r"body_rotation: expected shape \(5, 3\) .* got \(3, 3\)",
    ),
    "scales": (
        lambda a: {"bone_scale": a["bone_scale"][:, :7]},
        ValueError,
        r"bone_scale: expected shape .*\(5, 9\)",
    ),
    "placement": (
        lambda a: {"placement": a["placement"][:, :3]},
        ValueError,
        r"placement: expected shape \(4, 4\)",
    ),
    "index": (
        lambda a: {"placement_index": a["placement_index"][:2]},
        ValueError,
        r"placement_index: expected shape \(5,\)",
    ),
    "index dtype": (
        lambda a: {"placement_index": a["placement_index"].int()},
        TypeError,
        r"placement_index: expected a dense int64 tensor",
    ),
    "index alone": (lambda a: {"placement": None}, ValueError, r"placement_index: picks rows of placement"),
    "root and placement": (
        lambda a: {"root": torch.ones(5, 3)},
        ValueError,
        r"root: cannot be given together with placement",
    ),
    "mask": (
        lambda a: {"joint_mask": torch.ones(5, 15, dtype=torch.bool)},
        ValueError,
        r"joint_mask: expected shape \(5, 16\)",
    ),
    "mask dtype": (
        lambda a: {"joint_mask": torch.ones(5, 16)},
        TypeError,
        r"joint_mask: expected a dense bool tensor",
    ),
    "dtype": (
        lambda a: {"bone_rotation": a["bone_rotation"].double()},
        TypeError,
        r"dtypes: .*torch.float32, torch.float64",
    ),
    "integers": (
        lambda a: {"bone_rotation": a["bone_rotation"].long()},
        TypeError,
        r"bone_rotation: expected a dense floating-point tensor, got torch.int64",
    ),
    "sparse": (
        lambda a: {"bone_rotation": a["bone_rotation"].to_sparse()},
        TypeError,
        r"bone_rotation: expected a dense floating-point tensor, got torch.float32, torch.sparse_coo",
    ),
    "flag": (
        lambda a: {"propagate": "yes"},
        TypeError,
        r"propagate: expected True or False, got 'yes'",
    ),
    "min_depth": (
        lambda a: {"min_depth": float("nan")},
        ValueError,
        r"min_depth: expected at least 0 metres, got nan",
    ),
    "list": (lambda a: {"pose_3d": [1.0]}, TypeError, r"pose_3d: expected a tensor, got list"),
    "gpa": (lambda a: {"gpa": "fast"}, ValueError, r"gpa: expected one of closed_form, exact, got 'fast'"),
    "camera": (
        lambda a: {"camera": a["camera"].rows(torch.arange(3))},
        ValueError,
        r"camera.focal: expected shape \(4, 2\)",
    ),
    "skeleton": (
        lambda a: {"skeleton": "h36m16"},
        TypeError,
        r"skeleton: expected a poseda.geometry.skeleton.Skeleton, got str",
    ),
    "no frames": (
        lambda a: {"pose_3d": torch.ones(5, 0, 16, 3)},
        ValueError,
        r"pose_3d: expected at least one frame",
    ),
    "aspect": (
        lambda a: {"require_in_frame": True, "camera": replace(a["camera"], aspect=None)},
        ValueError,
        r"require_in_frame: needs camera.aspect",
    ),
}


@pytest.mark.parametrize("function", [ops.augment, reference.augment], ids=["ops", "reference"])
@pytest.mark.parametrize("way", BAD)
def test_a_wrong_argument_is_named_with_what_was_expected_and_what_came(way: str, function: Any) -> None:
    change, error, message = BAD[way]
    arguments = augment_arguments(5, give=EVERYTHING, rows=4)
    with pytest.raises(error, match=message):
        function(**{**arguments, **change(arguments)})


@pytest.mark.parametrize("field", [0, 1, 5, 6, 7, 9, 10])
def test_fake_and_real_kernels_refuse_the_same_shapes(field: int) -> None:
    """Straight at the dispatcher, past the public function."""
    inputs = list(flat(augment_arguments(5, give=EVERYTHING, rows=4)))
    inputs[field] = inputs[field][..., :-1]
    with pytest.raises(RuntimeError, match=r"(un)?expected"):
        torch.ops.poseda.augment.default(*inputs)
    meta = [v.to("meta") if isinstance(v, Tensor) else v for v in inputs]
    with pytest.raises((ValueError, RuntimeError), match="expected"):
        torch.ops.poseda.augment.default(*meta)


def test_a_malformed_tree_is_refused_by_the_op_itself() -> None:
    inputs = list(flat(augment_arguments(2, give=())))
    inputs[12] = [-1, 0, 7, *H36M16.parents[3:]]
    with pytest.raises(RuntimeError, match="topological order"):
        torch.ops.poseda.augment.default(*inputs)


def test_sizes_that_no_memory_stands_behind_are_refused_or_cost_nothing() -> None:
    inputs = list(flat(augment_arguments(1, give=(), frames=1)))
    inputs[0] = inputs[0].expand(1, 2**32, -1, -1)
    valid = torch.ones(1, dtype=torch.bool)
    with pytest.raises(RuntimeError, match=r"pose_3d: expected 1 to 2\^31 - 1 frames"):
        torch.ops.poseda.augment_backward.default(None, None, valid, None, 0, *inputs)
    assert torch.ops.poseda.sum_rows(torch.empty(2**40, 0)).shape == (1, 0)
    poses = torch.zeros(1, 3, 3).expand(2**40, 3, 3)
    assert torch.ops.poseda.kinematic_chain_space(poses, [-1, 0, 1], [], []).shape == (2**40, 0)
    with pytest.raises(RuntimeError, match=r"rows: unexpected shape \(\)"):
        torch.ops.poseda.tree_transform(torch.tensor(0.0), [-1, 0], False, False)


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
