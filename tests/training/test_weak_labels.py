"""Weak labels in the arm wide_target: completed, drawn among found poses, seen in their own pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from poseda.config import ConfigError, DetectorConfig, RunConfig, WideConfig
from poseda.datasets import AdaptationData, Domains, OwnDomains, WeakLabels
from poseda.geometry.rotation import rotation_matrix
from poseda.lifters import mirror
from poseda.lifters.sizes import build_wide
from poseda.runs import RunFolder
from poseda.training import wide
from poseda.training.disturbance import disturb
from poseda.training.found_poses import FoundPoses, completed, laid_onto, with_found
from poseda.training.pairs import TrainingData
from poseda.training.preparation import prepare
from poseda.training.wide import ViewSource
from tests.shared.runs import equal, short_run, weights

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = torch.tensor([2, 5, 30])

SHORT = WideConfig(width=16, blocks=1, steps=15, batch=32, ema=0.9, target_steps=15, rounds=1)

QUIET = DetectorConfig(noise=0.0, misplaced=0.0, swapped=0.0, masked=0.0, as_target=0.0)


def labels(domains: Domains) -> WeakLabels:
    pose = domains.oracle().root_relative[ROWS]
    return WeakLabels(
        pose, torch.ones(pose.shape[:2], dtype=torch.bool), ROWS, torch.ones(3, dtype=torch.bool)
    )


def with_labels(domains: Domains, name: str = "labelled") -> OwnDomains:
    return OwnDomains(name, replace(domains.adaptation(), weak=labels(domains)), name, {})


def found_among(domains: Domains, config: RunConfig) -> FoundPoses:
    data = TrainingData.load(with_labels(domains).adaptation(), torch.device("cpu"))
    return with_found(data, build_wide(config, data.skeleton).eval(), 0.5, 7, config)


def views_of(domains: Domains, config: RunConfig) -> ViewSource:
    found, rng = found_among(domains, config), torch.Generator().manual_seed(3)
    return ViewSource(found.data, config, 3, rng, found.up, found.own, found.pictures)


def test_a_pose_is_laid_onto_known_joints_wherever_it_stands(domains: Domains) -> None:
    pose = domains.oracle().root_relative[:4].double()
    turn = rotation_matrix(torch.tensor([0.3, -0.8, 0.5], dtype=torch.float64))
    moved = 1.7 * pose @ turn.T + torch.tensor([1.0, 2.0, 3.0])
    known = torch.ones(4, pose.shape[1], dtype=torch.bool)
    known[:, -5:] = False
    lost = moved.clone()
    lost[:, -5:] = 99.0  # what is not known is not read
    torch.testing.assert_close(laid_onto(pose, lost, known), moved)


def test_missing_joints_and_scale_come_from_what_was_found(domains: Domains) -> None:
    target, weak = domains.adaptation().target, labels(domains)
    truth = domains.oracle().root_relative
    known = weak.known.clone()
    known[:, [0, 3, 9]] = False  # the root is one of them
    scaleless = WeakLabels(
        (5 * weak.pose_3d).where(known[..., None], torch.zeros(())), known, ROWS, ~weak.metric
    )
    pose = completed(scaleless, truth, target.clip, domains.skeleton)
    # The people of the embedded domains keep their lengths, so the usual lengths are the true ones.
    torch.testing.assert_close(pose, truth[ROWS], atol=2e-3, rtol=0)
    metric = replace(scaleless, metric=weak.metric, pose_3d=1.1 * weak.pose_3d, known=weak.known)
    torch.testing.assert_close(completed(metric, truth, target.clip, domains.skeleton), 1.1 * truth[ROWS])


def test_their_share_of_the_targets_poses_is_as_asked_for_and_they_stand_last(domains: Domains) -> None:
    config = short_run(Path("unused"), "wide_target", wide=replace(SHORT, weak_share=0.25))
    found = found_among(domains, config)
    assert found.pictures is not None
    count, taught = len(found.data.source) - found.own, len(found.pictures)
    assert taught == pytest.approx(0.25 * count, abs=1)
    truth = labels(domains).pose_3d
    for pose in found.data.source.root_relative[-taught:]:
        assert (pose - truth).norm(dim=-1).mean(1).min() < 1e-4
    none = found_among(domains, replace(config, wide=replace(SHORT, weak_share=0.0)))
    assert none.pictures is None


def pictured(domains: Domains, monkeypatch: pytest.MonkeyPatch, flip: bool) -> tuple[ViewSource, Tensor]:
    monkeypatch.setattr(wide, "PICTURED", 1.0)
    config = short_run(Path("unused"), "wide_target", wide=SHORT, detector=QUIET)
    views = views_of(domains, replace(config, training=replace(config.training, flip=flip)))
    size = len(views.data.source)
    return views, torch.arange(size - 12, size)


def test_in_its_own_picture_a_pose_is_seen_as_the_detector_saw_it(
    domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, rows = pictured(domains, monkeypatch, flip=False)
    seen, picture = views.draw(rows), views.pictures
    assert picture is not None
    torch.testing.assert_close(seen.observation.rays, picture.rays[-12:])
    torch.testing.assert_close(seen.pose_3d[:, 0], views.data.source.root_relative[rows])
    torch.testing.assert_close(seen.up, views.up[rows])
    assert bool(seen.valid.all()) and not bool(seen.true.any())
    # Other poses are seen in drawn views all the same.
    assert not torch.allclose(views.draw(rows - len(picture)).observation.rays, picture.rays[-12:])


def test_half_of_the_pictures_are_mirrored_with_all_that_is_known_of_them(
    domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, rows = pictured(domains, monkeypatch, flip=True)
    seen, picture = views.draw(rows), views.pictures
    assert picture is not None
    as_it_is = (seen.observation.rays == picture.rays[-12:]).flatten(1).all(1)
    assert 0 < int(as_it_is.sum()) < 12
    turned = mirror(picture.rays[-12:], views.data.skeleton)
    torch.testing.assert_close(seen.observation.rays[~as_it_is], turned[~as_it_is])
    pose = mirror(views.data.source.root_relative[rows], views.data.skeleton)
    torch.testing.assert_close(seen.pose_3d[~as_it_is, 0], pose[~as_it_is])
    flipped = views.up[rows] * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(seen.up[~as_it_is], flipped[~as_it_is])


def test_unseen_joints_of_a_picture_stay_unseen(domains: Domains, monkeypatch: pytest.MonkeyPatch) -> None:
    views, rows = pictured(domains, monkeypatch, flip=False)
    assert views.pictures is not None
    views.pictures.seen[:, 0, 4] = False
    assert not views.draw(rows).observation.seen[..., 4].any()


def taught(domains: Domains, out: Path) -> dict[str, Tensor]:
    """The weights that wide_target ends with."""
    run = prepare(short_run(out, "wide_target", wide=SHORT), domains)
    with run.folder.locked():
        run.teach_wide(0, run.train_wide(0))
    return weights(out, "wide_target")


def test_a_lifter_learns_from_them_and_is_the_same_without(domains: Domains, tmp_path: Path) -> None:
    plain = OwnDomains("plain", domains.adaptation(), "plain", {})
    without, labelled = taught(plain, tmp_path / "without"), taught(with_labels(domains), tmp_path / "with")
    assert equal(weights(tmp_path / "with", "wide"), weights(tmp_path / "without", "wide"))
    assert not equal(labelled, without)


def test_the_arm_that_learned_from_them_is_recommended_first(domains: Domains, tmp_path: Path) -> None:
    config = short_run(tmp_path / "run", "wide", "wide_target", wide=SHORT, gate="report")
    prepare(config, with_labels(domains)).train()
    verdict = RunFolder(config.out).verdict.read()
    assert verdict is not None and verdict["evidence"]["prior"] == "wide_target"


def test_without_the_arm_that_learns_from_them_they_are_refused(domains: Domains, tmp_path: Path) -> None:
    config = short_run(tmp_path / "run", "wide", wide=SHORT)
    with pytest.raises(ConfigError, match="weak_labels: expected wide_target among arms"):
        prepare(config, with_labels(domains))
    assert not config.out.exists()


def test_a_smaller_target_keeps_the_labels_of_its_rows(domains: Domains) -> None:
    data: AdaptationData = with_labels(domains).adaptation()
    config = short_run(Path("unused"), "wide_target")
    degraded = replace(config.target_data, size=len(data.target) // 2)
    fewer = disturb(data, degraded)
    assert fewer.weak is not None and data.weak is not None
    kept = [(data.target.pose_2d[row] == fewer.target.pose_2d).flatten(1).all(1).any() for row in ROWS]
    assert len(fewer.weak) == sum(map(bool, kept))
    for pose, row in zip(fewer.weak.pose_3d, fewer.weak.row, strict=True):
        at = (data.weak.pose_3d == pose).flatten(1).all(1).nonzero()[0, 0]
        assert torch.equal(data.target.pose_2d[ROWS[at]], fewer.target.pose_2d[row])
