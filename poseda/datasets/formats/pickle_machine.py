"""The machine that reads a pickle: its stack, its memory, and the values that stand on the stack alone.

Memory is bounded by the length of the pickle: operations build from bytes in it, and copies are counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FREE_BYTES = 1 << 24
"""Bytes that arrays may hold together beyond the length of the pickle."""


class RefusedError(Exception):
    """Content that is not admitted; the message says what it is."""


@dataclass(frozen=True)
class Name:
    """A global that the pickle refers to, by its word in ``ADMITTED`` of ``pickle_names``."""

    word: str


@dataclass
class Dtype:
    """A dtype under construction: numpy writes the byte order last."""

    value: np.dtype


@dataclass
class Unfilled:
    """An array that numpy writes empty at first; ``value`` is set when its content comes."""

    value: np.ndarray | None = None


class Mark:
    """The beginning of a group of operands."""


@dataclass
class Machine:
    """The stack, the memory and the position in a pickle."""

    data: bytes
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    built: int = 0

    # ------------------------------------------------------------------------------------------ operands

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise RefusedError(f"{size} bytes announced, but only {len(self.data) - self.at} left")
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
        """Values down to the last mark, for a container."""
        values = self.group()
        if any(isinstance(value, Name) for value in values):
            raise RefusedError("a name used as a value")
        return values

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise RefusedError(f"an operation on something other than a {kind.__name__}")
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
        """Count copied bytes: only copies can multiply memory."""
        self.built += size
        if self.built > len(self.data) + FREE_BYTES:
            raise RefusedError(f"more than {len(self.data) + FREE_BYTES} bytes out of {len(self.data)}")

    # ---------------------------------------------------------------------------------------- containers

    def set_items(self, items: list[Any]) -> None:
        """Put keys and values, one after the other, into the dict on top."""
        target = self.top(dict)
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


def as_bytes(value: Any) -> bytes:
    """Python 2 wrote bytes as text; latin-1 gives them back."""
    if not isinstance(value, str | bytes):
        raise RefusedError(f"{type(value).__name__} for bytes")
    return value.encode("latin-1") if isinstance(value, str) else value
