"""HDF5 files, by the optional library h5py."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.errors import DataError
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.limits import most_expanded


@contextmanager
def open_hdf5(path: Path, expected: str) -> Iterator[Any]:
    """Open an HDF5 file. An error of h5py within becomes a refusal.

    Args:
        path: of the file.
        expected: what the file should be, for the message.

    Raises:
        DataError: if h5py is not installed (the message says how to install it) or the file is damaged.
    """
    file = Field(path)
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise file.fail("h5py for HDF5 files (pip install h5py)", "it not installed") from error
    try:
        with h5py.File(path, "r") as content:
            yield content
    except DataError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise file.fail(expected, f"a damaged one ({error})") from error


def read_dataset(field: Field) -> np.ndarray:
    """The array of an HDF5 data set, the field's value, unless it expands beyond the limit.

    Raises:
        DataError: if it would: compressed data sets may expand without bound.
    """
    dataset = field.value
    size = int(np.prod([int(n) for n in dataset.shape], dtype=object) * dataset.dtype.itemsize)
    allowed = most_expanded(field.path)
    if size > allowed:
        raise field.fail(f"at most {allowed} bytes in a file of this size", f"{size} bytes")
    return np.asarray(dataset[()])
