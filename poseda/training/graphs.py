"""Training steps as CUDA graphs: what a step asks of the device is captured once and then replayed.

A phase splits its step in two. The host decides what follows from the step's number: which poses, which step
size, whether discriminators train. All else is device work, the same at every step of its kind, as a graph
is. Its random numbers are new at every replay, and those that the step as it is would draw.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.training.errors import TrainingError

WARM_UP = 3
"""Steps of a kind that run as they are before one is captured: libraries choose kernels, optimisers make
their state, tables are copied to the device."""

Values = dict[str, Tensor]


def check(config: RunConfig, fabric: Fabric) -> None:
    """Check that steps can be captured where that is asked for.

    Raises:
        ValueError: if not; says what is in the way.
    """
    if config.graphs == "off":
        return
    if fabric.device.type != "cuda":
        raise ValueError(f"graphs: expected a CUDA device with on, got {fabric.device}")
    if fabric.world_size > 1:
        raise ValueError(f"graphs: expected a single process with on, got {fabric.world_size}")
    if config.precision == "16-mixed":
        raise ValueError(
            "graphs: expected precision 32-true or bf16-mixed with on, got 16-mixed, whose gradient scaler "
            "reads from the device at every step"
        )


class Captured(NamedTuple):
    """A captured piece of work.

    Attributes:
        values: what it returned; each replay overwrites them.
        replay: do it once more, and for the first time, as capturing does nothing.
    """

    values: Values
    replay: Callable[[], None]


class CudaBackend:
    """Captures on a stream of its own, and warms up there, as CUDA wants it.

    Args:
        device: of all the work.
        generator: that it draws from, besides torch's own.
    """

    def __init__(self, device: torch.device, generator: torch.Generator) -> None:
        self._device, self._generator = device, generator
        self._stream = torch.cuda.Stream(device)

    def warm_up(self, work: Callable[[], Values]) -> Values:
        """Do the work as it is."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream), warnings.catch_warnings():
            # An optimiser that can be captured wonders why it is not.
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            values = work()
        current.wait_stream(self._stream)
        return values

    def capture(self, work: Callable[[], Values]) -> Captured:
        """Record the work without doing it."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        # The outer context leaves the stream again even where the capture fails.
        with torch.cuda.stream(self._stream), torch.cuda.graph(graph, stream=self._stream):
            values = work()
        return Captured(values, graph.replay)


@dataclass
class _Kind:
    """Steps that do the same work.

    Args:
        slots: where the work finds its inputs.
        warm: steps done as they are.
        captured: once there were enough of them.
    """

    slots: tuple[Tensor, ...]
    warm: int = 0
    captured: Captured | None = None


class Graphs:
    """Does the device work of a phase's steps.

    Args:
        wanted: capture and replay it. Without, all work is done as it is.
        fabric: device.
        generator: that the work draws from, besides torch's own.
        modules: what the work changes in place, by name.
    """

    def __init__(
        self, wanted: bool, fabric: Fabric, generator: torch.Generator, modules: Mapping[str, nn.Module]
    ) -> None:
        self._device, self._modules = fabric.device, dict(modules)
        self._backend = CudaBackend(fabric.device, generator) if wanted else None
        self._kinds: dict[str, _Kind] = {}

    def run(self, kind: str, work: Callable[..., Values], *inputs: float | Tensor) -> Values:
        """Do the work of one step.

        Args:
            kind: of the step; all steps of a kind do the same work.
            work: called with the inputs. Where steps are captured, numbers come as float32 tensors ().
            inputs: all that differs between the steps of a kind; tensors keep their shapes.

        Returns:
            what the work returned; where steps are captured, the next one overwrites it.

        Raises:
            TrainingError: if the work cannot be captured.
        """
        if self._backend is None:
            return work(*inputs)
        if kind not in self._kinds:
            self._kinds[kind] = _Kind(tuple(map(self._slot, inputs)))
        found = self._kinds[kind]
        for slot, value in zip(found.slots, inputs, strict=True):
            if isinstance(value, Tensor):
                slot.copy_(value)
            else:
                slot.fill_(value)
        bound = partial(_detached, work, *found.slots)
        if found.captured is None and found.warm < WARM_UP:
            found.warm += 1
            return self._backend.warm_up(bound)
        if found.captured is None:
            found.captured = self._capture(self._backend, bound)
        found.captured.replay()
        return found.captured.values

    def drop(self) -> None:
        """Forget all graphs: they hold on to tensors that were since replaced by those of a checkpoint."""
        self._kinds.clear()

    def _slot(self, value: float | Tensor) -> Tensor:
        return torch.empty_like(value) if isinstance(value, Tensor) else torch.empty((), device=self._device)

    def _capture(self, backend: CudaBackend, work: Callable[[], Values]) -> Captured:
        before = self._places()
        try:
            captured = backend.capture(work)
        except RuntimeError as error:
            cause = error.__context__ or error  # CUDA complains once more of a capture that was cut short
            reason = str(cause).partition("\n")[0].rstrip(".")
            raise TrainingError(
                f"--graphs: the training step cannot be captured ({reason}); --graphs off trains without"
            ) from error
        moved = [name for name, place in self._places().items() if place != before.get(name)]
        if moved:
            raise TrainingError(
                f"--graphs: {moved[0]} becomes another tensor at every step, which a graph cannot follow; "
                f"--graphs off trains without"
            )
        return captured

    def _places(self) -> dict[str, int]:
        """Where parameters and buffers lie."""
        return {
            f"{name}.{entry}": value.data_ptr()
            for name, module in self._modules.items()
            for entry, value in (*module.named_parameters(), *module.named_buffers())
        }


def _detached(work: Callable[..., Values], *inputs: Tensor) -> Values:
    """The work, without the autograd graph that would live as long as its values."""
    return {name: value.detach() for name, value in work(*inputs).items()}
