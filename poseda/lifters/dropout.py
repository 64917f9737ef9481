"""Dropout with cheap random numbers: torch's own take a quarter of a training step on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, but on a CPU one 64-bit random number decides over four features.

    There the probability is rounded to a multiple of 2^-16, and features are scaled by the rounded value. On
    other devices, and when compiled, it is torch's own dropout.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Zero each feature with the probability and scale the others up; identity in evaluation mode."""
        if not self.training or self._is_plain(features):
            return super().forward(features)
        return features * self._keep(features, 1, 0)

    def part(self, features: Tensor, parts: int, index: int) -> Tensor:
        """Drop features of one of several equal parts of a batch, with the random numbers of the whole batch.

        Args:
            features: (N, ...) rows of this part.
            parts: number of parts.
            index: of this part.
        """
        if not self.training or self._is_plain(features):
            return drop_part(super().forward, features, parts, index)
        return features * self._keep(features, parts, index)

    def _is_plain(self, features: Tensor) -> bool:
        return features.is_cuda or torch.compiler.is_compiling() or self._dropped in (0, _LEVELS)

    @property
    def _dropped(self) -> int:
        """Number of the _LEVELS values that drop a feature."""
        return round(self.p * _LEVELS)

    def _keep(self, like: Tensor, parts: int, index: int) -> Tensor:
        """Factors: 0 for features to drop, and above 1 for the others, so that the mean stays."""
        size = like.numel()
        draws = torch.empty(-(-parts * size // 4), dtype=torch.int64)
        draws.random_(torch.iinfo(torch.int64).min, None)
        levels = draws.view(torch.int16)[index * size : (index + 1) * size].view(like.shape)
        # A comparison in floating point is vectorised; one that gives booleans is not.
        wide = torch.promote_types(like.dtype, torch.float32)
        kept = levels.to(wide).ge_(self._dropped + torch.iinfo(torch.int16).min)
        return kept.mul_(_LEVELS / (_LEVELS - self._dropped)).to(like.dtype)


def drop_part(drop: Callable[[Tensor], Tensor], features: Tensor, parts: int, index: int) -> Tensor:
    """Drop features as :meth:`Dropout.part` does, with any dropout."""
    whole = drop(features.new_ones(parts * len(features), *features.shape[1:]))
    return features * whole.chunk(parts)[index]
