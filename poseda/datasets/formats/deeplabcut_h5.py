"""DeepLabCut's h5: a table of pandas in either of its two formats (optional: h5py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.deeplabcut import Column, tracked_points
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.hdf5 import open_hdf5, read_dataset
from poseda.datasets.formats.pickle import unpickle
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import Layout


def read_deeplabcut_h5(path: Path, layout: Layout | None) -> Sightings:
    """A table of pandas: ``table`` with pickled headings, which are read as data only, or ``fixed``.

    Raises:
        DataError: if h5py is not installed, or DeepLabCut did not write the file.
    """
    file = Field(path)
    with open_hdf5(path, "DeepLabCut's h5") as content:
        groups = [group for group in content.values() if hasattr(group, "keys")]
        group = next((group for group in groups if "table" in group or "block0_values" in group), None)
        if group is None:
            raise file.fail(
                "a table as DeepLabCut writes it, or SLEAP's analysis h5",
                ", ".join(content)[:80] or "nothing",
            )
        columns, index, table = _table(file, group) if "table" in group else _fixed(file, group)
    if table.ndim != 2 or table.shape != (len(index), len(columns)):
        raise file.at("table").fail(f"{len(index)} rows of {len(columns)} columns", table.shape)
    return tracked_points(file, columns, index, table, layout)


Table = tuple[list[Column], list[str | int], np.ndarray]
"""Columns, the index of each row, and the values."""


def _table(file: Field, group: Any) -> Table:
    """pandas' format ``table``."""
    headings = file.at("non_index_axes")
    pickled = _bytes(group.attrs["non_index_axes"])
    values = read_dataset(file.at("table", group["table"]))
    headings = headings.holding(unpickle(pickled, headings))
    if values.dtype.names is None or not {"index", "values_block_0"} <= set(values.dtype.names):
        raise file.at("table").fail("columns index and values_block_0", values.dtype)
    try:
        [(_, names)] = headings.value
        columns = [_column(row) for row in names]
    except (TypeError, ValueError, IndexError) as error:
        raise headings.fail("headings of columns", "other values") from error
    if not columns or not all(isinstance(word, str) for column in columns for word in column):
        raise headings.fail("headings in words", str(columns[:1])[:60])
    return columns, _index(values["index"]), np.asarray(values["values_block_0"], np.float64)


def _fixed(file: Field, group: Any) -> Table:
    """pandas' format ``fixed``, in which each level of an index is a list of words and a list of places."""
    levels = _levels(file, group, "block0_items")
    columns = [_column(row) for row in zip(*levels, strict=True)]
    if "axis1" in group:
        index = _index(read_dataset(file.at("axis1", group["axis1"])))
    else:
        index = ["/".join(map(str, row)) for row in zip(*_levels(file, group, "axis1"), strict=True)]
    values = read_dataset(file.at("block0_values", group["block0_values"]))
    if values.dtype.kind not in "fiu":
        raise file.at("block0_values").fail("numbers", values.dtype)
    return columns, index, values.astype(np.float64)


def _levels(file: Field, group: Any, name: str) -> list[list[str]]:
    """The words of each level of an index, for each of its entries."""
    found: list[list[str]] = []
    while f"{name}_level{len(found)}" in group:
        at = len(found)
        words = _index(read_dataset(file.at(name, group[f"{name}_level{at}"])))
        places = read_dataset(file.at(name, group[f"{name}_label{at}"]))
        if places.ndim != 1 or places.dtype.kind not in "iu":
            raise file.at(f"{name}_label{at}").fail("places in a list", f"{places.dtype} {places.shape}")
        if len(places) and not -len(words) <= int(places.min()) <= int(places.max()) < len(words):
            raise file.at(f"{name}_label{at}").fail(f"places below {len(words)}", int(places.max()))
        found.append([str(words[place]) for place in places.tolist()])
    if len(found) < 2 or len({len(level) for level in found}) > 1:
        raise file.at(name).fail("levels of one length", [len(level) for level in found])
    return found


def _column(names: Any) -> Column:
    """The headings (scorer[, individual], body part, coordinate) of a column."""
    return (names[-3] if len(names) == 4 else "", names[-2], names[-1])


def _index(values: np.ndarray) -> list[str | int]:
    """Frames, or names of pictures."""
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all():
        values = values.astype(np.int64)
    if values.ndim == 1 and values.dtype.kind in "iu":
        return [int(one) for one in values.tolist()]
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
        for one in values.ravel().tolist()
    ]


def _bytes(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else bytes(value)
