"""The random numbers of a step come from two calls, with the distributions that were asked for."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from poseda.method.draws import Chance, Column, Draws, Normal, Uniform, lasting

COLUMNS: dict[str, Column] = {
    "angle": Uniform((2,), -1.0, 3.0),
    "level": Chance((1,), 0.3),
    "noise": Normal((4, 2), torch.tensor([0.1, 0.1, 0.1, 5.0])[:, None], 2.0),
    "width": Uniform((3,), torch.tensor([0.0, 0.0, -1.0]), torch.tensor([1.0, 0.0, 1.0])),
    "flip": Chance(()),
}


def drawn(size: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return Draws(COLUMNS)(size, torch.Generator().manual_seed(seed))


def test_each_name_has_its_shape_and_its_distribution() -> None:
    found = drawn(20_000)
    assert found.keys() == COLUMNS.keys()
    for name, column in COLUMNS.items():
        assert found[name].shape == (20_000, *column.shape)
    assert found["level"].dtype == found["flip"].dtype == torch.bool
    assert found["level"].float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert found["flip"].float().mean().item() == pytest.approx(0.5, abs=0.02)
    angle = found["angle"]
    assert -1 <= angle.min() < -0.99 and 2.99 < angle.max() <= 3 and abs(angle.mean() - 1) < 0.03
    assert found["noise"].mean((0, 2))[:3].allclose(torch.full((3,), 2.0), atol=0.01)
    assert found["noise"].std((0, 2)).allclose(torch.tensor([0.1, 0.1, 0.1, 5.0]), rtol=0.03)
    assert not found["width"][:, 1].any() and found["width"][:, 2].min() < -0.99


def test_numbers_of_different_names_have_nothing_to_do_with_each_other() -> None:
    found = drawn(20_000)
    numbers = torch.cat([value.reshape(20_000, -1).float() for value in found.values()], 1)
    varied = numbers[:, numbers.std(0) > 0]
    assert (varied.T.corrcoef() - torch.eye(varied.shape[1])).abs().max() < 0.05


def test_a_seed_draws_the_same_numbers_again() -> None:
    one, two, other = drawn(5), drawn(5), drawn(5, 1)
    assert all(torch.equal(one[name], two[name]) for name in COLUMNS)
    assert not torch.equal(one["noise"], other["noise"])


class RandomCalls(TorchDispatchMode):
    """Counts the operators that draw random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.calls += torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def test_two_calls_draw_all_numbers_of_a_step_and_none_is_made_for_nothing() -> None:
    both, chances, none = Draws(COLUMNS), Draws({"flip": Chance()}), Draws({})
    for draws, calls in ((both, 2), (chances, 1), (none, 0)):
        with RandomCalls() as counted:
            draws(7)
        assert counted.calls == calls
    assert none(7) == {}


def test_numbers_that_last_are_those_of_the_first_row_of_each_group() -> None:
    before = drawn(12)
    after = lasting(before, ("angle", "flip"), 4)
    for name, value in before.items():
        kept = value[[0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8]] if name in ("angle", "flip") else value
        assert torch.equal(after[name], kept)
