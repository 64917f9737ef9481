"""Losses against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from poseda.geometry.rotation import rotation_matrix
from poseda.method import losses


def test_invalid_poses_weigh_nothing_and_pass_no_gradient() -> None:
    values = torch.tensor([1.0, 100.0, 3.0], requires_grad=True)
    mean = losses.masked_mean(values, torch.tensor([True, False, True]))
    mean.backward()
    assert mean.item() == 2.0 and values.grad is not None and values.grad.tolist() == [0.5, 0.0, 0.5]
    assert losses.masked_mean(values, torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_the_lifter_loss_is_the_mean_joint_distance_in_metres() -> None:
    target = torch.zeros(2, 2, 3)
    prediction = torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]], [[9.0, 9.0, 9.0]] * 2])
    loss = losses.lifter_loss(prediction, target, torch.tensor([True, False]))
    assert loss.item() == pytest.approx(3.0)


def test_a_perfect_prediction_has_a_finite_gradient() -> None:
    prediction = torch.zeros(1, 2, 3, requires_grad=True)
    losses.lifter_loss(prediction, torch.zeros(1, 2, 3), torch.ones(1, dtype=torch.bool)).backward()
    assert prediction.grad is not None and prediction.grad.isfinite().all()


def test_weights_of_valid_poses_sum_to_one_or_are_nothing() -> None:
    assert losses.weights_of(torch.tensor([True, False, True, False])).tolist() == [0.5, 0, 0.5, 0]
    assert losses.weights_of(torch.zeros(2, dtype=torch.bool)).tolist() == [0, 0]


def test_pair_losses_want_a_lead_of_one_over_the_own_anchor() -> None:
    real, fake, weight = torch.tensor([[2.0], [0.0]]), torch.tensor([[1.0], [1.0]]), torch.full((2,), 0.5)
    both = torch.stack([real, fake])
    assert losses.discriminator_pair_loss(both, weight).item() == 2.0  # (0, -2) squared, mean
    assert losses.generator_pair_loss(real, fake, weight).item() == 2.0  # (-2, 0) squared, mean
    shifted = losses.discriminator_pair_loss(both + 7, weight)
    assert shifted.item() == 2.0, "only the difference to the own anchor counts"


def test_least_squares_losses_do_not_pair() -> None:
    real, fake, weight = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]]), torch.full((2,), 0.5)
    assert losses.discriminator_least_squares(torch.stack([real, fake]), weight).item() == 4.0  # 2 + 2
    assert losses.generator_least_squares(fake, weight).item() == 1.0
    assert losses.discriminator_least_squares(torch.stack([real.flip(0), fake]), weight).item() == 4.0


def test_the_cosine_distance_of_a_bone_is_that_of_its_rotation() -> None:
    direction = torch.nn.functional.normalize(torch.randn(6, 5, 3, dtype=torch.float64), dim=-1)
    rotation = torch.randn(6, 5, 3, dtype=torch.float64)
    turned = (rotation_matrix(rotation) @ direction[..., None])[..., 0]
    torch.testing.assert_close(
        losses.bone_cosine_distance(direction, rotation),
        1 - (direction * turned).sum(-1),
        rtol=1e-9,
        atol=1e-9,
    )


def test_a_rotation_about_the_bone_itself_has_no_distance() -> None:
    axis = torch.tensor([[[0.0, 1.0, 0.0]]])
    assert losses.bone_cosine_distance(axis, 1.3 * axis).abs().item() < 1e-6
    across = torch.tensor([[[math.pi / 2, 0.0, 0.0]]])
    assert losses.bone_cosine_distance(axis, across).item() == pytest.approx(1.0, abs=1e-6)


def test_the_angle_band_is_free_inside_and_quadratic_outside() -> None:
    distances = torch.tensor([[0.205], [0.205 + 0.165], [0.205 + 0.165 + 0.1], [0.0]])
    each = [losses.angle_range_loss(row, 0.205, 0.165).item() for row in distances]
    assert each == pytest.approx([0.0, 0.0, 0.01, 0.04**2], abs=1e-8)


def test_the_scale_limit_is_soft() -> None:
    scale = torch.tensor([[0.1, -0.1, 0.15, -0.2]])
    assert losses.scale_limit_loss(scale, 0.1).item() == pytest.approx((0.05**2 + 0.1**2) / 4)


def test_body_rotations_are_penalised_by_their_squared_angle() -> None:
    rotations = torch.tensor([[0.3, 0.0, 0.4], [0.0, 0.0, 0.0]])
    assert losses.body_rotation_loss(rotations).item() == pytest.approx(0.125)


def test_hard_ratio_is_least_at_its_ratio() -> None:
    source, weight = torch.tensor([0.1, 0.2]), torch.full((2,), 0.5)
    at = [losses.hard_ratio_loss(factor * source, source, 1.2, weight).item() for factor in (1.0, 1.2, 1.5)]
    assert at[1] == pytest.approx(0.0, abs=1e-10) and at[0] > at[1] < at[2]
