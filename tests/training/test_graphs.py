"""`--graphs on`: replayed steps train as plain ones do. On a CPU, tests/shared/tape.py plays the graph."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from runs import KillAt, equal, short_run, small_lifter, weights
from tape import TapeBackend, use_tapes
from torch import Tensor, nn

from poseda import ops, training
from poseda.cli import main
from poseda.config import (
    AdversaryConfig,
    GeneratorTrainingConfig,
    LifterTrainingConfig,
    PlacementConfig,
    RunConfig,
)
from poseda.datasets import Domains
from poseda.geometry.skeleton import H36M16
from poseda.training import graphs, lifting
from poseda.training.graphs import WARM_UP, Graphs
from poseda.training.health import NonFiniteWatch
from poseda.training.stage import Stage

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 200

CLOSE = 1e-4
"""Relative difference of the lifter's losses over STEPS steps on CUDA, where graphs round the step size to
float32. On a CPU the rounding alone gives 2e-7. On an H200 it holds."""

FIRST, EARLY, LATE = 20, 1e-3, 2e-2
"""Adversarial training amplifies rounding: on a CPU, a step size that differs by 1e-7 changes a loss by 2e-3
within STEPS steps. On CUDA, EARLY bounds the difference over the FIRST steps, and LATE over all."""


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[TapeBackend]:
    """The backends of all phases to come. Plain steps round their size as the slot of a graph does."""
    plain = lifting.learning_rate
    monkeypatch.setattr(lifting, "learning_rate", lambda *given: torch.tensor(plain(*given)).item())
    return use_tapes(monkeypatch)


def run_of(out: Path, steps: int, **changes: Any) -> RunConfig:
    training = {"noise_2d": changes.pop("noise_2d", 0.0)}
    values = {
        "training": LifterTrainingConfig(5, steps, 32, ema=0.9, **training),
        "generator_training": GeneratorTrainingConfig(steps, 32),
        "alignment": dataclasses.replace(short_run(out).alignment, steps=steps),
    }
    return short_run(out, changes.pop("arm", "gpa_lpa"), **(values | {"every": 5} | changes))


def train(run: RunConfig, domains: Domains, observer: Any = None) -> None:
    """All phases of an arm, without what comes after."""
    prepared = training.prepare(run, domains, observer)
    with prepared.folder.locked():
        prepared.pretrain(0)
        prepared.adapt(0, run.arms[0])


def both(tmp_path: Path, domains: Domains, steps: int, **changes: Any) -> list[RunConfig]:
    """The same run with and without graphs, done."""
    changes = {"every": steps} | changes
    runs = [run_of(tmp_path / choice, steps, graphs=choice, **changes) for choice in ("on", "off")]
    for run in runs:
        train(run, domains)
    return runs


def logged(run: RunConfig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.out / "metrics.jsonl").read_text().splitlines()]


def series(run: RunConfig, phase: str, name: str) -> Tensor:
    """A value of every log line of an arm's phase."""
    mine = [line for line in logged(run) if (line["phase"], line["arm"]) == (phase, run.arms[0])]
    return torch.tensor([line[name] for line in mine if name in line])


def assert_equal(runs: list[RunConfig], phases: tuple[str, ...]) -> None:
    for phase in phases:
        assert equal(*(weights(run.out, run.arms[0], phase) for run in runs)), phase
    one, other = ([line | {"seconds": 0} for line in logged(run)] for run in runs)
    assert one == other


# ------------------------------------------------------------------------------------------- the same bits


