"""The arm wide in a run: it needs no target, learns, resumes bit for bit, and lifts what footage shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from poseda.config import Arm, ConfigError, DetectorConfig, RunConfig, WideConfig, from_json, to_json
from poseda.datasets import AdaptationData, Domains, OwnDomains
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.lifters.observation import encode
from poseda.lifters.sizes import build_wide
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import lift_poses
from poseda.runs import RunFolder
from poseda.runs.verdict import source_model
from poseda.training.fabric import start_fabric
from poseda.training.found_poses import with_found
from poseda.training.lifting import LifterPhase
from poseda.training.pairs import TrainingData
from poseda.training.phases import Phases
from poseda.training.preparation import prepare
from poseda.training.wide import Views, ViewSource, WidePhase
from tests.shared.runs import equal, short_run, weights

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = WideConfig(width=16, blocks=1, steps=15, batch=32, ema=0.9, target_steps=15)


def test_a_run_of_the_arm_alone_pretrains_nothing_and_is_evaluated(domains: Domains, tmp_path: Path) -> None:
    config = short_run(tmp_path / "run", "wide", wide=SHORT)
    rows = prepare(config, domains).train()
    folder = RunFolder(config.out)
    assert {(row["arm"], row["split"]) for row in rows} == {("wide", "source_val"), ("wide", "target_test")}
    assert all(np.isfinite(row["mpjpe"]) for row in rows)
    assert not folder.weights(0, "pretrained", "lifter").exists()
    assert source_model(("wide",)) == source_model(("wide_target", "wide")) == "wide"
    logged = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    assert {"lifter_loss", "up_loss", "valid_share"} <= logged[-1].keys()
    model = AdaptedLifter.load(config.out)
    assert model.arm == "wide" and model.wide
    assert "(transductive)" in folder.card.read()["wide arms"]


def test_it_learns(domains: Domains, tmp_path: Path) -> None:
    few = prepare(short_run(tmp_path / "few", "wide", wide=replace(SHORT, steps=5)), domains).train()
    many = prepare(
        short_run(tmp_path / "many", "wide", wide=replace(SHORT, steps=300), every=50), domains
    ).train()
    assert many[0]["mpjpe"] < 0.7 * few[0]["mpjpe"]


def views_of_held_poses(domains: Domains, config: RunConfig, seed: int) -> ViewSource:
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"))
    assert data.held is not None
    rng = torch.Generator().manual_seed(seed)
    return ViewSource(replace(data, source=data.held), config, seed, rng)


@pytest.mark.parametrize("arm", ["wide", "wide_target"])
def test_68_percent_of_the_joints_of_new_views_are_within_their_expected_errors(
    domains: Domains, tmp_path: Path, arm: Arm
) -> None:
    config = short_run(tmp_path / "run", arm, wide=replace(SHORT, steps=40))
    prepare(config, domains).train()
    lifter = AdaptedLifter.load(config.out, arm, 0).lifter
    assert isinstance(lifter, WideLifter) and lifter.log_error_scale != 0
    views, within = views_of_held_poses(domains, config, 7), []
    for step in range(40):
        view = views.draw(*views.indices(step))
        with torch.no_grad():
            lifted = lifter(view.observation)
        error = (lifted.pose_3d[:, 0] - view.pose_3d[:, 0]).norm(dim=-1)
        within.append((error < lifted.log_error.exp())[:, 1:].float().mean())
    assert abs(float(torch.stack(within).mean()) - 0.68) < 0.05


def test_found_poses_are_marked_as_teaching_nothing_about_errors(domains: Domains, tmp_path: Path) -> None:
    config = short_run(tmp_path / "run", "wide_target", wide=replace(SHORT, weight_error=1.0))
    prepare(config, domains).train()
    lifter = AdaptedLifter.load(config.out, "wide", 0).lifter
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"))
    found = with_found(data, lifter, 0.5, 3, config)
    views = ViewSource(found.data, config, 3, torch.Generator().manual_seed(3), found.up, found.own)
    rows = torch.tensor([0, found.own - 1, found.own, len(found.up) - 1])
    assert views.draw(rows).true.tolist() == [True, True, False, False]


def test_the_optimiser_forgets_squares_sooner_than_that_of_other_arms(
    domains: Domains, tmp_path: Path
) -> None:
    config = short_run(tmp_path / "run", "wide")
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"))
    phases = Phases(config, start_fabric(config), RunFolder(config.out), data.skeleton)
    phase = phases.wide(data)(torch.Generator().manual_seed(7))
    assert isinstance(phase, WidePhase)
    assert phase.optimizer.param_groups[0]["betas"] == WidePhase.betas != LifterPhase.betas


class Stop(Exception):
    """Ends a run as a kill would."""


class StopIn:
    """Stops a run at a step of the phase whose title begins so."""

    def __init__(self, title: str, step: int) -> None:
        self.title, self.step, self._now = title, step, ""

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self._now = title

    def phase_restarted(self, title: str, step: int, reason: str) -> None: ...
    def phase_finished(self, title: str) -> None: ...
    def advanced(self, step: int) -> None:
        if self._now.startswith(self.title) and step == self.step:
            raise Stop


@pytest.mark.parametrize(
    ("arm", "phase"), [("wide", "lifter"), ("wide_target", "round1"), ("wide_target", "lifter")]
)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    domains: Domains, tmp_path: Path, arm: Arm, phase: str
) -> None:
    whole = short_run(tmp_path / "whole", arm, wide=SHORT)
    prepare(whole, domains).train()
    stopped = short_run(tmp_path / "stopped", arm, wide=SHORT)
    with pytest.raises(Stop):
        prepare(stopped, domains, StopIn(f"{arm} · {phase}", 10)).train()
    assert RunFolder(stopped.out).partial(0, arm, phase).exists()
    prepare(replace(stopped, resume=True), domains).train()
    assert equal(weights(whole.out, arm), weights(stopped.out, arm))


def test_what_the_target_taught_is_another_lifter_and_the_one_that_is_recommended(
    domains: Domains, tmp_path: Path
) -> None:
    config = replace(short_run(tmp_path / "run", "wide", "wide_target", wide=SHORT), gate="report")
    prepare(config, domains).train()
    assert not equal(weights(config.out, "wide"), weights(config.out, "wide_target"))
    model = AdaptedLifter.load(config.out)
    assert model.arm == "wide_target" and model.wide


def test_found_poses_are_the_targets_own_and_stand_beside_those_of_the_source(domains: Domains) -> None:
    config = short_run(Path("unused"), "wide_target", wide=SHORT)
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"))
    lifter = build_wide(config, data.skeleton).eval()
    found = with_found(data, lifter, 0.25, 7, config)
    poses, own = found.data.source, len(data.source)
    assert found.own == own and torch.equal(poses.pose_3d[:own], data.source.pose_3d)
    assert len(poses) - own == pytest.approx(own / 3, abs=1)
    assert found.up.norm(dim=1).allclose(torch.ones(len(poses)), atol=1e-4)
    # Each is what the lifter says of some row of the target: its 2D is there to compare.
    target = domains.adaptation().target
    told = lift_poses(lifter, target, config.training.flip).pose_3d
    row = (target.pose_2d.flatten(1) == poses.pose_2d[own].flatten()).all(1).nonzero()[0, 0]
    lifted = poses.pose_3d[own] - poses.pose_3d[own, :1]
    assert lifted.allclose(told[row], atol=1e-4)
    assert torch.equal(poses.pose_3d, with_found(data, lifter, 0.25, 7, config).data.source.pose_3d)


def test_a_target_of_a_few_pictures_is_refused_before_anything_is_written(
    domains: Domains, tmp_path: Path
) -> None:
    few = domains.adaptation()
    few = replace(few, target=few.target.rows(torch.arange(4)))
    config = short_run(tmp_path / "run", "wide_target", wide=SHORT)
    with pytest.raises(ValueError, match="at least 8 poses for wide_target, got 4; name other arms"):
        prepare(config, OwnDomains("few", few, "0", {}))
    assert not config.out.exists()


def barely_showing(domains: Domains, rows: int) -> AdaptationData:
    """The domains' data with a target of which all but some rows show seven joints."""
    data = domains.adaptation()
    visible = torch.ones(data.target.pose_2d.shape[:2], dtype=torch.bool)
    visible[rows:, 7:] = False
    return replace(data, target=replace(data.target, visible=visible))


