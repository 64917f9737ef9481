"""A run of two processes: the same results as of one, one set of files, and a death that loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import distributed, nn

from poseda.cli import main
from poseda.lifters.dropout import Dropout
from poseda.lifters.graph import NodeNorm
from poseda.method.losses import lifter_loss
from poseda.runs.atomic import is_leftover
from poseda.training import parallel
from poseda.training.pairs import Pairs

RUN = ["adapt", "--preset", "tiny", "--device", "cpu", "--arms", "gpa_lpa", "--log-every", "5"]
RUN += ["--training.pretrain-steps", "20", "--training.adapt-steps", "20", "--generator-training.steps", "20"]
RUN += ["--save-every", "5"]

TOLERANCE = 0.1
"""Millimetres of MPJPE: sums over a batch are rounded in another order (0.013 seen after 120 steps)."""

WORKER = """
import os, signal, sys
from poseda.cli import main
from poseda.training.lifting import LifterPhase

step = LifterPhase.step
def dying(self, at):
    if os.environ["RANK"] == sys.argv[1] and self.pairs.generator is not None and at == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, at)
LifterPhase.step = dying
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def two_processes(folder: Path, dying: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in two processes, of which one may die while the lifter adapts."""
    script = folder / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, str(script), dying, *arguments], capture_output=True, text=True, env=environment
    )


def files(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def errors(out: Path) -> dict[tuple[str, str], float]:
    rows = json.loads((out / "results.json").read_text())
    return {(row["arm"], row["split"]): row["mpjpe"] for row in rows}


def test_two_processes_get_what_one_gets_and_a_death_loses_nothing(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main([*RUN, "--out", str(whole)]) == 0
    died = two_processes(tmp_path, "1", *RUN, "--out", str(cut))
    # torchrun may end the other process before its message that --resume continues the run.
    assert died.returncode != 0 and "Signal 9 (SIGKILL)" in died.stderr
    assert (cut / "seed0" / "gpa_lpa" / "lifter.partial").exists()
    resumed = two_processes(tmp_path, "none", *RUN, "--out", str(cut), "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count("run folder:") == 1, "one process talks"
    assert files(cut) == files(whole) and not any(map(is_leftover, cut.rglob("*")))
    assert errors(cut) == pytest.approx(errors(whole), abs=TOLERANCE)
    generators = [
        (out / "seed0" / "gpa_lpa" / "generator.safetensors").stat().st_size for out in (cut, whole)
    ]
    assert generators[0] == generators[1]


# --------------------------------------------------------------------------- a part for each process


def processes(size: int, rank: int) -> parallel.Processes:
    return parallel.Processes.of(SimpleNamespace(world_size=size, global_rank=rank))  # type: ignore[arg-type]


def test_the_mean_of_the_parts_losses_is_the_loss_of_the_batch() -> None:
    valid = torch.tensor([True] * 5 + [False, True, False, False])  # 3, 2 and 1 valid poses in three parts
    batch, prediction = (
        Pairs(torch.randn(9, 1, 16, 3), torch.randn(9, 1, 16, 2), valid),
        torch.randn(9, 1, 16, 3),
    )
    losses = []
    for rank in range(3):
        own = processes(3, rank).own_part(batch)
        assert torch.equal(own.pose_2d, batch.pose_2d[3 * rank : 3 * rank + 3])
        loss = lifter_loss(prediction[3 * rank : 3 * rank + 3], own.pose_3d, own.valid)
        losses.append(processes(3, rank).weigh_loss(loss, own, batch))
    expected = lifter_loss(prediction, batch.pose_3d, valid)
    torch.testing.assert_close(torch.stack(losses).mean(), expected)


def test_a_single_process_changes_nothing() -> None:
    batch = Pairs(torch.randn(4, 1, 16, 3), torch.randn(4, 1, 16, 2), torch.ones(4, dtype=torch.bool))
    loss, module, alone = torch.randn(()), nn.Sequential(nn.BatchNorm1d(5), nn.Dropout()), processes(1, 0)
    alone.use_global_batch(module)
    assert [type(part) for part in module] == [nn.BatchNorm1d, nn.Dropout]
    assert alone.own_part(batch) is batch and alone.weigh_loss(loss, batch, batch) is alone.mean(loss) is loss


LEAVES = """
import atexit, sys
from torch import distributed
from poseda.training import parallel

atexit.register(lambda: print("in a group:", distributed.is_initialized()))  # comes last
parallel.leave_at_exit()  # alone: nothing to leave
distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1)
parallel.leave_at_exit()
"""


def test_a_process_leaves_its_group_before_the_interpreter_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVES, str(tmp_path / "meet")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "in a group: False\n"


# --------------------------------------------------------------------------- batch norms and dropouts


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group of one, so that its part is the whole batch."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


TWO_NORMS = """
import sys, torch
from torch import distributed, nn
from poseda.training import parallel