def test_200_replayed_steps_train_to_the_bits_of_plain_ones(
    tmp_path: Path, domains: Domains, tapes: list[TapeBackend]
) -> None:
    runs = both(tmp_path, domains, STEPS)
    assert_equal(runs, ("generator", "lifter"))
    pretraining, generator, lifter = tapes
    assert [tape.played for tape in pretraining.tapes] == [5 - WARM_UP]
    assert [tape.played for tape in generator.tapes] == [STEPS // 2 - WARM_UP] * 2
    assert [tape.played for tape in lifter.tapes] == [STEPS - WARM_UP]


PAIRED = AdversaryConfig(anchor="target_2d", pairing="paired", feedback="hard_ratio", pool=64)

CASES: dict[str, dict[str, Any]] = {
    "oracle": {"arm": "oracle"},
    "poseaug": {"arm": "poseaug"},
    "gpa_lpa_view": {"arm": "gpa_lpa_view"},
    "bf16": {"precision": "bf16-mixed", "noise_2d": 0.01, "placement": PlacementConfig(gpa="exact")},
    "windows": {"lifter": "stgcn", "frames": 3, "network": small_lifter(), "adversary": PAIRED},
}
GENERATORS = {"poseaug", "gpa_lpa_view", "bf16", "windows"}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_step_can_be_replayed(
    tmp_path: Path, domains: Domains, tapes: list[TapeBackend], case: str
) -> None:
    runs = both(tmp_path, domains, 10, **CASES[case])
    assert_equal(runs, ("lifter", "generator") if case in GENERATORS else ("lifter",))
    assert all(tape.played > 1 for backend in tapes for tape in backend.tapes) and tapes


@pytest.mark.parametrize("lifter", ["videopose3d", "semgcn", "mixste", "dstformer"])
def test_every_lifter_can_be_replayed(
    tmp_path: Path, domains: Domains, tapes: list[TapeBackend], lifter: str
) -> None:
    frames = 1 if lifter == "semgcn" else 3
    runs = both(tmp_path, domains, 6, arm="gpa", lifter=lifter, frames=frames, network=small_lifter())
    assert_equal(runs, ("lifter",))
    assert [tape.played for tape in tapes[-1].tapes] == [6 - WARM_UP]


@pytest.mark.parametrize(
    ("every", "anchor", "steps", "played"),
    [(1, "both", 9, [6]), (3, "both", 15, [2, 7]), (2, "none", 9, [6]), (3, "both", 8, [2])],
    ids=["always", "every third", "no discriminator", "too few"],
)
def test_steps_with_and_without_discriminators_are_graphs_of_their_own(
    tmp_path: Path,
    domains: Domains,
    tapes: list[TapeBackend],
    every: int,
    anchor: Any,
    steps: int,
    played: list[int],
) -> None:
    options = GeneratorTrainingConfig(steps, 32, discriminator_every=every)
    adversary = AdversaryConfig(anchor=anchor, part_width=16, screen_width=16, pool=64)
    run = run_of(tmp_path, 5, generator_training=options, adversary=adversary, graphs="on")
    training.prepare(run, domains).train_generator(0, "gpa_lpa")
    (backend,) = tapes
    assert sorted(tape.played for tape in backend.tapes) == played
    assert backend.warm + sum(played) == steps


def test_replays_draw_what_plain_steps_draw(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    if device.type == "cpu":
        use_tapes(monkeypatch)
    steps = WARM_UP + 4

    def drawn(wanted: bool) -> list[dict[str, Tensor]]:
        torch.manual_seed(0)
        rng = torch.Generator(device).manual_seed(1)
        state = ops.random_state(2, device)
        features = torch.ones(64, device=device)

        def work(number: float | Tensor, index: Tensor) -> dict[str, Tensor]:
            return {
                "own": torch.randn(8, generator=rng, device=device),
                "permuted": torch.randperm(64, generator=rng, device=device),
                "torch's": torch.rand(8, device=device),
                "dropout": nn.functional.dropout(features, 0.5),
                "op": ops.random_parameters(state, 4, H36M16).bone_scale.flatten(),
                "inputs": index * number,
            }

        graphs = Graphs(wanted, SimpleNamespace(device=device), rng, {})  # type: ignore[arg-type]
        found = []
        for step in range(steps):
            values = graphs.run("draw", work, step / 4, torch.tensor([step], device=device))
            found.append({name: value.clone() for name, value in values.items()})
        return [*found, {"state": rng.get_state().clone(), "op": state}]

    plain, replayed = drawn(False), drawn(True)
    for one, other in zip(plain, replayed, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    for name in plain[0]:
        if name != "inputs":
            assert len(torch.stack([values[name] for values in replayed[:-1]]).unique(dim=0)) == steps, name
    assert [values["inputs"].item() for values in replayed[:-1]] == [step * step / 4 for step in range(steps)]


def test_a_gradient_that_is_not_finite_is_named_by_the_step_that_was_replayed(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device.type == "cpu":
        use_tapes(monkeypatch)
    layers = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)}).to(device)
    watch = NonFiniteWatch({"m": layers})
    graphs = Graphs(True, SimpleNamespace(device=device), torch.Generator(device), {})  # type: ignore[arg-type]

    def work(step: float | Tensor, scale: Tensor) -> dict[str, Tensor]:
        layers.zero_grad()
        layers["b"](layers["a"](scale.expand(3, 2))).sum().backward()
        watch.clip(step, "m", 1.0)
        return {}

    for step in range(WARM_UP + 5):
        scale = torch.inf if step in (WARM_UP + 2, WARM_UP + 4) else 1.0
        assert watch.first_gradient() is None or step > WARM_UP + 2
        graphs.run("step", work, step, torch.full((), scale, device=device))
    assert watch.first_gradient() == (WARM_UP + 2, "the gradient of m.a.weight")


# ------------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize(("phase", "at"), [("gpa_lpa · generator", 10), ("gpa_lpa · lifter", 5)])
def test_a_killed_run_resumes_to_the_same_bits(
    tmp_path: Path, domains: Domains, tapes: list[TapeBackend], phase: str, at: int
) -> None:
    whole, cut = (run_of(tmp_path / name, 15, graphs="on") for name in ("whole", "cut"))
    train(whole, domains)
    with pytest.raises(KeyboardInterrupt):
        train(cut, domains, KillAt(phase, at + 5))
    train(dataclasses.replace(cut, resume=True), domains)
    assert_equal([whole, cut], ("generator", "lifter"))


@pytest.mark.parametrize("name", ["lifter", "generator"])
def test_a_phase_that_loads_a_checkpoint_forgets_its_graphs(
    tmp_path: Path, domains: Domains, tapes: list[TapeBackend], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A checkpoint replaces the optimiser's tensors; a graph would continue with the old ones."""
    made, make = [], Stage._make

    def kept(stage: Stage, start: str) -> Any:
        made.append(make(stage, start))
        return made[-1]

    monkeypatch.setattr(Stage, "_make", kept)
    train(run_of(tmp_path, 12, graphs="on"), domains)
    phase = made[{"lifter": 2, "generator": 1}[name]]
    state = {entry: value.clone() for entry, value in phase.state().items()}
    torch_state = torch.get_rng_state()

    def go_on() -> list[list[float]]:
        return [[value.item() for value in phase.step(step).values()] for step in range(12)]

    first = go_on()
    phase.load(state)
    torch.set_rng_state(torch_state)
    assert go_on() == first


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"device": "cpu"}, "graphs: expected a CUDA device with on, got cpu"),
        ({"processes": 2}, "graphs: expected a single process with on, got 2"),
        (
            {"precision": "16-mixed"},
            "graphs: expected precision tf32, 32-true or bf16-mixed with on, got",
        ),
    ],
)
def test_what_cannot_be_captured_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    given = {"device": "cuda", "processes": 1, "precision": "32-true"} | changes
    fabric: Any = SimpleNamespace(device=torch.device(given["device"]), world_size=given["processes"])
    run = short_run(tmp_path, graphs="on", precision=given["precision"])
    with pytest.raises(ValueError, match=sentence):
        graphs.check(run, fabric)
    for choice in ("off", "auto"):
        other = dataclasses.replace(run, graphs=choice)
        graphs.check(other, fabric)
        assert not graphs.chosen(other, fabric)


