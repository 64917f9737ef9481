"""Two passes: what the first finds is what the second is told, by camera and by person."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from poseda.datasets import LabelledPoses, UnlabelledPoses, own_domains
from poseda.geometry.camera import Camera, tilted_up
from poseda.geometry.rotation import angle_between, rotation_matrix, shortest_rotation
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.lifters import directions
from poseda.lifters.observation import Observation
from poseda.lifters.wide import Lifted, WideLifter
from poseda.method.bodies import group_lengths
from poseda.method.two_passes import (
    FEWEST_FRAMES,
    ONE_PASS,
    SURE_FRAMES,
    Told,
    independent_frames,
    lift_frames,
    lift_poses,
    usual,
)
from tests.shared.rigs import film_rig

pytestmark = pytest.mark.usefixtures("one_thread")

UP = tilted_up(torch.tensor([[0.5, 0.1], [0.1, 0.0]]))
"""Of two cameras."""

CAMERA = torch.tensor([0] * 20 + [1] * 20)
PERSON = torch.tensor(([0] * 10 + [1] * 10) * 2)


class Knowing(WideLifter):
    """Says in its first pass where upward is, by the camera that a mark in the picture names."""

    def __init__(self) -> None:
        super().__init__(H36M16, "residual", width=8, blocks=1)
        self.calls: list[Observation] = []

    def forward(self, observation: Observation) -> Lifted:
        self.calls.append(observation)
        lifted = super().forward(observation)
        up = UP[(observation.rays[:, 0, 0, 0] > 0).long()]
        told = directions.soft_classes(torch.einsum("nij,nj->ni", lifted.turn, up)).clamp_min(1e-9).log()
        return lifted._replace(up=told)


def frames() -> Observation:
    rays = 0.1 * torch.randn(40, 1, 16, 2, generator=torch.Generator().manual_seed(5))
    rays[:, 0, 0, 0] = torch.where(CAMERA == 1, 0.01, -0.01)
    unknown = torch.zeros(40, dtype=torch.bool)
    seen = torch.ones(40, 1, 16, dtype=torch.bool)
    return Observation(rays, seen, torch.zeros(40, 3), unknown, torch.zeros(40, H36M16.num_groups), unknown)


def lift(told: Told, camera: Tensor = CAMERA, person: Tensor = PERSON) -> tuple[Knowing, object]:
    lifter = Knowing().eval()
    return lifter, lift_frames(lifter, frames(), camera, person, replace(told, tried=False), average=False)


def test_the_second_pass_is_told_what_the_cameras_voted_and_the_people_measured() -> None:
    lifter, lifted = lift(Told())
    first, second = lifter.calls
    assert not first.up_known.any() and not first.lengths_known.any()
    assert second.up_known.all() and second.lengths_known.all()
    assert angle_between(second.up, UP[CAMERA]).max() < 0.07
    assert len(second.lengths.unique(dim=0)) == 2  # of two people
    assert torch.equal(lifted.up, second.up) and torch.equal(lifted.lengths, second.lengths)
    assert (lifted.up_error > 0).all()


def test_one_pass_finds_and_tells_nothing() -> None:
    lifter, lifted = lift(ONE_PASS)
    assert len(lifter.calls) == 1 and not lifter.calls[0].up_known.any()
    assert lifted.up.isnan().all() and lifted.lengths.isnan().all() and lifted.pose_3d.isfinite().all()


def test_a_given_direction_wins_over_the_vote() -> None:
    given = tilted_up(torch.tensor([1.0, 0.0]))
    lifter, lifted = lift(Told(up=given))
    assert all(call.up.allclose(given.expand(40, 3)) for call in lifter.calls)
    assert not lifted.up_error.any()


def test_too_few_frames_of_a_camera_or_a_person_tell_nothing() -> None:
    camera, person = torch.zeros(40, dtype=torch.int64), torch.zeros(40, dtype=torch.int64)
    camera[: FEWEST_FRAMES - 1], person[: FEWEST_FRAMES - 1] = 1, 1
    lifter, _ = lift(Told(), camera, person)
    second = lifter.calls[1]
    assert not second.up_known[: FEWEST_FRAMES - 1].any() and second.up_known[FEWEST_FRAMES:].all()
    assert not second.lengths_known[: FEWEST_FRAMES - 1].any()


def test_lengths_of_a_person_are_the_median_of_the_first_pass() -> None:
    lifter, lifted = lift(Told(find_up=False))
    with torch.no_grad():
        first = WideLifter.forward(lifter, lifter.calls[0]).pose_3d[:, 0]
    own = group_lengths(first, H36M16)[PERSON == 1].median(0).values
    assert lifted.lengths[PERSON == 1].allclose(own.expand(20, -1), atol=1e-6)


@pytest.mark.parametrize("true", [True, False])
def test_found_lengths_are_told_as_those_that_people_have_where_asked(true: bool) -> None:
    lifter, nobody = Knowing().eval(), torch.zeros_like(PERSON)
    told = Told(find_up=False, tried=False)
    found = lift_frames(lifter, frames(), CAMERA, nobody, told, average=False)
    lifter.length_shift.fill_(0.1)
    lifter.length_mix[0, 1] = 0.02
    again = lift_frames(lifter, frames(), CAMERA, nobody, replace(told, true_lengths=true), average=False)
    expected, error = found.lengths[0], found.lengths_error[0]
    if true:  # the first group of bones says a little of the second
        share = error / expected
        expected = math.exp(0.1) * expected
        expected[1] *= found.lengths[0, 0] ** 0.02
        error = share * expected
        error[1] = expected[1] * (share[1] ** 2 + (0.02 * share[0]) ** 2).sqrt()
    torch.testing.assert_close(again.lengths, expected.expand(40, -1))
    torch.testing.assert_close(again.lengths_error, error.expand(40, -1))
    assert torch.equal(lifter.calls[-1].lengths, again.lengths)


def test_lengths_of_few_frames_are_told_as_they_are_found() -> None:
    lifter = Knowing().eval()
    lifter.length_shift.fill_(0.1)
    few = torch.zeros_like(PERSON)
    few[: SURE_FRAMES - 2] = 1
    told = Told(find_up=False, tried=False)
    as_found, true = (
        lift_frames(lifter, frames(), CAMERA, few, replace(told, true_lengths=one), average=False).lengths
        for one in (False, True)
    )
    assert torch.equal(as_found[few == 1], true[few == 1])
    torch.testing.assert_close(math.exp(0.1) * as_found[few == 0], true[few == 0])


def test_no_length_is_told_far_from_what_is_found() -> None:
    lifter, found = Knowing(), torch.full((H36M16.num_groups,), 0.3)
    lifter.length_shift[:2] = torch.tensor([2.0, -2.0])
    lengths, _ = lifter.true_lengths(found, 0.01 * found)
    torch.testing.assert_close(lengths[:3], torch.tensor([0.3 * 1.25, 0.3 / 1.25, 0.3]))


def test_where_joints_are_unseen_lengths_are_told_as_they_are_found() -> None:
    lifter, plain = Knowing().eval(), table()
    lifter.length_shift.fill_(0.1)
    visible = torch.ones(40, 16, dtype=torch.bool)
    clip = torch.zeros(40, dtype=torch.int64)
    whole = UnlabelledPoses(plain.pose_2d, plain.camera, clip)
    visible[0, 5] = False
    masked = UnlabelledPoses(plain.pose_2d, plain.camera, clip, visible)
    told = Told(find_up=False, true_lengths=True)
    for poses, true in ((whole, True), (masked, False)):
        one = lift_poses(lifter, poses, average=False, told=told).lengths
        other = lift_poses(lifter, poses, average=False, told=replace(told, true_lengths=False)).lengths
        torch.testing.assert_close(one, math.exp(0.1) * other if true else other)


def test_lengths_have_the_standard_error_of_independent_frames() -> None:
    _, lifted = lift(Told(find_up=False))
    assert lifted.lengths_error.isfinite().all() and (lifted.lengths_error > 0).all()
    assert len(lifted.lengths_error.unique(dim=0)) == 2  # of two people
    assert lift(ONE_PASS)[1].lengths_error.isnan().all()


def test_the_standard_error_of_a_median_is_how_far_medians_scatter() -> None:
    values = torch.randn(2000, 100, 3, generator=torch.Generator().manual_seed(0))
    medians, errors = zip(*(usual(one, 100) for one in values), strict=True)
    assert torch.stack(errors).mean() == pytest.approx(float(torch.stack(medians).std()), rel=0.05)
    # Frames that stay alike are worth less, and wild ones change little.
    assert usual(values[0], 25)[1].allclose(2 * usual(values[0], 100)[1])
    wild = values[0].clone()
    wild[:5] = 1e3
    median, error = usual(wild, 100)
    assert (median - usual(values[0], 100)[0]).abs().max() < 0.4 and (error < 0.25).all()


def table(**columns: np.ndarray) -> LabelledPoses:
    camera = Camera(torch.full((40, 2), 2.0), torch.zeros(40, 2))
    pose = torch.randn(40, 16, 3) * 0.3 + torch.tensor([0, 0, 4.0])
    return LabelledPoses(pose, pose[..., :2] / 2, camera, PERSON, columns)


def test_tables_are_lifted_by_their_columns_or_by_lenses_and_clips() -> None:
    lifter = WideLifter(H36M16, "residual", width=8, blocks=1).eval()
    poses = table()
    named = table(camera=CAMERA.numpy(), subject=PERSON.numpy())
    assert len(lift_poses(lifter, poses).up.unique(dim=0)) == 1
    assert lift_poses(lifter, named).pose_3d.shape == (40, 16, 3)
    hidden = torch.ones(40, 16, dtype=torch.bool)
    hidden[:, 3] = False
    unlabelled = UnlabelledPoses(poses.pose_2d, poses.camera, poses.clip, hidden)
    moved = poses.pose_2d.clone()
    moved[:, 3] = 9.0
    other = UnlabelledPoses(moved, poses.camera, poses.clip, hidden)
    assert torch.equal(lift_poses(lifter, unlabelled).pose_3d, lift_poses(lifter, other).pose_3d)


def test_a_direction_that_the_table_gives_is_told_instead_of_a_vote() -> None:
    lifter = WideLifter(H36M16, "residual", width=8, blocks=1).eval()
    poses, given = table(), tilted_up(torch.tensor([0.9, 0.2]))
    target = UnlabelledPoses(poses.pose_2d, poses.camera, poses.clip, up=given.expand(40, 3))
    lifted = lift_poses(lifter, target)
    assert lifted.up.allclose(given.expand(40, 3)) and not lifted.up_error.any()
    assert lift_poses(lifter, target, told=ONE_PASS).up.isnan().all()
    again = lift_poses(lifter, replace(target, up=None), told=Told(up=given))
    assert lifted.pose_3d.equal(again.pose_3d)


def test_frames_that_show_little_are_lifted_but_tell_nothing() -> None:
    camera, person = torch.zeros(40, dtype=torch.int64), torch.zeros(40, dtype=torch.int64)
    telling = CAMERA == 0  # the frames of the other camera would vote for another direction
    told = Told(tried=False)
    lifter = Knowing().eval()
    lifted = lift_frames(lifter, frames(), camera, person, told, average=False, telling=telling)
    assert angle_between(lifted.up, UP[:1].expand(40, 3)).max() < 0.07
    first = WideLifter.forward(lifter, lifter.calls[0]).pose_3d[:, 0].detach()
    own = group_lengths(first, H36M16)[telling].median(0).values
    assert lifted.lengths.allclose(own.expand(40, -1), atol=1e-6)
    few = torch.arange(40) < FEWEST_FRAMES - 1
    nothing = lift_frames(Knowing().eval(), frames(), camera, person, told, average=False, telling=few)
    assert nothing.up.isnan().all() and nothing.lengths.isnan().all() and nothing.pose_3d.isfinite().all()


def test_a_camera_of_a_rig_that_shows_nobody_well_is_told_what_the_others_found() -> None:
    rotation = rotation_matrix(shortest_rotation(UP[0].expand(2, 3), UP))
    told = Told(tried=False)
    lifted = lift_frames(
        Knowing().eval(),
        frames(),
        CAMERA,
        PERSON,
        told,
        average=False,
        rotation=rotation,
        telling=CAMERA == 0,
    )
    assert angle_between(lifted.up, UP[CAMERA]).max() < 0.07


def test_rows_of_a_target_tell_nothing_where_the_detector_showed_too_few_joints() -> None:
    lifter = WideLifter(H36M16, "residual", width=8, blocks=1).eval()
    poses = table()
    hidden = torch.ones(40, 16, dtype=torch.bool)
    hidden[20:, 7:] = False
    target = UnlabelledPoses(poses.pose_2d, poses.camera, torch.zeros(40, dtype=torch.int64), hidden)
    assert target.liftable.tolist() == [True] * 20 + [False] * 20
    found = lift_poses(lifter, target)
    assert found.up.isfinite().all()
    whole = lift_poses(lifter, target.rows(torch.arange(20)))
    assert found.up[0].allclose(whole.up[0]) and found.lengths[0].allclose(whole.lengths[0])


def test_frames_are_worth_what_their_postures_differ() -> None:
    other = torch.randn(400, 16, 3, generator=torch.Generator().manual_seed(0))
    assert independent_frames(other) == pytest.approx(400, rel=0.1)
    held = other[::10].repeat_interleave(10, 0)  # each posture stays for ten frames
    assert independent_frames(held) == pytest.approx(40, rel=0.3)
    assert independent_frames(other[:1].expand(50, 16, 3)) == pytest.approx(1, abs=0.05)
    assert independent_frames(other[:1]) == 1
    # A slow sway of one second each way: a recording of ten seconds is worth a few frames.
    sway = torch.sin(torch.arange(300) / 300 * 2 * torch.pi * 5)[:, None, None] * other[:1]
    assert 5 < independent_frames(sway) < 40


def test_cameras_of_a_calibrated_rig_find_one_upward_direction() -> None:
    rotation = rotation_matrix(shortest_rotation(UP[0].expand(2, 3), UP))
    lifter = Knowing().eval()
    lifted = lift_frames(lifter, frames(), CAMERA, PERSON, average=False, rotation=rotation)
    assert angle_between(lifted.up, UP[CAMERA]).max() < 0.07
    in_world = torch.einsum("nij,ni->nj", rotation[CAMERA], lifted.up)
    assert in_world.allclose(in_world[:1].expand(40, 3), atol=1e-6)
    assert lifted.up_error.unique().numel() == 1
    # A camera of few frames is told what the others found.
    few = torch.cat([torch.arange(20), torch.arange(20, 20 + FEWEST_FRAMES - 1)])
    part = frames().rows(few)
    told = lift_frames(lifter, part, CAMERA[few], PERSON[few], average=False, rotation=rotation)
    assert told.up.isfinite().all()


def test_the_shared_vote_on_a_filmed_rig_is_nearer_the_truth(tmp_path: Path) -> None:
    rig = film_rig(tmp_path / "rig", ((10, 0), (35, 5)))
    target = own_domains(rig.source, rig.paths, intrinsics=rig.calibration).adaptation().target
    assert target.rig is not None
    model = AdaptedLifter.load()

    def off(poses: UnlabelledPoses) -> float:
        up = lift_poses(model.lifter, poses).up
        return float(angle_between(up, rig.up.float()[target.rig.camera]).rad2deg().mean())

    alone = replace(target, rig=replace(target.rig, rotation=None))
    assert off(target) < 0.6 * off(alone)