distributed.init_process_group("gloo")
rank = distributed.get_rank()
given = torch.load(sys.argv[1], weights_only=True)
module = nn.Sequential(nn.BatchNorm1d(5, dtype=torch.double))
module.load_state_dict(given["state"])
parallel.leave_at_exit()
parallel.use_global_batch(module)
features = given["features"].chunk(2)[rank].requires_grad_()
out = module(features)
(out * given["weights"].chunk(2)[rank]).sum().backward()
gradients = [module[0].weight.grad, module[0].bias.grad]
for gradient in gradients:
    distributed.all_reduce(gradient)
torch.save([out.detach(), features.grad, *gradients, *module.buffers()], f"{sys.argv[1]}.{rank}")
"""


def test_batch_norms_of_two_processes_are_one_of_the_whole_batch(tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(5, dtype=torch.double)
    nn.init.uniform_(norm.weight)
    features = (
        torch.randn(12, 5, 7, dtype=torch.double) * 3 + torch.arange(12)[:, None, None]
    ).requires_grad_()
    weights = torch.randn_like(features)
    given = {"features": features.detach(), "weights": weights, "state": {}}
    given["state"] = {f"0.{name}": value.clone() for name, value in norm.state_dict().items()}
    torch.save(given, tmp_path / "given")
    (tmp_path / "worker.py").write_text(TWO_NORMS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, str(tmp_path / "worker.py"), str(tmp_path / "given")], check=True)
    out = norm(features)
    (out * weights).sum().backward()
    halves = [torch.load(tmp_path / f"given.{rank}", weights_only=True) for rank in range(2)]
    for at, expected in enumerate((out, features.grad)):
        torch.testing.assert_close(torch.cat([half[at] for half in halves]), expected, rtol=1e-10, atol=1e-12)
    for half in halves:
        for value, expected in zip(
            half[2:], (norm.weight.grad, norm.bias.grad, *norm.buffers()), strict=True
        ):
            torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("kind", [nn.BatchNorm1d, NodeNorm])
@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 7)])
def test_batch_norms_keep_what_they_compute(kind: type[nn.BatchNorm1d], shape: tuple[int, ...]) -> None:
    if kind is NodeNorm:
        shape = (*shape[:1], *shape[:0:-1])  # its channels come last
    features = torch.randn(shape) * 3 + 1
    results = []
    for whole in (False, True):
        norm = kind(5).double()
        nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(0))
        module = nn.Sequential(norm)
        if whole:
            parallel.use_global_batch(module)
            assert isinstance(norm, parallel.GlobalBatchNorm)
        given = features.double().requires_grad_()
        out = module(given)
        (out.sin().sum()).backward()
        results.append([out, given.grad, norm.weight.grad, *norm.buffers()])
        module.eval()
        results[-1].append(module(features.double()))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("group")
def test_batch_norms_take_half_precision_and_keep_their_statistics_in_float32() -> None:
    module, features = nn.Sequential(nn.BatchNorm1d(5)), (torch.randn(64, 5) * 3 + 1).bfloat16()
    parallel.use_global_batch(module)
    given = features.clone().requires_grad_()
    out = module(given)
    out.float().square().sum().backward()
    assert out.dtype == torch.bfloat16 and given.grad is not None and given.grad.dtype == torch.bfloat16
    expected = nn.BatchNorm1d(5)
    torch.testing.assert_close(out.float(), expected(features.float()), rtol=1e-2, atol=1e-2)
    assert module[0].running_var.dtype == torch.float32
    torch.testing.assert_close(module[0].running_var, expected.running_var)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("kind", [nn.Dropout, Dropout])
def test_dropouts_keep_their_draws(kind: type[nn.Dropout]) -> None:
    features, results = torch.randn(8, 6), []
    for whole in (False, True):
        module = nn.Sequential(kind(0.3))
        if whole:
            parallel.use_global_batch(module)
        torch.manual_seed(3)
        results.append(module(features))
    assert torch.equal(*results) and (results[0] == 0).any()


def test_a_batch_that_does_not_split_is_named() -> None:
    class Three:
        world_size = 3

    with pytest.raises(ValueError, match=r"training\.batch: expected a multiple of the 3 processes, got 64"):
        parallel.check_batch(64, Three())  # type: ignore[arg-type]
