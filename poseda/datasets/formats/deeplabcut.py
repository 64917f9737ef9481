"""DeepLabCut's tracks: the CSV with its rows of headings, and the h5 beside it (optional: h5py)."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_text
from poseda.datasets.formats.hdf5 import open_hdf5, read_dataset
from poseda.datasets.formats.pickle import unpickle
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import Layout

COORDS = ("x", "y", "likelihood")

Column = tuple[str, str, str]
"""Individual (empty where there is one animal), body part, coordinate."""


def read_deeplabcut_csv(path: Path) -> Sightings:
    """Columns under rows ``scorer[, individuals], bodyparts, coords``, a row of numbers a frame."""
    file, rows = Field(path), csv.reader(io.StringIO(read_text(path)))
    headings: dict[str, list[str]] = {}
    try:
        for row in rows:
            if row:
                headings[row[0]] = row[1:]
            if row and row[0] == "coords":
                break
        content = [row for row in rows if row]
    except csv.Error as error:
        raise file.fail("CSV", f"other text ({error})") from error
    if not {"bodyparts", "coords"} <= headings.keys():
        raise file.at("headings").fail("rows bodyparts and coords", ", ".join(headings)[:80] or "none")
    width = len(headings["coords"])
    single = [""] * width
    parts = (headings.get("individuals", single), headings["bodyparts"], headings["coords"])
    if any(len(row) != width for row in parts):
        raise file.at("headings").fail(f"{width} columns in each row", [len(row) for row in parts])
    table = np.full((len(content), width), np.nan)
    for at, row in enumerate(content):
        if len(row) != width + 1:
            raise file.at(f"row {at}").fail(f"{width + 1} columns", len(row))
        try:
            table[at] = [float(cell) if cell.strip() else np.nan for cell in row[1:]]
        except ValueError as error:
            raise file.at(f"row {at}").fail("numbers", f"other values ({str(error)[:60]})") from error
    frames = _frames([row[0] for row in content])
    return _sightings(file, list(zip(*parts, strict=True)), frames, table)


def _frames(index: list[str]) -> list[int]:
    """Frame numbers from the first column. Where it holds names of pictures, they count up."""
    if all(cell.isascii() and cell.isdigit() and len(cell) < 19 for cell in index):
        return [int(cell) for cell in index]
    return list(range(len(index)))


def _sightings(file: Field, columns: list[Column], frames: list[int], table: np.ndarray) -> Sightings:
    column_of = {(person, _joint(part), axis): at for at, (person, part, axis) in enumerate(columns)}
    names = tuple(dict.fromkeys(joint for _, joint, _ in column_of))
    people = list(dict.fromkeys(person for person, _, _ in column_of))
    found = Sightings(file.path, "DeepLabCut", Layout("the file's own joints", names))
    for number, person in enumerate(people):
        points = np.full((len(table), len(names), 3), np.nan)
        for joint, name in enumerate(names):
            if (person, name, "x") not in column_of:
                continue
            for axis, coordinate in enumerate(COORDS):
                if (person, name, coordinate) in column_of:
                    points[:, joint, axis] = table[:, column_of[person, name, coordinate]]
                elif coordinate == "likelihood":
                    points[:, joint, axis] = 1.0  # labelled by hand
                else:
                    raise file.at(name).fail(f"a column {coordinate}", "none")
        for row in np.flatnonzero(np.isfinite(points).any((1, 2))):
            found.add(points[row], file.at(f"row {row}"), frames[row], number)
    return found


def _joint(part: str) -> str:
    return part.strip().lower().replace(" ", "_")


def read_deeplabcut_h5(path: Path) -> Sightings:
    """pandas' table format, as DeepLabCut writes it. Its headings are pickled, and read as data only.

    Raises:
        DataError: if h5py is not installed, or DeepLabCut did not write the file.
    """
    file = Field(path)
    with open_hdf5(path, "DeepLabCut's h5") as content:
        groups = [group for group in content.values() if hasattr(group, "keys") and "table" in group]
        if not groups:
            raise file.fail("a table as DeepLabCut writes it", ", ".join(content)[:80] or "nothing")
        pickled = _bytes(groups[0].attrs["non_index_axes"])
        values = read_dataset(file.at("table", groups[0]["table"]))
    headings = file.at("non_index_axes")
    columns = _columns(headings.holding(unpickle(pickled, headings)))
    if values.dtype.names is None or not {"index", "values_block_0"} <= set(values.dtype.names):
        raise file.at("table").fail("columns index and values_block_0", values.dtype)
    table = np.asarray(values["values_block_0"], np.float64)
    if table.ndim != 2 or table.shape[1] != len(columns):
        raise file.at("table").fail(f"{len(columns)} columns", table.shape)
    return _sightings(file, columns, list(range(len(table))), table)


def _bytes(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else bytes(value)


def _columns(headings: Field) -> list[Column]:
    """[(1, [(scorer[, individual], body part, coordinate), …])] to columns."""
    try:
        [(_, names)] = headings.value
        columns = [(row[-3] if len(row) == 4 else "", row[-2], row[-1]) for row in names]
    except (TypeError, ValueError, IndexError) as error:
        raise headings.fail("headings of columns", "other values") from error
    if not columns or not all(isinstance(word, str) for column in columns for word in column):
        raise headings.fail("headings in words", str(columns[:1])[:60])
    return columns
