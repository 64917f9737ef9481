"""Faults of training: values that are not finite are named, and a collapsed phase restarts, a few times."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import equal, weights
from torch import nn

from poseda import training
from poseda.cli import main
from poseda.config import (
    AdversaryConfig,
    GeneratorConfig,
    GeneratorTrainingConfig,
    HealthConfig,
    LifterTrainingConfig,
    PlacementConfig,
    RunConfig,
    preset,
)
from poseda.datasets import Domains, open_domains
from poseda.runs import RunFolder
from poseda.training.health import CollapseWatch, NonFiniteWatch
from poseda.training.stage import Silent

SICK = HealthConfig(windows=2, restarts=2)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors here are tiny: threads would only get in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def domains() -> Domains:
    return open_domains(None, size=0.05)


def config(out: Path, steps: int, health: HealthConfig, gan: dict[str, Any], **changes: Any) -> RunConfig:
    """A run whose generator trains a few steps."""
    values: dict[str, Any] = {
        "out": out,
        "device": "cpu",
        "arms": ("gpa_lpa",),
        "training": LifterTrainingConfig(pretrain_steps=5, adapt_steps=5, batch=32, ema=0.9),
        "generator_training": GeneratorTrainingConfig(steps=steps, batch=32, **gan),
        "health": health,
        "log_every": 5,
        "save_every": 5,
    }
    return dataclasses.replace(preset("tiny"), **(values | changes))


def events(out: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "restart" in line]


# ------------------------------------------------------------------------------------------- not finite


def poison(monkeypatch: pytest.MonkeyPatch, step: int, harm: Callable[[nn.Module], None]) -> None:
    """Harm the lifter's gradients or weights after the backward pass of a step."""
    clip = NonFiniteWatch.clip

    def harmed(self: NonFiniteWatch, at: int, name: str, limit: float) -> None:
        if at == step and name == "lifter":
            with torch.no_grad():
                harm(self.modules["lifter"])
        clip(self, at, name, limit)

    monkeypatch.setattr(NonFiniteWatch, "clip", harmed)


def test_a_gradient_that_is_not_finite_is_named_with_its_step(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harm(lifter: nn.Module) -> None:
        bias = dict(lifter.named_parameters())["network.0.bias"]
        assert bias.grad is not None
        bias.grad[3] = torch.nan

    poison(monkeypatch, 3, harm)
    run = training.prepare(config(tmp_path / "r", 5, SICK, {}), domains)
    with pytest.raises(
        training.NonFiniteError,
        match=r"lifter · seed 0: the gradient of lifter\.network\.0\.bias became non-finite at step 3;",
    ):
        run.train()


def test_a_weight_that_is_not_finite_is_named_and_not_saved(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harm(lifter: nn.Module) -> None:  # as a statistic that no loss of the step has seen
        dict(lifter.named_buffers())["network.1.running_var"][0] = torch.inf

    poison(monkeypatch, 4, harm)
    run = training.prepare(config(tmp_path / "r", 5, SICK, {}), domains)
    with pytest.raises(
        training.NonFiniteError, match=r"lifter\.network\.1\.running_var became non-finite by step 5"
    ):
        run.train()
    assert not list((tmp_path / "r").rglob("*.safetensors"))


def test_the_first_of_several_wrong_gradients_is_named() -> None:
    layers = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2), "c": nn.Linear(2, 2)})
    watch = NonFiniteWatch({"m": layers})
    for step in range(4):
        for name in ("a", "b"):  # c never has a gradient
            layers[name].weight.grad = torch.full((2, 2), torch.inf if (name, step) == ("b", 1) else 1.0)
            layers[name].bias.grad = torch.full((2,), torch.nan if step == 2 else 1.0)
        watch.clip(step, "m", 1.0)
    assert watch.first_gradient() == (1, "the gradient of m.b.weight")
    assert watch.first_weight() is None


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_gradients_are_clipped_as_torch_clips_them(limit: float) -> None:
    ours, theirs = (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2)) for _ in range(2))
    for own, other in zip(ours[:2].parameters(), theirs[:2].parameters(), strict=True):
        own.grad = torch.randn_like(own)
        other.grad = own.grad.clone()
    NonFiniteWatch({"m": ours}).clip(0, "m", limit)
    nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (own.grad is None) == (other.grad is None)
        if own.grad is not None:
            torch.testing.assert_close(own.grad, other.grad, rtol=1e-5, atol=0)


# ------------------------------------------------------------------------------------------- collapse


def test_a_fault_must_stay_to_make_a_collapse() -> None:
    watch = CollapseWatch(HealthConfig(windows=3, bone_spread=0.01))
    seen = [watch.look({"bone_spread": value, "lifter_loss": 0.0}) for value in (0.0, 0.0, 0.5, 0.0, 0.0)]
    assert seen == [None] * 5 and not watch.healthy
    reason = watch.look({"bone_spread": 0.0001})
    assert reason == "bone_spread below 0.01 in 3 log lines in a row, 0.0001 at last"
    never = CollapseWatch(HealthConfig(windows=0))
    assert never.look({"valid_share": 0.0}) is None and never.healthy


def test_turns_that_are_not_allowed_are_not_missed() -> None:
    turning, still = (
        preset("tiny"),
        dataclasses.replace(preset("tiny"), generator=GeneratorConfig(bone_angle=0.0)),
    )
    assert CollapseWatch.of(turning).faults({"bone_spread": 0.0}) == ["bone_spread"]
    assert CollapseWatch.of(still).faults({"bone_spread": 0.0, "valid_share": 0.0}) == ["valid_share"]


