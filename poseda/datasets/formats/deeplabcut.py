"""DeepLabCut's tracks: the CSV with its rows of headings, and the h5 beside it (optional: h5py)."""

from __future__ import annotations

import csv
import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.text import Sightings, fail, read_text
from poseda.datasets.formats.unpickle import unpickle
from poseda.datasets.layouts import Layout
from poseda.datasets.records import DataError

COORDS = ("x", "y", "likelihood")

Column = tuple[str, str, str]
"""Individual (empty where there is one animal), body part, coordinate."""


def read_deeplabcut_csv(path: Path) -> Sightings:
    """Columns under rows ``scorer[, individuals], bodyparts, coords``, a row of numbers a frame."""
    rows = csv.reader(io.StringIO(read_text(path)))
    headings: dict[str, list[str]] = {}
    try:
        for row in rows:
            if row:
                headings[row[0]] = row[1:]
            if row and row[0] == "coords":
                break
        content = [row for row in rows if row]
    except csv.Error as error:
        raise fail(path, "file", "CSV", f"text that is none ({error})") from error
    if not {"bodyparts", "coords"} <= headings.keys():
        raise fail(path, "headings", "rows bodyparts and coords", ", ".join(headings)[:80] or "none")
    width = len(headings["coords"])
    single = [""] * width
    parts = (headings.get("individuals", single), headings["bodyparts"], headings["coords"])
    if any(len(row) != width for row in parts):
        raise fail(path, "headings", f"{width} columns in each row", [len(row) for row in parts])
    table = np.full((len(content), width), np.nan)
    for at, row in enumerate(content):
        if len(row) != width + 1:
            raise fail(path, f"row {at}", f"{width + 1} columns", len(row))
        try:
            table[at] = [float(cell) if cell.strip() else np.nan for cell in row[1:]]
        except ValueError as error:
            raise fail(path, f"row {at}", "numbers", f"others ({str(error)[:60]})") from error
    frames = _frames([row[0] for row in content])
    return _sightings(path, list(zip(*parts, strict=True)), frames, table)


def _frames(index: list[str]) -> list[int]:
    """Frame numbers from the first column; pictures' names (labelled data) count up."""
    if all(cell.isascii() and cell.isdigit() and len(cell) < 19 for cell in index):
        return [int(cell) for cell in index]
    return list(range(len(index)))


def _sightings(path: Path, columns: list[Column], frames: list[int], table: np.ndarray) -> Sightings:
    names = tuple(dict.fromkeys(part.strip().lower().replace(" ", "_") for _, part, _ in columns))
    people = list(dict.fromkeys(individual for individual, _, _ in columns))
    place = {(i, p.strip().lower().replace(" ", "_"), c): at for at, (i, p, c) in enumerate(columns)}
    found = Sightings(path, "DeepLabCut", Layout("the file's own joints", names))
    for number, individual in enumerate(people):
        own = [name for name in names if (individual, name, "x") in place]
        points = np.full((len(table), len(names), 3), np.nan)
        for joint, name in enumerate(names):
            if name not in own:
                continue
            for axis, coordinate in enumerate(COORDS):
                if (individual, name, coordinate) in place:
                    points[:, joint, axis] = table[:, place[individual, name, coordinate]]
                elif coordinate == "likelihood":
                    points[:, joint, axis] = 1.0  # labelled by hand
                else:
                    raise fail(path, f"{name}", f"a column {coordinate}", "none")
        for row in np.flatnonzero(np.isfinite(points).any((1, 2))):
            found.add(points[row], f"row {row}", frames[row], number)
    return found


def read_deeplabcut_h5(path: Path) -> Sightings:
    """pandas' table format, as DeepLabCut writes it. The headings lie in it pickled: read as data only.

    Raises:
        DataError: if h5py is missing, or the file is none of DeepLabCut's.
    """
    h5py = import_h5py(path)
    try:
        with h5py.File(path, "r") as file:
            groups = [group for group in file.values() if hasattr(group, "keys") and "table" in group]
            if not groups:
                raise fail(path, "file", "a table as DeepLabCut writes it", ", ".join(file)[:80] or "nothing")
            axes = unpickle(_attribute(groups[0].attrs["non_index_axes"]), f"{path}: non_index_axes")
            data = groups[0]["table"]
            check_size(path, "table", data)
            values = data[:]
    except DataError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise fail(path, "file", "DeepLabCut's h5", f"one that does not read ({error})") from error
    columns = _headings(path, axes)
    if values.dtype.names is None or not {"index", "values_block_0"} <= set(values.dtype.names):
        raise fail(path, "table", "columns index and values_block_0", values.dtype)
    table = np.asarray(values["values_block_0"], np.float64)
    if table.ndim != 2 or table.shape[1] != len(columns):
        raise fail(path, "table", f"{len(columns)} columns", table.shape)
    return _sightings(path, columns, list(range(len(table))), table)


def _attribute(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else bytes(value)


def _headings(path: Path, axes: Any) -> list[Column]:
    """[(1, [(scorer[, individual], body part, coordinate), …])] to columns."""
    try:
        [(_, names)] = axes
        columns = [(row[-3] if len(row) == 4 else "", row[-2], row[-1]) for row in names]
    except (TypeError, ValueError, IndexError) as error:
        raise fail(path, "non_index_axes", "headings of columns", "others") from error
    if not columns or not all(isinstance(word, str) for column in columns for word in column):
        raise fail(path, "non_index_axes", "headings in words", str(columns[:1])[:60])
    return columns


def import_h5py(path: Path) -> Any:
    """The optional library for HDF5 files.

    Raises:
        DataError: if it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise fail(path, "file", "h5py for HDF5 files (pip install h5py)", "it not installed") from error


def check_size(path: Path, name: str, dataset: Any) -> None:
    """Compressed HDF5 may expand without bound.

    Raises:
        DataError: if the data set would expand beyond 64 times the file and 64 MiB.
    """
    allowed = max(1 << 26, 64 * path.stat().st_size)
    size = int(np.prod([int(n) for n in dataset.shape], dtype=object) * dataset.dtype.itemsize)
    if size > allowed:
        raise fail(path, name, f"at most {allowed} bytes in a file of this size", f"{size} bytes")
