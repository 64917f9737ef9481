"""MATLAB 5 files: numeric arrays and cells of them, which is what pose data sets use. numpy only.

The bytes around an element bound its size, so a file cannot announce more than it holds. Compressed variables
may expand up to :func:`poseda.datasets.formats.limits.most_expanded`.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.errors import DataError
from poseda.datasets.formats import limits
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_bytes

MAX_DEPTH = 8
"""Deepest nesting of cells."""

_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_CELL, _MATRIX, _COMPRESSED = 1, 14, 15
_COMPLEX = 0x0800


class _SkippedError(Exception):
    """A variable of a class that is left out: text, a structure, a sparse array."""


def read_mat(path: Path) -> Field:
    """Read the numeric variables of a MATLAB 5 file.

    Returns:
        an object of arrays by name. Cells are flat lists of arrays in MATLAB's column order. Other variables
        are left out.

    Raises:
        DataError: if the file cannot be read or is damaged.
    """
    file, data = Field(path), read_bytes(path, limits.MAX_MATLAB)
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise file.fail("a MATLAB 5 file", "another header")
    try:
        return file.holding(_variables(file, memoryview(data)[128:], order))
    except DataError:
        raise
    except (ValueError, struct.error, zlib.error, OverflowError, MemoryError) as error:
        raise file.fail("a MATLAB 5 file", f"a damaged one ({error})") from error


def _variables(file: Field, data: memoryview, order: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while len(data):
        kind, content, data = _element(data, order)
        if kind == _COMPRESSED:
            content = memoryview(_expanded(file, content))
            kind, content, _ = _element(content, order)
        if kind != _MATRIX:
            raise ValueError(f"element of type {kind} where a variable should be")
        try:
            name, value = _matrix(content, order, 0)
        except _SkippedError:
            continue
        found[name] = value
    return found


def _expanded(file: Field, content: memoryview) -> bytes:
    allowed, machine = limits.most_expanded(file.path), zlib.decompressobj()
    data = machine.decompress(content, allowed)
    if machine.unconsumed_tail:
        raise file.at("variable").fail(f"at most {allowed} bytes in a file of this size", "more")
    return data


def _element(data: memoryview, order: str) -> tuple[int, memoryview, memoryview]:
    """Type and content of the first element, and the bytes after it."""
    first = struct.unpack_from(f"{order}I", data)[0]
    if first >> 16:  # small elements hold their length in the type's upper half
        kind, size, start, end = first & 0xFFFF, first >> 16, 4, 8
        if size > 4:
            raise ValueError(f"small element of {size} bytes")
    else:
        kind, size, start = first, struct.unpack_from(f"{order}I", data, 4)[0], 8
        # Elements are padded to 8 bytes; compressed ones are not.
        end = start + size + (0 if kind == _COMPRESSED else -size % 8)
    if start + size > len(data):
        raise ValueError(f"element of {size} bytes, but only {len(data) - start} are left")
    return kind, data[start : start + size], data[end:]


def _matrix(data: memoryview, order: str, depth: int) -> tuple[str, Any]:
    if not len(data):
        return "", np.zeros((0, 0))
    if depth > MAX_DEPTH:
        raise ValueError(f"cells nested deeper than {MAX_DEPTH}")
    _, flags, data = _element(data, order)
    flag = struct.unpack_from(f"{order}I", flags)[0]
    _, raw, data = _element(data, order)
    shape = [int(n) for n in np.frombuffer(raw, f"{order}i4")]
    if len(shape) < 2 or len(shape) > 16 or min(shape) < 0:
        raise ValueError(f"shape {str(shape)[:60]}")
    _, name, data = _element(data, order)
    text = bytes(name).decode("ascii", "replace")
    length = 1
    for n in shape:
        length *= n
    if flag & 0xFF == _CELL:
        if 8 * length > len(data):
            raise ValueError(f"{length} cells in {len(data)} bytes")
        cells = []
        for _ in range(length):
            kind, content, data = _element(data, order)
            if kind != _MATRIX:
                raise ValueError(f"element of type {kind} where a cell should be")
            cells.append(_matrix(content, order, depth + 1)[1])
        return text, cells
    if flag & 0xFF not in _CLASSES or flag & _COMPLEX:
        raise _SkippedError
    return text, _numeric(data, order, _CLASSES[flag & 0xFF], shape, length)


def _numeric(data: memoryview, order: str, kind: str, shape: list[int], length: int) -> np.ndarray:
    """Numbers are stored in the narrowest type that holds them, in column order."""
    stored, content, _ = _element(data, order)
    if stored not in _STORED:
        raise ValueError(f"numbers of type {stored}")
    values = np.frombuffer(content, order + _STORED[stored])
    if len(values) != length:
        raise ValueError(f"{len(values)} numbers for shape {str(shape)[:60]}")
    return values.astype(kind).reshape(shape, order="F")
