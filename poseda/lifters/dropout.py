"""Dropout whose random numbers do not take a quarter of a training step on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`; on a CPU one 64-bit draw decides over four features instead of one.

    There the probability is rounded to a multiple of 2^-16, and features are scaled by what that comes to.
    Anywhere else, and while compiling, it is torch's own.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Zero each feature with the probability and scale the others up; identity in evaluation mode."""
        if not self.training or self._is_plain(features):
            return super().forward(features)
        return features * self._keep(features, 1, 0)

    def part(self, features: Tensor, parts: int, index: int) -> Tensor:
        """Drop as from a batch of which these are one of several equal parts of rows; draw for all."""
        if not self.training or self._is_plain(features):
            return drop_part(super().forward, features, parts, index)
        return features * self._keep(features, parts, index)

    def _is_plain(self, features: Tensor) -> bool:
        return features.is_cuda or torch.compiler.is_compiling() or self._dropped in (0, _LEVELS)

    @property
    def _dropped(self) -> int:
        """How many of _LEVELS levels drop a feature."""
        return round(self.p * _LEVELS)

    def _keep(self, like: Tensor, parts: int, index: int) -> Tensor:
        """0 for features to drop, what makes up for them for the others."""
        size = like.numel()
        draws = torch.empty(-(-parts * size // 4), dtype=torch.int64)
        draws.random_(torch.iinfo(torch.int64).min, None)
        levels = draws.view(torch.int16)[index * size : (index + 1) * size].view(like.shape)
        # Compared as numbers of the result's kind: vectorised, where a comparison into booleans is not.
        wide = torch.promote_types(like.dtype, torch.float32)
        kept = levels.to(wide).ge_(self._dropped + torch.iinfo(torch.int16).min)
        return kept.mul_(_LEVELS / (_LEVELS - self._dropped)).to(like.dtype)


def drop_part(drop: Callable[[Tensor], Tensor], features: Tensor, parts: int, index: int) -> Tensor:
    """As :meth:`Dropout.part`, by any dropout."""
    whole = drop(features.new_ones(parts * len(features), *features.shape[1:]))
    return features * whole.chunk(parts)[index]
