"""The opcodes of all protocols of pickle: what each does to the machine, and which are refused."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any

from poseda.datasets.formats.pickle_arrays import fill
from poseda.datasets.formats.pickle_machine import Machine, Mark, RefusedError, Unfilled, as_text, checked_key
from poseda.datasets.formats.pickle_names import call, push_name


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
    push_name(machine, as_text(module), as_text(word))


def _text_name(machine: Machine) -> None:
    module = machine.line().decode("latin-1")
    push_name(machine, module, machine.line().decode("latin-1"))


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _latin(raw: bytes) -> str:
    return raw.decode("latin-1")


def _long(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


OPCODES: dict[bytes, Callable[[Machine], Any]] = {
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
    b"R": call,
    b"b": fill,
}
REFUSED_OPCODES = {
    b"i": "an instance of a class (INST)", b"o": "an instance of a class (OBJ)",
    b"\x81": "an instance of a class (NEWOBJ)", b"\x92": "an instance of a class (NEWOBJ_EX)",
    b"\x82": "an extension code", b"\x83": "an extension code", b"\x84": "an extension code",
    b"P": "a persistent id", b"Q": "a persistent id", b"\x97": "a buffer outside the file",
    b"\x98": "a buffer outside the file", b"2": "a duplicated value",
}  # fmt: skip