def test_graphs_are_tried_by_default_on_one_gpu(tmp_path: Path) -> None:
    run, fabric = short_run(tmp_path), SimpleNamespace(device=torch.device("cuda"), world_size=1)
    assert run.graphs == "auto" and graphs.chosen(run, fabric) is graphs.Capture.TRY  # type: ignore[arg-type]
    on = dataclasses.replace(run, graphs="on")
    assert graphs.chosen(on, fabric) is graphs.Capture.ON  # type: ignore[arg-type]


def test_the_command_refuses_graphs_on_a_cpu_before_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    assert main(["adapt", "--preset", "tiny", "--device", "cpu", "--graphs", "on", "--out", str(out)]) == 2
    shown = capsys.readouterr().err
    assert "graphs: expected a CUDA device with on, got cpu" in shown and shown.count("\n") == 1
    assert not out.exists()


class Odd(nn.Module):
    """A lifter that no graph can follow.

    Args:
        how: ``reads`` a number back, or ``replaces`` a buffer.
    """

    seen: Tensor

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.layer = how, nn.Linear(32, 48)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, pose_2d: Tensor) -> Tensor:
        lifted = self.layer(pose_2d.flatten(2)).unflatten(2, (16, 3))
        if self.how == "replaces":
            self.seen = self.seen + 1
            return lifted
        return lifted if lifted.sum().item() > 0 else -lifted


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("reads", r"--graphs: the training step cannot be captured \(.*reads back.*\); --graphs off trains"),
        ("replaces", r"--graphs: lifter\.seen becomes another tensor at every step.*--graphs off trains"),
    ],
)
@pytest.mark.usefixtures("tapes")
def test_a_phase_that_cannot_be_captured_says_so_and_goes_on_without(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch, how: str, sentence: str
) -> None:
    monkeypatch.setattr(graphs, "chosen", lambda *_: graphs.Capture.TRY)
    run = run_of(tmp_path, 8, arm="source_only", every=8)
    prepared = training.prepare(run, domains, lifter=Odd(how))
    reason = sentence.partition("; --graphs off")[0].partition(".*--graphs")[0]
    with prepared.folder.locked(), pytest.warns(UserWarning, match=f"{reason}.*; the phase goes on without"):
        prepared.pretrain(0)
    assert all(value.isfinite().all() for value in weights(run.out, "pretrained").values())


