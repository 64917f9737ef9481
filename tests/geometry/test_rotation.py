"""Rotations in torch and in numpy: each convention by hand, both against each other, gradients at zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from poseda.geometry.rotation import (
    about_axis,
    angle_between,
    best_rotation,
    composed,
    cross_matrix,
    euler_zxy,
    rotated,
    rotation_matrix,
    shortest_rotation,
    shortest_rotation_matrix,
    turned_onto,
    unit,
)

X, Y, Z = np.eye(3)
RIGHT = math.pi / 2


def directions(*shape: int) -> np.ndarray:
    return unit(np.random.default_rng(0).normal(size=(*shape, 3)))


def test_a_right_angle_about_each_axis_takes_one_axis_to_the_next() -> None:
    for axis, vector, start, end in (("x", X, Y, Z), ("y", Y, Z, X), ("z", Z, X, Y)):
        matrix = about_axis(axis, np.array([RIGHT]))
        np.testing.assert_allclose(matrix[0] @ start, end, atol=1e-15)
        by_vector = rotation_matrix(torch.from_numpy(vector * RIGHT)).numpy()
        np.testing.assert_allclose(by_vector, matrix[0], atol=1e-15)


def test_two_right_angles_do_the_first_one_first() -> None:
    about_x, about_z = torch.tensor([RIGHT, 0, 0]).double(), torch.tensor([0, 0, RIGHT]).double()
    both = rotation_matrix(composed(about_z, about_x))
    # y goes to z about x and stays there; z goes to -y, and then to x.
    torch.testing.assert_close(both @ torch.tensor([0.0, 1, 0]).double(), torch.tensor([0.0, 0, 1]).double())
    torch.testing.assert_close(both @ torch.tensor([0.0, 0, 1]).double(), torch.tensor([1.0, 0, 0]).double())


def test_composition_multiplies_matrices() -> None:
    first, second = torch.randn(2, 200, 3, dtype=torch.float64)
    expected = rotation_matrix(second) @ rotation_matrix(first)
    torch.testing.assert_close(rotation_matrix(composed(second, first)), expected, rtol=1e-9, atol=1e-9)


def test_composition_with_nothing_changes_nothing() -> None:
    turn = torch.randn(50, 3, dtype=torch.float64)
    turn = turn / turn.norm(dim=-1, keepdim=True) * torch.linspace(0.01, 3, 50, dtype=torch.float64)[:, None]
    nothing = torch.zeros_like(turn)
    torch.testing.assert_close(composed(turn, nothing), turn)
    torch.testing.assert_close(composed(nothing, turn), turn)


def test_gradient_of_composition_at_zero() -> None:
    nothing = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    turn = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64)
    torch.autograd.gradcheck(lambda change: composed(change, turn), nothing + 1e-3)
    (gradient,) = torch.autograd.grad(composed(nothing, torch.zeros_like(turn)).sum(), nothing)
    torch.testing.assert_close(gradient, torch.ones(1, 3, dtype=torch.float64))


def test_shortest_turn_leads_there() -> None:
    start, end = torch.nn.functional.normalize(torch.randn(2, 100, 3, dtype=torch.float64), dim=-1)
    turn = shortest_rotation(start, end)
    torch.testing.assert_close((rotation_matrix(turn) @ start[..., None])[..., 0], end)
    torch.testing.assert_close(turn.norm(dim=-1), torch.acos((start * end).sum(-1)))
    assert torch.equal(shortest_rotation(start, start).abs() < 1e-7, torch.ones(100, 3, dtype=torch.bool))


def test_the_shortest_turn_is_the_same_as_a_vector_and_as_a_matrix() -> None:
    np.testing.assert_allclose(shortest_rotation_matrix(X, Y), about_axis("z", np.array(RIGHT)), atol=1e-15)
    start, end = directions(2, 100)
    by_vector = rotation_matrix(shortest_rotation(torch.from_numpy(start), torch.from_numpy(end))).numpy()
    np.testing.assert_allclose(shortest_rotation_matrix(start, end), by_vector, atol=1e-10)


def test_opposite_directions_are_turned_half_round_and_zero_vectors_not_at_all() -> None:
    start = directions(20)
    half = shortest_rotation_matrix(start, -start)
    np.testing.assert_allclose(rotated(half, start[:, None])[:, 0], -start, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(half), 1, atol=1e-12)
    assert np.array_equal(shortest_rotation_matrix(np.zeros((1, 3)), X[None])[0], np.eye(3))
    assert np.array_equal(shortest_rotation_matrix(X[None], np.zeros((1, 3)))[0], np.eye(3))


def test_angles_between_vectors_are_exact_near_0_and_pi() -> None:
    x, y = torch.tensor([2.0, 0, 0]).double(), torch.tensor([0, 5.0, 0]).double()
    assert angle_between(x, y).item() == pytest.approx(RIGHT)
    near = x + 1e-9 * y
    assert angle_between(x, near).item() == pytest.approx(2.5e-9, rel=1e-9)
    assert math.pi - angle_between(-x, near).item() == pytest.approx(2.5e-9, rel=1e-6)


def test_points_are_turned_by_a_shared_rotation_and_by_their_own() -> None:
    points = np.stack([X, Y])[None].repeat(2, 0)
    shared = rotated(about_axis("z", np.array(RIGHT)), points)
    np.testing.assert_allclose(shared, np.stack([Y, -X])[None].repeat(2, 0), atol=1e-15)
    own = rotated(about_axis("z", np.array([0.0, RIGHT])), points)
    np.testing.assert_allclose(own, [[X, Y], [Y, -X]], atol=1e-15)


def test_the_cross_matrix_takes_cross_products() -> None:
    assert (cross_matrix(X) @ Y).tolist() == Z.tolist()
    one, other = directions(2, 50)
    np.testing.assert_allclose(
        (cross_matrix(one) @ other[..., None])[..., 0], np.cross(one, other), atol=1e-15
    )


def test_the_best_rotation_is_the_true_one_where_there_is_one() -> None:
    true = rotation_matrix(torch.randn(30, 3, dtype=torch.float64)).numpy()
    start = directions(4)
    np.testing.assert_allclose(best_rotation(start, np.einsum("fij,cj->fci", true, start)), true, atol=1e-12)
    # A mirrored set has no rotation: the best one is still a rotation.
    assert np.linalg.det(best_rotation(start, (start * [-1, 1, 1])[None])[0]) == pytest.approx(1)


def test_euler_angles_are_those_that_the_rotation_was_made_of() -> None:
    angles = np.radians(np.random.default_rng(0).uniform([-170, -80, -170], [170, 80, 170], (40, 3)))
    z, x, y = (about_axis(axis, angles[:, at]) for at, axis in enumerate("zxy"))
    found = euler_zxy(z @ x @ y)
    np.testing.assert_allclose((found - np.degrees(angles) + 180) % 360 - 180, 0, atol=1e-9)
    turns = euler_zxy(about_axis("z", np.radians(np.arange(0.0, 800, 20))))
    np.testing.assert_allclose(turns[:, 0], np.arange(0.0, 800, 20), atol=1e-9)  # no jump at 180
    upright = about_axis("z", np.array([0.4])) @ about_axis("x", np.array([RIGHT]))
    np.testing.assert_allclose(euler_zxy(upright), [[np.degrees(0.4), 90, 0]], atol=1e-6)


def test_a_turn_about_the_first_direction_and_then_onto_the_second() -> None:
    start, end = torch.from_numpy(directions(2, 200))
    turn = torch.linspace(-np.pi, np.pi, 200, dtype=torch.float64)[:, None]
    found = turned_onto(start, end, turn)
    assert rotation_matrix(found).allclose(
        rotation_matrix(shortest_rotation(start, end)) @ rotation_matrix(turn * start), atol=1e-9
    )
    assert found.norm(dim=1).max() <= np.pi + 1e-9
    still = turned_onto(start.float(), start.float(), torch.zeros(200, 1))
    assert still.abs().max() < 1e-6 and still.isfinite().all()