COLLAPSES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, float], str]] = {
    # Fakes stand where the source stood, not where targets stand, and the generator hardly learns.
    "discriminator": (
        {"learning_rate": 1e-9, "discriminator_rate": 1e-2, "discriminator_every": 1},
        {
            "adversary": AdversaryConfig(anchor="target_2d", screen_width=32, pool=64),
            "placement": PlacementConfig(placement="source"),
        },
        {"discriminator_loss": 0.15},
        r"discriminator_2d below 0\.15",
    ),
    # Every turn is punished and nothing rewards one: soon all poses are turned alike, hardly at all.
    "generator": (
        {"learning_rate": 3e-3, "weight_range": 1e2, "weight_body": 0.0, "clip": 1e3},
        {
            "adversary": AdversaryConfig(anchor="none", pool=64),
            "generator": dataclasses.replace(preset("tiny").generator, angle_mean=0.0, angle_width=0.0),
        },
        {"bone_spread": 0.2},
        r"bone_spread below 0\.2",
    ),
}


@pytest.mark.parametrize("case", COLLAPSES)
def test_a_collapsed_phase_restarts_and_then_ends_the_run(
    tmp_path: Path, domains: Domains, case: str
) -> None:
    gan, changes, bounds, reason = COLLAPSES[case]
    run = config(tmp_path / "r", 300, HealthConfig(windows=2, restarts=2, **bounds), gan, **changes)  # type: ignore[arg-type]
    told: list[tuple[int, str]] = []

    class Told(Silent):
        def phase_restarted(self, title: str, step: int, reason: str) -> None:
            told.append((step, reason))

    sentence = (
        rf"gpa_lpa · generator · seed 0: collapsed at step \d+ after 2 restarts: {reason} in 2 log lines"
    )
    with pytest.raises(training.CollapseError, match=sentence):
        training.prepare(run, domains, Told()).train()
    found = events(run.out)
    assert [event["restart"] for event in found] == [1, 2]
    assert [(event["step"], event["reason"]) for event in found] == told
    for event in found:  # two sick lines came after the checkpoint it went back to
        assert event["step"] <= event["collapsed_at"] - 10
    partial = RunFolder(run.out).partial(0, "gpa_lpa", "generator")
    assert partial.load()[1]["step"] == found[-1]["step"], "the last healthy state is kept"


def test_the_command_line_reports_a_collapse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--health.windows", "1", "--health.bone-spread", "9", "--health.restarts", "1"]
    steps = ["--training.pretrain-steps", "4", "--arms", "gpa_lpa", "--out", str(tmp_path / "r")]
    assert main(["adapt", "--preset", "tiny", "--device", "cpu", *steps, *options]) == 1
    shown = capsys.readouterr()
    assert "starts again from step 0 with another seed" in " ".join(shown.out.split())
    assert shown.err.count("\n") == 1 and "bone_spread below 9 in 1 log lines in a row" in shown.err


def test_a_new_start_heals_and_a_kill_after_it_changes_nothing(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = config(tmp_path / "never", 30, HealthConfig(windows=0), {})
    training.prepare(never, domains).train()
    lines = map(json.loads, (never.out / "metrics.jsonl").read_text().splitlines())
    sick = {line["bone_spread"] for line in lines if line.get("step") == 15 and line["phase"] == "generator"}
    # One log line of the first start counts as a collapse; no line of another start has its number.
    monkeypatch.setattr(
        CollapseWatch, "look", lambda self, values: "sick" if values.get("bone_spread") in sick else None
    )
    whole, cut = config(tmp_path / "whole", 30, SICK, {}), config(tmp_path / "cut", 30, SICK, {})
    results = training.prepare(whole, domains).train()
    (event,) = events(whole.out)
    assert (event["restart"], event["step"], event["collapsed_at"]) == (1, 10, 15)

    class KillAfter(Silent):
        restarted = False

        def phase_restarted(self, title: str, step: int, reason: str) -> None:
            self.restarted = True

        def advanced(self, step: int) -> None:
            if self.restarted and step >= killed_at:
                raise KeyboardInterrupt

    for killed_at in (15, 25):
        resume = RunFolder(cut.out).begun
        with pytest.raises(KeyboardInterrupt):
            training.prepare(dataclasses.replace(cut, resume=resume), domains, KillAfter()).train()
        if killed_at == 15:  # killed before its first checkpoint, but for the one of the restart itself
            KillAfter.restarted = True
    assert training.prepare(dataclasses.replace(cut, resume=True), domains).train() == results
    assert equal(weights(whole.out, "gpa_lpa", "generator"), weights(cut.out, "gpa_lpa", "generator"))
    assert not equal(weights(whole.out, "gpa_lpa", "generator"), weights(never.out, "gpa_lpa", "generator"))
    assert events(cut.out) == events(whole.out)


def test_runs_from_before_health_was_watched_resume(tmp_path: Path, domains: Domains) -> None:
    run = config(tmp_path / "r", 5, HealthConfig(), {}, arms=("gpa",))
    training.prepare(run, domains).train()
    record = json.loads((run.out / "config.json").read_text())
    del record["config"]["health"]
    (run.out / "config.json").write_text(json.dumps(record))
    training.prepare(dataclasses.replace(run, resume=True), domains).train()
    assert json.loads((run.out / "config.json").read_text())["config"]["health"]["windows"] == 5
