"""Which part of a training step takes how long, of our phases and of the classic loop alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from benchmarks.step.classic import ClassicLoop
from poseda import ops
from poseda.geometry.placements import TargetPlacements
from poseda.method import losses
from poseda.method.discriminators import HistoryPool
from poseda.method.generator import Generator
from poseda.training.adversarial import GeneratorPhase
from poseda.training.average import Average
from poseda.training.health import NonFiniteWatch
from poseda.training.lifting import LifterPhase
from poseda.training.meters import Meters
from poseda.training.pairs import Shuffle


class Stopwatch:
    """Sums up the time spent in named parts; what a part calls counts for the innermost name.

    Args:
        device: waited for at each change of part.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self.seconds: dict[str, float] = {}
        self._inside: list[str] = []
        self._since = 0.0

    def enter(self, name: str) -> None:
        """A part begins."""
        self._switch()
        self._inside.append(name)

    def leave(self) -> None:
        """The part that began last is over."""
        self._switch()
        self._inside.pop()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, as a part."""

        def timed(*arguments: Any, **named: Any) -> Any:
            with self(name):
                return call(*arguments, **named)

        return timed

    def clear(self) -> None:
        """Forget what was measured so far."""
        self.seconds.clear()

    def shares(self) -> dict[str, float]:
        """Each part's share of all time measured, largest first."""
        total = sum(self.seconds.values())
        largest = sorted(self.seconds.items(), key=lambda part: -part[1])
        return {name: seconds / total for name, seconds in largest}

    def _switch(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._inside:
            name = self._inside[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


PARTS: tuple[tuple[Any, str, str], ...] = (
    (Shuffle, "at", "indices"),
    (TargetPlacements, "sample", "indices"),
    (Generator, "changes", "generator"),
    (ops, "augment", "augmentation"),
    (losses, "lifter_loss", "forward"),
    (GeneratorPhase, "_generator_losses", "discriminators"),
    (GeneratorPhase, "_discriminator_losses", "discriminators"),
    (HistoryPool, "exchange", "discriminators"),
    (Tensor, "backward", "backward"),
    (Fabric, "backward", "backward"),
    (nn.utils, "clip_grad_norm_", "optimiser"),
    (Average, "update", "EMA"),
    (NonFiniteWatch, "clip", "optimiser"),
    (Meters, "add", "logging"),
    (Meters, "read", "logging"),
    (ClassicLoop, "_log", "logging"),
)
"""What the stopwatch goes round: owner, function, name of the part."""


@contextmanager
def watched(watch: Stopwatch) -> Iterator[None]:
    """Within, the parts of steps are measured; phases must be created within, too."""
    from benchmarks.step import classic

    batches = ClassicLoop._batches

    def timed_batches(self: ClassicLoop, *epoch: Any) -> Iterator[Any]:
        with watch("host data"):
            found = batches(self, *epoch)
        while True:
            with watch("host data"):
                batch = next(found, None)
            if batch is None:
                return
            yield batch

    with ExitStack() as stack:
        for owner, name, part in PARTS:
            stack.enter_context(patch.object(owner, name, watch.wrap(part, getattr(owner, name))))
        for name, part in (("classic_augment", "augmentation"), ("lift_windows", "forward")):
            stack.enter_context(patch.object(classic, name, watch.wrap(part, getattr(classic, name))))
        stack.enter_context(patch.object(ClassicLoop, "_batches", timed_batches))
        functions = tuple(watch.wrap("forward", function) for function in LifterPhase.functions)
        stack.enter_context(patch.object(LifterPhase, "functions", functions))
        begin = register_optimizer_step_pre_hook(lambda *_: watch.enter("optimiser"))
        end = register_optimizer_step_post_hook(lambda *_: watch.leave())
        stack.callback(begin.remove)
        stack.callback(end.remove)
        yield
