"""What the CUDA emulation catches: it must find the mistakes it exists for, in kernels of a few lines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "cuda_emulation"
THREADS, BLOCKS = 96, 3
INPUT = [float(i % 13) for i in range(THREADS * BLOCKS)]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

Run = Callable[[str, str], subprocess.CompletedProcess[str]]


def compile_self_test(folder: Path, *options: str) -> Run:
    program = folder / "self_test"
    header = ["-include", str(FOLDER / "cuda_emulation.h")]
    header += ["-I", str(FOLDER.parents[1] / "csrc")]
    sources = [str(FOLDER / "self_test.cpp"), "-o", str(program)]
    subprocess.run(["g++", "-std=c++17", "-g", "-O1", *options, *header, *sources], check=True)

    def run(kernel: str, order: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(program), kernel, order], capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return compile_self_test(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return compile_self_test(tmp_path_factory.mktemp("sanitized"), *SANITIZERS)


@pytest.fixture(params=["forward", "reversed"])
def order(request: pytest.FixtureRequest) -> str:
    return request.param


def numbers(done: subprocess.CompletedProcess[str]) -> list[float]:
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]


def mirrored() -> list[float]:
    blocks = (INPUT[start : start + THREADS] for start in range(0, len(INPUT), THREADS))
    return [value for block in blocks for value in reversed(block)]


def test_barrier_makes_shared_memory_visible_to_the_block(plain: Run, order: str) -> None:
    assert numbers(plain("mirror", order)) == mirrored()


def test_missing_barrier_is_seen_in_either_order(plain: Run, order: str) -> None:
    # Half the threads read a slot before its owner wrote it: NaN in the first block, the last block's later.
    assert numbers(plain("mirror_unsynced", order)) != mirrored()


def test_shared_memory_starts_as_nan(plain: Run, order: str) -> None:
    written = numbers(plain("unwritten", order))[:THREADS]
    assert all(value != value for value in written)


def test_barrier_that_not_all_threads_reach_is_reported(plain: Run, order: str) -> None:
    done = plain("divergent", order)
    assert done.returncode != 0
    assert "not every thread reaches a barrier in block (0, 0, 0)" in done.stderr


def test_shuffles_stay_within_their_warp(plain: Run, order: str) -> None:
    sums = [sum(INPUT[start : start + 32]) for start in range(0, len(INPUT), 32)]
    assert numbers(plain("warp_sum", order)) == [value for value in sums for _ in range(32)]


def test_static_shared_memory_belongs_to_the_block(plain: Run, order: str) -> None:
    totals = [sum(INPUT[start : start + THREADS]) for start in range(0, len(INPUT), THREADS)]
    assert numbers(plain("block_total", order)) == [value for value in totals for _ in range(THREADS)]


def test_votes_are_those_of_the_warp(plain: Run, order: str) -> None:
    counts = [sum(value > 6 for value in INPUT[start : start + 32]) for start in range(0, len(INPUT), 32)]
    assert numbers(plain("count_votes", order)) == [count for count in counts for _ in range(32)]


def test_wait_of_a_warp_orders_its_memory(plain: Run, order: str) -> None:
    assert numbers(plain("lane_waits", order)) == [INPUT[i ^ 1] for i in range(len(INPUT))]


def test_barrier_orders_the_memory_of_all_warps(plain: Run, order: str) -> None:
    blocks = (INPUT[start : start + THREADS] for start in range(0, len(INPUT), THREADS))
    assert numbers(plain("warp_waits", order)) == [value for b in blocks for value in b[32:] + b[:32]]


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("lane_shuffles", "two threads touch a word without a barrier between"),
        ("warp_waits_alone", "two threads touch a word without a barrier between"),
        ("mixed", "the lanes of a warp do not do the same"),
        ("left_early", "a lane has left before a shuffle or a vote"),
        ("outside", "access outside of shared memory in block (0, 0, 0), thread (95, 0, 0)"),
        ("misaligned", "misaligned access to shared memory"),
    ],
)
def test_mistakes_within_a_warp_are_reported(plain: Run, order: str, kernel: str, message: str) -> None:
    done = plain(kernel, order)
    assert done.returncode != 0
    assert message in done.stderr


def test_sanitizer_accepts_a_correct_kernel(sanitized: Run, order: str) -> None:
    assert numbers(sanitized("mirror", order)) == mirrored()
    assert numbers(sanitized("next", order)) == [*INPUT[1:], 0.0]


def test_sanitizer_reports_a_read_one_past_a_global_array(sanitized: Run, order: str) -> None:
    done = sanitized("next_unbounded", order)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert "self_test.cpp" in done.stderr


def test_sanitizer_reports_shared_memory_beyond_the_launch(sanitized: Run, order: str) -> None:
    done = sanitized("beyond_shared", order)
    assert done.returncode != 0
    assert "use-after-poison" in done.stderr
