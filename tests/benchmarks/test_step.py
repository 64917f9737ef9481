"""The benchmark of a training step compares loops that make the same pairs and records what it shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import pytest
import torch

from benchmarks.step import lifters, processes, profile, stopwatch
from benchmarks.step import program as step_program
from benchmarks.step import step as bench_step
from benchmarks.step.classic import classic_scores
from benchmarks.step.program import Network, main
from benchmarks.step.step import StepBench, step_config
from poseda import ops
from poseda.bench.clock import Call, Clock
from poseda.config import AdversaryConfig, RunConfig
from poseda.datasets import Domains
from poseda.geometry.skeleton import H36M16
from poseda.method.discriminators import PoseDiscriminator
from poseda.training.lifting import LifterPhase
from poseda.training.pairs import Shuffle

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def bench(domains: Domains) -> StepBench:
    return StepBench(step_config("simple_baseline", 16, "cpu", 16), domains.adaptation(), 2)


def test_loops_that_make_other_pairs_are_not_timed(bench: StepBench) -> None:
    bench.check()

    def wrong(*arguments: Any, **given: Any) -> Any:
        made = right(*arguments, **given)
        return made._replace(pose_2d=made.pose_2d + 0.01)

    right = ops.augment
    with patch.object(ops, "augment", wrong), pytest.raises(RuntimeError, match="nothing is timed"):
        bench.check()


def test_the_classic_discriminator_scores_as_ours() -> None:
    discriminator, pose = (
        PoseDiscriminator(H36M16, AdversaryConfig(part_width=8, layers=2)),
        torch.randn(5, 16, 3),
    )
    torch.testing.assert_close(classic_scores(discriminator, pose), discriminator(pose), rtol=1e-4, atol=1e-5)


def test_the_classic_loop_trains_on_what_its_generator_made(bench: StepBench) -> None:
    loop = bench._classic()
    steps = len(bench.data.placements) // 16 + 2  # more than the target has poses for
    loop.generator_steps(steps)
    assert [pose_3d.shape for pose_3d, _ in loop._made] == [(16, 16, 3)] * steps
    before, taken = [parameter.clone() for parameter in loop.lifter.parameters()], []
    loop.optimizer.register_step_post_hook(lambda *_: taken.append(1))
    loop.lifter_steps(steps)
    assert len(taken) == steps
    assert any(not torch.equal(old, new) for old, new in zip(before, loop.lifter.parameters(), strict=True))
    pose_3d, pose_2d = map(torch.from_numpy, loop._made[0])
    loop._train(pose_3d, pose_2d)
    with torch.no_grad():
        lifted = loop.lifter.eval()(pose_2d[:, None])[:, 0]
    # After a step on it, the loss of a batch is near what is logged: dropout and batch norms differ a little.
    error = (lifted - (pose_3d - pose_3d[:, :1])).norm(dim=-1).mean().item()
    assert loop.logged["lifter_loss"] == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize(("extra", "option"), [("compiled", "compile"), ("bf16", "precision")])
def test_an_extra_is_ours_with_another_option(bench: StepBench, extra: str, option: str) -> None:
    built: list[RunConfig] = []
    phase = StepBench.lifter_phase

    def noted(self: StepBench) -> LifterPhase:
        built.append(self.config)
        return phase(self)

    with patch.object(StepBench, "lifter_phase", noted):
        calls = bench.calls([extra])
    assert f"lifter {extra}" in calls
    changed = {
        field for field in vars(bench.config) if getattr(built[-1], field) != getattr(bench.config, field)
    }
    assert changed == {option}


def test_a_stopwatch_counts_each_moment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 3.0, 7.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(now))
    watch = stopwatch.Stopwatch(torch.device("cpu"))
    with watch("outer"), watch("inner"):
        pass
    assert watch.seconds == {"outer": 1.0 + 4.0, "inner": 2.0}
    assert watch.shares() == {"outer": 5 / 7, "inner": 2 / 7}


def test_a_record_holds_what_the_tables_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(calls: dict[str, Call], clock: Clock) -> dict[str, list[float]]:
        for call in calls.values():
            call()
        return {name: [4.0 if "classic" in name else 2.0] for name in calls}

    monkeypatch.setattr(bench_step, "timed_rounds", timed)
    at, path = Shuffle.at, tmp_path / "deep" / "step.json"
    bench_step.run(batch=16, steps=2, width=16, extras=["bf16"], json_path=path)
    assert Shuffle.at is at, "the stopwatch leaves nothing behind"
    record = json.loads(path.read_text())
    (row,) = record["results"]
    assert row["lifter"]["seconds"] == {"ours": 1.0, "eager_augmentation": 1.0, "classic": 2.0, "bf16": 1.0}
    assert row["epoch"]["speedup"] == {"eager_augmentation": 1.0, "classic": 2.0}
    assert row["epoch"]["seconds"]["ours"] == pytest.approx(2 * bench_step.POSES / 16)
    for half in bench_step.HALVES:
        for shares in row[half]["shares"].values():
            assert sum(shares.values()) == pytest.approx(1) and shares["backward"] > 0
    assert {"EMA", "logging", "augmentation", "optimiser", "forward"} <= set(row["lifter"]["shares"]["ours"])
    assert "host data" in row["lifter"]["shares"]["classic"]
    lines = bench_step.to_markdown(record).splitlines()
    backward = next(line for line in lines if line.startswith("| backward |"))
    assert [cell.endswith("%") for cell in backward.split(" | ")[1:]].count(True) >= 5
    assert (
        f"| simple_baseline | {row['parameters']:,} | lifter | 1s | 1s | 2s | 1s | 1.00x | 2.00x |" in lines
    )


def test_steps_are_timed_in_the_precision_of_their_configuration(
    domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def timed(calls: dict[str, Call], clock: Clock) -> dict[str, list[float]]:
        seen.append(torch.backends.cuda.matmul.fp32_precision)
        return {name: [1.0] for name in calls}

    monkeypatch.setattr(bench_step, "timed_rounds", timed)
    monkeypatch.setattr(StepBench, "shares", lambda *_: {})
    before = torch.backends.cuda.matmul.fp32_precision
    config = step_config("simple_baseline", 16, "cpu", 16)
    for precision in ("tf32", "32-true"):
        bench_step.measure(replace(config, precision=precision), domains.adaptation(), 2)
    assert seen == ["tf32", "ieee"]
    assert torch.backends.cuda.matmul.fp32_precision == before


def test_every_lifter_may_be_asked_for() -> None:
    assert get_args(Network) == tuple(bench_step.NETWORKS)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--batch", "0"], "--batch: expected a number above 0, got 0"),
        (["--lifters", "nobody"], "--lifters"),
        (["--extras", "graphs"], "--extras: expected a CUDA device for graphs, got cpu"),
        (["--device", "tpu"], "--device: expected auto"),
        (["--markdown", "nowhere.json"], "--markdown: expected a file or folder, got nowhere.json"),
    ],
)
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    assert main(options) == 2
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("benchmarks.step: ") and named in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    ("program", "work"),
    [(step_program, "step.run"), (lifters, "records"), (processes, "measure"), (profile, "measure")],
    ids=lambda given: getattr(given, "NAME", None),
)
def test_a_record_that_cannot_be_kept_is_refused_before_measuring(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    program: Any,
    work: str,
) -> None:
    where = bench_step if work == "step.run" else program
    monkeypatch.setattr(where, work.rpartition(".")[2], lambda *_, **__: pytest.fail("measured"))
    assert program.main(["--json", str(tmp_path)]) == 2
    said = f"{program.NAME}: --json: expected a file to write, or no path at all, got {tmp_path}"
    assert capsys.readouterr().err.startswith(said)
