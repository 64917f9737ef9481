"""The CUDA kernels, run on the CPU by tests/cuda_emulation in both orders of threads.

The maps from rows to rows do the arithmetic of the CPU, compiled without contraction of a * b + c: they
give its bits. The lanes of an augment kernel share a pose and add in another order: they are compared
with the float64 op, and with themselves bit for bit. On a GPU the same ops are tested against the
reference by the tests that take a ``device``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import poseda.ops  # noqa: F401, registers the ops
from poseda.geometry.skeleton import COCO17, H36M16, H36M17, MPI_INF_3DHP, Skeleton
from poseda.ops import samples
from poseda.ops._arguments import DIFFERENTIABLE, AugmentArguments
from poseda.ops._arguments import augment as record

ROOT = Path(__file__).parents[2]
LIBRARY = "POSEDA_EMULATED_LIBRARY"
"""Environment variable: a compiled library to use instead of compiling one. The sanitizer's run sets it."""

OPS = sorted(
    name.removeprefix("poseda::")
    for name in torch._C._dispatch_get_all_op_names()
    if name.startswith("poseda::") and name != "poseda::instruction_set"
)
ALL_GRADIENTS = (1 << len(DIFFERENTIABLE)) - 1
NAMES = list(DIFFERENTIABLE)
LEARNED = sum(1 << NAMES.index(name) for name in samples.LEARNED)
"""The gradients that a training step wants. Only they, and the source's, have kernels of their own."""
CHAIN64 = samples.CHAIN64
STAR64 = Skeleton.declare("star64", {f"j{i}": "j0" if i else None for i in range(64)})
TREE33 = Skeleton.declare("tree33", {f"j{i}": f"j{(i - 1) * 5 % i}" if i else None for i in range(33)})
PAIR = Skeleton.declare("pair", {"root": None, "tip": "root"})


def compile_kernels(library: Path, *options: str) -> None:
    torch_root = Path(torch.__file__).parent
    header = ROOT / "tests" / "cuda_emulation" / "cuda_emulation.h"
    command = ["g++", "-std=c++17", *options, "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden"]
    command += ["-DTORCH_TARGET_VERSION=0x020b000000000000", "-Wno-unknown-pragmas", "-include", str(header)]
    command += ["-isystem", str(torch_root / "include"), "-I", str(ROOT / "csrc")]
    command += [str(header.parent / "emulated_ops.cpp"), "-o", str(library)]
    subprocess.run([*command, f"-L{torch_root / 'lib'}", "-ltorch_cpu"], check=True)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """``torch.ops.poseda_emulated``: every op of poseda with its CUDA kernels run on the CPU."""
    if LIBRARY in os.environ:
        library = Path(os.environ[LIBRARY])
    else:
        library = tmp_path_factory.mktemp("emulated") / "libemulated.so"
        compile_kernels(library, "-O1")
    definitions = torch.library.Library("poseda_emulated", "DEF")
    for name in OPS:
        schema = str(getattr(torch.ops.poseda, name).default._schema)
        definitions.define(schema.removeprefix("poseda::"))
    torch.ops.load_library(str(library))
    yield torch.ops.poseda_emulated


@pytest.fixture(params=[False, True], ids=["forward", "reversed"])
def kernels(request: pytest.FixtureRequest, emulated: Any) -> Any:
    emulated.set_reversed(request.param)
    return emulated


def assert_same_bits(actual: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        actual, expected = (actual,), (expected,)
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=0.0, atol=0.0, equal_nan=True)


def augment_call(exact: bool, propagate: bool = False, **arguments: Any) -> AugmentArguments:
    """The op's own arguments. The kernels take modes that the public function refuses, as they do nothing."""
    given = record(**arguments)
    return given._replace(exact=exact, propagate=propagate, require_in_frame=given.aspect is not None)


def in_double(values: Any) -> list[Any]:
    return [v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for v in values]


