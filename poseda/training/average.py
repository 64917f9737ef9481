"""The averaged weights of a lifter, which are the result of its training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of all floating-point parameters and buffers of a module.

    Args:
        average: a copy of the module from before training, on the same device; updated in place.
        followed: the module that is trained. It may have further submodules without weights.
        decay: per step; with 0 the average equals the module.
    """

    def __init__(self, average: nn.Module, followed: nn.Module, decay: float) -> None:
        self._decay = decay
        self._parameters = [list(module.parameters()) for module in (average, followed)]
        # By owner and name, as a forward pass may replace a buffer by another tensor.
        saved = average.state_dict()
        self._buffers = [
            (average.get_submodule(owner), followed.get_submodule(owner), name)
            for owner, _, name in (
                full.rpartition(".") for full, _ in average.named_buffers() if full in saved
            )
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the module, after a step of the module."""
        # The decay is small at first, so that the random start does not stay in the average.
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        averaged, current = (list[Tensor](side) for side in self._parameters)
        copies, counts = list[Tensor](), list[Tensor]()
        for own, other, name in self._buffers:
            value, followed = own.get_buffer(name), other.get_buffer(name)
            if value.is_floating_point():
                averaged.append(value)
                current.append(followed)
            else:
                copies.append(value)
                counts.append(followed)
        torch._foreach_lerp_(averaged, current, weight)
        if copies:
            torch._foreach_copy_(copies, counts)
