"""TRC: markers of OpenSim, Pose2Sim and motion capture software, as text with tabs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poseda.config.limits import FASTEST, SLOWEST
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_text
from poseda.datasets.formats.motion import Motion

MAX_MARKERS = 2000
"""Most markers of a file."""


def read_trc(path: Path) -> Motion:
    """The markers of a TRC file.

    The header names unit, rate and markers. An empty cell, NaN and a place of three zeros are unseen markers.
    The format does not say which axis is up; in OpenSim and Pose2Sim it is y.

    Raises:
        DataError: if the file is not of this form.
    """
    file, lines = Field(path), read_text(path).splitlines()
    heading = next((at for at, line in enumerate(lines[:20]) if line.lower().startswith("frame#")), None)
    if heading is None or heading < 2:
        raise file.at("header").fail("a line that begins with Frame#, after keys and values", "none")
    keys, values = ([word.lower() for word in _cells(lines[heading - at])] for at in (2, 1))
    header = dict(zip(keys, values, strict=False))
    names = [name for name in _cells(lines[heading])[2:] if name]
    if not 0 < len(names) <= MAX_MARKERS:
        raise file.at("Frame#").fail(f"1 to {MAX_MARKERS} names of markers", len(names))
    rows = [line for line in lines[heading + 2 :] if line.strip()]
    if not rows:
        raise file.at("rows").fail("at least one frame", "none")
    cells = _numbers(file, rows, 2 + 3 * len(names))
    place = cells[:, 2:].reshape(len(rows), len(names), 3)
    place[(place == 0).all(-1)] = np.nan
    warnings = _contradictions(header, len(names), len(rows))
    rate = _rate(file, header)
    unit = header.get("units", "")
    return Motion(
        "TRC",
        names,
        place,
        rate=rate,
        unit=unit,
        up="+y",
        up_told_by="the format's custom",
        warnings=warnings,
    )


def _cells(line: str) -> list[str]:
    """The cells of a line: between tabs, or between blanks where there is no tab."""
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _numbers(file: Field, rows: Sequence[str], width: int) -> np.ndarray:
    """(N, width) numbers, NaN where a cell is empty."""
    numbers = np.full((len(rows), width), np.nan)
    for at, line in enumerate(rows):
        cells = _cells(line)
        place = file.at(f"frame {at}")
        if len(cells) > width and any(cells[width:]):
            raise place.fail(f"{width} cells", len(cells))
        for column, cell in enumerate(cells[:width]):
            if cell:
                try:
                    numbers[at, column] = float(cell)
                except ValueError as error:
                    raise place.fail("numbers", cell[:40]) from error
    if np.isinf(numbers).any() or (np.abs(numbers) > 1e9).any():
        raise file.at("rows").fail("finite numbers", "Inf or beyond 1e9")
    return numbers


def _rate(file: Field, header: dict[str, str]) -> float | None:
    """Frames per second: the rate of the data, which may be another than the camera's."""
    written = header.get("datarate", header.get("camerarate"))
    if written is None:
        return None
    try:
        rate = float(written)
    except ValueError as error:
        raise file.at("DataRate").fail("frames per second", written[:40]) from error
    if not SLOWEST <= rate <= FASTEST:
        raise file.at("DataRate").fail("frames per second", f"{rate:g}")
    return rate


def _contradictions(header: dict[str, str], markers: int, rows: int) -> tuple[str, ...]:
    """Sentences where the numbers of the header are not those of the content, which count."""
    return tuple(
        f"the header names {header[key]} {words}, the file holds {found}"
        for key, words, found in (("nummarkers", "markers", markers), ("numframes", "frames", rows))
        if key in header and header[key] != str(found)
    )