def assert_close(actual: Tensor | None, expected: Tensor | None, limit: float) -> None:
    """Errors relative to the largest number of the pose, or to a hundredth of the largest of all."""
    if actual is None or expected is None:  # a gradient that is not wanted
        assert actual is expected
        return
    assert actual.shape == expected.shape
    if expected.numel() == 0:
        return
    rows = expected.flatten(1) if expected.dim() > 1 else expected[:, None]
    largest = rows.abs().amax(1, keepdim=True).clamp_min(float(rows.abs().max()) / 100)
    error = (actual.double().reshape(rows.shape) - rows).abs() / largest.clamp_min(1e-30)
    assert float(error.nan_to_num(torch.inf).max()) < limit


def forward_and_backward(ops: Any, call: AugmentArguments, wanted: int) -> tuple[Tensor, ...]:
    """Results and gradients of ``call`` for the incoming gradients that belong to it."""
    results = ops.augment(*call)
    pose_3d, pose_2d, valid = results
    random = torch.Generator().manual_seed(5)
    incoming = [torch.randn(r.shape, generator=random, dtype=torch.float64).to(r) for r in (pose_3d, pose_2d)]
    augmented = pose_3d if call.exact else None
    return (*results, *ops.augment_backward(*incoming, valid, augmented, wanted, *call))


def check_augment_kernels(
    kernels: Any, call: AugmentArguments, wanted: int = ALL_GRADIENTS, rounding: float = 1.0
) -> Tensor:
    """Compare forward and backward with the CPU's in float64; returns ``valid``.

    ``rounding``: by how much more than usual errors may grow.
    """
    expected = forward_and_backward(torch.ops.poseda, AugmentArguments(*in_double(call)), wanted)
    actual = forward_and_backward(kernels, call, wanted)
    single = call.pose_3d.dtype == torch.float32
    limits = ((3e-6, 1e-4) if call.exact else (1.5e-6, 1e-5)) if single else (1e-12, 1e-11)
    assert torch.equal(actual[2], expected[2])
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        if i != 2:
            assert_close(a, e, rounding * limits[i > 2])
    return expected[2]


