"""Rotation vectors: composition and shortest turns against matrices, gradients at zero."""

import torch

from poseda.geometry.rotation import composed, rotation_matrix, shortest_turn


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
    turn = shortest_turn(start, end)
    torch.testing.assert_close((rotation_matrix(turn) @ start[..., None])[..., 0], end)
    torch.testing.assert_close(turn.norm(dim=-1), torch.acos((start * end).sum(-1)))
    assert torch.equal(shortest_turn(start, start).abs() < 1e-7, torch.ones(100, 3, dtype=torch.bool))
