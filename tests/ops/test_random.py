"""Random augmentation: the generator's published numbers, ranges, independence of threads and of cutting."""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.rotation import angle_between, rotation_matrix
from poseda.geometry.skeleton import H36M16
from poseda.ops import RandomRanges
from poseda.ops._native import INSTRUCTION_SETS
from poseda.ops.samples import augment_arguments

CSRC = Path(__file__).parents[2] / "csrc"


def test_philox_gives_the_published_numbers(tmp_path: Path) -> None:
    """Known answers of Random123 (Salmon et al. 2011) for philox4x32-10."""
    source = tmp_path / "philox.cpp"
    source.write_text(
        '#include "core/random.h"\n'
        'extern "C" void draw(const uint32_t* c, uint32_t k0, uint32_t k1, uint32_t* out) {\n'
        "    const auto r = poseda::philox<float>({{c[0], c[1], c[2], c[3]}}, k0, k1);\n"
        "    for (int i = 0; i < 4; ++i) out[i] = r.word[i];\n}\n"
    )
    library = tmp_path / "philox.so"
    subprocess.run(["g++", "-std=c++17", "-shared", "-fPIC", f"-I{CSRC}", source, "-o", library], check=True)
    draw = ctypes.CDLL(str(library)).draw
    known = [
        ([0] * 4, [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ]
    for counter, key, expected in known:
        out = (ctypes.c_uint32 * 4)()
        draw((ctypes.c_uint32 * 4)(*counter), ctypes.c_uint32(key[0]), ctypes.c_uint32(key[1]), out)
        assert list(out) == expected


def test_draws_keep_to_their_ranges_and_fill_them(device: torch.device, dtype: torch.dtype) -> None:
    ranges = RandomRanges(bone_angle=0.5, bone_scale=0.1, body_yaw=1.0, body_tilt=0.25)
    state = ops.random_state(3, device)
    drawn = ops.random_parameters(state, 4000, H36M16, ranges, table_rows=7, dtype=dtype)
    angle = drawn.bone_rotation.norm(dim=-1)
    assert angle.max() <= 0.5 * (1 + 1e-6) and angle.mean().sub(0.25).abs() < 0.005
    axis = drawn.bone_rotation / angle[..., None]
    assert axis.mean((0, 1)).abs().max() < 0.01
    # A uniform axis has second moments of a third.
    assert (axis**2).mean((0, 1)).sub(1 / 3).abs().max() < 0.01
    assert (
        drawn.bone_scale.abs().max() <= 0.1 and drawn.bone_scale.std().sub(0.1 / math.sqrt(3)).abs() < 0.001
    )
    assert drawn.body_rotation.norm(dim=-1).max() <= 1.25
    assert drawn.placement_index is not None
    counts = torch.bincount(drawn.placement_index, minlength=7)
    assert len(counts) == 7 and counts.min() > 450


@pytest.mark.parametrize(("largest_yaw", "largest_tilt"), [(1.0, 0.25), (math.pi, 0.2), (math.pi, math.pi)])
def test_a_body_leans_by_its_tilt_at_any_yaw(
    largest_yaw: float, largest_tilt: float, device: torch.device, dtype: torch.dtype
) -> None:
    def turn(yaw: float, tilt: float) -> Tensor:
        ranges = RandomRanges(body_yaw=yaw, body_tilt=tilt)
        return ops.random_parameters(
            ops.random_state(3, device), 4000, H36M16, ranges, dtype=dtype
        ).body_rotation

    rotation = turn(largest_yaw, largest_tilt)
    yaw, lean = turn(largest_yaw, 0), turn(0, largest_tilt)
    assert not yaw[:, [0, 2]].any() and not lean[:, 1].any()
    tolerance = {"rtol": 0, "atol": 2e-6 if dtype == torch.float32 else 1e-14}
    torch.testing.assert_close(
        rotation_matrix(rotation), rotation_matrix(lean) @ rotation_matrix(yaw), **tolerance
    )
    up = rotation.new_tensor([[0.0, -1.0, 0.0]])
    angle = angle_between((rotation_matrix(rotation) @ up[..., None])[..., 0], up)
    torch.testing.assert_close(
        angle, lean.norm(dim=-1), rtol=0, atol=5e-6 if dtype == torch.float32 else 1e-13
    )
    assert angle.mean().sub(largest_tilt / 2).abs() < 0.04 * largest_tilt
    assert yaw[:, 1].mean().abs() < 0.05 * largest_yaw and yaw[:, 1].abs().max() > 0.99 * largest_yaw


def test_poses_bones_and_calls_draw_independently(device: torch.device) -> None:
    state = ops.random_state(0, device)
    first = ops.random_parameters(state, 2000, H36M16).bone_rotation.flatten(1)
    second = ops.random_parameters(state, 2000, H36M16).bone_rotation.flatten(1)
    assert state.tolist() == [0, 2]
    bones = first.unflatten(1, (15, 3))
    # The bones of a pair share a block of random bits, also its lowest.
    pairs = bones[:, 0:14:2], bones[:, 1:15:2]
    fine = [(pair.abs() * 2**18).frac() for pair in pairs]
    for a, b in ((first, second), (first[1:], first[:-1]), (first[:, 3:], first[:, :-3]), pairs, fine):
        correlation = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
        assert correlation.abs() < 0.02
    other = ops.random_parameters(ops.random_state(1, device), 2000, H36M16).bone_rotation
    assert not torch.equal(other.flatten(1), first)


def test_a_batch_may_be_drawn_in_parts(device: torch.device) -> None:
    whole = ops.random_parameters(ops.random_state(5, device), 100, H36M16, table_rows=9)
    state = ops.random_state(5, device)
    parts = [
        ops.random_parameters(state, size, H36M16, table_rows=9, first=first, advance=first == 70)
        for first, size in ((0, 1), (1, 69), (70, 30))
    ]
    for name in whole._fields:
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
    assert state.tolist() == [5, 1]


def test_the_same_draws_for_any_number_of_threads() -> None:
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(ops.random_parameters(ops.random_state(1), 5000, H36M16).bone_rotation)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


DRAWS = """
import hashlib, torch
import poseda.ops
words, body = hashlib.sha256(), hashlib.sha256()
for dtype in (torch.float32, torch.float64):
    # Poses on both sides of 2^32, more bones and scales than are drawn together, one pose, and no table.
    for sizes in ((77, 2**32 - 20, True, 63, 33, 2**32 - 1), (1, 0, True, 15, 9, 7), (33, 5, False, 1, 0, 0)):
        state = torch.tensor([-12345678901234, (1 << 40) + 3])
        like, ranges = torch.empty(0, dtype=dtype), (0.5, 0.2, 3.0, 0.3)
        drawn = torch.ops.poseda.random_parameters(state, like, *sizes, *ranges)
        body.update(drawn[2].numpy().tobytes())
        for value in (drawn[0], drawn[1], drawn[3]):
            words.update(value.numpy().tobytes())
print(words.hexdigest(), body.hexdigest())
"""


def test_a_seed_gives_the_same_numbers_on_every_instruction_set() -> None:
    """A change of the numbers stands in the changelog."""
    found = set()
    for name in INSTRUCTION_SETS:
        environment = {**os.environ, "POSEDA_CPU_ISA": name}
        command = [sys.executable, "-P", "-c", DRAWS]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(tuple(done.stdout.split()))
    assert len(found) == 1
    words, _ = found.pop()
    assert words == "946251eca54ab4627948095ec6889d434a5ebcfc2ccfbd08850d6f65e34c5366"


@pytest.mark.needs_cuda
def test_uniforms_are_the_same_on_both_devices() -> None:
    drawn = [
        ops.random_parameters(ops.random_state(8, d), 999, H36M16, table_rows=5) for d in ("cpu", "cuda")
    ]
    assert torch.equal(drawn[0].bone_scale, drawn[1].bone_scale.cpu())
    assert torch.equal(drawn[0].placement_index, drawn[1].placement_index.cpu())
    torch.testing.assert_close(drawn[0].bone_rotation, drawn[1].bone_rotation.cpu(), rtol=1e-5, atol=1e-6)


@pytest.mark.needs_cuda
def test_a_replayed_graph_draws_anew() -> None:
    state = ops.random_state(0, "cuda")
    ops.random_parameters(state, 10, H36M16)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        drawn = ops.random_parameters(state, 10, H36M16).bone_rotation
    graph.replay()
    first = drawn.clone()
    graph.replay()
    assert not torch.equal(first, drawn)


@pytest.mark.parametrize("frames", [None, 4])
def test_random_augment_is_augment_with_what_was_drawn(frames: int | None, device: torch.device) -> None:
    arguments = augment_arguments(20, give=("placement", "distortion"), device=device, frames=frames)
    result = ops.random_augment(rng_state=ops.random_state(2, device), **arguments)
    drawn = ops.random_parameters(ops.random_state(2, device), 20, H36M16, table_rows=20)

    def framed(value: Tensor) -> Tensor:
        return value if frames is None else value[:, None]

    expected = ops.augment(
        **arguments,
        bone_rotation=framed(drawn.bone_rotation),
        bone_scale=framed(drawn.bone_scale),
        body_rotation=framed(drawn.body_rotation),
        placement_index=drawn.placement_index,
    )
    assert torch.equal(result.pose_2d, expected.pose_2d) and result.valid.any()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"rng_state": torch.zeros(2)}, TypeError, "rng_state: expected two int64 numbers"),
        ({"batch": -1}, ValueError, "^batch: expected at least 0, got -1$"),
        ({"batch": 2.5}, TypeError, "^batch: expected a whole number, got 2.5$"),
        ({"table_rows": 2**40}, ValueError, r"^table_rows: expected fewer than 2\^32, got 1099511627776$"),
        ({"ranges": {}}, TypeError, r"^ranges: expected a poseda.ops.RandomRanges, got dict$"),
        ({"dtype": torch.float16}, TypeError, "dtype: expected float32 or float64, got torch.float16"),
    ],
)
def test_a_wrong_argument_is_named(given: dict[str, object], error: type[Exception], message: str) -> None:
    arguments = {"rng_state": ops.random_state(0), "batch": 2, "skeleton": H36M16, **given}
    with pytest.raises(error, match=message):
        ops.random_parameters(**arguments)


