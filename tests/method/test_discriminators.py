"""Discriminators see what they should and nothing else; the history pool keeps anchors with their fakes."""

from __future__ import annotations

import pytest
import torch

from poseda.config import AdversaryConfig
from poseda.geometry.rotation import rotation_matrix
from poseda.geometry.skeleton import COCO17, H36M16, Skeleton
from poseda.method.discriminators import (
    AnchoredFakes,
    HistoryPool,
    PoseDiscriminator,
    ScreenDiscriminator,
)

CONFIG = AdversaryConfig(part_width=16, screen_width=16, layers=2, pool=64)


@pytest.mark.parametrize("skeleton", [H36M16, COCO17], ids=lambda skeleton: skeleton.name)
def test_the_3d_discriminator_is_blind_to_rotation_size_and_place(skeleton: Skeleton) -> None:
    discriminator = PoseDiscriminator(skeleton, CONFIG)
    pose = torch.randn(7, skeleton.num_joints, 3)
    turned = pose @ rotation_matrix(torch.tensor([0.3, -1.0, 0.7])).T
    score = discriminator(pose)
    assert score.shape == (7, len(skeleton.parts))
    torch.testing.assert_close(discriminator(1.7 * turned + 5.0), score, rtol=1e-4, atol=1e-4)
    bent = pose.clone()
    bent[:, -1] += 0.5
    assert (discriminator(bent) - score).abs().max() > 1e-3


def test_each_part_has_a_score_of_its_own() -> None:
    discriminator = PoseDiscriminator(H36M16, CONFIG)
    pose = torch.randn(3, 16, 3)
    moved = pose.clone()
    moved[:, H36M16.joint("left_wrist")] += 0.4
    changed = ((discriminator(moved) - discriminator(pose)).abs() > 1e-6).any(0)
    assert dict(zip(H36M16.parts, changed.tolist(), strict=True)) == {
        part: part == "left_arm" for part in H36M16.parts
    }


def test_the_2d_discriminator_sees_posture_place_and_size() -> None:
    discriminator = ScreenDiscriminator(H36M16, CONFIG)
    pose = 0.2 * torch.randn(5, 16, 2)
    score = discriminator(pose)
    assert score.shape == (5, 1)
    for other in (pose + 0.3, 1.5 * pose, pose.flip(1)):
        assert (discriminator(other) - score).abs().max() > 1e-4


def test_invalid_fakes_which_are_zero_have_finite_scores_and_gradients() -> None:
    pose_3d = torch.zeros(2, 16, 3, requires_grad=True)
    pose_2d = torch.zeros(2, 16, 2, requires_grad=True)
    PoseDiscriminator(H36M16, CONFIG)(pose_3d).sum().backward()
    ScreenDiscriminator(H36M16, CONFIG)(pose_2d).sum().backward()
    for pose in (pose_3d, pose_2d):
        assert pose.grad is not None and pose.grad.isfinite().all()


def anchored_fakes(size: int, value: float) -> AnchoredFakes:
    """Fakes and anchors that carry one number, so that a mix-up shows."""
    mark = value + torch.arange(size).float()
    three, two = mark.view(-1, 1, 1).expand(size, 16, 3), mark.view(-1, 1, 1).expand(size, 16, 2)
    return AnchoredFakes(three, three + 0.5, two, two + 0.5, torch.ones(size, dtype=torch.bool))


def test_the_pool_returns_older_fakes_each_with_its_own_anchor() -> None:
    pool, rng = HistoryPool(64, H36M16), torch.Generator().manual_seed(0)
    for start in range(0, 640, 16):
        got = pool.exchange(anchored_fakes(16, float(start)), rng)
        assert torch.equal(got.real_3d, got.fake_3d + 0.5) and torch.equal(got.real_2d, got.fake_2d + 0.5)
        assert torch.equal(got.fake_3d[:, 0, 0], got.fake_2d[:, 0, 0]) and got.valid.all()
    old = (got.fake_3d[:, 0, 0] < start).sum()
    assert 3 <= old <= 13, "about half of a batch comes from the pool once it is full"


def test_a_pool_continues_from_its_saved_state() -> None:
    def go(pool: HistoryPool, first: int, last: int, rng: torch.Generator) -> torch.Tensor:
        return torch.cat(
            [pool.exchange(anchored_fakes(16, 16.0 * i), rng).fake_3d for i in range(first, last)]
        )

    rng = torch.Generator().manual_seed(0)
    pool = HistoryPool(64, H36M16)
    go(pool, 0, 6, rng)
    state, at = {k: v.clone() for k, v in pool.state_dict().items()}, rng.get_state()
    assert state.keys() == {*AnchoredFakes._fields, "occupied"}, "the names of 0.1.0"
    assert state["fake_3d"].shape == (64, 16, 3) and state["valid"].dtype == torch.bool
    expected = go(pool, 6, 9, rng)
    fresh, again = HistoryPool(64, H36M16), torch.Generator()
    fresh.load_state_dict(state)
    again.set_state(at)
    assert torch.equal(go(fresh, 6, 9, again), expected)


def test_a_pool_that_does_not_fit_is_refused_by_the_tensor() -> None:
    state = HistoryPool(64, H36M16).state_dict()
    with pytest.raises(RuntimeError, match=r"size mismatch for fake_3d: \(64, 16, 3\)"):
        HistoryPool(32, H36M16).load_state_dict(state)
    del state["real_2d"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"real_2d"'):
        HistoryPool(64, H36M16).load_state_dict(state)


def test_a_skeleton_without_a_part_of_two_bones_is_refused_by_name() -> None:
    stick = Skeleton.declare("stick", {"a": None, "b": "a"})
    with pytest.raises(ValueError, match=r"'stick'.*two or more bones"):
        PoseDiscriminator(stick, CONFIG)
