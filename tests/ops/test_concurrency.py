"""Ops from many threads give the bits that one caller alone gets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.skeleton import H36M16
from poseda.ops.samples import augment_arguments

THREADS, ROUNDS = 8, 6
SIZES = (1, 7, 300, 1100)


@pytest.fixture(params=[1, 3], ids=["one-thread", "three-threads"])
def inner_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """How many threads each call may use itself."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def augment_and_back(seed: int) -> list[Tensor]:
    """Outputs and gradients of one call; the seed decides on its size and inputs."""
    given = augment_arguments(SIZES[seed % len(SIZES)], give=("bone_rotation", "bone_scale", "placement"))
    shift = torch.Generator().manual_seed(seed)
    leaves = {
        name: (given[name] + 0.01 * torch.randn(given[name].shape, generator=shift)).requires_grad_()
        for name in ("pose_3d", "bone_rotation", "bone_scale", "placement")
    }
    result = ops.augment(**given | leaves)
    (result.pose_3d.square().sum() + result.pose_2d.square().sum()).backward()
    return [*result, *(leaf.grad for leaf in leaves.values())]  # type: ignore[misc]


def draw_and_align(seed: int) -> list[Tensor]:
    """The siblings, each called once."""
    given = augment_arguments(SIZES[seed % len(SIZES)], give=("placement",))
    state = ops.random_state(seed)
    result = ops.random_augment(rng_state=state, **given)
    aligned = ops.procrustes_align(result.pose_3d, given["pose_3d"])
    return [*result, aligned, ops.kinematic_chain_space(given["pose_3d"], H36M16), state]


@pytest.mark.usefixtures("inner_threads")
@pytest.mark.parametrize("call", [augment_and_back, draw_and_align])
def test_many_threads_at_once_get_what_one_alone_gets(call: Callable[[int], list[Tensor]]) -> None:
    expected = [call(seed) for seed in range(THREADS)]
    together = threading.Barrier(THREADS)

    def work(seed: int) -> list[list[Tensor]]:
        together.wait()
        return [call(seed) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as pool:
        for seed, rounds in enumerate(pool.map(work, range(THREADS))):
            for found in rounds:
                pairs = zip(found, expected[seed], strict=True)
                assert all(torch.equal(one, other) for one, other in pairs), seed


def test_threads_may_share_one_input() -> None:
    given = augment_arguments(400, give=("bone_rotation", "placement"))
    expected = ops.augment(**given)
    with ThreadPoolExecutor(THREADS) as pool:
        for result in pool.map(lambda _: ops.augment(**given), range(4 * THREADS)):
            assert torch.equal(result.pose_2d, expected.pose_2d)
