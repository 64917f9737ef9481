"""The random numbers of a training step, drawn at once: one call for uniform ones, one for normal ones.

On a GPU a call costs a kernel, however few numbers it draws. So a step names all of its numbers beforehand,
and then takes each from the columns of one table.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Number = float | Tensor
"""One for all numbers of a row, or a tensor that expands to their shape."""


class Uniform(NamedTuple):
    """Uniform numbers from low to high.

    Args:
        shape: of the numbers of a row.
        low, high: bounds.
    """

    shape: tuple[int, ...] = (1,)
    low: Number = 0.0
    high: Number = 1.0


class Normal(NamedTuple):
    """Normal numbers.

    Args:
        shape: of the numbers of a row.
        deviation: standard deviation.
        mean: of the numbers.
    """

    shape: tuple[int, ...] = (1,)
    deviation: Number = 1.0
    mean: Number = 0.0


class Chance(NamedTuple):
    """Booleans that are true in a share of the cases.

    Args:
        shape: of the booleans of a row.
        share: of true ones.
    """

    shape: tuple[int, ...] = (1,)
    share: Number = 0.5


Column = Uniform | Normal | Chance


class Draws:
    """Draws the numbers of a step, row by row of a batch.

    Example:
        >>> draws = Draws({"angle": Uniform((2,), 0, 3.14), "noise": Normal((16, 3), 0.1), "flip": Chance()})
        >>> drawn = draws(8)
        >>> drawn["angle"].shape, drawn["noise"].shape, drawn["flip"].dtype
        (torch.Size([8, 2]), torch.Size([8, 16, 3]), torch.bool)

    Args:
        columns: the numbers of a row by name.
        device: of the numbers.
        dtype: of the numbers.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._uniform = {name: column for name, column in columns.items() if isinstance(column, Uniform)}
        self._normal = {name: column for name, column in columns.items() if isinstance(column, Normal)}
        self._chance = {name: column for name, column in columns.items() if isinstance(column, Chance)}
        uniform, normal, chance = self._uniform.values(), self._normal.values(), self._chance.values()
        self._low = _row([(own.low, own.shape) for own in uniform], device, dtype)
        self._width = _row([(own.high - own.low, own.shape) for own in uniform], device, dtype)
        self._mean = _row([(own.mean, own.shape) for own in normal], device, dtype)
        self._deviation = _row([(own.deviation, own.shape) for own in normal], device, dtype)
        self._share = _row([(own.share, own.shape) for own in chance], device, dtype)

    def __call__(self, size: int, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Draw for N rows.

        Args:
            size: N.
            rng: of the numbers, on their device. Default: torch's own.

        Returns:
            (N, ...) numbers by name, of the columns' shapes.
        """
        like = self._low
        drawn: dict[str, Tensor] = {}
        given: dict[str, Any] = {"generator": rng, "device": like.device, "dtype": like.dtype}
        split = len(self._low)
        # Both at once, because a compiled step is cut in two after each.
        even = torch.rand(size, split + len(self._share), **given) if split + len(self._share) else None
        normal = torch.randn(size, len(self._mean), **given) if self._normal else None
        if even is not None and split:
            drawn |= _named(torch.addcmul(self._low, self._width, even[:, :split]), self._uniform)
        if even is not None and self._chance:
            drawn |= _named(even[:, split:] < self._share, self._chance)
        if normal is not None:
            drawn |= _named(torch.addcmul(self._mean, self._deviation, normal), self._normal)
        return drawn


def lasting(drawn: Mapping[str, Tensor], names: Collection[str], frames: int) -> dict[str, Tensor]:
    """Numbers of which some stay the same over frames: those of the first row of each group.

    Args:
        drawn: (N, ...) numbers by name.
        names: of the numbers that stay.
        frames: successive rows that are a group; N is a multiple.
    """
    return {
        name: value[::frames].repeat_interleave(frames, 0) if name in names else value
        for name, value in drawn.items()
    }


def _row(
    values: Sequence[tuple[Number, tuple[int, ...]]], device: torch.device | str, dtype: torch.dtype
) -> Tensor:
    """One number a column of the table, on the device at once: a copy in a step would make the host wait."""
    filled = [torch.as_tensor(value, dtype=dtype).cpu().expand(shape).reshape(-1) for value, shape in values]
    return torch.cat([torch.empty(0, dtype=dtype), *filled]).to(device)


def _named(table: Tensor, columns: Mapping[str, Column]) -> dict[str, Tensor]:
    """The columns of a table by name, as views."""
    parts = table.split([math.prod(column.shape) for column in columns.values()], 1)
    return {
        name: part.view(len(table), *column.shape)
        for (name, column), part in zip(columns.items(), parts, strict=True)
    }
