"""Sizes of tensors while a compiler traces a program, when they may be symbols instead of numbers."""

from __future__ import annotations

import torch


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
