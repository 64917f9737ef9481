"""Training steps under ``torch.compile``: fewer and larger kernels, for steps that wait for kernel launches.

The draws of a step, its networks and its losses are compiled, but not its random numbers, its optimiser and
what Fabric does. A compiled lifter with dropout drops other features than an eager one, as the compiler has
its own random numbers for it.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn

from poseda.config import Compile
from poseda.lifters.wide import WideLifter
from poseda.training.errors import TrainingError

AUTO_STEPS = 5000
"""Fewest steps for which ``auto`` compiles. Compiling takes about half a minute; the gain of a step on a GPU
is not yet measured, so the number is a guess."""


MOST_KINDS = 64
"""Kinds of calls of one function that are compiled in a process, at least: each arm draws in its own way."""


def should_compile(
    choice: Compile, lifter: nn.Module | None, fabric: Fabric, steps: int, captured: bool = False
) -> bool:
    """Whether a phase compiles its steps. The answer follows from the configuration, so that runs repeat.

    Args:
        choice: of the user. ``auto`` compiles long phases on a single CUDA device.
        lifter: ``auto`` compiles those of this package, each of which is one graph. None: no lifter is run.
        fabric: device and processes.
        steps: of the phase.
        captured: the steps are replayed as CUDA graphs. ``auto`` does not compile those. Both together work
            on an H200, but the gain is not yet measured.
    """
    if choice != "auto" or captured or fabric.device.type != "cuda" or fabric.world_size > 1:
        return choice == "on"
    from torch.utils._triton import has_triton

    ours = lifter is None or type(family_of(lifter)).__module__.startswith("poseda.lifters.")
    return ours and steps >= AUTO_STEPS and has_triton()


def family_of(lifter: nn.Module) -> nn.Module:
    """The lifter of a family itself, which a wide lifter holds inside."""
    return lifter.lifter if isinstance(lifter, WideLifter) else lifter


def compiled_functions(
    lifter: nn.Module, compiled: bool, *functions: Callable[..., Any]
) -> tuple[Callable[..., Any], ...]:
    """The functions of a step that lifts and judges. The first calls the lifter; nothing else does.

    Compiled, lifter and functions are a graph each, as Fabric converts precision before and after the lifter.
    Their first calls take long.

    Args:
        lifter: compiled in place.
        compiled: whether to compile.
        functions: the first calls the lifter, which alone of it is compiled.
    """
    if not compiled:
        return functions
    _allow_kinds()
    lifter.compile(fullgraph=True, dynamic=False)
    lift, *others = functions
    graphs = (lift, *(torch.compile(other, fullgraph=True, dynamic=False) for other in others))
    named = name_failure(type(family_of(lifter)).__name__)
    return tuple(named(graph) for graph in graphs)


def compile_methods(phase: object, *names: str) -> None:
    """Compile parts of a phase's step that no lifter of the user's is in.

    One that draws random numbers is several graphs: the compiler takes no generator of them. Results are the
    same, but for rounding.

    Args:
        phase: whose methods of these names are compiled.
        names: of methods.
    """
    _allow_kinds()
    for name in names:
        plain = getattr(type(phase), name)
        compiled = _OfObject(phase, torch.compile(plain, dynamic=False))
        setattr(phase, name, name_failure(plain.__qualname__)(compiled))


class _OfObject:
    """A function as a method of one object, which it does not keep alive: the object holds it.

    Args:
        owner: the object.
        function: called with the object first.
    """

    def __init__(self, owner: object, function: Callable[..., Any]) -> None:
        self._owner, self._function = weakref.ref(owner), function

    def __call__(self, *args: Any) -> Any:
        return self._function(self._owner(), *args)


def _allow_kinds() -> None:
    from torch._dynamo import config

    config.recompile_limit = max(config.recompile_limit, MOST_KINDS)


@contextmanager
def name_failure(what: str) -> Iterator[None]:
    """Report a failure of the compiler in one sentence. One is its limit of kinds of calls in a process.

    Args:
        what: is compiled within, such as the class of a lifter.

    Raises:
        TrainingError: naming it.
    """
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
    from torch._inductor.exc import InductorError

    try:
        with warnings.catch_warnings():
            # The compiler reads the gradient of every input, whether it has one or not.
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a leaf")
            yield
    except (TorchDynamoException, FailOnRecompileLimitHit, InductorError) as error:
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise TrainingError(
            f"--compile: {what} cannot be compiled ({reason}); --compile off trains uncompiled"
        ) from error
