"""Plain npy files, and JSON lists of the same shapes: one array of joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats import limits
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import reading
from poseda.datasets.formats.npz import BROKEN
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import Layout


def read_npy(path: Path, layout: Layout | None) -> Sightings:
    """(N, J, 2 or 3) of x, y [, confidence] in pixels, or (N, people, J, 2 or 3).

    Where people stand in one row, a place of zeros or NaN holds nobody.

    Raises:
        DataError: if the array has another shape or holds no numbers.
    """
    return _people(path, _array(path), layout, "npy")


def is_lists(value: Any) -> bool:
    """Whether a JSON value begins as lists of points, as deep as an npy file of joints."""
    return _depth(value) in (3, 4)


def _depth(value: Any) -> int:
    """How deep the lists around the first number are; 0 if something else is in them."""
    depth = 0
    while isinstance(value, list) and value and depth <= 4:
        value, depth = value[0], depth + 1
    number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return depth if number else 0


def read_lists(file: Field, layout: Layout | None) -> Sightings:
    """Lists in JSON as :func:`read_npy` reads arrays; null stands for NaN.

    Raises:
        DataError: if they make no array of these shapes.
    """
    array = file.numbers(("N", "J", (2, 3)) if _depth(file.value) == 3 else ("N", "people", "J", (2, 3)))
    return _people(file.path, array, layout, "JSON of lists")


def _people(path: Path, table: np.ndarray, layout: Layout | None, name: str) -> Sightings:
    """The people of an array, picture by picture."""
    file = Field(path, "array")
    people = table[:, None] if table.ndim == 3 else table
    if people.ndim != 4 or people.shape[3] not in (2, 3) or 0 in people.shape:
        raise file.fail("shape (N, J, 2 or 3) or (N, people, J, 2 or 3)", f"shape {table.shape}")
    found = Sightings(path, name, layout, "number" if layout is None else "flag")
    for frame, places in enumerate(people):
        for points in places:
            if table.ndim == 4 and not np.nan_to_num(points).any():
                continue
            if points.shape[1] == 2:
                points = np.concatenate([points, np.ones((len(points), 1))], -1)
            found.add(points, file, frame, 0 if people.shape[1] == 1 else None)
    return found


def _array(path: Path) -> np.ndarray:
    """The array, without running anything, and no larger than the file."""
    file = Field(path, "array")
    with reading(path):  # a file that cannot be opened at all
        path.stat()
        try:
            table = np.load(path, mmap_mode="r", allow_pickle=False)
        except (*BROKEN, TypeError) as error:
            shown = " ".join(str(error).split())[:80]
            raise file.fail("an npy file of numbers", f"one that does not open ({shown})") from error
        if table.dtype.kind not in "fiu":
            raise file.fail("numbers", table.dtype)
        if table.size * 8 > limits.MAX_ARRAY:
            raise file.fail(f"at most {limits.MAX_ARRAY // 8} numbers", table.size)
        return np.array(table, np.float64)