@pytest.mark.parametrize(
    ("pose", "error", "came"),
    [
        (torch.ones(2, 16, 3).numpy(), TypeError, "ndarray"),
        (1.0, TypeError, "float"),
        (torch.tensor(1.0), ValueError, r"\(\)"),
        (torch.ones(16, 3), ValueError, r"\(16, 3\)"),
    ],
    ids=["numpy", "number", "scalar", "one pose"],
)
def test_poses_without_a_batch_are_named(pose: object, error: type[Exception], came: str) -> None:
    arguments = augment_arguments(2, give=())
    arguments["pose_3d"] = pose
    with pytest.raises(error, match=rf"^pose_3d: expected .*\(N, J, 3\) or \(N, T, J, 3\), got {came}$"):
        ops.random_augment(rng_state=ops.random_state(0), **arguments)


def test_a_range_beyond_its_limit_is_named() -> None:
    with pytest.raises(ValueError, match=r"bone_scale: expected 0 to 1, got 1\.0"):
        RandomRanges(bone_scale=1.0)
    with pytest.raises(ValueError, match=r"bone_angle: expected 0 to 3\.142, got -0\.1"):
        RandomRanges(bone_angle=-0.1)
    with pytest.raises(ValueError, match=r"body_yaw: expected 0 to 3\.142, got '1'"):
        RandomRanges(body_yaw="1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"body_tilt: expected 0 to 3\.142, got nan"):
        RandomRanges(body_tilt=math.nan)
