"""The arm wide in a run: it needs no target, learns, resumes bit for bit, and lifts what footage shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from poseda.config import WideConfig, from_json, to_json
from poseda.datasets import Domains
from poseda.inference import AdaptedLifter
from poseda.runs import RunFolder
from poseda.runs.verdict import source_model
from poseda.training.pairs import TrainingData
from poseda.training.preparation import prepare
from poseda.training.wide import ViewSource
from tests.shared.runs import equal, short_run, weights

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = WideConfig(width=16, blocks=1, steps=10, batch=32, ema=0.9)


def test_a_run_of_the_arm_alone_pretrains_nothing_and_is_evaluated(domains: Domains, tmp_path: Path) -> None:
    config = short_run(tmp_path / "run", "wide", wide=SHORT)
    rows = prepare(config, domains).train()
    folder = RunFolder(config.out)
    assert {(row["arm"], row["split"]) for row in rows} == {("wide", "source_val"), ("wide", "target_test")}
    assert all(np.isfinite(row["mpjpe"]) for row in rows)
    assert not folder.weights(0, "pretrained", "lifter").exists()
    assert source_model(("wide",)) == "wide"
    logged = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    assert {"lifter_loss", "up_loss", "valid_share"} <= logged[-1].keys()
    model = AdaptedLifter.load(config.out)
    assert model.arm == "wide" and model.wide
    assert "(transductive)" in folder.card.read()["arm wide"]


def test_it_learns(domains: Domains, tmp_path: Path) -> None:
    few = prepare(short_run(tmp_path / "few", "wide", wide=replace(SHORT, steps=5)), domains).train()
    many = prepare(
        short_run(tmp_path / "many", "wide", wide=replace(SHORT, steps=300), every=50), domains
    ).train()
    assert many[0]["mpjpe"] < 0.7 * few[0]["mpjpe"]


def test_a_run_that_was_stopped_goes_on_bit_for_bit(domains: Domains, tmp_path: Path) -> None:
    whole = short_run(tmp_path / "whole", "wide", wide=SHORT)
    prepare(whole, domains).train()
    stopped = short_run(tmp_path / "stopped", "wide", wide=SHORT)

    class Stop(Exception):
        pass

    class Observer:
        def phase_started(self, title: str, steps: int, done: int) -> None: ...
        def phase_restarted(self, title: str, step: int, reason: str) -> None: ...
        def phase_finished(self, title: str) -> None: ...
        def advanced(self, step: int) -> None:
            if step == 10:
                raise Stop

    with pytest.raises(Stop):
        prepare(stopped, domains, Observer()).train()
    assert RunFolder(stopped.out).partial(0, "wide", "lifter").exists()
    prepare(replace(stopped, resume=True), domains).train()
    assert equal(weights(whole.out, "wide"), weights(stopped.out, "wide"))


def test_other_arms_are_the_same_beside_it(domains: Domains, tmp_path: Path) -> None:
    alone = short_run(tmp_path / "alone", "gpa", wide=SHORT)
    beside = short_run(tmp_path / "beside", "wide", "gpa", wide=SHORT)
    for config in (alone, beside):
        prepare(config, domains).train()
    assert equal(weights(alone.out, "gpa"), weights(beside.out, "gpa"))


def test_views_are_told_their_direction_and_lengths_in_the_share_asked_for(domains: Domains) -> None:
    config = replace(short_run(Path("unused"), "wide"), wide=replace(SHORT, batch=400, known=0.5))
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"))
    source = ViewSource(data, config, 0, torch.Generator().manual_seed(0))
    views = source.draw(*source.indices(0))
    assert 0.4 < views.observation.up_known.float().mean() < 0.6
    assert 0.4 < views.observation.lengths_known.float().mean() < 0.6
    off = (views.observation.up * views.up).sum(1).clamp(-1, 1).acos()
    assert 0.05 < off.mean() < 0.2  # as uncertain as what is found
    assert views.pose_3d[:, :, 0].eq(0).all()
    never = replace(config, wide=replace(config.wide, known=0.0))
    silent = ViewSource(data, never, 0, torch.Generator().manual_seed(0)).draw(*source.indices(0))
    assert not silent.observation.up_known.any() and not silent.observation.lengths_known.any()


def test_windows_of_frames_are_trained_and_lifted(domains: Domains, tmp_path: Path) -> None:
    wide = replace(SHORT, lifter="mixste", steps=5)
    config = short_run(tmp_path / "run", "wide", wide=wide, frames=3, lifter="mixste")
    rows = prepare(config, domains).train()
    assert all(np.isfinite(row["mpjpe"]) for row in rows)


def test_the_options_of_the_arm_are_kept_with_the_run() -> None:
    config = short_run(Path("unused"), "wide", wide=SHORT)
    assert from_json(to_json(config)).wide == SHORT