@pytest.mark.usefixtures("tapes")
def test_a_failed_capture_leaves_modules_as_they_were_and_drops_other_graphs() -> None:
    layer = nn.BatchNorm1d(2)
    cpu: Any = SimpleNamespace(device=torch.device("cpu"))
    steps = Graphs(graphs.Capture.TRY, cpu, torch.Generator(), {"layer": layer})
    calls = []

    def good(number: float | Tensor) -> dict[str, Tensor]:
        calls.append("good")
        return {"number": torch.as_tensor(number) * 2}

    def bad(number: float | Tensor) -> dict[str, Tensor]:
        calls.append("bad")
        layer.running_mean = torch.as_tensor(number) + torch.zeros(2)
        return {}

    for step in range(WARM_UP + 2):
        steps.run("good", good, step)
    assert calls.count("good") == WARM_UP + 1, "the last was replayed"
    for step in range(WARM_UP):
        steps.run("bad", bad, step)
    with pytest.warns(UserWarning, match=r"layer\.running_mean becomes another tensor .*; the phase goes on"):
        steps.run("bad", bad, 7.0)
    assert layer.running_mean.tolist() == [7.0, 7.0]
    calls.clear()
    assert steps.run("good", good, 4.0)["number"] == 8 and calls == ["good"]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("reads", r"--graphs: the training step cannot be captured \(.*reads back.*\); --graphs off trains"),
        ("replaces", r"--graphs: lifter\.seen becomes another tensor at every step.*--graphs off trains"),
    ],
)
@pytest.mark.usefixtures("tapes")
def test_a_lifter_that_cannot_be_captured_is_refused_with_the_reason(
    tmp_path: Path, domains: Domains, how: str, sentence: str
) -> None:
    run = training.prepare(run_of(tmp_path, 5, arm="gpa", graphs="on"), domains, lifter=Odd(how))
    with pytest.raises(training.TrainingError, match=sentence):
        run.train_arm(0, "gpa")


