"""What a run logs also goes to Lightning's loggers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from runs import short_run

from poseda.config import ConfigError
from poseda.datasets import Domains
from poseda.runs import RunFolder
from poseda.training import loggers, prepare

pytestmark = pytest.mark.usefixtures("one_thread")


def test_tensorboard_shows_the_curves_of_every_phase(tmp_path: Path, domains: Domains) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'poseda[tensorboard]' brings it")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = prepare(short_run(tmp_path / "run", "gpa", logger="tensorboard"), domains)
    run.train()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    curve = events.Scalars("seed0/gpa/lifter/lifter_loss")
    logged = [line for line in run.folder.journal.read() if (line["arm"], line["phase"]) == ("gpa", "lifter")]
    assert [point.step for point in curve] == [line["step"] for line in logged] == [5, 10, 15]
    losses = [line["lifter_loss"] for line in logged]
    assert [point.value for point in curve] == pytest.approx(losses, rel=1e-6)
    assert "seed0/pretrained/lifter/lifter_loss" in events.Tags()["scalars"]


def test_weights_and_biases_gets_numbers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the logger: the package is not among those of the tests."""
    sent: list[tuple[dict[str, Any], int]] = []
    made = SimpleNamespace(log_metrics=lambda metrics, step: sent.append((metrics, step)))
    monkeypatch.setattr("lightning.pytorch.loggers.WandbLogger", lambda **options: made)
    config = short_run(tmp_path / "run", logger="wandb")
    logger = loggers.open_logger(config, RunFolder(config.out))
    loggers.log(logger, 50, "seed0/gpa/lifter", {"loss": 0.5, "reason": "none"})
    assert sent == [({"seed0/gpa/lifter/loss": 0.5}, 50)]


def test_a_missing_package_is_refused_before_anything_is_written(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"logger: expected the package wandb.*pip install 'poseda\[wandb\]'"
    ):
        prepare(short_run(tmp_path / "run", logger="wandb"), domains)
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run").iterdir())
