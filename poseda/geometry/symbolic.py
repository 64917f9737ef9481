"""Sizes of tensors while a compiler traces a program, when they may be symbols instead of numbers."""

from __future__ import annotations

import torch


def check_size(name: str, size: int | torch.SymInt) -> None:
    """Check that an argument counts something.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    if not isinstance(size, (int, torch.SymInt)) or isinstance(size, bool):
        raise TypeError(f"{name}: expected a whole number, got {size!r}")
    if isinstance(size, int) and not torch.compiler.is_compiling() and size < 0:
        raise ValueError(f"{name}: expected at least 0, got {size}")


def differs(size: int | torch.SymInt, wanted: int | torch.SymInt, unknown: bool = False) -> bool:
    """Whether two sizes differ.

    Args:
        size, wanted: the sizes.
        unknown: the answer where the compiler cannot know, because a size depends on data. What a check lets
            through then, the kernels refuse when they run.
    """
    if not torch.compiler.is_compiling() and isinstance(size, int) and isinstance(wanted, int):
        return size != wanted
    from torch.fx.experimental.symbolic_shapes import guard_or_false, guard_or_true

    return guard_or_true(size != wanted) if unknown else guard_or_false(size != wanted)
