"""Losses without labels against targets without a fault, with one fault, and with joints that are unseen."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from poseda.geometry.skeleton import H36M16
from poseda.lifters import mirror
from poseda.method.target_losses import (
    OUTLIER,
    consistency_loss,
    length_loss,
    reprojection_loss,
    speed_loss,
)

ALL = torch.ones(12, 16, dtype=torch.bool)
ROOT = torch.tensor([0.6, -0.3, 4.0])
LEFT_HAND = H36M16.joint("left_wrist")


def people() -> Tensor:
    """Root-relative poses (12, 16, 3), metres."""
    local = 0.35 * torch.randn(12, 16, 3)
    return local - local[:, :1]


def rays_of(local: Tensor, root: Tensor = ROOT) -> Tensor:
    placed = local + root
    return placed[..., :2] / placed[..., 2:]


def test_a_pose_that_made_its_picture_has_no_misfit_wherever_it_stands() -> None:
    local = people()
    for root in (ROOT, torch.tensor([-3.0, 1.0, 9.0])):
        assert reprojection_loss(local, rays_of(local, root), ALL).max() < 1e-6


def test_the_misfit_grows_with_the_fault_and_ends_at_that_of_outliers() -> None:
    local = people()
    rays, losses = rays_of(local), []
    for fault in (0.02, 0.06, 0.2, 1.0):
        wrong = local.clone()
        wrong[:, LEFT_HAND, 0] += fault
        losses.append(reprojection_loss(wrong, rays, ALL))
    for less, more in pairwise(losses):
        assert (more > less).float().mean() > 0.9
    assert losses[0].min() > 0 and losses[-1].max() <= OUTLIER


def test_one_wrong_detection_costs_no_more_than_its_own_joint() -> None:
    local = people()
    wrong = rays_of(local).clone()
    wrong[:, LEFT_HAND] += 3.0
    assert reprojection_loss(local, wrong, ALL).max() <= OUTLIER / 16 + 1e-5


def test_the_misfit_is_a_share_of_the_person_and_not_of_the_picture() -> None:
    local, wrong = people(), people()
    wrong = local + 0.03 * wrong
    near = reprojection_loss(wrong, rays_of(local), ALL)
    far = reprojection_loss(2 * wrong, rays_of(2 * local, 2 * ROOT), ALL)
    torch.testing.assert_close(near, far, rtol=1e-3, atol=1e-5)
    half = reprojection_loss(wrong / 2, rays_of(local), ALL)
    torch.testing.assert_close(near, half, rtol=1e-3, atol=1e-5)  # a child at half the distance


def test_unseen_joints_are_not_read() -> None:
    local = people()
    seen = torch.rand(12, 16) > 0.3
    noise = (local + 0.05 * people()).requires_grad_()
    rays = rays_of(local)
    hidden = rays.masked_fill(~seen[..., None], torch.nan)
    loss = reprojection_loss(noise, hidden, seen)
    torch.testing.assert_close(loss, reprojection_loss(noise, rays.masked_fill(~seen[..., None], 7.0), seen))
    loss.sum().backward()
    assert noise.grad is not None and noise.grad.isfinite().all()
    assert noise.grad[~seen].eq(0).all() and noise.grad[seen].ne(0).any()


@pytest.mark.parametrize("joints", [0, 1])
def test_pictures_that_fix_no_place_cost_nothing_and_teach_nothing(joints: int) -> None:
    local = people().requires_grad_()
    seen = torch.zeros_like(ALL)
    seen[:, :joints] = True
    loss = reprojection_loss(local, rays_of(people()), seen)
    loss.sum().backward()
    assert loss.eq(0).all() and local.grad is not None and local.grad.eq(0).all()


def test_one_body_in_two_postures_has_no_difference_of_lengths() -> None:
    one, other = symmetric_bodies()
    assert length_loss(one, other, H36M16).max() < 1e-5
    assert length_loss(one, mirror(other, H36M16), H36M16).max() < 1e-5


def symmetric_bodies() -> tuple[Tensor, Tensor]:
    """Two postures (12, 16, 3) of people whose bones are alike left and right."""
    lengths = (0.2 + 0.2 * torch.rand(12, H36M16.num_groups))[:, list(H36M16.bone_groups)]
    found = []
    for _ in range(2):
        bones = torch.nn.functional.normalize(torch.randn(12, 15, 3), dim=-1) * lengths[..., None]
        joints = [torch.zeros(12, 3)]
        for bone, parent in enumerate(H36M16.parents[1:]):
            joints.append(joints[parent] + bones[:, bone])
        found.append(torch.stack(joints, 1))
    return found[0], found[1]


def test_differences_of_lengths_are_relative_and_count_both_sides() -> None:
    one, other = symmetric_bodies()
    torch.testing.assert_close(
        length_loss(1.1 * one, other, H36M16), torch.full((12,), 0.0953), rtol=1e-2, atol=0
    )
    longer = one.clone()  # the left hand alone: its bone and no other
    longer[:, LEFT_HAND] += longer[:, LEFT_HAND] - longer[:, H36M16.parents[LEFT_HAND]]
    assert (length_loss(longer, other, H36M16) > length_loss(one, other, H36M16) + 0.02).all()
    still = torch.zeros(12, 16, 3, requires_grad=True)
    length_loss(still, other, H36M16).sum().backward()
    assert still.grad is not None and still.grad.isfinite().all()


def test_joints_cost_what_they_move_beyond_the_fastest_speed() -> None:
    pose = people()
    later = pose.clone()
    later[:, LEFT_HAND, 1] += 0.26  # 0.1 s later, at 2 m/s: 6 cm too far, over 16 joints
    seconds = torch.full((12,), 0.1)
    found = speed_loss(pose, later, seconds, 2.0)
    torch.testing.assert_close(found, torch.full((12,), 0.06 / 16), rtol=1e-3, atol=1e-6)
    assert speed_loss(pose, later, seconds, 3.0).eq(0).all()
    assert speed_loss(pose, later, 2 * seconds, 2.0).eq(0).all()
    assert speed_loss(pose, pose, seconds, 2.0).eq(0).all()


def test_frames_that_are_no_neighbours_have_no_speed() -> None:
    pose = people().requires_grad_()
    loss = speed_loss(pose, people(), torch.full((12,), torch.inf), 1.0)
    loss.sum().backward()
    assert loss.eq(0).all() and pose.grad is not None and pose.grad.eq(0).all()


def test_consistency_is_the_distance_of_both_lifts_and_teaches_both() -> None:
    pose = people()
    assert consistency_loss(pose, pose).max() < 1e-5
    one, other = pose.clone().requires_grad_(), (pose + torch.tensor([0.0, 0.03, 0.04])).requires_grad_()
    loss = consistency_loss(one, other)
    torch.testing.assert_close(loss, torch.full((12,), 0.05), rtol=1e-4, atol=1e-6)
    loss.sum().backward()
    assert one.grad is not None and other.grad is not None
    assert one.grad.ne(0).any() and torch.equal(one.grad, -other.grad)
