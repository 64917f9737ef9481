"""The stack machine under :func:`unpickle`, and what it builds for admitted names.

Memory is bounded by the length of the pickle: what operations build, they build from bytes in it, and what
arrays copy is counted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FREE_BYTES = 1 << 24
"""What arrays may hold in all beyond the length of the pickle."""

_ADMITTED = {
    "ndarray": re.compile(r"numpy (?:ndarray)|numpy\.(?:_?core\.)?multiarray ndarray"),
    "dtype": re.compile(r"numpy dtype|numpy\.(?:_?core\.)?multiarray dtype"),
    "reconstruct": re.compile(r"numpy\.(?:_?core\.)?multiarray _reconstruct"),
    "scalar": re.compile(r"numpy\.(?:_?core\.)?multiarray scalar"),
    "frombuffer": re.compile(r"numpy\.(?:_?core\.)?numeric _frombuffer"),
    "encode": re.compile(r"_codecs encode"),
    "bytes": re.compile(r"(?:__builtin__|builtins) (?:bytes|bytearray)"),
    "set": re.compile(r"(?:__builtin__|builtins) (?:set|frozenset)"),
}
"""The only names a pickle may use, each a word for what this module does in its place."""

_DTYPE = re.compile(r"[<>=|]?(?:[biufc]\d{1,2}|b1|\?|[SUV]\d{1,6}|O\d?|[bBhHiIlLqQefdg])")
_KINDS = "biufcSUO"


class RefusedError(Exception):
    """What the pickle holds that is not admitted."""


@dataclass(frozen=True)
class Name:
    """A global the pickle refers to, by the word of :data:`_ADMITTED`."""

    word: str


@dataclass
class Dtype:
    """A dtype under construction: numpy writes the byte order after the rest."""

    value: np.dtype


@dataclass
class Unfilled:
    """An array that numpy writes as an empty one first; ``value`` once its contents came."""

    value: np.ndarray | None = None


class Mark:
    """Where a group of operands begins."""


@dataclass
class Machine:
    data: bytes
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    built: int = 0

    # ------------------------------------------------------------------------------------------ operands

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise RefusedError(f"{size} bytes announced where {len(self.data) - self.at} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise RefusedError("a line that does not end")
        return self.take(end + 1 - self.at)[:-1]

    def pop(self) -> Any:
        """The topmost value; arrays must be filled before anything holds them."""
        if not self.stack:
            raise RefusedError("an operation without its operand")
        value = self.stack.pop()
        if isinstance(value, Mark | Name | Unfilled):
            raise RefusedError(f"{type(value).__name__.lower()} used as a value")
        return value

    def group(self) -> list[Any]:
        """Values down to the last mark."""
        values: list[Any] = []
        while self.stack and not isinstance(self.stack[-1], Mark):
            top = self.stack.pop()
            if isinstance(top, Unfilled):
                raise RefusedError("an empty array used as a value")
            values.append(top)
        if not self.stack:
            raise RefusedError("a group without its mark")
        self.stack.pop()
        return values[::-1]

    def values(self) -> list[Any]:
        """A group of plain values, for a container."""
        values = self.group()
        if any(isinstance(value, Name) for value in values):
            raise RefusedError("a name used as a value")
        return values

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise RefusedError(f"an operation on what is no {kind.__name__}")
        return self.stack[-1]

    # --------------------------------------------------------------------------------------------- memory

    def put(self, key: int) -> None:
        if not self.stack or isinstance(self.stack[-1], Mark):
            raise RefusedError("nothing to remember")
        self.memo[key] = self.stack[-1]

    def get(self, key: int) -> None:
        if key not in self.memo:
            raise RefusedError(f"memory {key} never written")
        value = self.memo[key]
        if isinstance(value, Unfilled):
            if value.value is None:
                raise RefusedError("an array that holds itself")
            value = value.value
        self.stack.append(value)

    def count(self, size: int) -> None:
        """Keep account of what is built out of what is already there: the way to multiply memory."""
        self.built += size
        if self.built > len(self.data) + FREE_BYTES:
            raise RefusedError(f"more than {len(self.data) + FREE_BYTES} bytes out of {len(self.data)}")

    # --------------------------------------------------------------------------------------------- values

    def name(self, module: str, word: str) -> None:
        for admitted, pattern in _ADMITTED.items():
            if pattern.fullmatch(f"{module} {word}"):
                self.stack.append(Name(admitted))
                return
        raise RefusedError(f"the name {module}.{word}")

    def reduce(self) -> None:
        """Stand in for the call: build what the admitted name would have built."""
        arguments = self.stack.pop() if self.stack else None
        function = self.stack.pop() if self.stack else None
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise RefusedError("a call of what is no name")
        build = _BUILDERS.get(function.word)
        if build is None:
            raise RefusedError(f"a call of {function.word}")
        self.stack.append(build(self, *arguments))

    def build(self) -> None:
        """Fill the array, or finish the dtype, below the state on the stack."""
        state = self.pop()
        if not isinstance(state, tuple) or not self.stack:
            raise RefusedError("a state that is no tuple")
        top = self.stack[-1]
        if isinstance(top, Dtype):
            _finish_dtype(top, state)
        elif isinstance(top, Unfilled) and top.value is None and len(state) == 5:
            top.value = _array(self, *state[1:])
            self.stack[-1] = top.value
        else:
            raise RefusedError(f"a state for {type(top).__name__.lower()}")

    def set_items(self, target: dict[Any, Any], items: list[Any]) -> None:
        if len(items) % 2:
            raise RefusedError("a key without its value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value


def checked_key(key: Any) -> Any:
    """Keys and members of sets: plain, so that hashing them cannot run deep."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(not isinstance(part, str | bytes | int | float | np.generic | None) for part in parts):
        raise RefusedError(f"a key of type {type(key).__name__}")
    return key