@pytest.mark.usefixtures("tapes")
def test_a_generator_that_the_graph_does_not_know_is_refused() -> None:
    known, other = torch.Generator(), torch.Generator()
    graphs = Graphs(True, SimpleNamespace(device=torch.device("cpu")), known, {})  # type: ignore[arg-type]

    def step() -> dict[str, Tensor]:
        return graphs.run("step", lambda: {"drawn": torch.rand(3, generator=other)})

    for _ in range(WARM_UP):
        step()
    with pytest.raises(training.TrainingError, match="draws from a generator that the graph does not know"):
        step()


def test_whether_to_compile_depends_on_whether_steps_are_captured(
    tmp_path: Path, domains: Domains, tapes: list[TapeBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def should_compile(choice: str, lifter: nn.Module, fabric: object, steps: int, captured: bool) -> bool:
        asked.append((choice, captured))
        return False

    monkeypatch.setattr("poseda.training.compilation.should_compile", should_compile)
    for choice in ("on", "off"):
        run = run_of(tmp_path / choice, 1, arm="source_only", graphs=choice)
        training.prepare(run, domains).pretrain(0)
    assert asked == [("auto", True), ("auto", False)]


# ------------------------------------------------------------------------------------------- on a GPU


@pytest.mark.needs_cuda
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_200_replayed_steps_have_the_losses_of_plain_ones(
    tmp_path: Path, domains: Domains, precision: str
) -> None:
    runs = both(tmp_path, domains, STEPS, arm="gpa", device="cuda", every=1, precision=precision)
    replayed, plain = (series(run, "lifter", "lifter_loss") for run in runs)
    assert len(plain) == STEPS
    worst = (replayed / plain - 1).abs().max()
    assert worst < (CLOSE if precision == "32-true" else EARLY), worst


@pytest.mark.needs_cuda
def test_200_replayed_adversarial_steps_have_the_losses_of_plain_ones(
    tmp_path: Path, domains: Domains
) -> None:
    runs = both(tmp_path, domains, STEPS, device="cuda", every=1)
    for name in ("generator_2d", "generator_3d", "discriminator_2d", "discriminator_3d"):
        replayed, plain = (series(run, "generator", name) for run in runs)
        assert len(plain) >= STEPS // 2
        apart = (replayed - plain).abs() / plain.abs().mean()
        assert apart[:FIRST].max() < EARLY and apart.max() < LATE, (name, apart)


@pytest.mark.needs_cuda
def test_a_killed_run_resumes_on_a_gpu(tmp_path: Path, domains: Domains) -> None:
    whole, cut = (
        run_of(tmp_path / name, 20, arm="gpa", device="cuda", graphs="on") for name in ("whole", "cut")
    )
    train(whole, domains)
    with pytest.raises(KeyboardInterrupt):
        train(cut, domains, KillAt("gpa · lifter", 15))
    train(dataclasses.replace(cut, resume=True), domains)
    torch.testing.assert_close(
        *(series(run, "lifter", "lifter_loss") for run in (whole, cut)), rtol=CLOSE, atol=0
    )


@pytest.mark.slow
@pytest.mark.needs_cuda
def test_a_compiled_step_can_be_replayed(tmp_path: Path, domains: Domains) -> None:
    runs = both(tmp_path, domains, 20, arm="gpa", device="cuda", every=1, compile="on")
    replayed, plain = (series(run, "lifter", "lifter_loss") for run in runs)
    torch.testing.assert_close(replayed, plain, rtol=CLOSE, atol=0)
