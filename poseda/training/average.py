"""The averaged weights of a lifter, which are what its training results in."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of all floating-point parameters and buffers of a module.

    Args:
        average: a copy of the module at its start, on the same device; moved in place.
        followed: the module that is trained, which may have further modules without weights.
        decay: of a step; 0 follows the module.
    """

    def __init__(self, average: nn.Module, followed: nn.Module, decay: float) -> None:
        self._decay = decay
        self._parameters = [list(module.parameters()) for module in (average, followed)]
        # By owner and name: a forward pass may put another tensor in a buffer's place.
        saved = average.state_dict()
        self._buffers = [
            (average.get_submodule(owner), followed.get_submodule(owner), name)
            for owner, _, name in (
                full.rpartition(".") for full, _ in average.named_buffers() if full in saved
            )
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the module as it is after a step."""
        # A short memory at first, so that the random start does not linger in the average.
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        mine, theirs = (list[Tensor](side) for side in self._parameters)
        for own, other, name in self._buffers:
            value, current = own.get_buffer(name), other.get_buffer(name)
            if value.is_floating_point():
                mine.append(value)
                theirs.append(current)
            else:
                value.copy_(current)
        torch._foreach_lerp_(mine, theirs, weight)
