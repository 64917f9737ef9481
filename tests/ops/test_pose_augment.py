"""PoseAugment draws rightly in every process, epoch and repetition, from one seed."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fresh import run_fresh
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from poseda import ops
from poseda.geometry.skeleton import H36M16
from poseda.ops import PoseAugment
from poseda.ops.samples import augment_arguments

BATCH = 16


@pytest.fixture
def module() -> PoseAugment:
    given = augment_arguments(4, give=("placement", "distortion"))
    return PoseAugment(H36M16, given["camera"], given["placement"], seed=5)


@pytest.fixture
def poses() -> Tensor:
    return augment_arguments(BATCH)["pose_3d"]


def test_the_module_draws_anew_and_resumes_where_it_stopped(device: torch.device) -> None:
    arguments = augment_arguments(8, give=("placement", "distortion", "aspect"), device=device)
    pose = arguments["pose_3d"]
    module = PoseAugment(H36M16, arguments["camera"], arguments["placement"], seed=4).to(device)
    first = module(pose)
    saved = module.state_dict()
    second = module(pose)
    assert not torch.equal(first.pose_2d, second.pose_2d)
    other = PoseAugment(H36M16, arguments["camera"], arguments["placement"]).to(device)
    other.load_state_dict(saved)
    assert torch.equal(other(pose).pose_2d, second.pose_2d)


def test_a_module_draws_where_its_cameras_are(device: torch.device) -> None:
    arguments = augment_arguments(8, give=("placement",), device=device)
    module = PoseAugment(H36M16, arguments["camera"], arguments["placement"], seed=4)
    assert module.rng_state.device == arguments["pose_3d"].device
    moved = PoseAugment(H36M16, arguments["camera"], arguments["placement"], seed=4).to(device)
    assert torch.equal(module(arguments["pose_3d"]).pose_2d, moved(arguments["pose_3d"]).pose_2d)


def test_it_draws_as_random_augment_does(module: PoseAugment, poses: Tensor) -> None:
    given: dict[str, Any] = {"skeleton": H36M16, "camera": module.camera, "placement": module.placement}
    for frames in (poses, poses[:, None].expand(-1, 3, -1, -1)):
        module.reseed(5)
        expected = ops.random_augment(frames, ops.random_state(5), **given)
        assert torch.equal(module(frames).pose_2d, expected.pose_2d)


def test_a_seed_gives_the_same_draws_again(module: PoseAugment, poses: Tensor) -> None:
    first, second = module(poses), module(poses)
    module.reseed(5)
    assert torch.equal(module(poses).pose_2d, first.pose_2d)
    assert torch.equal(module(poses).pose_2d, second.pose_2d)
    module.reseed(6)
    assert not torch.equal(module(poses).pose_2d, first.pose_2d)
    copied = copy.deepcopy(module)
    assert torch.equal(copied(poses).pose_2d, module(poses).pose_2d)
    for seed in (1.5, True, 2**63):
        with pytest.raises(ValueError, match=r"^seed: expected a whole number of 64 bits, got"):
            module.reseed(seed)  # type: ignore[arg-type]


def test_the_state_is_saved_and_moved_but_is_no_buffer(module: PoseAugment) -> None:
    model = nn.Sequential(nn.Linear(2, 2), module)
    assert "1.rng_state" in model.state_dict() and "1.rng_state" not in dict(model.named_buffers())
    state = module.rng_state.tolist()
    model.share_memory()
    assert not module.rng_state.is_shared()
    model.to(torch.float64).to_empty(device="cpu")
    assert module.rng_state.tolist() == state == [5, 0] and module.rng_state.dtype == torch.int64
    without = {name: value for name, value in model.state_dict().items() if name != "1.rng_state"}
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"1.rng_state\""):
        model.load_state_dict(without)


@pytest.mark.needs_cuda
def test_a_replayed_graph_draws_anew_and_reads_a_new_seed(module: PoseAugment, poses: Tensor) -> None:
    module, poses = module.cuda(), poses.cuda()
    expected = [module(poses).pose_2d for _ in range(2)]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = module(poses).pose_2d
    module.reseed(5)
    for once in expected:
        graph.replay()
        assert torch.equal(captured, once)


# ---- Ranks


RANK = """
import pickle, sys
import torch
import torch.distributed as distributed
from torch import nn
from poseda.geometry.skeleton import H36M16
from poseda.ops import PoseAugment
from poseda.ops.samples import augment_arguments

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        given = augment_arguments(4, give=("placement",))
        self.augment = PoseAugment(H36M16, given["camera"], given["placement"], seed=5)
        self.lifter = nn.Linear(2, 3)

    def forward(self, pose):
        drawn = self.augment(pose).pose_2d
        return drawn, self.lifter(drawn)

rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
pose = augment_arguments(16)["pose_3d"]
model = nn.parallel.DistributedDataParallel(Model())
augment = model.module.augment
draws = []
for _ in range(2):
    drawn, lifted = model(pose)
    lifted.sum().backward()
    draws.append(drawn)
    if rank == 1:  # as if this rank had drawn more: the others must not set it back
        augment(pose)
states = [augment.rng_state.clone()]
sent = pickle.dumps(augment)
expected = augment(pose).pose_2d
distributed.destroy_process_group()
# A spawned worker belongs to no group, but draws as its parent's rank.
assert torch.equal(pickle.loads(sent)(pose).pose_2d, expected)
torch.save({"draws": draws, "states": states}, f"{folder}/{rank}.pt")
"""


def test_ranks_draw_each_for_itself_and_keep_their_own_state(
    tmp_path: Path, module: PoseAugment, poses: Tensor
) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-P", "-c", RANK, str(rank), str(tmp_path)], stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    for rank in ranks:
        _, said = rank.communicate(timeout=300)
        assert rank.returncode == 0, said.decode()[-4000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert_all_differ([*first["draws"], *second["draws"]])
    assert first["states"][0].tolist() == [5, 2] and second["states"][0].tolist() == [5, 4]
    alone = augment_arguments(4, give=("placement",))
    alone_module = PoseAugment(H36M16, alone["camera"], alone["placement"], seed=5)
    assert torch.equal(alone_module(poses).pose_2d, first["draws"][0]), "rank 0 draws as one process alone"


def assert_all_differ(draws: list[Tensor]) -> None:
    for at, one in enumerate(draws):
        assert not any(torch.equal(one, other) for other in draws[:at])


# ---- DataLoader workers


def epochs(module: PoseAugment, workers: int, method: str | None, **options: Any) -> list[Tensor]:
    """The 2D poses of two epochs of 4 batches. Every batch has the same poses, so that only draws differ."""
    poses = augment_arguments(BATCH)["pose_3d"].repeat(4, 1, 1)
    loader = DataLoader(
        poses,  # type: ignore[arg-type]
        sampler=BatchSampler(SequentialSampler(poses), BATCH, drop_last=False),  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=module,
        num_workers=workers,
        multiprocessing_context=method,
        **options,
    )
    return [pair.pose_2d.clone() for _ in range(2) for pair in loader]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("persistent", [False, True], ids=["new workers", "persistent workers"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_and_epochs_draw_each_for_itself(method: str, persistent: bool, module: PoseAugment) -> None:
    torch.manual_seed(3)
    found = epochs(module, 2, method, persistent_workers=persistent)
    assert_all_differ(found)
    assert module.rng_state.tolist() == [5, 0] and not module.rng_state.is_shared()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_workers_draw_the_same_again_from_the_same_seeds(module: PoseAugment) -> None:
    runs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        runs.append(torch.stack(epochs(module, 2, "fork")))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    torch.manual_seed(3)
    module.reseed(6)
    assert not torch.equal(torch.stack(epochs(module, 2, "fork")), runs[0])


def test_forked_and_spawned_workers_draw_alike(module: PoseAugment) -> None:
    runs = []
    for method in ("fork", "spawn"):
        torch.manual_seed(3)
        runs.append(torch.stack(epochs(module, 1, method)))
    assert torch.equal(*runs)


def test_a_loader_without_workers_goes_on_in_the_next_epoch(module: PoseAugment) -> None:
    assert_all_differ(epochs(module, 0, None))
    assert module.rng_state.tolist() == [5, 8]


# ---- Repetition by a checkpoint


def gradients(module: PoseAugment, pose: Tensor, wrap: Callable[..., Tensor]) -> list[Tensor]:
    """Gradients of weights behind two draws each in three segments, of which a checkpoint repeats all."""
    module.reseed(5)
    weight = torch.ones(1, 1, 2, device=pose.device, requires_grad=True)

    def segment(pose: Tensor, weight: Tensor) -> Tensor:
        return sum((module(pose).pose_2d * weight).sin().square().sum() for _ in range(2))  # type: ignore[return-value]

    parts = []
    for _ in range(3):
        parts.append(wrap(segment, pose, weight))
        module(pose)  # a call that is not repeated
    sum(parts).backward()  # type: ignore[union-attr]
    assert weight.grad is not None
    return [weight.grad, *(part.detach() for part in parts), module.rng_state.clone()]


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not reentrant"])
def test_a_checkpoint_repeats_what_was_drawn(
    reentrant: bool, device: torch.device, module: PoseAugment, poses: Tensor
) -> None:
    module, poses = module.to(device), poses.to(device)
    expected = gradients(module, poses, lambda function, *given: function(*given))
    actual = gradients(
        module, poses, lambda function, *given: checkpoint(function, *given, use_reentrant=reentrant)
    )
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other)  # gradients are added up in another order


def test_a_checkpoint_within_a_checkpoint_repeats_what_was_drawn(module: PoseAugment, poses: Tensor) -> None:
    def nested(function: Callable[..., Tensor], *given: Tensor) -> Tensor:
        inner = lambda *values: checkpoint(function, *values, use_reentrant=False)  # noqa: E731
        return checkpoint(inner, *given, use_reentrant=False)

    expected = gradients(module, poses, lambda function, *given: function(*given))
    for one, other in zip(gradients(module, poses, nested), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_torchs_random_numbers_are_left_alone_without_a_checkpoint(
    module: PoseAugment, poses: Tensor
) -> None:
    before = torch.get_rng_state()
    module(poses)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not reentrant"])
def test_a_checkpoint_that_does_not_set_random_numbers_back_is_refused(
    reentrant: bool, module: PoseAugment, poses: Tensor
) -> None:
    def forgetful(function: Callable[..., Tensor], *given: Tensor) -> Tensor:
        return checkpoint(function, *given, use_reentrant=reentrant, preserve_rng_state=False)

    with pytest.raises(
        RuntimeError, match=r"PoseAugment: repeated in a backward pass without .* preserve_rng"
    ):
        gradients(module, poses, forgetful)


def test_a_call_in_a_backward_hook_is_told_where_to_stand(module: PoseAugment, poses: Tensor) -> None:
    loss = (poses.clone().requires_grad_() ** 2).sum()
    loss.grad_fn.register_hook(lambda *_: module(poses) and None)  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match=r"^PoseAugment: .* call it outside of backward hooks$"):
        loss.backward()


def compiled_in_a_checkpoint() -> None:
    import torch
    from torch.utils.checkpoint import checkpoint

    from poseda.geometry.skeleton import H36M16
    from poseda.ops import PoseAugment
    from poseda.ops.samples import augment_arguments

    given = augment_arguments(16, give=("placement",))
    module, pose = PoseAugment(H36M16, given["camera"], given["placement"]), given["pose_3d"]
    weight = torch.ones(1, 1, 2, requires_grad=True)

    def plain(pose: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (module(pose).pose_2d * weight).square().sum()

    def gradient(function: object) -> torch.Tensor:
        module.reseed(0)
        weight.grad = None
        function(pose, weight).backward()  # type: ignore[operator]
        return weight.grad

    expected, compiled = gradient(plain), torch.compile(plain, fullgraph=True, backend="aot_eager")
    for mode in (False, True):
        repeated = gradient(lambda *given, mode=mode: checkpoint(compiled, *given, use_reentrant=mode))
        torch.testing.assert_close(repeated, expected)
    inside = torch.compile(lambda *given: checkpoint(plain, *given, use_reentrant=False), backend="aot_eager")
    try:
        wrong = gradient(inside)
    except RuntimeError as error:
        assert "PoseAugment: repeated in a backward pass" in str(error) and "not within torch.compile" in str(
            error
        )
    else:
        raise AssertionError(f"a checkpoint within a compiled program gave {wrong} instead of {expected}")


def test_a_checkpoint_repeats_a_compiled_module_and_is_refused_within_one() -> None:
    run_fresh(compiled_in_a_checkpoint)
