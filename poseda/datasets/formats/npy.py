"""Plain npy files: one array of joints."""

from __future__ import annotations

from pathlib import Path

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
    table = _array(path)
    file = Field(path, "array")
    people = table[:, None] if table.ndim == 3 else table
    if people.ndim != 4 or people.shape[3] not in (2, 3) or 0 in people.shape:
        raise file.fail("shape (N, J, 2 or 3) or (N, people, J, 2 or 3)", f"shape {table.shape}")
    found = Sightings(path, "npy", layout, "number" if layout is None else "flag")
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
