"""`python -m benchmarks.mocap stability`: what a journal says, and a queue that counts collapses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mocap.program import main
from benchmarks.mocap.stability import TITLES, Outcome, read_outcome
from poseda import training
from poseda.cli import main as poseda
from poseda.config import HealthConfig
from poseda.training.health import CollapseWatch

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ["--preset", "tiny", "--device", "cpu", "--generator-training.steps", "8"]
LINES = ["--log-every", "2", "--save-every", "4"]
SICK = ["--health.bone-spread", "9", "--health.windows", "1", "--health.restarts", "1"]


def stability(out: Path, *options: str) -> list[str]:
    return ["stability", "--out", str(out), *options, *TINY, *LINES]


def line(step: int, spread: float, **more: Any) -> dict[str, Any]:
    own = {"step": step, "phase": "generator", "seed": 3, "arm": "gpa_lpa"}
    return own | {"bone_spread": spread, "valid_share": 0.9, "discriminator_2d": 0.2, "seconds": 1.5} | more


def test_an_outcome_counts_the_lines_up_to_a_restart_and_after_it() -> None:
    restart = {"step": 50, "phase": "generator", "seed": 3, "arm": "gpa_lpa"}
    restart |= {"restart": 1, "collapsed_at": 150, "reason": "flat"}
    others = [line(50, 0.0, seed=4), line(50, 0.0, arm="lpa"), line(50, 0.0, phase="lifter")]
    journal = [line(50, 0.4), restart, line(100, 0.005, discriminator_2d=0.01), line(150, 0.3), *others]
    found = read_outcome(journal, 3, CollapseWatch(HealthConfig()))
    final = {"bone_spread": 0.3, "valid_share": 0.9, "discriminator_2d": 0.2}
    lowest = {"bone_spread": 0.005, "valid_share": 0.9, "discriminator_2d": 0.01}
    assert found == Outcome(3, 1, ("step 150: flat",), False, 3, 1, final, lowest)
    end = training.CollapseError("it ended", 200, "flat again")
    given_up = read_outcome(journal, 3, CollapseWatch(HealthConfig()), end)
    assert given_up.given_up and given_up.reasons == ("step 150: flat", "step 200: flat again")
    assert (found.collapsed, given_up.restarts) == (True, 1)


def test_every_value_that_is_watched_has_a_column() -> None:
    watch = CollapseWatch(HealthConfig())
    assert all(watch.bound(name) is not None for name in TITLES)
    assert watch.bound("bone_turn") is None and watch.bound("discriminator_4d") is not None
    assert watch.faults({"bone_spread": 0.009, "valid_share": 0.5, "bone_turn": 0.0}) == ["bone_spread"]


def test_sound_generators_are_counted_and_no_lifter_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(stability(tmp_path / "q", "--seeds", "0", "1")) == 0
    shown = capsys.readouterr().out
    assert "embedded domains: 2 of 2 seeds" in shown and "0 of 2 seeds collapsed" in shown
    record = json.loads((tmp_path / "q/stability.json").read_text())
    assert (record["finished"], record["collapsed"], len(record["data"])) == (2, 0, 64)
    spread = [row["final"]["bone_spread"] for row in record["rows"]]
    assert record["mean"]["bone_spread"] == pytest.approx(sum(spread) / 2) and spread[0] != spread[1]
    assert f"| 1 | no | 0 | 0 of 4 | {spread[1]:.3g} |" in shown
    assert {path.name for path in (tmp_path / "q").rglob("*.safetensors")} == {"generator.safetensors"}
    # What is finished is not trained again, and more seeds may be asked for.
    monkeypatch.setattr(training.Run, "train_generator", lambda self, seed, arm: pytest.fail(str(seed)))
    assert main(stability(tmp_path / "q", "--seeds", "1", "0")) == 0
    assert "0 of 2 seeds collapsed" in capsys.readouterr().out
    assert main(stability(tmp_path / "q", "--seeds", "0", "2", "--dry-run")) == 0
    assert capsys.readouterr().out.count("0 of 1 arms, to do: gpa_lpa") == 1


def test_a_generator_is_the_one_that_adapt_trains(tmp_path: Path) -> None:
    assert main(stability(tmp_path / "q", "--seeds", "5")) == 0
    steps = ["--training.pretrain-steps", "3", "--training.adapt-steps", "3", "--arms", "gpa_lpa"]
    adapt = ["adapt", "--seeds", "5", *TINY, *LINES, *steps, "--gate", "off", "--out", str(tmp_path / "run")]
    assert poseda(adapt) == 0
    weights = [
        (folder / "seed5/gpa_lpa/generator.safetensors").read_bytes()
        for folder in (tmp_path / "q/runs/seed5", tmp_path / "run")
    ]
    assert weights[0] == weights[1]


def test_a_collapse_is_a_result_and_others_go_on_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(stability(tmp_path / "q", "--seeds", "0", "1", "--processes", "2", *SICK)) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 seeds collapsed; 2 were given up" in shown
    assert shown.count("bone_spread below 9 in 1 log lines in a row") == 4
    rows = json.loads((tmp_path / "q/stability.json").read_text())["rows"]
    assert [(row["given_up"], row["restarts"], row["lines"], row["faulty"]) for row in rows] == [
        (True, 1, 1, 1)
    ] * 2


def test_a_generator_that_the_lifter_steers_gets_its_lifter(tmp_path: Path) -> None:
    steered = ["--adversary.feedback", "hard_ratio", "--training.pretrain-steps", "2"]
    assert main(stability(tmp_path / "q", "--seeds", "0", *steered)) == 0
    assert (tmp_path / "q/runs/seed0/seed0/pretrained/lifter.safetensors").exists()
    (row,) = json.loads((tmp_path / "q/stability.json").read_text())["rows"]
    assert main(stability(tmp_path / "unsteered", "--seeds", "0")) == 0
    (other,) = json.loads((tmp_path / "unsteered/stability.json").read_text())["rows"]
    assert "feedback" in row["final"] and "feedback" not in other["final"]
    steered_file, unsteered_file = (
        tmp_path / out / "runs/seed0/seed0/gpa_lpa/generator.safetensors" for out in ("q", "unsteered")
    )
    assert steered_file.read_bytes() != unsteered_file.read_bytes(), "the feedback must move the generator"


def test_a_queue_that_looks_for_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(stability(tmp_path / "q", "--health.windows", "0")) == 2
    assert "--health.windows: expected at least 1" in capsys.readouterr().err
    assert not (tmp_path / "q").exists()