def test_rows_that_barely_show_a_person_teach_nothing(domains: Domains) -> None:
    config = short_run(Path("unused"), "wide_target", wide=SHORT)
    given = barely_showing(domains, 30)
    data = TrainingData.load(given, torch.device("cpu"))
    found = with_found(data, build_wide(config, data.skeleton).eval(), 0.25, 7, config)
    taught = found.data.source.pose_2d[found.own :]
    shown = given.target.pose_2d[:30]
    assert len(taught) and all((shown == row).all((1, 2)).any() for row in taught)


def test_a_target_that_shows_too_little_is_refused_with_the_count(domains: Domains, tmp_path: Path) -> None:
    config = short_run(tmp_path / "run", "wide_target", wide=SHORT)
    with pytest.raises(ValueError, match="wide_target, got 5 that show 8 joints; name other arms"):
        prepare(config, OwnDomains("few", barely_showing(domains, 5), "0", {}))
    assert not config.out.exists()


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


def test_windows_of_frames_are_not_taught_by_single_frames() -> None:
    with pytest.raises(ConfigError, match="frames: expected 1 with the arm wide_target"):
        short_run(Path("unused"), "wide_target", wide=SHORT, frames=3)


USUAL = DetectorConfig()


def views_of(domains: Domains, frames: int = 1, flip: bool = True, detector: DetectorConfig = USUAL) -> Views:
    run = short_run(Path("unused"), "wide", detector=detector)
    config = replace(run, wide=replace(SHORT, batch=400), training=replace(run.training, flip=flip))
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"), frames)
    source = ViewSource(data, config, 0, torch.Generator().manual_seed(0))
    return source.draw(*source.indices(0))


