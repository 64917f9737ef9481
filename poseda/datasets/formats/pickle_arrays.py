"""numpy's dtypes, arrays and scalars in a pickle: this reader builds them from their bytes.

numpy writes an array in two steps, an empty one and then its state. :func:`fill` takes the second step.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from poseda.datasets.formats.pickle_machine import (
    Dtype,
    Machine,
    Name,
    RefusedError,
    Unfilled,
    as_bytes,
    as_text,
)

_DTYPE = re.compile(r"[<>=|]?(?:[biufc]\d{1,2}|b1|\?|[SUV]\d{1,6}|O\d?|[bBhHiIlLqQefdg])")
_KINDS = "biufcSUO"


def new_dtype(machine: Machine, spec: Any, *flags: Any) -> Dtype:
    spec = as_text(spec)
    if not _DTYPE.fullmatch(spec):
        raise RefusedError(f"dtype {spec[:40]!r}")
    value = np.dtype("O" if spec.lstrip("<>=|").startswith("O") else spec)
    if value.kind not in _KINDS:
        raise RefusedError(f"dtype {value}")
    return Dtype(value)


def fill(machine: Machine) -> None:
    """Fill the array, or finish the dtype, below the state on the stack."""
    state = machine.pop()
    if not isinstance(state, tuple) or not machine.stack:
        raise RefusedError("a state that is not a tuple")
    top = machine.stack[-1]
    if isinstance(top, Dtype):
        _finish_dtype(top, state)
    elif isinstance(top, Unfilled) and top.value is None and len(state) == 5:
        top.value = _array(machine, *state[1:])
        machine.stack[-1] = top.value
    else:
        raise RefusedError(f"a state for {type(top).__name__.lower()}")


def _finish_dtype(dtype: Dtype, state: tuple[Any, ...]) -> None:
    """numpy's state: version, byte order, subarray, names, fields, size, alignment, flags[, metadata]."""
    if len(state) < 5 or any(part is not None for part in state[2:5]) or any(state[8:]):
        raise RefusedError("a structured dtype")
    order = as_text(state[1])
    if order == ">":
        dtype.value = dtype.value.newbyteorder(">")
    elif order not in ("<", "=", "|"):
        raise RefusedError(f"byte order {order[:10]!r}")


def _array(machine: Machine, shape: Any, dtype: Any, fortran: Any, content: Any) -> np.ndarray:
    if not isinstance(shape, tuple) or len(shape) > 32:
        raise RefusedError("a shape that is not a tuple")
    if any(not isinstance(n, int) or n < 0 for n in shape) or not isinstance(dtype, Dtype):
        raise RefusedError(f"an array of shape {str(shape)[:60]}")
    length = 1
    for n in shape:
        length *= n
    order: Any = "F" if fortran in (True, "F") else "C"
    if dtype.value.hasobject:
        if not isinstance(content, list) or len(content) != length:
            raise RefusedError(f"an array of {length} objects with another number of them")
        machine.count(8 * length)
        flat = np.empty(length, object)
        for at, item in enumerate(content):
            flat[at] = item
        return flat.reshape(shape, order=order)
    raw = as_bytes(content)
    if length * dtype.value.itemsize != len(raw):
        raise RefusedError(f"{len(raw)} bytes for {dtype.value} {str(shape)[:60]}")
    machine.count(len(raw))
    if not raw:
        return np.empty(shape, dtype.value)
    return np.frombuffer(raw, dtype.value).reshape(shape, order=order).copy(order)


def empty_array(machine: Machine, kind: Any, shape: Any = (0,), typecode: Any = b"b") -> Unfilled:
    if not isinstance(kind, Name) or kind.word != "ndarray":
        raise RefusedError("a reconstruction of something other than an array")
    return Unfilled()


def new_scalar(machine: Machine, dtype: Any, content: Any) -> Any:
    if not isinstance(dtype, Dtype) or dtype.value.hasobject:
        raise RefusedError("a scalar of objects")
    return _array(machine, (), dtype, False, content)[()]


def array_from_buffer(machine: Machine, content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    return _array(machine, shape, dtype, order, content)
