"""A degraded target: by the amount asked for, repeatably, and never its labels and test data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from poseda import training
from poseda.config import LifterTrainingConfig, RunConfig, TargetDataConfig, from_json, preset, to_json
from poseda.datasets import AdaptationData, Domains, open_domains
from poseda.evaluation import gate
from poseda.method import losses
from poseda.runs.card import protocol_card
from poseda.training.disturbance import disturb


@pytest.fixture(scope="module")
def domains() -> Domains:
    return open_domains(None, size=0.05)


@pytest.fixture(scope="module")
def data(domains: Domains) -> AdaptationData:
    return domains.adaptation()


def test_by_default_nothing_is_touched(data: AdaptationData) -> None:
    same = disturb(data, TargetDataConfig()).target
    assert same.pose_2d is data.target.pose_2d and same.camera is data.target.camera


def test_a_smaller_target_keeps_rows_whole_and_is_always_the_same(data: AdaptationData) -> None:
    small = disturb(data, TargetDataConfig(size=40)).target
    assert len(small) == len(small.camera) == 40
    rows = (small.pose_2d[:, None] == data.target.pose_2d).all(-1).all(-1).int().argmax(1)
    assert len(set(rows.tolist())) == 40 and torch.equal(small.camera.focal, data.target.camera.focal[rows])
    assert torch.equal(disturb(data, TargetDataConfig(size=40)).target.pose_2d, small.pose_2d)
    with pytest.raises(
        ValueError, match=r"target_data\.size: expected at most the \d+ poses of the target, got"
    ):
        disturb(data, TargetDataConfig(size=10**6))


def test_noise_has_the_deviation_asked_for_and_spares_unseen_joints(data: AdaptationData) -> None:
    noisy = disturb(data, TargetDataConfig(noise=0.01)).target
    moved = noisy.pose_2d - data.target.pose_2d
    assert moved.std().item() == pytest.approx(0.01, rel=0.02) and abs(moved.mean().item()) < 1e-3
    visible = torch.ones(data.target.pose_2d.shape[:2], dtype=torch.bool)
    visible[:, 3] = False
    hidden = dataclasses.replace(data, target=dataclasses.replace(data.target, visible=visible))
    moved = disturb(hidden, TargetDataConfig(noise=0.01)).target.pose_2d - data.target.pose_2d
    assert not moved[:, 3].any() and moved[:, 4].any()


def test_a_wrong_focal_length_is_wrong_by_the_share_asked_for(data: AdaptationData) -> None:
    wrong = disturb(data, TargetDataConfig(focal_error=-0.3)).target.camera
    torch.testing.assert_close(wrong.focal, 0.7 * data.target.camera.focal)
    assert torch.equal(wrong.center, data.target.camera.center)
    with pytest.raises(ValueError, match=r"target_data\.focal_error: expected a number above -1, got -1"):
        RunConfig(target_data=TargetDataConfig(focal_error=-1.0))


def test_a_run_adapts_to_the_worse_target_and_says_so(tmp_path: Path, domains: Domains) -> None:
    config = dataclasses.replace(
        preset("tiny"), out=tmp_path / "r", device="cpu", target_data=TargetDataConfig(size=30, noise=0.01)
    )
    run = training.prepare(config, domains)
    assert len(run.data.placements) + run.data.placements.dropped == 30
    degraded = gate.decide(disturb(domains.adaptation(), config.target_data))
    assert run.verdict == degraded != gate.decide(domains.adaptation())
    card = protocol_card(config, domains, run.splits)["target"]
    assert "degraded first: 30 poses, noise of 0.01 half screen widths" in card
    assert "degraded" not in protocol_card(preset("tiny"), domains, run.splits)["target"]


def test_a_record_older_than_worse_targets_is_read() -> None:
    saved = to_json(preset("tiny"))
    del saved["target_data"], saved["training"]["loss"], saved["training"]["noise_2d"]
    assert from_json(saved) == preset("tiny")


def test_kinds_of_loss_by_hand() -> None:
    prediction, target = torch.zeros(2, 2, 3), torch.zeros(2, 2, 3)
    prediction[0, 0] = torch.tensor([3.0, 4.0, 0.0])  # of two joints one is off: distance 5, squared 25, 7
    prediction[1] = 100.0
    valid = torch.tensor([True, False])
    found = [
        losses.lifter_loss(prediction, target, valid, kind).item()
        for kind in ("distance", "squared", "absolute")
    ]
    assert found == pytest.approx([2.5, 12.5, 3.5], abs=1e-5)


def test_noise_on_training_input_leaves_the_truth_alone(tmp_path: Path, domains: Domains) -> None:
    from poseda.training.lifting import LifterPhase

    steps = LifterTrainingConfig(pretrain_steps=2, adapt_steps=2, batch=64, noise_2d=0.05, flip=False)
    run = training.prepare(
        dataclasses.replace(preset("tiny"), out=tmp_path / "r", device="cpu", training=steps), domains
    )
    seen = []
    draw = LifterPhase._add_noise

    def look(self: LifterPhase, pairs: object) -> object:
        noisy = draw(self, pairs)  # type: ignore[arg-type]
        seen.append((pairs, noisy))
        return noisy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LifterPhase, "_add_noise", look)
        run.pretrain(0)
    before, after = seen[0]
    assert (after.pose_2d - before.pose_2d).std().item() == pytest.approx(0.05, rel=0.05)
    assert after.pose_3d is before.pose_3d
    assert not torch.equal(seen[0][1].pose_2d - seen[0][0].pose_2d, seen[1][1].pose_2d - seen[1][0].pose_2d)
