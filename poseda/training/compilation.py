"""Lifter and loss under ``torch.compile``: fewer and larger kernels for steps that are bound by launches.

Under dropout a compiled lifter drops other features than an eager one, as the compiler draws by itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import Compile
from poseda.training.errors import TrainingError

AUTO_STEPS = 5000
"""Fewest steps for which ``auto`` compiles, on CUDA alone: compiling takes about half a minute. Our
guess; what a step gains on a GPU is not yet measured."""


def pays(choice: Compile, lifter: nn.Module, fabric: Fabric, steps: int, captured: bool = False) -> bool:
    """Whether a phase compiles its lifter. A function of the configuration, so that runs repeat.

    Args:
        choice: of the user.
        lifter: ``auto`` compiles those of this package, which are one graph each.
        fabric: ``auto`` compiles on a single CUDA device.
        steps: of the phase.
        captured: the steps are replayed as CUDA graphs. ``auto`` does not compile those, which is untried.
    """
    if choice != "auto" or captured or fabric.device.type != "cuda" or fabric.world_size > 1:
        return choice == "on"
    from torch.utils._triton import has_triton

    ours = type(lifter).__module__.startswith("poseda.lifters.")
    return ours and steps >= AUTO_STEPS and has_triton()


def compiled(lifter: nn.Module, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let every call of a lifter, in place, run as one compiled graph, and return such a loss.

    Two graphs, as Fabric converts what goes into the first and comes out of it. Their first calls take long.
    """
    lifter.compile(fullgraph=True, dynamic=False)
    return torch.compile(loss, fullgraph=True, dynamic=False)


@contextmanager
def named_failure(lifter: nn.Module) -> Iterator[None]:
    """Within, a failure of the compiler is a sentence.

    Raises:
        TrainingError: naming the lifter.
    """
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    try:
        with warnings.catch_warnings():
            # The compiler looks at the gradients of whatever it is given.
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a leaf")
            yield
    except (TorchDynamoException, InductorError) as error:
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise TrainingError(
            f"--compile: {type(lifter).__name__} cannot be compiled as one graph ({reason}); "
            f"--compile off trains it as it is"
        ) from error
