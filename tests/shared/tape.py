"""A stand-in for CUDA graphs on a CPU: it records operators with their tensors and runs them again.

As in a graph, Python does not run again, numbers of the host stay what they were, and tensors stay where they
were; what a graph refuses to capture is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from syncs import HostSyncError, RefuseSyncs
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from poseda.training.graphs import Captured, Values


class Tape(TorchDispatchMode):
    """Records operators; tensors come back with other contents when it is played.

    Args:
        generators: that may be drawn from.
    """

    def __init__(self, *generators: torch.Generator) -> None:
        super().__init__()
        # Operators are given new Python objects around the same generator.
        self._known = {generator._cdata for generator in generators}
        self.played = 0
        self._calls: list[tuple[Callable[[], Any], list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Generator) and value._cdata not in self._known:
                raise RuntimeError(f"{func}: draws from a generator that the graph does not know")
        results = func(*args, **kwargs)
        fresh = all(result.alias_info is None for result in func._schema.returns)
        self._calls.append((lambda: func(*args, **kwargs), tree_leaves(results) if fresh else []))
        return results

    @torch.no_grad()
    def play(self) -> None:
        """Run all operators again. The first time does nothing, as recording has run them already."""
        self.played += 1
        if self.played == 1:
            return
        for call, results in self._calls:
            for mine, again in zip(results, tree_leaves(call()), strict=bool(results)):
                if isinstance(mine, Tensor):
                    mine.copy_(again)


class TapeBackend:
    """A tape in place of `poseda.training.graphs.CudaBackend`.

    Args:
        device: the CPU.
        generator: that may be drawn from, besides torch's own.
    """

    made: list[TapeBackend]

    def __init__(self, device: torch.device, generator: torch.Generator) -> None:
        self.generator, self.warm = generator, 0
        self.tapes: list[Tape] = []
        TapeBackend.made.append(self)

    def warm_up(self, work: Callable[[], Values]) -> Values:
        self.warm += 1
        return work()

    def capture(self, work: Callable[[], Values]) -> Captured:
        tape = Tape(self.generator)
        try:
            with RefuseSyncs(), tape:
                values = work()
        except HostSyncError as error:
            raise RuntimeError("the capture was cut short") from error
        self.tapes.append(tape)
        return Captured(values, tape.play)


def use_tapes(monkeypatch: pytest.MonkeyPatch) -> list[TapeBackend]:
    """Let `--graphs on` work on a CPU; return a list that fills with the backends of the phases."""
    TapeBackend.made = []
    monkeypatch.setattr("poseda.training.graphs.check", lambda config, fabric: None)
    monkeypatch.setattr("poseda.training.graphs.CudaBackend", TapeBackend)
    return TapeBackend.made
