"""CSV with a row of headings: a column for each coordinate of each joint, or a row for each joint.

MediaPipe has no format of its own; people write ``landmark_0_x, landmark_0_y, landmark_0_visibility`` or
``NOSE_x, NOSE_y``. SLEAP's CSV has ``nose.x, nose.y, nose.score``.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.picture_order import order_pictures
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import MEDIAPIPE33, Layout

AXES = {
    "x": "x", "y": "y", "z": "z",
    **dict.fromkeys(("visibility", "vis", "v", "score", "confidence", "conf", "likelihood", "c"), "c"),
}  # fmt: skip
"""Words for a coordinate or a confidence."""

FRAMES = (
    "frame",
    "frame_idx",
    "frame_id",
    "frame_index",
    "frame_number",
    "image",
    "image_name",
    "filename",
    "file",
)
PEOPLE = ("person", "person_id", "track", "track_id", "individual", "person_index", "pose_id")
JOINTS = ("landmark", "landmark_id", "landmark_name", "landmark_index", "joint", "joint_name", "keypoint",
          "keypoint_id", "keypoint_name", "name", "part", "id", "bodypart")  # fmt: skip
VIDEOS = ("video", "video_id", "video_name", "clip")
"""Headings of columns that are no coordinates, in lower case and with underscores."""

_AXIS = "(?P<axis>" + "|".join(sorted(AXES, key=len, reverse=True)) + ")"
_FORMS = tuple(
    re.compile(form, flags)
    for form, flags in (
        (rf"(?P<joint>.+?)[\s_.:\-]+{_AXIS}", re.IGNORECASE),  # LEFT_HIP_x, nose.score, landmark_3_visibility
        (rf"{_AXIS}[\s_.:\-]+(?P<joint>.+)", re.IGNORECASE),  # x_LEFT_HIP
        (rf"{_AXIS}(?P<joint>\d+)", re.IGNORECASE),  # x3
        (rf"(?P<joint>.*\d){_AXIS}", re.IGNORECASE),  # 3x
        (r"(?P<joint>.*[a-z])(?P<axis>[XYZ])", 0),  # noseX
        (rf"(?P<joint>){_AXIS}", re.IGNORECASE),  # x, in a table with a row for each joint
    )
)
_NUMBERED = re.compile(
    r"(?:pose[\s_.\-]*)?(?:landmark|lm|keypoint|kpt?|joint|point|pt)?s?[\s_.\-]*(\d{1,3})",
    re.IGNORECASE | re.ASCII,
)

_INTEGER = re.compile(r"(-?\d{1,15})(\.0*)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)

MOST_NORMALISED = 2.0
"""Shares of the picture; see :mod:`poseda.datasets.formats.keypoint_json`."""

NEAREST = (
    "landmark_0_x, landmark_0_y, landmark_0_visibility (MediaPipe), nose_x, nose_y, nose_score, "
    "or DeepLabCut's rows scorer, bodyparts, coords"
)


@dataclass
class _Table:
    """A CSV with its columns sorted out.

    Args:
        file: for messages.
        rows: of text.
        column: of each heading that is no coordinate.
        points: joint to the column of each of x, y, c.
    """

    file: Field
    rows: list[list[str]]
    column: dict[str, int]
    points: dict[str, dict[str, int]] = field(default_factory=dict)

    def texts(self, names: tuple[str, ...]) -> list[str] | None:
        """The column with one of these headings."""
        at = next((self.column[name] for name in names if name in self.column), None)
        return None if at is None else [row[at].strip() for row in self.rows]

    def numbers(self, at: int) -> np.ndarray:
        """(N,) of a column; empty cells are NaN."""
        numbers = np.full(len(self.rows), np.nan)
        for row, cells in enumerate(self.rows):
            try:
                numbers[row] = float(cells[at]) if cells[at].strip() else np.nan
            except ValueError as error:
                place = self.file.at(f"column {at + 1}, row {row + 1}")
                raise place.fail("numbers", _not_a_number(cells[at].strip())) from error
        return numbers


def read_table(path: Path, text: str, layout: Layout | None, size: Size | None) -> Sightings:
    """Read people's joints of a CSV.

    Raises:
        DataError: if its headings name no joints; the message lists them. Or if the size of the picture is
            unknown, where the numbers are shares of it.
    """
    table = _parsed(Field(path), text)
    long = bool(table.points.keys() & {""}) and any(name in table.column for name in JOINTS)
    if long:
        names, points, rows = _long(table)
    else:
        names, points = _wide(table)
        rows = list(range(len(points)))
    found = Sightings(path, "CSV")
    _find_layout(found, table.file, names, layout)
    _in_pixels(table.file, points, size)
    clips, frames = _places(found, table)
    tracks = _tracks(found, table)
    for row, person in zip(rows, points, strict=True):
        if not np.isfinite(person[:, :2]).all(1).any():
            found.dropped["without joints"] += 1
            continue
        found.add(person, table.file.at(f"row {row + 1}"), frames[row], tracks[row], clips[row])
    return found


def _not_a_number(cell: str) -> str:
    """A cell in the words of a refusal, with the remedy where a comma stands for the point."""
    if _DECIMAL_COMMA.fullmatch(cell):
        return f"{cell} with a decimal comma; write a point, as in {cell.replace(',', '.')}"
    return f"the text {cell[:40]!r}"


def _find_layout(found: Sightings, file: Field, names: list[str], layout: Layout | None) -> None:
    """The layout by the user's flag, the names of the joints, or MediaPipe's number of them."""
    if layout is not None:
        found.layout, found.layout_told_by = layout, "flag"
    elif not all(name.isdecimal() for name in names):
        try:
            found.layout, found.layout_told_by = layout_of_names(names), "names"
        except ValueError as error:
            raise file.at("columns").fail("each joint once", error) from error
    elif len(names) == len(MEDIAPIPE33):
        found.layout, found.layout_told_by = MEDIAPIPE33, "format"
    if found.layout is MEDIAPIPE33:
        found.format = "MediaPipe CSV"


def _parsed(file: Field, text: str) -> _Table:
    """Headings and rows.

    Raises:
        DataError: if no heading names a joint's coordinate, or rows have other numbers of columns.
    """
    try:
        lines = [
            row for row in csv.reader(io.StringIO(text), _dialect(text)) if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise file.fail("CSV", f"other text ({error})") from error
    headings = [cell.strip() for cell in lines[0]]
    if len(lines) > 1 and _are_axes(lines[1]) and len(lines[1]) == len(headings):  # a row of joints above it
        joined = zip(headings, (cell.strip() for cell in lines.pop(1)), strict=True)
        headings = [f"{joint} {axis}" if axis.lower() in AXES else joint or axis for joint, axis in joined]
    table = _Table(file, lines[1:], {})
    for at, heading in enumerate(headings):
        joint, axis = _coordinate(heading)
        key = re.sub(r"[\s.\-]+", "_", heading.lower())
        if axis is None or key in (*FRAMES, *PEOPLE, *VIDEOS):
            table.column.setdefault(key, at)
        elif axis != "z":
            table.points.setdefault(joint, {}).setdefault(axis, at)
    table.points = {joint: axes for joint, axes in table.points.items() if {"x", "y"} <= axes.keys()}
    if not table.points or not table.rows:
        raise file.at("columns").fail(
            f"a column for each coordinate, as {NEAREST}", ", ".join(headings)[:120]
        )
    wrong = next((at for at, row in enumerate(table.rows) if len(row) != len(headings)), None)
    if wrong is not None:
        raise file.at(f"row {wrong + 1}").fail(f"{len(headings)} columns", len(table.rows[wrong]))
    return table


def _are_axes(cells: list[str]) -> bool:
    """Whether a row is one of headings for coordinates."""
    words = [cell.strip().lower() for cell in cells if cell.strip()]
    return len(words) > 1 and sum(word in AXES for word in words) >= len(words) - 2 and "x" in words


def _dialect(text: str) -> type[csv.Dialect]:
    """Commas, or what stands in the headings in their place."""
    first = text.lstrip().split("\n", 1)[0]
    delimiter = next((mark for mark in (",", ";", "\t") if mark in first), ",")
    return type("_Dialect", (csv.excel,), {"delimiter": delimiter})


def _coordinate(heading: str) -> tuple[str, str | None]:
    """Joint and axis of a heading; the axis is None where the heading is of no joint."""
    for form in _FORMS:
        match = form.fullmatch(heading)
        if match is not None and not re.search("world|box|cent", match["joint"], re.IGNORECASE):
            number = _NUMBERED.fullmatch(match["joint"])
            return (str(int(number[1])) if number else match["joint"]), AXES[match["axis"].lower()]
    return heading, None


def _wide(table: _Table) -> tuple[list[str], np.ndarray]:
    """Joints in order, and (N, J, 3)."""
    names = list(table.points)
    if all(name.isdecimal() for name in names):
        names.sort(key=int)
    points = np.ones((len(table.rows), len(names), 3))
    for at, name in enumerate(names):
        for axis, column in table.points[name].items():
            points[:, at, "xyc".index(axis)] = table.numbers(column)
    return names, points


def _long(table: _Table) -> tuple[list[str], np.ndarray, list[int]]:
    """Joints in order, (people, J, 3), and the first row of each person, from a row for each joint."""
    joints = table.texts(JOINTS) or []
    names = list(dict.fromkeys(joints))
    if all(name.isascii() and name.isdigit() for name in names):
        names.sort(key=int)
    at = {name: index for index, name in enumerate(names)}
    axes = table.points[""]
    values = {axis: table.numbers(column) for axis, column in axes.items()}
    keys = list(
        zip(*(table.texts(kind) or [""] * len(joints) for kind in (VIDEOS, FRAMES, PEOPLE)), strict=True)
    )
    people: dict[tuple[tuple[str, ...], int], int] = {}
    seen: dict[tuple[tuple[str, ...], str], int] = {}
    rows, places = list[int](), list[int]()
    for row, (key, joint) in enumerate(zip(keys, joints, strict=True)):
        nth = seen[key, joint] = seen.get((key, joint), -1) + 1  # people of a picture without a track
        if (key, nth) not in people:
            people[key, nth] = len(rows)
            rows.append(row)
        places.append(people[key, nth])
    points = np.full((len(rows), len(names), 3), np.nan)
    which = [at[joint] for joint in joints]
    points[places, which, 2] = 1.0
    for axis, value in values.items():
        points[places, which, "xyc".index(axis)] = value
    return names, points, rows


def _in_pixels(file: Field, points: np.ndarray, size: Size | None) -> None:
    """Turn shares of the picture into pixels.

    Raises:
        DataError: if the size of the picture is unknown.
    """
    seen = np.isfinite(points[..., :2]).all(-1) & (points[..., :2] != 0).any(-1)
    if not seen.any() or np.median(np.abs(points[..., :2][seen])) > MOST_NORMALISED:
        return
    if size is None:
        raise file.at("image size").fail("width x height in pixels (--image-size)", "none")
    with np.errstate(over="ignore"):  # beyond all numbers is unseen
        points[..., :2] *= size


def _places(found: Sightings, table: _Table) -> tuple[list[int], list[int]]:
    """Clip and frame of each row."""
    videos, frames = table.texts(VIDEOS), table.texts(FRAMES)
    count = len(table.rows)
    if frames is None:
        frames = [str(at) for at in range(count)] if videos is None else _counted(videos)
    numbers = _integers(frames)
    which: Sequence[str | int] = frames if numbers is None else numbers
    order = order_pictures(which, videos)
    found.ordered(order)
    places = [order.place(one, None if videos is None else videos[at]) for at, one in enumerate(which)]
    return [clip for clip, _ in places], [frame for _, frame in places]


def _counted(videos: list[str]) -> list[str]:
    """The place of each row in its video."""
    counts, places = Counter[str](), list[str]()
    for video in videos:
        places.append(str(counts[video]))
        counts[video] += 1
    return places


def _tracks(found: Sightings, table: _Table) -> list[int | None]:
    """The person of each row, or None where no column says it: an integer as it is, a name by its number."""
    texts = table.texts(PEOPLE)
    if texts is None:
        return [None] * len(table.rows)
    numbers = _integers([text for text in texts if text])
    if numbers is None:
        return [found.number_of(text) if text else None for text in texts]
    each = iter(numbers)
    people = [next(each) if text else None for text in texts]
    return [None if person is None or person < 0 else person for person in people]


def _integers(texts: list[str]) -> list[int] | None:
    """A column of integers, which pandas writes as 3.0 where others are missing; None for other text."""
    found = [_INTEGER.fullmatch(text) for text in texts]
    return [int(one[1]) for one in found if one] if all(found) else None
