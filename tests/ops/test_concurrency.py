"""Ops from many threads and in DataLoader workers give the bits that one caller alone gets."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, get_worker_info

from poseda import ops
from poseda.geometry.skeleton import H36M16
from poseda.ops import PoseAugment
from poseda.ops._arguments import AugmentedPose
from poseda.ops.samples import augment_arguments

THREADS, ROUNDS = 8, 6
SIZES = (1, 7, 300, 1100)
BATCH = 16


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


# ------------------------------------------------------------------------------------ DataLoader workers


@pytest.fixture
def module() -> PoseAugment:
    given = augment_arguments(4, give=("placement", "distortion"))
    return PoseAugment(H36M16, given["camera"], given["placement"], seed=5)


def batches(poses: Tensor, collate: Callable[[Tensor], Any], workers: int, **options: Any) -> list[Any]:
    """All batches as a DataLoader gives them; the dataset is the tensor itself, indexed a batch at a time."""
    sampler = BatchSampler(SequentialSampler(poses), BATCH, drop_last=False)  # type: ignore[arg-type]
    loader = DataLoader(
        poses,  # type: ignore[arg-type]
        sampler=sampler,
        batch_size=None,
        collate_fn=collate,
        num_workers=workers,
        **options,
    )
    return list(loader)


def serial(poses: Tensor, module: PoseAugment, workers: int, seeds: list[int]) -> list[AugmentedPose]:
    """The same by one caller: worker w has every batch w, w + workers, ... and a module of its own."""
    modules = [copy.deepcopy(module) for _ in range(workers)]
    for own, seed in zip(modules, seeds, strict=True):
        own.rng_state.copy_(ops.random_state(seed))
    return [modules[at % workers](batch) for at, batch in enumerate(poses.split(BATCH))]


def same(found: list[Any], expected: list[AugmentedPose]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_forked_workers_augment_each_with_its_own_seed(module: PoseAugment) -> None:
    poses = augment_arguments(5 * BATCH + 3)["pose_3d"]
    module(poses)  # the parent's threads are up before the fork

    def seed_own(worker: int) -> None:
        info = get_worker_info()
        assert info is not None and worker == info.id
        module.rng_state.copy_(ops.random_state(100 + worker))  # this worker's copy: memory was forked

    found = batches(poses, module, 2, multiprocessing_context="fork", worker_init_fn=seed_own)
    assert same(found, serial(poses, module, 2, [100, 101]))


def test_spawned_workers_augment_as_the_parent_does(module: PoseAugment) -> None:
    poses = augment_arguments(2 * BATCH)["pose_3d"]
    found = batches(poses, module, 1, multiprocessing_context="spawn")
    assert same(found, serial(poses, module, 1, [5]))
