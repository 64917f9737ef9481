"""The generator keeps its promises: bounds, shapes, dependence on noise, gradients everywhere."""

from __future__ import annotations

import math

import pytest
import torch

from poseda.config import GeneratorConfig
from poseda.geometry.skeleton import COCO17, H36M16, Skeleton
from poseda.method.draws import Draws
from poseda.method.generator import (
    Generator,
    Proposal,
    bounded,
    jitter_column,
    random_columns,
    random_rotations,
)
from poseda.method.losses import bone_cosine_distance

CONFIG = GeneratorConfig(width=32, blocks=1, bone_angle=0.7, bone_scale=0.2, body_angle=0.4)


@pytest.mark.parametrize("skeleton", [H36M16, COCO17], ids=lambda skeleton: skeleton.name)
def test_proposals_have_the_shapes_the_op_takes_and_stay_within_bounds(skeleton: Skeleton) -> None:
    generator = Generator(skeleton, CONFIG)
    for parameter in generator.parameters():
        parameter.data *= 30  # drive every head into its bound
    pose = torch.randn(20, skeleton.num_joints, 3)
    proposal = generator(pose, generator.noise(pose, torch.Generator()))
    assert proposal.bone_rotation.shape == (20, skeleton.num_bones, 3)
    assert proposal.bone_scale.shape == (20, skeleton.num_groups)
    assert proposal.body_rotation.shape == (20, 3)
    assert proposal.root is None
    assert proposal.bone_rotation.norm(dim=-1).max() <= 0.7 + 1e-5
    assert proposal.body_rotation.norm(dim=-1).max() <= 0.4 + 1e-5
    assert proposal.bone_scale.abs().max() <= 0.2 + 1e-6
    assert proposal.bone_rotation.norm(dim=-1).max() > 0.6, "the bound must be reachable"


def test_only_the_posture_is_read_not_where_the_person_stands() -> None:
    generator = Generator(H36M16, CONFIG)
    pose, noise = torch.randn(5, 16, 3), torch.randn(5, 48)
    there = generator(pose + torch.tensor([1.0, -2.0, 5.0]), noise)
    torch.testing.assert_close(
        generator(pose, noise).bone_rotation, there.bone_rotation, rtol=1e-4, atol=1e-5
    )


def test_noise_changes_every_head() -> None:
    generator = Generator(H36M16, CONFIG)
    pose, rng = torch.randn(5, 16, 3), torch.Generator().manual_seed(0)
    one, two = (generator(pose, generator.noise(pose, rng)) for _ in range(2))
    for name in ("bone_rotation", "bone_scale", "body_rotation"):
        assert (getattr(one, name) - getattr(two, name)).abs().max() > 1e-4, name


def test_jitter_has_the_deviations_of_bones_and_of_the_body() -> None:
    draws = Draws({"jitter": jitter_column(H36M16, 0.1, 0.2)})
    jitter = draws(2000, torch.Generator().manual_seed(0))["jitter"]
    assert jitter.shape == (2000, 16, 3)
    for noise, deviation in ((jitter[:, :-1], 0.1), (jitter[:, -1], 0.2)):
        assert (noise.std() / deviation - 1).abs() < 0.05 and noise.mean().abs() < 0.01


def test_a_proposal_is_cut_into_bones_and_body() -> None:
    generator, pose = Generator(H36M16, CONFIG), torch.randn(5, 16, 3)
    noise = generator.noise(pose, torch.Generator())
    rotation, scale, root = generator.changes(pose, noise)
    proposal = generator(pose, noise)
    assert torch.equal(proposal.bone_rotation, rotation[:, :-1]) and root is None
    assert torch.equal(proposal.body_rotation, rotation[:, -1]) and torch.equal(proposal.bone_scale, scale)


def test_a_learned_placement_stays_in_front_of_the_camera() -> None:
    generator = Generator(H36M16, CONFIG, learned_placement=True)
    pose = torch.randn(50, 16, 3) + torch.tensor([0.0, 0.0, 4.0])
    pose[:, 0, 2] = 4.0
    root = generator(pose, 10 * torch.randn(50, 48)).root
    assert root is not None and root.shape == (50, 3)
    assert root[:, 2].min() >= 2.0 and root[:, 2].max() <= 8.0


def test_bounded_keeps_directions_and_has_a_gradient_at_zero() -> None:
    raw = torch.tensor([[3.0, 4.0, 0.0]])
    torch.testing.assert_close(bounded(raw, 2.0), 2 * math.tanh(5.0) * raw / 5)
    zero = torch.zeros(1, 3, requires_grad=True)
    bounded(zero, 2.0).sum().backward()
    assert zero.grad is not None and zero.grad.isfinite().all() and (zero.grad > 0).all()


def test_random_parameters_stay_in_the_stated_ranges() -> None:
    config = GeneratorConfig(angle_mean=0.2, angle_width=0.1, scale_limit=0.05, body_angle=0.3)
    drawn = Draws(random_columns(H36M16, config))(400, torch.Generator().manual_seed(0))
    proposal = Proposal.of(random_rotations(drawn), drawn["scale"])
    angle = proposal.bone_rotation.norm(dim=-1)
    low, high = math.acos(1 - 0.1), math.acos(1 - 0.3)
    assert angle.min() >= low - 1e-5 and angle.max() <= high + 1e-5
    assert angle.max() - angle.min() > 0.9 * (high - low)
    assert proposal.bone_scale.abs().max() <= 0.05 and proposal.body_rotation.norm(dim=-1).max() <= 0.3 + 1e-6
    mean_direction = (proposal.bone_rotation / angle[..., None]).mean((0, 1))
    assert mean_direction.abs().max() < 0.05, "directions are uniform on the sphere"
    direction = torch.nn.functional.normalize(torch.randn(400, 15, 3), dim=-1)
    assert bone_cosine_distance(direction, proposal.bone_rotation).max() <= 0.3 + 1e-5