def test_half_of_the_people_are_mirrored_and_the_others_stay(domains: Domains) -> None:
    mirrored, plain = views_of(domains), views_of(domains, flip=False)
    same = (mirrored.pose_3d == plain.pose_3d).all((1, 2, 3))
    assert 0.4 < same.float().mean() < 0.6
    lengths, others = (bone_lengths(views.pose_3d[~same]) for views in (mirrored, plain))
    order = [joint - 1 for joint in H36M16.mirror[1:]]
    torch.testing.assert_close(lengths, others[..., order], rtol=1e-3, atol=1e-4)


def bone_lengths(pose_3d: torch.Tensor) -> torch.Tensor:
    return (pose_3d[..., 1:, :] - pose_3d[..., list(H36M16.parents[1:]), :]).norm(dim=-1)


def test_the_joints_of_a_window_are_hidden_together(domains: Domains) -> None:
    seen = views_of(domains, frames=3).observation.seen
    assert seen.shape == (400, 3, 16) and not seen.all()
    assert torch.equal(seen, seen[:, :1].expand_as(seen))


BURSTING = DetectorConfig(masked=1.0, burst=1.0, cropped=0.5)


def test_in_bursts_each_frame_of_a_window_hides_its_own_joints(domains: Domains) -> None:
    seen = views_of(domains, frames=9, detector=BURSTING).observation.seen
    changing = (seen != seen[:, :1]).any((1, 2))
    assert seen.shape == (400, 9, 16) and changing.float().mean() > 0.8
    assert seen.sum(-1).min() >= BURSTING.fewest


def test_no_number_of_a_joint_that_a_frame_hides_reaches_the_lifter(domains: Domains) -> None:
    told = views_of(domains, frames=9, detector=BURSTING).observation
    usual = torch.full((H36M16.num_groups,), 0.25)
    wild = replace(told, rays=torch.where(told.seen[..., None], told.rays, torch.randn_like(told.rays)))
    for one, other in zip(encode(told, usual), encode(wild, usual), strict=True):
        assert torch.equal(one, other)


def test_windows_with_bursts_and_borders_are_trained(domains: Domains, tmp_path: Path) -> None:
    wide = replace(SHORT, lifter="videopose3d", steps=5)
    config = short_run(tmp_path / "run", "wide", wide=wide, frames=9, lifter="videopose3d", detector=BURSTING)
    assert all(np.isfinite(row["mpjpe"]) for row in prepare(config, domains).train())
