"""MATLAB 5 files: numeric arrays and cells of them, which is what pose data sets use. numpy only.

Every element is bounded by the bytes around it, so a file cannot announce more than it holds; compressed
variables may expand :data:`MAX_EXPANSION`-fold.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.text import fail
from poseda.datasets.records import DataError

MAX_FILE = 1 << 31
"""Largest MATLAB file read, bytes."""

MAX_EXPANSION = 64
"""A compressed variable may be this many times larger than the file; pose data compress about twofold."""

FREE_BYTES = 1 << 26
"""Variables up to this size are expanded whatever the file's size."""

MAX_DEPTH = 8
"""Deepest nesting of cells."""

_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_CELL, _MATRIX, _COMPRESSED = 1, 14, 15
_COMPLEX = 0x0800


class _SkippedError(Exception):
    """A variable of a class that is not read (text, structures, sparse arrays)."""


def read_mat(path: Path) -> dict[str, Any]:
    """Read the numeric variables of a MATLAB 5 file.

    Returns:
        arrays by name, and cells as flat lists of such (MATLAB's column order); others are left out.

    Raises:
        DataError: if the file is damaged.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise fail(path, "file", f"at most {MAX_FILE} bytes", f"{size} bytes")
        data = path.read_bytes()
        order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
        if order is None:
            raise fail(path, "file", "a MATLAB 5 file", "another header")
        return _variables(path, memoryview(data)[128:], order)
    except DataError:
        raise
    except OSError as error:
        raise fail(path, "file", "a file that can be read", error.strerror or error) from error
    except (ValueError, struct.error, zlib.error, OverflowError, MemoryError) as error:
        raise fail(path, "file", "a MATLAB 5 file", f"a damaged one ({error})") from error


def _variables(path: Path, data: memoryview, order: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while len(data):
        kind, content, data = _element(data, order)
        if kind == _COMPRESSED:
            content = memoryview(_expanded(path, content))
            kind, content, _ = _element(content, order)
        if kind != _MATRIX:
            raise ValueError(f"element of type {kind} where a variable should be")
        try:
            name, value = _matrix(content, order, 0)
        except _SkippedError:
            continue
        found[name] = value
    return found


def _expanded(path: Path, content: memoryview) -> bytes:
    allowed = max(FREE_BYTES, MAX_EXPANSION * path.stat().st_size)
    machine = zlib.decompressobj()
    data = machine.decompress(content, allowed)
    if machine.unconsumed_tail:
        raise fail(path, "variable", f"at most {allowed} bytes in a file of this size", "more")
    return data


def _element(data: memoryview, order: str) -> tuple[int, memoryview, memoryview]:
    """Type and content of the first element, and what follows it."""
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
        raise ValueError(f"element of {size} bytes where {len(data) - start} are left")
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
