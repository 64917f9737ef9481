"""Training: what each arm may learn from, that runs repeat and resume to the bit, and that GPA helps."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import KillAt, equal, short_run, weights

from poseda import training
from poseda.config import (
    Arm,
    LifterTrainingConfig,
    NetworkConfig,
    RunConfig,
)
from poseda.datasets import Domains, LabelledPoses, open_domains
from poseda.geometry.kinematics import root_relative
from poseda.lifters import mirror
from poseda.lifters.predict import predict
from poseda.training.pairs import PairSource, Shuffle, TrainingData, recipe_of
from poseda.training.run import Run
from poseda.training.stage import stage_seed

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(domains: Domains) -> TrainingData:
    return TrainingData.load(domains.adaptation(), CPU)


@pytest.mark.parametrize(
    ("killed_in", "arm"),
    [
        ("pretrained · lifter", "gpa_lpa"),
        ("gpa_lpa · generator", "gpa_lpa"),
        ("gpa_lpa · lifter", "gpa_lpa"),
        ("gpa_lpa_view · scout", "gpa_lpa_view"),
        ("gpa_lpa_view · generator", "gpa_lpa_view"),
    ],
)
def test_a_killed_run_resumes_to_the_same_bits(
    tmp_path: Path, domains: Domains, killed_in: str, arm: Arm
) -> None:
    whole, cut = short_run(tmp_path / "whole", arm), short_run(tmp_path / "cut", arm)
    expected = training.prepare(whole, domains).train()
    with pytest.raises(KeyboardInterrupt):
        training.prepare(cut, domains, KillAt(killed_in, 10)).train()
    results = training.prepare(dataclasses.replace(cut, resume=True), domains).train()
    assert results == expected
    own = (
        ("scout", "view_alignment", "generator", "lifter")
        if arm == "gpa_lpa_view"
        else ("generator", "lifter")
    )
    for owner, phase in (("pretrained", "lifter"), *((arm, phase) for phase in own)):
        assert equal(weights(whole.out, owner, phase), weights(cut.out, owner, phase)), (owner, phase)
    assert not list(cut.out.rglob("*.partial"))

    def steps(out: Path) -> list[tuple[str, str, int]]:
        lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
        return [(line["arm"], line["phase"], line["step"]) for line in lines]

    assert steps(cut.out) == steps(whole.out)


def test_an_arm_does_not_depend_on_which_other_arms_run(tmp_path: Path, domains: Domains) -> None:
    alone, among = short_run(tmp_path / "a", "gpa"), short_run(tmp_path / "b", "random", "gpa")
    for run in (alone, among):
        training.prepare(run, domains).train()
    assert equal(weights(alone.out, "gpa"), weights(among.out, "gpa"))
    assert not equal(weights(among.out, "random"), weights(among.out, "gpa"))
    assert stage_seed(0, "gpa", "lifter") != stage_seed(1, "gpa", "lifter")


class SealedDomains:
    """Domains whose target labels raise when touched before they may be."""

    def __init__(self, inner: Domains) -> None:
        self.inner, self.open, self.oracle_asked = inner, False, 0
        self.name, self.skeleton = inner.name, inner.skeleton
        self.adaptation, self.fingerprint = inner.adaptation, inner.fingerprint

    def evaluation(self, split: str = "target_test") -> LabelledPoses:
        assert self.open, f"labels of {split} were asked for while training"
        return self.inner.evaluation(split)

    def oracle(self) -> LabelledPoses:
        self.oracle_asked += 1
        return self.inner.oracle()


def test_no_arm_but_the_oracle_ever_asks_for_target_labels(tmp_path: Path, domains: Domains) -> None:
    sealed = SealedDomains(domains)
    sealed.open = True  # that labels are there is checked before training; they are dropped again
    run = training.prepare(short_run(tmp_path / "r", "gpa"), sealed)
    sealed.open = False
    run.pretrain(0)
    for arm in ("source_only", "gpa", "lpa", "gpa_lpa", "random", "poseaug"):
        run.adapt(0, arm)
    assert sealed.oracle_asked == 0
    run.adapt(0, "oracle")
    assert sealed.oracle_asked == 1


def test_every_arm_takes_as_many_lifter_steps(tmp_path: Path, domains: Domains) -> None:
    run = short_run(tmp_path / "r", "source_only", "lpa", "poseaug", "oracle")
    training.prepare(run, domains).train()
    lines = [json.loads(line) for line in (run.out / "metrics.jsonl").read_text().splitlines()]
    last = {line["arm"]: line["step"] for line in lines if line["phase"] == "lifter"}
    assert last == dict.fromkeys(["pretrained", *run.arms], 15)
    assert {line["arm"] for line in lines if line["phase"] == "generator"} == {"lpa", "poseaug"}
    results = json.loads((run.out / "results.json").read_text())
    assert {(row["arm"], row["split"]) for row in results} == {
        (arm, split) for arm in run.arms for split in ("source_val", "target_test")
    }


def draw(arm: Arm, data: TrainingData, run: RunConfig, **given: Any) -> tuple[Any, torch.Generator]:
    rng = torch.Generator().manual_seed(0)
    pairs = PairSource(recipe_of(arm, run), data, run, 0, rng, **given)
    return pairs.draw(*pairs.indices(0)), rng


def test_source_pairs_are_the_captured_ones_and_gpa_pairs_stand_on_targets(
    data: TrainingData, tmp_path: Path
) -> None:
    run = short_run(tmp_path, "gpa")
    index = Shuffle(len(data.source), 32, 0, CPU).at(0)
    captured, _ = draw("source_only", data, run)
    assert torch.equal(captured.pose_2d[:, 0], data.source.pose_2d[index]) and captured.valid.all()
    placed, _ = draw("gpa", data, run)
    where = data.placements.sample(32, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        placed.pose_2d[:, 0, 0], data.placements.placement[where, :2], rtol=0, atol=1e-4
    )
    # Not the posture: root-relative poses stay as they were.
    torch.testing.assert_close(
        root_relative(placed.pose_3d),
        root_relative(captured.pose_3d),
        rtol=0,
        atol=1e-4,
    )


def test_random_pairs_keep_the_stated_share_of_postures(data: TrainingData, tmp_path: Path) -> None:
    steps = LifterTrainingConfig(batch=256, source_share=0.75)
    run = short_run(tmp_path, "random", training=steps)
    pairs, _ = draw("random", data, run)
    captured = data.source.pose_3d[Shuffle(len(data.source), 256, 0, CPU).at(0)]
    moved = root_relative(pairs.pose_3d[:, 0]) - root_relative(captured)
    kept = (moved.abs().amax((1, 2)) < 1e-4).float().mean()
    assert 0.65 < kept < 0.85


def test_a_shuffle_visits_everything_once_an_epoch_and_needs_no_state() -> None:
    order = Shuffle(100, 10, 3, CPU)
    first = torch.cat([order.at(step) for step in range(10)])
    assert sorted(first.tolist()) == list(range(100))
    second = order.at(10)
    assert torch.equal(Shuffle(100, 10, 3, CPU).at(10), second) and not torch.equal(second, first[:10])
    assert torch.equal(order.at(0), first[:10]), "going back gives the old order"
    small = Shuffle(3, 8, 0, CPU).at(0)
    assert len(small) == 8 and set(small.tolist()) == {0, 1, 2}


def test_mirroring_twice_is_nothing_and_mirrored_pairs_still_project(data: TrainingData) -> None:
    source, skeleton = data.source, data.skeleton
    twice = mirror(mirror(source.pose_3d, skeleton), skeleton)
    assert torch.equal(twice, source.pose_3d)
    from poseda.geometry.camera import project

    seen = project(mirror(source.pose_3d, skeleton), source.camera.mirrored())
    torch.testing.assert_close(seen, mirror(source.pose_2d, skeleton), rtol=0, atol=1e-4)


def test_flip_averaging_makes_the_prediction_symmetric(data: TrainingData) -> None:
    from poseda.lifters import build

    lifter = build("simple_baseline", data.skeleton, width=16, blocks=1)
    pose = data.source.pose_2d[:20]
    one = predict(lifter, pose, data.skeleton, flip=True)
    two = predict(lifter, mirror(pose, data.skeleton), data.skeleton, flip=True)
    torch.testing.assert_close(mirror(one, data.skeleton), two, rtol=0, atol=1e-5)


def test_invalid_poses_are_harmless_and_a_non_finite_loss_stops_the_run(
    tmp_path: Path, domains: Domains
) -> None:
    run = training.prepare(short_run(tmp_path / "r", "gpa"), domains)
    run.pretrain(0)
    broken = run.data.source.pose_3d.clone()
    broken[::2, 3] = float("nan")  # a NaN pose is invalid once placed, but captured pairs go as they are
    run.data = dataclasses.replace(run.data, source=dataclasses.replace(run.data.source, pose_3d=broken))
    run.adapt(0, "gpa")
    with pytest.raises(
        training.NonFiniteError, match=r"source_only.*lifter_loss became non-finite at step 0"
    ):
        run.adapt(0, "source_only")
    assert not run.folder.weights(0, "source_only", "lifter").exists()


def test_gpa_lowers_the_error_where_only_the_camera_differs(tmp_path: Path, domains: Domains) -> None:
    run = short_run(
        tmp_path / "r",
        "source_only",
        "gpa",
        network=NetworkConfig(width=64, blocks=1, dropout=0.0),
        training=LifterTrainingConfig(pretrain_steps=200, adapt_steps=200, batch=64, ema=0.98),
        log_every=100,
        save_every=100,
    )
    results = training.prepare(run, domains).train()
    error = {row["arm"]: row["mpjpe"] for row in results if row["split"] == "target_test"}
    assert error["gpa"] < 0.95 * error["source_only"], error


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path, domains: Domains) -> None:
    out = tmp_path / "r"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(training.FolderError, match="--out: expected a new or empty folder"):
        training.prepare(short_run(out, "gpa"), domains)
    with pytest.raises(training.FolderError, match=r"config\.json"):
        training.prepare(short_run(out, "gpa", resume=True), domains)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_finished_run_computes_nothing_again_unless_something_is_missing(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = short_run(tmp_path / "r", "source_only", steps=2, every=2)
    results = training.prepare(run, domains).train()
    whole = tmp_path / "whole"
    shutil.copytree(run.out, whole)

    def files() -> dict[str, bytes]:
        found = {path: path.read_bytes() for path in run.out.rglob("*") if path.is_file()}
        return {str(path): found[path] for path in found if path.name not in ("config.json", ".lock")}

    before = files()
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_arm", lambda *_: pytest.fail("computed again"))
        resumed = training.prepare(dataclasses.replace(run, resume=True), domains)
        assert resumed.folder.finished and resumed.train() == results
    assert files() == before, "config.json and the lock aside"

    def finished(**changes: Any) -> bool:
        again = training.prepare(dataclasses.replace(run, resume=True, **changes), domains)
        again.folder.release()
        return again.folder.finished

    for name in ("results.json", "labelfree.json", "clips.safetensors", "gate.json", "protocol.json"):
        (run.out / name).unlink()
        assert not finished(), name
        shutil.rmtree(run.out)
        shutil.copytree(whole, run.out)
    assert finished() and not finished(seeds=(0, 1)) and not finished()


def test_resuming_with_other_data_or_options_is_refused_by_name(tmp_path: Path, domains: Domains) -> None:
    run = short_run(tmp_path / "r", "gpa")
    training.prepare(run, domains)
    again = dataclasses.replace(run, resume=True)
    with pytest.raises(training.FolderError, match="--data: expected the data of the run"):
        training.prepare(again, open_domains(None, seed=1, size=0.05))
    with pytest.raises(training.FolderError, match="lifter: the run to resume has 'simple_baseline'"):
        training.prepare(dataclasses.replace(again, lifter="videopose3d"), domains)
    more = training.prepare(dataclasses.replace(again, arms=("random",)), domains)
    assert more.config.arms == ("gpa", "random")