@pytest.mark.parametrize(
    "give", [samples.EVERYTHING, ("root", "bone_rotation"), ("placement", "bone_scale"), ()]
)
@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("skeleton", [H36M16, H36M17, MPI_INF_3DHP], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize(("propagate", "exact"), [(False, False), (True, True)])
def test_augment(
    kernels: Any,
    skeleton: Skeleton,
    frames: int | None,
    dtype: torch.dtype,
    give: tuple[str, ...],
    propagate: bool,
    exact: bool,
) -> None:
    arguments = samples.augment_arguments(37, skeleton, give=give, dtype=dtype, frames=frames, rows=50)
    valid = check_augment_kernels(kernels, augment_call(exact, propagate=propagate, **arguments))
    assert valid.float().mean() > 0.5


@pytest.mark.parametrize("wanted", [LEARNED, LEARNED + 1])
@pytest.mark.parametrize("give", [(), ("joint_mask",), ("bone_scale",)], ids=["method", "mask", "scales"])
@pytest.mark.parametrize("skeleton", [H36M16, H36M17, COCO17], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("exact", [False, True])
def test_kernels_of_a_training_step(
    kernels: Any, skeleton: Skeleton, exact: bool, give: tuple[str, ...], wanted: int
) -> None:
    given = [
        name for name in (*samples.METHOD, *give) if not ("bone_scale" in give and name == "group_scale")
    ]
    arguments = samples.augment_arguments(101, skeleton, give=given, rows=50)
    assert check_augment_kernels(kernels, augment_call(exact, **arguments), wanted).all()


@pytest.mark.parametrize("batch", [0, 1, 2, 7, 31, 32, 33, 100])
@pytest.mark.parametrize("give", [samples.METHOD, ("root", "bone_rotation")])
def test_augment_at_the_edges_of_blocks(kernels: Any, batch: int, give: tuple[str, ...]) -> None:
    arguments = samples.augment_arguments(batch, H36M16, give=give)
    check_augment_kernels(kernels, augment_call(False, **arguments), LEARNED + 1)


@pytest.mark.parametrize("skeleton", [PAIR, CHAIN64, STAR64, TREE33], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("frames", [None, 2, 19])
@pytest.mark.parametrize("plain", [False, True])
def test_augment_of_the_smallest_and_the_largest_tree(
    kernels: Any, skeleton: Skeleton, dtype: torch.dtype, frames: int | None, plain: bool
) -> None:
    batch, give = 37 if frames != 19 else 3, (*samples.METHOD, "joint_mask") if plain else samples.EVERYTHING
    arguments = samples.augment_arguments(batch, skeleton, give=give, dtype=dtype, frames=frames)
    call = augment_call(not plain, propagate=not plain, **arguments)
    assert call.require_in_frame != plain
    # Boxes of two joints can be much smaller than the numbers that span them, and chains of 64 add many.
    # Exact placement has twice the limit in any case.
    wanted, rounding = (LEARNED + 1, 2.0) if plain else (ALL_GRADIENTS, 1.0)
    check_augment_kernels(kernels, call, wanted, rounding)


@pytest.mark.parametrize("frames", [2, 5, 16, 17, 40, 150])
@pytest.mark.parametrize("give", [(*samples.METHOD, "joint_mask"), ("root", "bone_rotation"), ()])
@pytest.mark.parametrize("plain", [False, True])
def test_augment_of_sequences_of_any_length(
    kernels: Any, frames: int, give: tuple[str, ...], plain: bool
) -> None:
    arguments = samples.augment_arguments(3, H36M17, give=give, frames=frames)
    call = augment_call("placement" in give and not plain, **arguments)
    check_augment_kernels(kernels, call, LEARNED + 1 if plain else ALL_GRADIENTS)


@pytest.mark.parametrize("skeleton", [H36M16, CHAIN64], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("frames", [None, 3])
def test_learned_parameters_of_poses_that_may_leave_the_screen(
    kernels: Any, skeleton: Skeleton, frames: int | None
) -> None:
    arguments = samples.augment_arguments(37, skeleton, give=samples.EVERYTHING, frames=frames)
    arguments["placement"][arguments["placement_index"][:5], 0] = 0.999
    call = augment_call(False, **arguments)
    assert call.require_in_frame
    valid = check_augment_kernels(kernels, call, LEARNED + 1)
    assert 0 < valid.sum() < 37, "some leave the screen"


@pytest.mark.parametrize("share", ["bone_rotation", "bone_scale", "body_rotation"])
@pytest.mark.parametrize("frames", [3, 20])
def test_gradients_of_what_frames_share_are_sums_over_frames(
    kernels: Any, share: str, frames: int, dtype: torch.dtype
) -> None:
    arguments = samples.augment_arguments(5, H36M16, frames=frames, dtype=dtype)
    arguments[share] = arguments[share][:, :1]
    for wanted in (ALL_GRADIENTS, LEARNED):
        check_augment_kernels(kernels, augment_call(False, **arguments), wanted)


@pytest.mark.parametrize("frames", [None, 2])
@pytest.mark.parametrize("wanted", [LEARNED + 1, ALL_GRADIENTS])
def test_augment_of_shared_rows(kernels: Any, frames: int | None, wanted: int) -> None:
    give = (*samples.METHOD, "shared_parameters", "shared_camera")
    arguments = samples.augment_arguments(37, COCO17, give=give, frames=frames)
    check_augment_kernels(kernels, augment_call(False, **arguments), wanted)


@pytest.mark.parametrize("wanted", [1 << bit for bit in range(len(DIFFERENTIABLE))] + [LEARNED, 0])
@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize("frames", [None, 3])
def test_single_gradients(kernels: Any, wanted: int, propagate: bool, frames: int | None) -> None:
    arguments = samples.augment_arguments(37, H36M16, frames=frames, rows=50)
    check_augment_kernels(kernels, augment_call(False, propagate=propagate, **arguments), wanted)


@pytest.mark.parametrize("given", ["grad_pose_3d", "grad_pose_2d"])
@pytest.mark.parametrize("wanted", [LEARNED, ALL_GRADIENTS])
def test_gradient_of_one_output_alone(kernels: Any, given: str, wanted: int) -> None:
    call = augment_call(False, **samples.augment_arguments(37, H36M17))
    expected = AugmentArguments(*in_double(call))
    pose_3d, pose_2d, valid = torch.ops.poseda.augment(*expected)
    grad_3d = torch.randn_like(pose_3d).float() if given == "grad_pose_3d" else None
    grad_2d = torch.randn_like(pose_2d).float() if given == "grad_pose_2d" else None
    incoming = (grad_3d, grad_2d, valid, None, wanted)
    actual = kernels.augment_backward(*incoming, *call)
    wished = torch.ops.poseda.augment_backward(*in_double(incoming), *expected)
    for i, (a, e) in enumerate(zip(actual, wished, strict=True)):
        # Of the screen alone, the gradient of the camera's centre is a small difference of large numbers.
        assert_close(a, e, 1e-3 if NAMES[i] == "center" else 2e-5)


@pytest.mark.parametrize("wanted", [LEARNED + 1, ALL_GRADIENTS])
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_augment_of_strided_and_unaligned_rows(kernels: Any, offset: int, wanted: int) -> None:
    arguments = samples.augment_arguments(37, H36M16, rows=50)
    expected = forward_and_backward(kernels, augment_call(False, **arguments), wanted)
    for name in ("pose_3d", "bone_rotation", "bone_scale", "body_rotation"):
        value = arguments[name]
        room = torch.full((value.shape[0], value[0].numel() + offset + 2), torch.nan)
        room[:, offset : offset + value[0].numel()] = value.flatten(1)
        arguments[name] = room[:, offset : offset + value[0].numel()].unflatten(1, value.shape[1:])
    assert_same_bits(forward_and_backward(kernels, augment_call(False, **arguments), wanted), expected)
    # Contiguous, but not at a multiple of 16 bytes.
    for name in ("pose_3d", "bone_rotation", "bone_scale"):
        value = arguments[name]
        room = torch.empty(value.numel() + offset)
        arguments[name] = room[offset:].view(value.shape).copy_(value)
    assert_same_bits(forward_and_backward(kernels, augment_call(False, **arguments), wanted), expected)


def test_augment_of_rows_too_far_apart_for_short_steps(kernels: Any) -> None:
    arguments = samples.augment_arguments(2, H36M16, give=("placement", "bone_rotation"))
    room = torch.empty((1 << 30) + 45)  # hardly any of its pages are ever touched
    far = room.as_strided((2, 15, 3), (1 << 30, 3, 1))
    arguments["bone_rotation"] = far.copy_(arguments["bone_rotation"])
    check_augment_kernels(kernels, augment_call(False, **arguments), LEARNED)


@pytest.mark.parametrize("skeleton", [H36M16, H36M17, MPI_INF_3DHP], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("frames", [None, 5])
def test_bits_depend_on_nothing_but_the_pose(
    emulated: Any, skeleton: Skeleton, exact: bool, frames: int | None
) -> None:
    arguments = samples.augment_arguments(70, skeleton, frames=frames, rows=50)
    call = augment_call(exact, **arguments)
    emulated.set_reversed(False)
    emulated.set_multiprocessors(1)
    expected = forward_and_backward(emulated, call, LEARNED + 1)
    try:
        for multiprocessors, reverse in [(0, False), (2, True), (100, True)]:  # 16, 4 and 2 poses a warp
            emulated.set_multiprocessors(multiprocessors)
            emulated.set_reversed(reverse)
            assert_same_bits(forward_and_backward(emulated, call, LEARNED + 1), expected)
    finally:
        emulated.set_multiprocessors(1)
    # Without the first poses, and with every second one not valid: the others have another neighbour.
    cut = {
        name: value[5:] if isinstance(value, Tensor) and name != "placement" else value
        for name, value in arguments.items()
    }
    results = emulated.augment(*augment_call(exact, **cut))
    assert_same_bits(results, tuple(e[5:] for e in expected[:3]))
    arguments["pose_3d"] = arguments["pose_3d"].clone()
    arguments["pose_3d"][1::2, ..., 3, 1] = torch.nan
    results = emulated.augment(*augment_call(exact, **arguments))
    assert_same_bits(tuple(r[::2] for r in results), tuple(e[::2] for e in expected[:3]))
    assert not results[2][1::2].any()


@pytest.mark.parametrize("skeleton", [H36M16, H36M17, MPI_INF_3DHP, CHAIN64], ids=lambda s: s.name)
@pytest.mark.parametrize("wanted", [LEARNED + 1, ALL_GRADIENTS])
def test_first_of_several_joints_at_an_edge_of_the_box_has_its_gradient(
    kernels: Any, skeleton: Skeleton, wanted: int
) -> None:
    arguments = samples.augment_arguments(40, skeleton, give=("placement", "bone_rotation"))
    # On a grid and without motion, equal coordinates are equal in every order of sums.
    arguments["pose_3d"] = (arguments["pose_3d"] * 4).round() / 4
    arguments["bone_rotation"] = torch.zeros_like(arguments["bone_rotation"])
    check_augment_kernels(kernels, augment_call(False, **arguments), wanted)


@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("skeleton", [H36M16, H36M17, MPI_INF_3DHP], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("wanted", [LEARNED + 1, ALL_GRADIENTS])
def test_invalid_poses_are_zero_and_leave_their_neighbours_alone(
    kernels: Any, skeleton: Skeleton, exact: bool, frames: int | None, wanted: int
) -> None:
    arguments = samples.augment_arguments(37, skeleton, frames=frames, rows=50)
    arguments["pose_3d"][3, ..., 5, 1] = torch.nan
    arguments["pose_3d"][4, ..., 0, 2] = torch.inf
    arguments["bone_rotation"][10] = torch.inf
    arguments["bone_rotation"][11, ..., 2, 0] = 2e4
    arguments["bone_scale"][36] = -1.5
    arguments["placement_index"][20] = 50
    arguments["body_rotation"][21] = torch.nan
    valid = check_augment_kernels(kernels, augment_call(exact, **arguments), wanted)
    assert (~valid).nonzero().flatten().tolist() == [3, 4, 10, 11, 20, 21, 36]


@pytest.mark.parametrize("frames", [None, 3])
def test_scale_that_no_bone_has_is_judged_and_has_no_gradient(kernels: Any, frames: int | None) -> None:
    arguments = samples.augment_arguments(9, H36M16, frames=frames, give=("placement", "bone_scale"))
    call = augment_call(False, **arguments)
    groups = [2 * (k // 2) for k in range(15)]
    call = call._replace(groups=groups, bone_scale=call.bone_scale.clone())
    call.bone_scale[4, ..., 1] = -2.0
    valid = check_augment_kernels(kernels, call)
    assert (~valid).nonzero().flatten().tolist() == [4]


def test_missing_barriers_would_be_seen(emulated: Any) -> None:
    points = torch.randn(64, 16, 3)
    call = (points, H36M16.parents, False, False)
    expected = torch.ops.poseda.tree_transform(*call)
    emulated.set_barriers(False)
    try:
        for reverse in (False, True):
            emulated.set_reversed(reverse)
            assert not torch.equal(emulated.tree_transform(*call), expected)
    finally:
        emulated.set_barriers(True)


@pytest.mark.parametrize("skeleton", [H36M16, CHAIN64], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("rows", [1, 37, 64])
class TestRowMaps:
    def test_tree_transforms(self, kernels: Any, skeleton: Skeleton, rows: int, dtype: torch.dtype) -> None:
        points = torch.randn(rows, skeleton.num_joints, 3, dtype=dtype)
        for inverse in (False, True):
            for transpose in (False, True):
                call = (points, skeleton.parents, inverse, transpose)
                assert_same_bits(kernels.tree_transform(*call), torch.ops.poseda.tree_transform(*call))

    @pytest.mark.parametrize("frames", [1, 3])
    @pytest.mark.parametrize("distorted", [False, True])
    def test_project(
        self, kernels: Any, skeleton: Skeleton, rows: int, dtype: torch.dtype, frames: int, distorted: bool
    ) -> None:
        depth = torch.tensor([0.0, 0.0, 6.0], dtype=dtype)
        points = torch.randn(rows, frames + 1, skeleton.num_joints, 3, dtype=dtype)[:, 1:] + depth
        camera = torch.rand(rows, 9, dtype=dtype)
        call = (points, camera, distorted)
        expected = torch.ops.poseda.project(*call)
        assert_same_bits(kernels.project(*call), expected)
        backward = (torch.randn_like(expected), *call)
        assert_same_bits(kernels.project_backward(*backward), torch.ops.poseda.project_backward(*backward))

    def test_kinematic_chain_space(
        self, kernels: Any, skeleton: Skeleton, rows: int, dtype: torch.dtype
    ) -> None:
        points = torch.randn(rows, skeleton.num_joints, 3, dtype=dtype)
        parts = list(skeleton.parts.values())
        call = (
            points,
            skeleton.parents,
            [bone for part in parts for bone in part],
            [len(part) for part in parts],
        )
        expected = torch.ops.poseda.kinematic_chain_space(*call)
        assert_same_bits(kernels.kinematic_chain_space(*call), expected)
        backward = (torch.randn_like(expected), *call)
        assert_same_bits(
            kernels.kinematic_chain_space_backward(*backward),
            torch.ops.poseda.kinematic_chain_space_backward(*backward),
        )

    def test_procrustes(self, kernels: Any, skeleton: Skeleton, rows: int, dtype: torch.dtype) -> None:
        call = tuple(torch.randn(rows, skeleton.num_joints, 3, dtype=dtype) for _ in range(2))
        assert_same_bits(kernels.procrustes_align(*call), torch.ops.poseda.procrustes_align(*call))


@pytest.mark.parametrize("points", [0, 67, 150])
def test_project_more_points_than_a_row_holds(kernels: Any, points: int, dtype: torch.dtype) -> None:
    place = torch.randn(5, 2, points, 3, dtype=dtype) + torch.tensor([0.0, 0.0, 6.0], dtype=dtype)
    call = (place, torch.rand(5, 9, dtype=dtype), True)
    expected = torch.ops.poseda.project(*call)
    assert_same_bits(kernels.project(*call), expected)
    backward = (torch.randn_like(expected), *call)
    assert_same_bits(kernels.project_backward(*backward), torch.ops.poseda.project_backward(*backward))


@pytest.mark.parametrize("batch", [0, 1, 37, 300])
def test_random_parameters(kernels: Any, batch: int, dtype: torch.dtype) -> None:
    states = [torch.tensor([12345, 1 << 33]) for _ in range(2)]
    settings = (torch.empty(0, dtype=dtype), batch, 7, True, 15, 9, 50, 0.5, 0.2, 3.0, 0.3)
    assert_same_bits(
        kernels.random_parameters(states[0], *settings),
        torch.ops.poseda.random_parameters(states[1], *settings),
    )
    assert states[0].tolist() == states[1].tolist() == [12345, (1 << 33) + 1]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 5000])
def test_sums_over_rows(kernels: Any, count: int, dtype: torch.dtype) -> None:
    rows = torch.randn(count, 45, dtype=dtype)
    # The final sums of blocks are taken in another order than on the CPU: equal to rounding in double.
    torch.testing.assert_close(kernels.sum_rows(rows), torch.ops.poseda.sum_rows(rows), rtol=1e-6, atol=1e-6)
    assert_same_bits(kernels.sum_rows(rows), kernels.sum_rows(rows))
    picked = torch.randint(20, (count,))
    call = (rows, *torch.sort(picked, stable=True), 20)
    assert_same_bits(kernels.sum_picked_rows(*call), torch.ops.poseda.sum_picked_rows(*call))


WATCHED = "training_step or edges_of_blocks or any_length or largest_tree or RowMaps or random or sums"
"""Tests that AddressSanitizer watches: each kernel, blocks and chunks that are cut, the largest tree."""


def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    """Every kernel once more under AddressSanitizer: a part of the above, for a shuffle is slow there."""
    library = tmp_path / "libemulated.so"
    compile_kernels(library, "-O0", "-g1", "-fsanitize=address")
    runtime = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    environment = {
        **os.environ,
        LIBRARY: str(library),
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTEST_ADDOPTS": "",  # this one runs in one process, whatever the outer one does
    }
    # -P: else the source tree, without the compiled libraries, comes before the installed package.
    tests = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-s", __file__]
    tests += [
        "-k",
        f"({WATCHED}) and not leaves_its_arrays and not missing_barriers and not reversed",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(tests, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
