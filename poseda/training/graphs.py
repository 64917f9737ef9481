"""Training steps as CUDA graphs: the device work of a step is captured once, and then replayed.

A phase splits its step in two. The host decides what follows from the step's number: which poses, which step
size, whether discriminators train. The rest is device work, and all steps of one kind do the same work, as a
graph requires. Each replay draws new random numbers: those that the step would draw without a graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.training.errors import TrainingError

WARM_UP = 3
"""Steps of a kind that run before one is captured. In them libraries choose kernels, optimisers create their
state, and tables are copied to the device."""

Values = dict[str, Tensor]


class Capture(IntEnum):
    """Whether steps are captured. Without graphs it is false.

    Attributes:
        OFF: no.
        ON: yes, or the run ends.
        TRY: yes, or the phase goes on without.
    """

    OFF = 0
    ON = 1
    TRY = 2


def chosen(config: RunConfig, fabric: Fabric) -> Capture:
    """What the configuration asks for; ``auto`` tries where nothing stands against it."""
    if config.graphs == "auto":
        return Capture.OFF if _obstacle(config, fabric) else Capture.TRY
    return Capture.ON if config.graphs == "on" else Capture.OFF


def check(config: RunConfig, fabric: Fabric) -> None:
    """Check that steps can be captured, if the configuration asks for that.

    Raises:
        ValueError: if they cannot; the message says why.
    """
    obstacle = _obstacle(config, fabric)
    if config.graphs == "on" and obstacle:
        raise ValueError(f"graphs: expected {obstacle}")


def _obstacle(config: RunConfig, fabric: Fabric) -> str | None:
    """What is expected and what came, where steps cannot be captured."""
    if fabric.device.type != "cuda":
        return f"a CUDA device with on, got {fabric.device}"
    if fabric.world_size > 1:
        return f"a single process with on, got {fabric.world_size}"
    if config.precision == "16-mixed":
        return (
            "precision tf32, 32-true or bf16-mixed with on, got 16-mixed, whose gradient scaler reads from "
            "the device at every step"
        )
    return None


class Captured(NamedTuple):
    """Captured work.

    Attributes:
        values: results of the work; each replay overwrites them.
        replay: does the work. The first replay does it for the first time, as a capture does nothing.
    """

    values: Values
    replay: Callable[[], None]


class CudaBackend:
    """Warms up and captures on a stream of its own, as CUDA requires.

    Args:
        device: of all the work.
        generator: of the random numbers of the work, beside torch's own generator.
    """

    def __init__(self, device: torch.device, generator: torch.Generator) -> None:
        self._device, self._generator = device, generator
        self._stream = torch.cuda.Stream(device)

    def warm_up(self, work: Callable[[], Values]) -> Values:
        """Do the work without a graph."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream), warnings.catch_warnings():
            # An optimiser that can be captured warns when it runs outside a capture.
            warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
            values = work()
        current.wait_stream(self._stream)
        return values

    def capture(self, work: Callable[[], Values]) -> Captured:
        """Record the work; it is not done yet."""
        graph = torch.cuda.CUDAGraph()
        generators = (self._generator, torch.cuda.default_generators[self._device.index or 0])
        states = [generator.get_state() for generator in generators]
        graph.register_generator_state(self._generator)
        try:
            # The outer context leaves the stream again even if the capture fails.
            with torch.cuda.stream(self._stream), torch.cuda.graph(graph, stream=self._stream):
                values = work()
        except BaseException:
            for generator, state in zip(generators, states, strict=True):
                # A failed capture leaves a generator waiting for its end: it goes on with another state.
                fresh = torch.Generator(self._device)
                fresh.set_state(state)
                generator.graphsafe_set_state(fresh)
            raise
        return Captured(values, graph.replay)


@dataclass
class _Kind:
    """All steps that do the same work.

    Args:
        slots: tensors from which the work reads its inputs.
        warm: number of steps done without a graph.
        captured: the work, after enough of them.
    """

    slots: tuple[Tensor, ...]
    warm: int = 0
    captured: Captured | None = None

    def fill_slots(self, inputs: tuple[float | Tensor, ...]) -> None:
        """Copy the inputs of a step to where the work reads them."""
        for slot, value in zip(self.slots, inputs, strict=True):
            if isinstance(value, Tensor):
                slot.copy_(value)
            else:
                slot.fill_(value)


