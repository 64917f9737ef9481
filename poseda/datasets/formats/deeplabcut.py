"""DeepLabCut's and Lightning Pose's CSV with its rows of headings, and what their tables have in common."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_text, reading
from poseda.datasets.formats.picture_order import order_pictures
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import Layout

HEADINGS = ("scorer", "individuals", "bodyparts", "coords")
"""First cells of the rows of headings."""

COORDS = ("x", "y", "likelihood")

Column = tuple[str, str, str]
"""Individual (empty where there is one animal), body part, coordinate."""


def is_deeplabcut(path: Path) -> bool:
    """Whether a text begins with a row of DeepLabCut's headings."""
    with reading(path), path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.split(b",")[0].strip(b'" ').decode("latin-1") in HEADINGS


def read_deeplabcut_csv(path: Path, layout: Layout | None) -> Sightings:
    """Columns under rows ``scorer[, individuals], bodyparts, coords``, a row of numbers a frame.

    The first column is the frame. Tables of labels have two to four such columns, with the names of the
    pictures: folder, video, picture.
    """
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
    more = next((at for at, cell in enumerate(headings["coords"]) if cell), 0)
    columns = _columns(file, {name: cells[more:] for name, cells in headings.items()})
    index, width = more + 1, len(columns)
    table = np.full((len(content), width), np.nan)
    for at, row in enumerate(content):
        if len(row) != width + index:
            raise file.at(f"row {at}").fail(f"{width + index} columns", len(row))
        try:
            table[at] = [float(cell) if cell.strip() else np.nan for cell in row[index:]]
        except ValueError as error:
            raise file.at(f"row {at}").fail("numbers", f"other values ({str(error)[:60]})") from error
    return tracked_points(file, columns, ["/".join(row[:index]) for row in content], table, layout)


def _columns(file: Field, headings: dict[str, list[str]]) -> list[Column]:
    width = len(headings["coords"])
    parts = (headings.get("individuals", [""] * width), headings["bodyparts"], headings["coords"])
    if any(len(row) != width for row in parts):
        raise file.at("headings").fail(f"{width} columns in each row", [len(row) for row in parts])
    return list(zip(*parts, strict=True))


def tracked_points(
    file: Field,
    columns: Sequence[Column],
    index: Sequence[str | int],
    table: np.ndarray,
    layout: Layout | None,
    name: str = "DeepLabCut",
) -> Sightings:
    """People of a table with a column for each coordinate of each body part.

    Args:
        file: for messages.
        columns: C of them.
        index: of each row: a frame, or the name of a picture.
        table: (N, C), NaN where a joint is not found.
        layout: given by the user; the body parts are its joints in their order.
        name: of the format.

    Raises:
        DataError: if a body part lacks a coordinate or stands twice.
    """
    column_of = {(person, part.strip(), axis): at for at, (person, part, axis) in enumerate(columns)}
    parts = list(dict.fromkeys(part for _, part, _ in column_of))
    people = list(dict.fromkeys(person for person, _, _ in column_of))
    found = Sightings(file.path, name)
    try:
        found.layout = layout or layout_of_names(parts)
    except ValueError as error:
        raise file.at("bodyparts").fail("each body part once", error) from error
    found.layout_told_by = "names" if layout is None else "flag"
    if len(found.layout) != len(parts) and layout is not None:
        raise file.at("bodyparts").fail(f"{len(layout)} joints of {layout.name}", len(parts))
    places = _places(found, index)
    found.people |= {person: number for number, person in enumerate(people) if person}
    for number, person in enumerate(people):
        points = np.full((len(table), len(parts), 3), np.nan)
        for joint, part in enumerate(parts):
            if (person, part, "x") not in column_of:
                continue
            for axis, coordinate in enumerate(COORDS):
                if (person, part, coordinate) in column_of:
                    points[:, joint, axis] = table[:, column_of[person, part, coordinate]]
                elif coordinate == "likelihood":
                    points[:, joint, axis] = 1.0  # labelled by hand
                else:
                    raise file.at(part).fail(f"a column {coordinate}", "none")
        seen = np.isfinite(points[..., :2]).any((1, 2))
        if not seen.all():
            found.dropped["without joints"] += int((~seen).sum())
        for row in np.flatnonzero(seen):
            clip, frame = places[row]
            found.add(points[row], file.at(f"row {row}"), frame, number, clip)
    return found


def _places(found: Sightings, index: Sequence[str | int]) -> list[tuple[int, int]]:
    """Clip and frame of each row, from frame numbers or from names of pictures."""
    numbers = [_frame(one) for one in index]
    if all(number is not None for number in numbers):
        return [(0, number or 0) for number in numbers]
    order = order_pictures(list(index))
    found.ordered(order)
    return [order.place(one) for one in index]


def _frame(index: str | int) -> int | None:
    if isinstance(index, int):
        return index
    match = re.fullmatch(r"(\d{1,18})(\.0+)?", index.strip(), re.ASCII)
    return int(match[1]) if match else None


def without_copies(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Recordings once each: DeepLabCut writes one as csv and as h5, raw and filtered.

    Returns:
        the files to read (the filtered before the raw, csv before h5), and the others.
    """
    best: dict[str, Path] = {}
    tables = [file for file in files if file.suffix.lower() in (".csv", ".h5")]
    for file in tables:
        key = file.stem.removesuffix("_filtered")
        if key not in best or _rank(file) < _rank(best[key]):
            best[key] = file
    copies = [file for file in tables if file not in best.values()]
    return [file for file in files if file not in copies], copies


def _rank(file: Path) -> tuple[bool, bool]:
    return not file.stem.endswith("_filtered"), file.suffix.lower() != ".csv"
