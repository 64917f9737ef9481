"""The CUDA kernels, run on the CPU by tests/cuda_emulation, give the CPU kernels' bits in both thread orders.

Compiled without contraction of a * b + c both do the same arithmetic, so every comparison is exact. On a GPU
the same ops are tested against the reference by the tests that take a ``device``.
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
CHAIN64 = Skeleton.declare("chain64", {f"j{i}": f"j{i - 1}" if i else None for i in range(64)})
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


def check_augment_kernels(kernels: Any, call: AugmentArguments, wanted: int = ALL_GRADIENTS) -> Tensor:
    """Compare forward and backward; returns ``valid``."""
    expected = torch.ops.poseda.augment(*call)
    assert_same_bits(kernels.augment(*call), expected)
    pose_3d, pose_2d, valid = expected
    start = (torch.randn_like(pose_3d), torch.randn_like(pose_2d), valid, pose_3d if call.exact else None)
    backward = (*start, wanted, *call)
    assert_same_bits(kernels.augment_backward(*backward), torch.ops.poseda.augment_backward(*backward))
    return valid


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


@pytest.mark.parametrize("batch", [0, 1, 31, 32, 33, 100])
def test_augment_at_the_edges_of_blocks(kernels: Any, batch: int) -> None:
    arguments = samples.augment_arguments(batch, H36M16)
    check_augment_kernels(kernels, augment_call(False, **arguments))


@pytest.mark.parametrize("skeleton", [PAIR, CHAIN64], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("frames", [None, 2])
def test_augment_of_the_smallest_and_the_largest_tree(
    kernels: Any, skeleton: Skeleton, dtype: torch.dtype, frames: int | None
) -> None:
    arguments = samples.augment_arguments(37, skeleton, give=samples.EVERYTHING, dtype=dtype, frames=frames)
    check_augment_kernels(kernels, augment_call(True, propagate=True, **arguments))


def test_augment_of_shared_rows(kernels: Any) -> None:
    give = (*samples.METHOD, "shared_parameters", "shared_camera")
    arguments = samples.augment_arguments(37, COCO17, give=give, frames=2)
    check_augment_kernels(kernels, augment_call(False, **arguments))


@pytest.mark.parametrize("wanted", [1 << bit for bit in range(len(DIFFERENTIABLE))] + [16 + 32 + 64])
@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize("frames", [None, 3])
def test_single_gradients(kernels: Any, wanted: int, propagate: bool, frames: int | None) -> None:
    arguments = samples.augment_arguments(37, H36M16, frames=frames, rows=50)
    check_augment_kernels(kernels, augment_call(False, propagate=propagate, **arguments), wanted)


@pytest.mark.parametrize("given", ["grad_pose_3d", "grad_pose_2d"])
def test_gradient_of_one_output_alone(kernels: Any, given: str) -> None:
    call = augment_call(False, **samples.augment_arguments(37, H36M16))
    pose_3d, pose_2d, valid = torch.ops.poseda.augment(*call)
    grad_3d = torch.randn_like(pose_3d) if given == "grad_pose_3d" else None
    grad_2d = torch.randn_like(pose_2d) if given == "grad_pose_2d" else None
    backward = (grad_3d, grad_2d, valid, None, ALL_GRADIENTS, *call)
    assert_same_bits(kernels.augment_backward(*backward), torch.ops.poseda.augment_backward(*backward))


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_augment_of_strided_and_unaligned_rows(kernels: Any, offset: int) -> None:
    arguments = samples.augment_arguments(37, H36M16, rows=50)
    for name in ("pose_3d", "bone_rotation", "bone_scale", "body_rotation"):
        value = arguments[name]
        room = torch.full((value.shape[0], value[0].numel() + offset + 2), torch.nan)
        room[:, offset : offset + value[0].numel()] = value.flatten(1)
        arguments[name] = room[:, offset : offset + value[0].numel()].unflatten(1, value.shape[1:])
    check_augment_kernels(kernels, augment_call(False, **arguments))
    # Contiguous, but not at a multiple of 16 bytes.
    for name in ("pose_3d", "bone_rotation", "bone_scale"):
        value = arguments[name]
        room = torch.empty(value.numel() + offset)
        arguments[name] = room[offset:].view(value.shape).copy_(value)
    check_augment_kernels(kernels, augment_call(False, **arguments))


@pytest.mark.parametrize("frames", [None, 3])
def test_invalid_poses_are_zero_and_leave_their_neighbours_alone(kernels: Any, frames: int | None) -> None:
    arguments = samples.augment_arguments(37, H36M16, frames=frames, rows=50)
    arguments["pose_3d"][3, ..., 5, 1] = torch.nan
    arguments["bone_rotation"][10] = torch.inf
    arguments["bone_scale"][36] = -1.5
    arguments["placement_index"][20] = 50
    valid = check_augment_kernels(kernels, augment_call(False, **arguments))
    assert (~valid).nonzero().flatten().tolist() == [3, 10, 20, 36]


def test_missing_barriers_would_be_seen(emulated: Any) -> None:
    call = augment_call(False, **samples.augment_arguments(64, H36M16))
    expected, _, valid = torch.ops.poseda.augment(*call)
    assert valid.all()
    emulated.set_barriers(False)
    try:
        for reverse in (False, True):
            emulated.set_reversed(reverse)
            assert not torch.equal(emulated.augment(*call)[0], expected)
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


def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    """All of the above once more under AddressSanitizer."""
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
    tests += ["-k", "not leaves_its_arrays and not missing_barriers", "-p", "no:cacheprovider"]
    done = subprocess.run(tests, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
