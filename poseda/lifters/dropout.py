"""Dropout whose random numbers do not take a quarter of a training step on a CPU."""

from __future__ import annotations

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
        dropped = round(self.p * _LEVELS)
        plain = features.is_cuda or torch.compiler.is_compiling() or dropped == _LEVELS
        if not self.training or plain or dropped == 0:
            return super().forward(features)
        return features * _keep(features, dropped)


def _keep(like: Tensor, dropped: int) -> Tensor:
    """0 for ``dropped`` features in 2^16, what makes up for them for the others."""
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64)
    draws.random_(torch.iinfo(torch.int64).min, None)
    levels = draws.view(torch.int16)[: like.numel()].view(like.shape)
    # Compared as numbers of the result's kind: vectorised, where a comparison into booleans is not.
    wide = torch.promote_types(like.dtype, torch.float32)
    kept = levels.to(wide).ge_(dropped + torch.iinfo(torch.int16).min)
    return kept.mul_(_LEVELS / (_LEVELS - dropped)).to(like.dtype)
