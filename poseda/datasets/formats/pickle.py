"""Pickles read as data: the part of the format that arrays and plain containers need.

Python's own unpickler calls what the file names. This machine cannot call anything. It knows numpy's arrays,
dtypes and scalars by name and builds them itself. It knows lists, tuples, dicts, sets, text, bytes and
numbers, and refuses the rest. Text of Python 2 is read as latin-1, in which numpy's bytes survive.

Memory is bounded by the length of the pickle: operations build from bytes in it, and copies are counted.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poseda.datasets.formats.field import Field

MAX_OPERATIONS = 5_000_000
"""Most operations of a pickle. Each builds at most one small object of its own."""

FREE_BYTES = 1 << 24
"""Bytes that arrays may hold together beyond the length of the pickle."""

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
"""The only names that a pickle may use, by a word for what this module does instead of calling them."""

_DTYPE = re.compile(r"[<>=|]?(?:[biufc]\d{1,2}|b1|\?|[SUV]\d{1,6}|O\d?|[bBhHiIlLqQefdg])")
_KINDS = "biufcSUO"


class RefusedError(Exception):
    """Content that is not admitted; the message says what it is."""


@dataclass(frozen=True)
class Name:
    """A global that the pickle refers to, by the word of :data:`_ADMITTED`."""

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

    # --------------------------------------------------------------------------------------------- values

    def name(self, module: str, word: str) -> None:
        for admitted, pattern in _ADMITTED.items():
            if pattern.fullmatch(f"{module} {word}"):
                self.stack.append(Name(admitted))
                return
        raise RefusedError(f"the name {module}.{word}")

    def reduce(self) -> None:
        """Build what a call of the admitted name would have built."""
        arguments = self.stack.pop() if self.stack else None
        function = self.stack.pop() if self.stack else None
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise RefusedError("a call of something other than a name")
        build = _BUILDERS.get(function.word)
        if build is None:
            raise RefusedError(f"a call of {function.word}")
        self.stack.append(build(self, *arguments))

    def build(self) -> None:
        """Fill the array, or finish the dtype, below the state on the stack."""
        state = self.pop()
        if not isinstance(state, tuple) or not self.stack:
            raise RefusedError("a state that is not a tuple")
        top = self.stack[-1]
        if isinstance(top, Dtype):
            _finish_dtype(top, state)
        elif isinstance(top, Unfilled) and top.value is None and len(state) == 5:
            top.value = _array(self, *state[1:])
            self.stack[-1] = top.value
        else:
            raise RefusedError(f"a state for {type(top).__name__.lower()}")

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
    raw = _raw(content)
    if length * dtype.value.itemsize != len(raw):
        raise RefusedError(f"{len(raw)} bytes for {dtype.value} {str(shape)[:60]}")
    machine.count(len(raw))
    if not raw:
        return np.empty(shape, dtype.value)
    return np.frombuffer(raw, dtype.value).reshape(shape, order=order).copy(order)


def _empty(machine: Machine, kind: Any, shape: Any = (0,), typecode: Any = b"b") -> Unfilled:
    if not isinstance(kind, Name) or kind.word != "ndarray":
        raise RefusedError("a reconstruction of something other than an array")
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
        raise RefusedError("a set of something other than a list")
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


# ------------------------------------------------------------------------------------------------ operations


def _push(read: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _sized(form: str, finish: Callable[[bytes], Any]) -> Callable[[Machine], None]:
    return _push(lambda machine: finish(machine.take(machine.number(form))))


def _decimal(line: bytes) -> int | bool:
    text = line.decode("ascii").rstrip("L")
    return text == "01" if text in ("00", "01") else int(text)


def _quoted(line: bytes) -> str:
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise RefusedError("text without its quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def _tuple(size: int) -> Callable[[Machine], None]:
    def make(machine: Machine) -> None:
        if len(machine.stack) < size or any(
            isinstance(value, Mark | Unfilled) for value in machine.stack[-size:]
        ):
            raise RefusedError("a tuple without its values")
        machine.stack[-size:] = [tuple(machine.stack[-size:])]

    return make


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _extend(machine: Machine) -> None:
    values = machine.values()
    machine.top(list).extend(values)


def _new_dict(machine: Machine) -> None:
    items = machine.values()
    machine.stack.append({})
    machine.set_items(items)


def _add_items(machine: Machine) -> None:
    items = machine.values()
    machine.top(set).update(map(checked_key, items))


def _stacked_name(machine: Machine) -> None:
    word, module = machine.pop(), machine.pop()
    machine.name(as_text(module), as_text(word))


def _text_name(machine: Machine) -> None:
    module = machine.line().decode("latin-1")
    machine.name(module, machine.line().decode("latin-1"))


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _latin(raw: bytes) -> str:
    return raw.decode("latin-1")


def _long(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


_OPCODES: dict[bytes, Callable[[Machine], Any]] = {
    b"\x80": lambda m: m.take(1),
    b"\x95": lambda m: m.take(8),
    b"(": _push(lambda m: Mark()),
    b"0": lambda m: m.pop(),
    b"1": lambda m: m.group(),
    b"N": _push(lambda m: None),
    b"\x88": _push(lambda m: True),
    b"\x89": _push(lambda m: False),
    b"I": _push(lambda m: _decimal(m.line())),
    b"L": _push(lambda m: _decimal(m.line())),
    b"J": _push(lambda m: m.number("<i")),
    b"K": _push(lambda m: m.number("<B")),
    b"M": _push(lambda m: m.number("<H")),
    b"\x8a": _sized("<B", _long),
    b"\x8b": _sized("<i", _long),
    b"F": _push(lambda m: float(m.line())),
    b"G": _push(lambda m: struct.unpack(">d", m.take(8))[0]),
    b"S": _push(lambda m: _quoted(m.line())),
    b"T": _sized("<i", _latin),
    b"U": _sized("<B", _latin),
    b"V": _push(lambda m: m.line().decode("raw-unicode-escape")),
    b"X": _sized("<I", _utf8),
    b"\x8c": _sized("<B", _utf8),
    b"\x8d": _sized("<Q", _utf8),
    b"B": _sized("<I", bytes),
    b"C": _sized("<B", bytes),
    b"\x8e": _sized("<Q", bytes),
    b"\x96": _sized("<Q", bytes),
    b"]": _push(lambda m: []),
    b"a": _append,
    b"e": _extend,
    b"l": _push(lambda m: m.values()),
    b")": _push(lambda m: ()),
    b"t": _push(lambda m: tuple(m.group())),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"}": _push(lambda m: {}),
    b"d": _new_dict,
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.values()),
    b"\x8f": _push(lambda m: set()),
    b"\x90": _add_items,
    b"\x91": _push(lambda m: frozenset(map(checked_key, m.values()))),
    b"p": lambda m: m.put(int(m.line())),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": lambda m: m.get(int(m.line())),
    b"h": lambda m: m.get(m.number("<B")),
    b"j": lambda m: m.get(m.number("<I")),
    b"c": _text_name,
    b"\x93": _stacked_name,
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
}
_REFUSED_OPCODES = {
    b"i": "an instance of a class (INST)", b"o": "an instance of a class (OBJ)",
    b"\x81": "an instance of a class (NEWOBJ)", b"\x92": "an instance of a class (NEWOBJ_EX)",
    b"\x82": "an extension code", b"\x83": "an extension code", b"\x84": "an extension code",
    b"P": "a persistent id", b"Q": "a persistent id", b"\x97": "a buffer outside the file",
    b"\x98": "a buffer outside the file", b"2": "a duplicated value",
}  # fmt: skip


def unpickle(data: bytes, place: Field) -> Any:
    """Read a pickle that holds arrays and plain containers.

    Args:
        data: the pickle.
        place: where it is, for messages.

    Returns:
        lists, tuples, dicts, sets, text, bytes (bytearray, too), numbers and numpy arrays and scalars.

    Raises:
        DataError: if it holds anything else, by name, or is damaged.
    """
    try:
        return _run(Machine(data))
    except RefusedError as error:
        found = str(error)
    except (ValueError, TypeError, OverflowError, MemoryError, RecursionError, struct.error) as error:
        found = f"a damaged pickle ({error})"
    raise place.fail("a pickle of arrays and plain containers", " ".join(found.split())[:160])


def _run(machine: Machine) -> Any:
    for _ in range(MAX_OPERATIONS):
        opcode = machine.take(1)
        if opcode == b".":
            result = machine.pop()
            return result.value if isinstance(result, Dtype) else result
        if opcode in _REFUSED_OPCODES:
            raise RefusedError(_REFUSED_OPCODES[opcode])
        if opcode not in _OPCODES:
            raise RefusedError(f"the unknown opcode {opcode!r}")
        _OPCODES[opcode](machine)
    raise RefusedError(f"more than {MAX_OPERATIONS} operations")