class Graphs:
    """Does the device work of a phase's steps: as it is, or by replaying graphs of it.

    Args:
        wanted: capture and replay the work; True is :attr:`Capture.ON`. Without, :meth:`run` is a plain
            call.
        fabric: device.
        generator: of the random numbers of the work, beside torch's own generator.
        modules: that the work changes in place, by name.
    """

    def __init__(
        self,
        wanted: bool | Capture,
        fabric: Fabric,
        generator: torch.Generator,
        modules: Mapping[str, nn.Module],
    ) -> None:
        self._device, self._modules = fabric.device, dict(modules)
        self._falls_back, self._fell_back = wanted == Capture.TRY, False
        self._backend = CudaBackend(fabric.device, generator) if wanted else None
        self._kinds: dict[str, _Kind] = {}

    def run(self, kind: str, work: Callable[..., Values], *inputs: float | Tensor) -> Values:
        """Do the work of one step.

        Args:
            kind: name of the step's kind; all steps of a kind do the same work.
            work: called with the inputs. A capture passes numbers as float32 tensors ().
            inputs: everything that differs between the steps of a kind; tensors keep their shapes.

        Returns:
            the results of the work. The next replay overwrites them.

        Raises:
            TrainingError: if the work cannot be captured, and must be.
        """
        if self._backend is None:
            return work(*inputs)
        if kind not in self._kinds:
            self._kinds[kind] = _Kind(tuple(map(self._slot, inputs)))
        steps = self._kinds[kind]
        steps.fill_slots(inputs)
        bound = partial(_detached, work, *steps.slots)
        if steps.captured is None and (self._fell_back or steps.warm < WARM_UP):
            steps.warm += 1
            return self._backend.warm_up(bound)
        if steps.captured is None:
            entries = self._entries()
            try:
                steps.captured = self._capture(self._backend, bound)
            except TrainingError as error:
                if not self._falls_back:
                    raise
                self._fall_back(entries, error)
                return self._backend.warm_up(bound)
        steps.captured.replay()
        return steps.captured.values

    def drop(self) -> None:
        """Forget all graphs. They use tensors that a checkpoint has replaced since."""
        self._kinds.clear()

    def _fall_back(self, entries: list[tuple[nn.Module, str, Tensor | None]], error: TrainingError) -> None:
        """Go on without graphs: a capture did no work, but may have put its own tensors into a module."""
        reason = str(error).partition("; --graphs off")[0]
        warnings.warn(f"{reason}; the phase goes on without graphs", stacklevel=2)
        for module, name, tensor in entries:
            module._buffers[name] = tensor
        for steps in self._kinds.values():  # their graphs draw from the state of random numbers before
            steps.captured = None
        self._fell_back = True

    def _entries(self) -> list[tuple[nn.Module, str, Tensor | None]]:
        """All buffers, each with its module and name."""
        return [
            (part, name, tensor)
            for module in self._modules.values()
            for part in module.modules()
            for name, tensor in part._buffers.items()
        ]

    def _slot(self, value: float | Tensor) -> Tensor:
        return torch.empty_like(value) if isinstance(value, Tensor) else torch.empty((), device=self._device)

    def _capture(self, backend: CudaBackend, work: Callable[[], Values]) -> Captured:
        before = self._addresses()
        try:
            captured = backend.capture(work)
        except RuntimeError as error:
            cause = (
                error.__context__ or error
            )  # CUDA adds a second error after the one that ended the capture
            reason = str(cause).partition("\n")[0].rstrip(".")
            raise TrainingError(
                f"--graphs: the training step cannot be captured ({reason}); --graphs off trains without"
            ) from error
        moved = [name for name, address in self._addresses().items() if address != before.get(name)]
        if moved:
            raise TrainingError(
                f"--graphs: {moved[0]} becomes another tensor at every step, which a graph cannot follow; "
                f"--graphs off trains without"
            )
        return captured

    def _addresses(self) -> dict[str, int]:
        """Addresses of parameters and buffers."""
        return {
            f"{name}.{entry}": value.data_ptr()
            for name, module in self._modules.items()
            for entry, value in (*module.named_parameters(), *module.named_buffers())
        }


def _detached(work: Callable[..., Values], *inputs: Tensor) -> Values:
    """Do the work, and drop the autograd graph, which would live as long as the values."""
    return {name: value.detach() for name, value in work(*inputs).items()}
