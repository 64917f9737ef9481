"""Tables that follow from a skeleton, kept on the device of the tensors that they are used with."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch.utils._python_dispatch import _disable_current_modes

P = ParamSpec("P")
Table = TypeVar("Table")

KEPT = 32
"""Tables of a kind that are kept."""


def device_table(make: Callable[P, Table]) -> Callable[P, Table]:
    """Make a table once for each set of arguments, and keep it where it is.

    A step that made its tables would copy them to the device, and the host would wait. A compiled step reads
    them as constants, where it would copy them, too.

    Args:
        make: returns a tensor or a tuple of them. Its arguments are numbers, text, tuples of these, a dtype
            and a device: of torch 2.11, the compiler takes no others for constants. A size of a tensor is
            none either, as it may be a symbol.

    Example:
        >>> @device_table
        ... def signs(size, device):
        ...     return torch.tensor([-1.0] + [1.0] * (size - 1), device=device)
        >>> signs(3, torch.device("cpu")) is signs(3, torch.device("cpu"))
        True
    """

    @lru_cache(maxsize=KEPT)
    def kept(*args: Any, **kwargs: Any) -> tuple[Any]:
        # What is kept serves later calls, too: no tensor of inference alone, and no fake one of an export.
        with torch.inference_mode(False), _disable_current_modes():
            return (make(*args, **kwargs),)

    # Within a tuple: the compiler gives all tensors that one function returns the same name, and fails.
    @torch.compiler.assume_constant_result
    def constant(*args: P.args, **kwargs: P.kwargs) -> tuple[Table]:
        found: tuple[Table] = kept(*args, **kwargs)  # type: ignore[arg-type]
        return found

    @wraps(make)
    def look_up(*args: P.args, **kwargs: P.kwargs) -> Table:
        return constant(*args, **kwargs)[0]

    return look_up
