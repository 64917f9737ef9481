"""Whether training is sound: finite gradients and weights, and a generator that has not collapsed.

Nothing here makes the host wait: gradients are noted on the device, and read where the log is written anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from poseda.config import HealthConfig, RunConfig


class NonFiniteWatch:
    """Clips gradients, and remembers, on the device, at which step one was first NaN or infinite.

    Args:
        modules: what is trained, and what else a checkpoint keeps, by name.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.modules = dict(modules)
        self._first: dict[str, Tensor] = {}

    @torch.no_grad()
    def clip(self, step: float | Tensor, name: str, limit: float) -> None:
        """Look at the gradients of a module, and scale them down to a joint norm of a limit.

        One pass over them serves both. A gradient whose norm is not finite, by overflow too, cannot be
        clipped and counts as not finite.

        Args:
            step: whose gradients they are.
            name: of the module.
            limit: largest norm of all its gradients together.
        """
        parameters = list(self.modules[name].parameters())
        gradients = [
            parameter.new_zeros(()) if parameter.grad is None else parameter.grad for parameter in parameters
        ]
        norms = torch.stack(torch._foreach_norm(gradients))
        if name not in self._first:
            self._first[name] = torch.full_like(norms, torch.inf)
        first = self._first[name]
        first.copy_(torch.where(norms.isfinite(), first, first.clamp(max=step)))
        nn.utils.clip_grads_with_norm_(parameters, limit, torch.linalg.vector_norm(norms))

    def first_gradient(self) -> tuple[int, str] | None:
        """The earliest step with a gradient that was not finite, and whose it was."""
        for name, steps in self._first.items():
            found = steps.tolist()
            if min(found) < float("inf"):
                parameters = [parameter for parameter, _ in self.modules[name].named_parameters()]
                at = found.index(min(found))
                return int(found[at]), f"the gradient of {name}.{parameters[at]}"
        return None

    def first_weight(self) -> str | None:
        """A weight or buffer that is not finite now; waits for the device."""
        named = dict(self._weights())
        largest = torch.stack(torch._foreach_norm(list(named.values()), torch.inf)).tolist()
        return next((name for name, size in zip(named, largest, strict=True) if not size < torch.inf), None)

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        for name, module in self.modules.items():
            for entry, value in module.state_dict().items():
                if value.is_floating_point():
                    yield f"{name}.{entry}", value.float()


class CollapseWatch:
    """Counts how many log lines in a row show the same fault of a generator or a discriminator.

    Args:
        bounds: what a fault is, and how many make a collapse.
    """

    def __init__(self, bounds: HealthConfig) -> None:
        self.bounds = bounds
        self._faulty: dict[str, int] = {}

    @classmethod
    def of(cls, config: RunConfig) -> CollapseWatch:
        """The watch of a run. Turns that the generator may not make cannot vary, and are not watched."""
        bounds = config.health
        return cls(bounds if config.generator.bone_angle else replace(bounds, bone_spread=0.0))

    @property
    def healthy(self) -> bool:
        """Whether the last log line showed no fault: only then is a checkpoint worth going back to."""
        return not any(self._faulty.values())

    def look(self, values: Mapping[str, float]) -> str | None:
        """Look at one log line; return what is wrong once it makes a collapse."""
        if not self.bounds.windows:
            return None
        faults = self.faults(values)
        for name, value in values.items():
            bound = self.bound(name)
            if bound is None:
                continue
            self._faulty[name] = self._faulty.get(name, 0) + 1 if name in faults else 0
            if self._faulty[name] >= self.bounds.windows:
                return (
                    f"{name} below {bound:g} in {self.bounds.windows} log lines in a row, {value:.3g} at last"
                )
        return None

    def faults(self, values: Mapping[str, float]) -> list[str]:
        """The values of a log line that are below their bounds."""
        return [
            name
            for name, value in values.items()
            if (bound := self.bound(name)) is not None and value < bound
        ]

    def bound(self, name: str) -> float | None:
        """Below which a value of a log line is a fault; None for values that are not watched."""
        if name.startswith("discriminator_"):
            return self.bounds.discriminator_loss
        return {"bone_spread": self.bounds.bone_spread, "valid_share": self.bounds.valid_share}.get(name)
