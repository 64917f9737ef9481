"""Lengths that a lifter finds are brought to those that people have, as held-out people show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.datasets import Domains
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.lifters.observation import Observation
from poseda.lifters.wide import Lifted, WideLifter
from poseda.method.bodies import group_lengths
from poseda.runs.checkpoint import unpack_module
from poseda.training.calibration import learn_lengths
from poseda.training.found_poses import with_found
from poseda.training.pairs import TrainingData
from poseda.training.preparation import prepare
from poseda.training.wide import Views, ViewSource
from tests.shared.runs import short_run
from tests.training.test_wide import SHORT

pytestmark = pytest.mark.usefixtures("one_thread")

GROUPS = H36M16.num_groups
USUAL = torch.linspace(0.15, 0.45, GROUPS)


def body(lengths: Tensor, seed: int = 0) -> Tensor:
    """Poses (N, 1, J, 3) with bones of these lengths (N, G)."""
    way = torch.randn(len(lengths), 15, 3, generator=torch.Generator().manual_seed(seed))
    bones = way / way.norm(dim=-1, keepdim=True) * lengths[:, list(H36M16.bone_groups), None]
    return ops.forward_kinematics(torch.zeros(len(lengths), 3), bones, H36M16)[:, None]


class People:
    """Draws people whose bones scatter about the usual ones, and keeps their poses.

    Args:
        valid: share of the views that are valid.
        scatter: relative deviation of lengths.
    """

    def __init__(self, valid: float = 1.0, scatter: float = 0.08) -> None:
        self.rng, self.valid, self.scatter = torch.Generator().manual_seed(3), valid, scatter
        self.pose = torch.empty(0)

    def recorded(self, people: int, frames: int) -> Views:
        change = torch.randn(people, GROUPS, generator=self.rng) * self.scatter
        lengths = (USUAL * change.exp()).repeat_interleave(frames, 0)
        valid = torch.rand(len(lengths), generator=self.rng) < self.valid
        self.pose = body(lengths)
        unseen = torch.zeros(len(lengths), dtype=torch.bool)
        nothing = Observation(
            self.pose[..., :2],
            torch.ones(self.pose.shape[:3], dtype=torch.bool),
            torch.zeros(len(lengths), 3),
            unseen,
            torch.zeros(len(lengths), GROUPS),
            unseen,
        )
        return Views(
            nothing, torch.where(valid[:, None, None, None], self.pose, torch.nan), nothing.up, valid, valid
        )


class Shrinking(WideLifter):
    """Finds proportions half as unusual as they are, each bone shorter by its own share."""

    def __init__(self, people: People) -> None:
        super().__init__(H36M16, "residual", width=8, blocks=1)
        self.people, self.told, self.scatter = people, False, 0.0
        self.shorter = torch.linspace(0.8, 1.0, GROUPS)

    def found(self, lengths: Tensor) -> Tensor:
        change = (lengths / USUAL).log()
        size = change.mean(-1, keepdim=True)
        return self.shorter * USUAL * (size + 0.5 * (change - size)).exp()

    def averaged(self, observation: Observation) -> Lifted:
        self.told |= bool(observation.up_known.any() | observation.lengths_known.any())
        pose = self.people.pose
        noise = torch.randn(len(pose), GROUPS, generator=self.people.rng) * self.scatter
        found = body(self.found(group_lengths(pose[:, 0], H36M16)) * noise.exp())
        zeros = pose.new_zeros(len(pose), 16)
        return Lifted(found, zeros, zeros, torch.eye(3).expand(len(pose), 3, 3))


def test_proportions_and_the_mean_size_of_people_are_told_from_what_is_found() -> None:
    people = People()
    lifter = Shrinking(people)
    learn_lengths(lifter, cast(ViewSource, people))
    assert not lifter.told
    lengths = USUAL * (torch.randn(50, GROUPS, generator=torch.Generator().manual_seed(9)) * 0.08).exp()
    found = lifter.found(lengths)
    true, _ = lifter.true_lengths(found, torch.zeros_like(found))
    assert (found / lengths - 1).abs().mean() > 0.08
    assert (true / lengths - 1).abs().mean() < 0.005
    # A picture does not show the size: who is found a tenth taller is told a tenth taller.
    torch.testing.assert_close(lifter.true_lengths(1.1 * found, 0.1 * found)[0], 1.1 * true)


def test_invalid_views_teach_nothing() -> None:
    people = People(valid=0.3)
    lifter = Shrinking(people)
    learn_lengths(lifter, cast(ViewSource, people))
    lengths = USUAL * (torch.randn(50, GROUPS, generator=torch.Generator().manual_seed(9)) * 0.08).exp()
    true, _ = lifter.true_lengths(lifter.found(lengths), torch.zeros_like(lengths))
    assert (true / lengths - 1).abs().mean() < 0.005


@pytest.mark.parametrize("people", [People(valid=0.0), People(scatter=0.0)], ids=["unseen", "alike"])
def test_people_who_teach_nothing_leave_lengths_as_they_are_found(people: People) -> None:
    lifter = Shrinking(people)
    lifter.length_shift.fill_(0.1)  # of a training before
    learn_lengths(lifter, cast(ViewSource, people))
    assert torch.equal(lifter.length_mix, torch.eye(GROUPS)) and not lifter.length_shift.any()


def test_what_scatters_in_a_view_is_trusted_less() -> None:
    exact, wild = People(), People()
    one, other = Shrinking(exact), Shrinking(wild)
    other.scatter = 0.5
    for lifter, people in ((one, exact), (other, wild)):
        learn_lengths(lifter, cast(ViewSource, people))
    assert other.length_mix.diag().mean() < 0.8 * one.length_mix.diag().mean()


def test_weights_of_before_keep_lengths_as_they_are_found() -> None:
    lifter = WideLifter(H36M16, "residual", width=8, blocks=1)
    before = {f"lifter.{name}": value for name, value in lifter.state_dict().items() if "length_" not in name}
    lifter.length_shift.fill_(0.1)
    unpack_module("lifter", lifter, before)
    lengths, error = lifter.true_lengths(USUAL, 0.1 * USUAL)
    torch.testing.assert_close(lengths, USUAL)
    torch.testing.assert_close(error, 0.1 * USUAL)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_recorded_person_keeps_body_camera_and_clip(
    domains: Domains, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(short_run(Path("unused"), "wide"), wide=replace(SHORT, batch=400))
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"), frames)
    plain = replace(config.views, knees=0.0, lean=0.0)
    source = ViewSource(data, replace(config, views=plain), 0, torch.Generator().manual_seed(0))
    index, seen = list[Tensor](), source._seen

    def look(rows: Tensor, drawn: Mapping[str, Tensor]) -> Views:
        index.append(rows)
        return seen(rows, drawn)

    monkeypatch.setattr(source, "_seen", look)
    views = source.recorded(6, 20)
    lengths = group_lengths(views.pose_3d[:, frames // 2], H36M16).view(6, 20, -1)
    torch.testing.assert_close(lengths, lengths[:, :1].expand_as(lengths), rtol=1e-3, atol=1e-4)
    up, whose = views.up.view(6, 20, 3), data.source.clip[index[0]].view(6, 20)
    torch.testing.assert_close(up, up[:, :1].expand_as(up))
    assert (whose == whose[:, :1]).all()
    assert len(lengths[:, 0].unique(dim=0)) == len(up[:, 0].unique(dim=0)) == 6
    assert len(views.pose_3d[:20].flatten(1).unique(dim=0)) > 10


def test_a_run_learns_lengths_and_found_poses_are_taught_as_found(domains: Domains, tmp_path: Path) -> None:
    config = short_run(tmp_path / "run", "wide", wide=SHORT)
    prepare(config, domains).train()
    lifter: Any = AdaptedLifter.load(config.out, "wide", 0).lifter
    assert not torch.equal(lifter.length_mix, torch.eye(GROUPS)) and lifter.length_shift.any()
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"))
    taught = with_found(data, lifter, 0.5, 3, config).footage.lengths
    lifter.length_shift += 1
    assert torch.equal(with_found(data, lifter, 0.5, 3, config).footage.lengths, taught)
    assert taught.isfinite().any()
