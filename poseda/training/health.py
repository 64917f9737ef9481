"""Health of a training: finite gradients and weights, and a generator that has not collapsed.

Checks of gradients stay on the device until the log is written, so that no step makes the host wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from poseda.config import HealthConfig, RunConfig


class NonFiniteWatch:
    """Clips gradients, and records on the device the first step at which one is NaN or infinite.

    Args:
        modules: that are trained or saved, by name.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.modules = dict(modules)
        self._first: dict[str, Tensor] = {}

    @torch.no_grad()
    def clip(self, step: float | Tensor, name: str, limit: float) -> None:
        """Check the gradients of a module, and scale them down to a joint norm of a limit.

        One pass over the norms serves both. If the norm overflows, the gradient cannot be clipped, and counts
        as not finite. All gradients are scaled at once.

        Args:
            step: of the gradients.
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
        torch.where(norms < torch.inf, first, first.clamp(max=step), out=first)  # a NaN is not less
        excess = (torch.linalg.vector_norm(norms) / limit).clamp_min(1)
        torch._foreach_div_(gradients, excess)

    def first_gradient(self) -> tuple[int, str] | None:
        """The first step with a gradient that was not finite, and the gradient's name."""
        for name, steps in self._first.items():
            found = steps.tolist()
            if min(found) < float("inf"):
                parameters = [parameter for parameter, _ in self.modules[name].named_parameters()]
                at = found.index(min(found))
                return int(found[at]), f"the gradient of {name}.{parameters[at]}"
        return None

    def first_weight(self) -> str | None:
        """Name of a weight or buffer that is not finite now; this waits for the device."""
        named = dict(self._weights())
        largest = torch.stack(torch._foreach_norm(list(named.values()), torch.inf)).tolist()
        return next((name for name, size in zip(named, largest, strict=True) if not size < torch.inf), None)

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        for name, module in self.modules.items():
            for entry, value in module.state_dict().items():
                if value.is_floating_point():
                    yield f"{name}.{entry}", value.float()


class CollapseWatch:
    """Counts successive log lines that show the same fault of a generator or a discriminator.

    Args:
        bounds: below which a value is a fault, and the number of lines that make a collapse.
    """

    def __init__(self, bounds: HealthConfig) -> None:
        self.bounds = bounds
        self._faulty: dict[str, int] = {}

    @classmethod
    def of(cls, config: RunConfig) -> CollapseWatch:
        """The watch of a run. Without bone rotations, their variation is not watched."""
        bounds = config.health
        return cls(bounds if config.generator.bone_angle else replace(bounds, bone_spread=0.0))

    @property
    def healthy(self) -> bool:
        """Whether the last log line shows no fault. A restart needs a checkpoint from such a line."""
        return not any(self._faulty.values())

    def look(self, values: Mapping[str, float]) -> str | None:
        """Read one log line; return the fault once it makes a collapse, else None."""
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
        """The value of a log line below which it is a fault; None for values that are not watched."""
        if name.startswith("discriminator_"):
            return self.bounds.discriminator_loss
        return {"bone_spread": self.bounds.bone_spread, "valid_share": self.bounds.valid_share}.get(name)
