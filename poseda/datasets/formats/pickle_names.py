"""The only names that a pickle may use, and what this reader builds instead of calling them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from poseda.datasets.formats.pickle_arrays import array_from_buffer, empty_array, new_dtype, new_scalar
from poseda.datasets.formats.pickle_machine import Machine, Name, RefusedError, as_bytes, checked_key

ADMITTED = {
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


def push_name(machine: Machine, module: str, word: str) -> None:
    for admitted, pattern in ADMITTED.items():
        if pattern.fullmatch(f"{module} {word}"):
            machine.stack.append(Name(admitted))
            return
    raise RefusedError(f"the name {module}.{word}")


def call(machine: Machine) -> None:
    """Build what a call of the admitted name would have built."""
    arguments = machine.stack.pop() if machine.stack else None
    function = machine.stack.pop() if machine.stack else None
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        raise RefusedError("a call of something other than a name")
    build = _BUILDERS.get(function.word)
    if build is None:
        raise RefusedError(f"a call of {function.word}")
    machine.stack.append(build(machine, *arguments))


def _encode(machine: Machine, text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError(f"bytes encoded as {str(encoding)[:20]}")
    machine.count(len(text))
    return text.encode("latin-1")


def _new_bytes(machine: Machine, content: Any = b"", encoding: Any = "latin-1") -> bytes:
    raw = as_bytes(content)
    machine.count(len(raw))
    return raw


def _new_set(machine: Machine, items: Any = ()) -> set[Any]:
    if not isinstance(items, list | tuple):
        raise RefusedError("a set of something other than a list")
    machine.count(16 * len(items))
    return {checked_key(item) for item in items}


_BUILDERS: dict[str, Callable[..., Any]] = {
    "dtype": new_dtype,
    "reconstruct": empty_array,
    "scalar": new_scalar,
    "frombuffer": array_from_buffer,
    "encode": _encode,
    "bytes": _new_bytes,
    "set": _new_set,
}
