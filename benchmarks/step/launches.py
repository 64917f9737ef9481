"""How many CUDA kernels a training step launches, counted on a CPU: ``python -m benchmarks.step.launches``.

A captured step costs about 2 us a kernel, however little a kernel does. So the number of kernels is the time
of a small step. It needs no GPU: torch dispatches the same operators on every device, but for the few of
:data:`AS_ON_CUDA`. A step's operators are counted forward and backward, each by the kernels that it launches:

- views, and operators that only make or describe a tensor, launch none;
- :data:`SEVERAL` names the operators of several kernels, as the source of torch has them. Where their number
  depends on sizes, it is the least;
- an operator on a list of tensors launches one kernel a full list (:data:`LIST_LENGTHS`);
- every other operator, the fused ones of this package too, launches one.

Not counted: copies of a step's inputs to where a graph reads them, and second kernels of matrix products.

``--compile`` also counts steps under torch.compile: what the compiler fuses into one kernel, its calls of
libraries, and what is not compiled. It compiles for a CPU here; for CUDA it may fuse otherwise.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
from rich.console import Console
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from benchmarks.step.step import StepBench, step_config
from benchmarks.step.wide import wide_phase
from poseda.bench.record import json_alone, machine, rich_table, save_record
from poseda.cli import attempt
from poseda.cli.measuring import check_record_path
from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.config import SMALLEST_BATCH
from poseda.config.limits import AtLeast, Bare, check_fields
from poseda.datasets import open_domains
from poseda.geometry.placements import TargetPlacements
from poseda.lifters.dropout import Dropout
from poseda.method.discriminators import HistoryPool
from poseda.method.generator import Generator
from poseda.training.average import Average
from poseda.training.health import NonFiniteWatch
from poseda.training.lifting import LifterPhase
from poseda.training.meters import Meters
from poseda.training.stage import Phase
from poseda.training.wide import ViewSource

NAME = "benchmarks.step.launches"
"""What the program calls itself."""

COUNTED = 2
"""The step that is counted, in which discriminators train. The first one makes tables and states."""

aten = torch.ops.aten

NONE = {
    aten.detach,
    aten.empty,
    aten.empty_like,
    aten.new_empty,
    aten.promote_types,
    aten._unsafe_view,
    torch.ops.profiler._record_function_enter_new,
    torch.ops.profiler._record_function_exit,
}
"""Operators without a kernel that are not views."""

SEVERAL = {
    aten.native_batch_norm: 3,  # statistics, running means, the normalising itself
    aten.native_batch_norm_backward: 2,  # sums, gradient
    aten.native_layer_norm_backward: 2,  # gradient of the input; of weight and bias
    aten.randperm: 4,  # numbers, keys, sort, repair of equal keys
    aten._foreach_norm: 4,  # two cleared buffers, parts, sums
    aten.slice_backward: 2,  # zeros, the gradient among them
    aten.select_backward: 2,
}
"""Operators of several kernels."""

LIST_LENGTHS = {1: 110, 2: 64, 3: 48, 4: 36}
"""Most tensors of a list that one kernel takes, by the number of lists."""

PARTS: tuple[tuple[Any, str, str], ...] = (
    (LifterPhase, "_sample", "draw"),
    (ViewSource, "draw", "draw"),
    (TargetPlacements, "sample", "draw"),
    (Generator, "noise", "draw"),
    (HistoryPool, "exchange", "draw"),
    (NonFiniteWatch, "clip", "clip"),
    (Average, "update", "average"),
    (Meters, "add", "log"),
)
"""Parts of a step: owner, function, name. What is outside of them is forward or backward."""

TITLES = ("draw", "forward", "backward", "clip", "optimiser", "average", "log")

COMPILED = {
    "_sample": "draw",
    "_lift": "forward",
    "_loss": "forward",
    "_propose": "forward",
    "_discriminator_losses": "forward",
}
"""What phases compile, and the part of a step that it is."""

RANDOM = ("aten.rand", "aten.randn", "aten.randint")
"""Operators in a compiled draw that are not compiled."""


class Launches(TorchDispatchMode):
    """Counts kernels by part of a step, and by operator."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: Counter[str] = Counter()
        self.operators: Counter[tuple[str, str]] = Counter()
        self._inside: list[str] = []

    def enter(self, part: str) -> None:
        """A part begins; the parts that it calls belong to it."""
        self._inside.append(part)

    def leave(self) -> None:
        """The part that began last is over."""
        self._inside.pop()

    @property
    def part(self) -> str:
        """What is being done."""
        if torch._C._current_graph_task_id() != -1:
            return "backward"
        return (self._inside or ["forward"])[0]

    def add(self, part: str, operator: str, kernels: int) -> None:
        """Count kernels."""
        self.parts[part] += kernels
        self.operators[part, operator] += kernels

    def wrap(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, as a part."""

        def counted(*arguments: Any, **named: Any) -> Any:
            self.enter(part)
            try:
                return call(*arguments, **named)
            finally:
                self.leave()

        return counted

    def hidden(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, as a part whose operators are not seen: the compiler works for no mode."""

        def unseen(*arguments: Any, **named: Any) -> Any:
            with _disable_current_modes():
                return call(*arguments, **named)

        return self.wrap(part, unseen)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kernels = kernels_of(func, args)
        if kernels:
            self.add(self.part, str(func.overloadpacket), kernels)
        return func(*args, **(kwargs or {}))


def kernels_of(func: Any, args: Sequence[Any]) -> int:
    """How many kernels an operator launches on CUDA."""
    packet = func.overloadpacket
    if func.is_view or packet in NONE:
        return 0
    lists = [value for value in args if isinstance(value, (list, tuple)) and _of_tensors(value)]
    name = str(packet)
    if lists and ("_foreach_" in name or "_fused_" in name):
        most = LIST_LENGTHS[min(len(lists), max(LIST_LENGTHS))]
        return -(-len(lists[0]) // most) * SEVERAL.get(packet, 1)
    if packet is aten.mse_loss and args[2:] != (0,):
        return 2  # squares, their mean
    return SEVERAL.get(packet, 1)


def _of_tensors(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, Tensor) for value in values)


def _drop_on_cuda(self: Dropout, features: Tensor) -> Tensor:
    if not self.training or not self.p:
        return features
    return torch.native_dropout(features, self.p, True)[0]


AS_ON_CUDA: tuple[tuple[Any, str, Any], ...] = ((Dropout, "forward", _drop_on_cuda),)
"""Functions that do other work on CUDA: owner, name, what they do there."""


@contextmanager
def as_on_cuda() -> Iterator[None]:
    """Within, steps do the work that they do on CUDA."""
    with ExitStack() as stack:
        for owner, name, call in AS_ON_CUDA:
            stack.enter_context(patch.object(owner, name, call))
        yield


@contextmanager
def counting(launches: Launches) -> Iterator[None]:
    """Within, the parts of steps are counted, as on CUDA."""
    with as_on_cuda(), ExitStack() as stack:
        for owner, name, part in PARTS:
            stack.enter_context(patch.object(owner, name, launches.wrap(part, getattr(owner, name))))
        begin = register_optimizer_step_pre_hook(lambda *_: launches.enter("optimiser"))
        end = register_optimizer_step_post_hook(lambda *_: launches.leave())
        stack.callback(begin.remove)
        stack.callback(end.remove)
        stack.enter_context(launches)
        yield


def count(phase: Phase) -> Launches:
    """The kernels of one step with its log values."""
    launches, meters = Launches(), Meters()
    for step in range(COUNTED):
        phase.step(step)
    with counting(launches):
        meters.add(COUNTED, phase.step(COUNTED))
    return launches


def count_compiled(phase: Phase, eager: Launches) -> Launches:
    """The kernels of one step of a compiled phase.

    Args:
        phase: fresh, so that the compiler makes its kernels here.
        eager: the same step's kernels without the compiler.
    """
    launches = Launches()
    with ExitStack() as stack:
        for name, part in COMPILED.items():
            if name in vars(phase):
                stack.enter_context(patch.object(phase, name, launches.hidden(part, getattr(phase, name))))
        torch._dynamo.reset()
        with as_on_cuda(), watching_compiler(launches):
            for step in range(COUNTED + 1):  # discriminators train in the first and the last of these
                phase.step(step)
        with counting(launches):
            Meters().add(COUNTED, phase.step(COUNTED))
    if "_sample" in vars(phase):
        for name in RANDOM:
            launches.add("draw", name, eager.operators["draw", name])
    return launches


@contextmanager
def watching_compiler(launches: Launches) -> Iterator[None]:
    """Within, the kernels that the compiler makes are counted; each runs once a step.

    On a CPU it writes several of them into one function, so it is its schedule that counts.
    """
    from torch._functorch import config as functorch_config
    from torch._inductor import config
    from torch._inductor.ir import MultiOutput
    from torch._inductor.scheduler import ExternKernelSchedulerNode, NopKernelSchedulerNode, Scheduler
    from torch._inductor.virtualized import V

    schedule = Scheduler.codegen

    def counted(self: Any) -> Any:
        for node in self.nodes:
            backward, library = V.graph.is_backward, isinstance(node, ExternKernelSchedulerNode)
            nothing = isinstance(node, NopKernelSchedulerNode) or isinstance(node.node, MultiOutput)
            # Library calls of a backward pass are dispatched, and counted there.
            if not nothing and not (backward and library):
                part = "backward" if backward else launches.part
                launches.add(part, "library" if library else "compiled", 1)
        return schedule(self)

    with (
        patch.object(Scheduler, "codegen", counted),
        config.patch(fx_graph_cache=False),  # what is kept from before is not scheduled
        functorch_config.patch(enable_autograd_cache=False),
    ):
        yield


def phases(batch: int, compiled: bool = False) -> dict[str, Phase]:
    """The phases whose steps are counted, by name: on the embedded domains, with the default recipe."""
    data = open_domains(None, size=0.1).adaptation()
    config = replace(step_config("simple_baseline", batch, "cpu"), compile="on" if compiled else "off")
    bench = StepBench(config, data, 1)
    return {
        "lifter": bench.lifter_phase(),
        "generator and discriminators": bench.generator_phase(),
        "wide": wide_phase(bench.config, bench.data, bench.fabric),
    }


def measure(batch: int, compiled: bool) -> list[dict[str, Any]]:
    """One record a step: ``name``, ``batch``, kernels by ``parts`` and by ``operators``."""
    eager = {name: count(phase) for name, phase in phases(batch).items()}
    counts = dict(eager)
    if compiled:
        fresh = phases(batch, compiled=True).items()
        counts |= {f"{name}, compiled": count_compiled(phase, eager[name]) for name, phase in fresh}
    return [
        {
            "name": name,
            "batch": batch,
            "parts": dict(found.parts),
            "operators": {
                f"{part} {operator}": kernels for (part, operator), kernels in found.operators.most_common()
            },
        }
        for name, found in counts.items()
    ]


def table(record: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Headings, and a row a step."""
    cells = [
        (row["name"], *(str(row["parts"].get(part, 0)) for part in TITLES), str(sum(row["parts"].values())))
        for row in record["results"]
    ]
    return ("step", *TITLES, "kernels"), cells


@dataclass(frozen=True)
class LaunchOptions:
    """How many CUDA kernels a training step launches."""

    batch: Annotated[int, AtLeast(SMALLEST_BATCH)] = 64
    """Poses per step; the count hardly depends on it."""
    compile: bool = False
    """Also count the steps under torch.compile, which takes two minutes."""
    json: Annotated[Path | None, Bare("-")] = None
    """Record the counts in this file. Without a file, they go to stdout and the table to stderr."""

    def __post_init__(self) -> None:
        check_fields(self)


PROGRAM = Program(
    f"python -m {NAME}", "Count the CUDA kernels of training steps, on a CPU.", (LaunchOptions,)
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print, record; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), NAME)


def _main(arguments: list[str]) -> int:
    options = read(PROGRAM, arguments, lambda given: given.build(LaunchOptions))
    check_record_path(options.json)
    record = {"machine": machine("cpu"), "results": measure(options.batch, options.compile)}
    headings, cells = table(record)
    with json_alone(options.json):
        Console().print(rich_table("kernels of a training step on CUDA", headings, cells))
    save_record(options.json, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
