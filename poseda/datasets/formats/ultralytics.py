"""Ultralytics' label txt: a file for each picture, a line for each person, all shares of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_each, read_text, reading
from poseda.datasets.formats.picture_order import order_pictures
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.layouts import LAYOUTS, Layout

BOX = 5
"""First columns of a line: class, and the box's middle, width and height."""

EXTRAS = 2
"""A line may end with the person's confidence, with a track, or with both."""


def is_label_text(path: Path) -> bool:
    """Whether the first line is a class and shares of the picture, among them joints."""
    with reading(path), path.open("rb") as file:
        line = file.readline(8192).decode("latin-1").split()
    try:
        values = [float(word) for word in line]
    except ValueError:
        return False
    box = values[1:BOX]
    return (
        len(values) > BOX + EXTRAS
        and values[0] >= 0
        and values[0] % 1 == 0
        and all(0 <= v <= 1.5 for v in box)
    )


def read_label_texts(
    path: Path,
    files: Sequence[Path],
    layout: Layout | None,
    size: Size | None,
    bad: dict[str, str] | None = None,
) -> Sightings:
    """Files as ``yolo predict save_txt=True`` writes them, named ``VIDEO_12.txt`` or as their pictures.

    A joint at 0, 0 is not seen. A line has x and y of each joint, and mostly its confidence. ``bad`` gets the
    reason for each file that cannot be read, by its path; None refuses such files.

    Raises:
        DataError: if the size of the pictures is unknown, or a line has another number of columns.
    """
    if size is None:
        raise Field(path, "image size").fail(
            "width x height in pixels (--image-size), because label txt holds shares of the picture", "none"
        )
    found = Sightings(path, "Ultralytics label txt", layout or LAYOUTS["coco17"])
    found.layout_told_by = "number" if layout is None else "flag"
    joints = len(found.layout or ())
    tables, skipped = read_each(files, lambda _, file: _rows(file), bad is None)
    files = [file for file in files if str(file) not in skipped]
    if bad is not None:
        bad |= skipped
    widths = {len(row) for rows in tables for row in rows}
    width = max(widths, default=0)
    per_joint, extras = _columns(Field(path, "lines"), width, joints, layout)
    tracked = _tracked(tables, width, extras)
    order = order_pictures([file.stem for file in files])
    found.ordered(order)
    for file, rows in zip(files, tables, strict=True):
        clip, frame = order.place(file.stem)
        for line, row in enumerate(rows):
            place = Field(file, f"line {line + 1}")
            if len(row) not in (width, width - tracked):
                raise place.fail(f"{width} columns", len(row))
            points = np.ones((joints, 3))
            points[:, :per_joint] = np.reshape(row[BOX : BOX + per_joint * joints], (joints, per_joint))
            unseen = (points[:, :2] == 0).all(1)
            with np.errstate(over="ignore"):  # beyond all numbers is unseen
                points[:, :2] *= size
            points[unseen, 2] = 0
            track = place.holding(row[-1]).whole() if tracked and len(row) == width else None
            found.add(points, place, frame, track, clip)
    return found


def _rows(file: Path) -> list[list[float]]:
    """The numbers of each person of a picture."""
    rows = []
    for number, line in enumerate(read_text(file).splitlines()):
        if line.strip():
            try:
                rows.append([float(word) for word in line.split()])
            except ValueError as error:
                raise Field(file, f"line {number + 1}").fail("numbers", line[:40]) from error
    return rows


def _columns(place: Field, width: int, joints: int, layout: Layout | None) -> tuple[int, int]:
    """Columns of a joint, and columns after the joints.

    Raises:
        DataError: if the number of columns fits no such table.
    """
    for per_joint in (3, 2):
        extras = width - BOX - per_joint * joints
        if 0 <= extras <= EXTRAS:
            return per_joint, extras
    name = layout.name if layout else "coco17; give another with --layout"
    raise place.fail(f"{BOX + 2 * joints} or {BOX + 3 * joints} columns of {joints} joints ({name})", width)


def _tracked(tables: Sequence[list[list[float]]], width: int, extras: int) -> bool:
    """Whether the last column is a track, which a line may lack: the second of two, or whole numbers."""
    if extras == EXTRAS:
        return True
    last = [row[-1] for rows in tables for row in rows if len(row) == width]
    whole = all(value == value // 1 for value in last)
    some = any(value > 1 for value in last) or any(len(row) < width for rows in tables for row in rows)
    return extras == 1 and whole and some