def as_text(value: Any) -> str:
    if not isinstance(value, str | bytes):
        raise RefusedError(f"{type(value).__name__} for text")
    return value if isinstance(value, str) else value.decode("latin-1")


def _raw(value: Any) -> bytes:
    """Python 2 wrote bytes as text; latin-1 gives them back."""
    if not isinstance(value, str | bytes):
        raise RefusedError(f"{type(value).__name__} for bytes")
    return value.encode("latin-1") if isinstance(value, str) else value


def _new_dtype(machine: Machine, spec: Any, *flags: Any) -> Dtype:
    spec = as_text(spec)
    if not _DTYPE.fullmatch(spec):
        raise RefusedError(f"dtype {spec[:40]!r}")
    value = np.dtype("O" if spec.lstrip("<>=|").startswith("O") else spec)
    if value.kind not in _KINDS:
        raise RefusedError(f"dtype {value}")
    return Dtype(value)


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
        raise RefusedError("a shape that is none")
    if any(not isinstance(n, int) or n < 0 for n in shape) or not isinstance(dtype, Dtype):
        raise RefusedError(f"an array of shape {str(shape)[:60]}")
    length = 1
    for n in shape:
        length *= n
    order: Any = "F" if fortran in (True, "F") else "C"
    if dtype.value.hasobject:
        if not isinstance(content, list) or len(content) != length:
            raise RefusedError(f"an array of {length} objects without as many")
        machine.count(8 * length)
        flat = np.empty(length, object)
        for at, item in enumerate(content):
            flat[at] = item
        return flat.reshape(shape, order=order)
    raw = _raw(content)
    if length * dtype.value.itemsize != len(raw):
        raise RefusedError(f"{len(raw)} bytes for {dtype.value} {str(shape)[:60]}")
    machine.count(len(raw))
    if not raw:
        return np.empty(shape, dtype.value)
    return np.frombuffer(raw, dtype.value).reshape(shape, order=order).copy(order)


def _empty(machine: Machine, kind: Any, shape: Any = (0,), typecode: Any = b"b") -> Unfilled:
    if not isinstance(kind, Name) or kind.word != "ndarray":
        raise RefusedError("a reconstruction of what is no array")
    return Unfilled()


def _scalar(machine: Machine, dtype: Any, content: Any) -> Any:
    if not isinstance(dtype, Dtype) or dtype.value.hasobject:
        raise RefusedError("a scalar of objects")
    return _array(machine, (), dtype, False, content)[()]


def _from_buffer(machine: Machine, content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    return _array(machine, shape, dtype, order, content)


def _encode(machine: Machine, text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError(f"bytes encoded as {str(encoding)[:20]}")
    machine.count(len(text))
    return text.encode("latin-1")


def _new_bytes(machine: Machine, content: Any = b"", encoding: Any = "latin-1") -> bytes:
    raw = _raw(content)
    machine.count(len(raw))
    return raw


def _new_set(machine: Machine, items: Any = ()) -> set[Any]:
    if not isinstance(items, list | tuple):
        raise RefusedError("a set of what is no list")
    machine.count(16 * len(items))
    return {checked_key(item) for item in items}


_BUILDERS: dict[str, Callable[..., Any]] = {
    "dtype": _new_dtype,
    "reconstruct": _empty,
    "scalar": _scalar,
    "frombuffer": _from_buffer,
    "encode": _encode,
    "bytes": _new_bytes,
    "set": _new_set,
}
