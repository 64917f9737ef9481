"""One person of a JSON file, however the tool writes the joints.

Joints are flat numbers (COCO, OpenPose), rows of numbers (MMPose), points with names or numbers (MediaPipe,
TF.js), an entry for each joint, or columns of x and y (Ultralytics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.joint_names import canonical

LANDMARKS = ("landmarks", "pose_landmarks", "poseLandmarks", "landmark")
"""Where MediaPipe's results in Python, JavaScript and its protocol buffers hold the joints."""

POINTS = (
    *("keypoints", "pose_keypoints_2d", "pose_keypoints", "keypoints_2d", "keypoints2d"),
    *("joints", "joints_2d", "kpts"),
    *LANDMARKS,
)
"""Where a person's joints are."""

SCORES = ("keypoint_scores", "keypoints_scores", "scores", "keypoints_visible", "visibility", "confidence")
"""Where the confidences are, if they stand beside the joints."""

CONFIDENCES = ("visibility", "score", "confidence", "likelihood", "visible", "conf", "c", "v", "presence")
"""A point's confidence."""

NAMES = ("name", "part", "label", "joint", "landmark_name", "keypoint")
NUMBERS = ("id", "index", "landmark_id", "keypoint_id")
"""A point's name or number."""

FEWEST = 5
"""Entries with a joint's name that show a person."""

WHOLE = (17, 33)
"""Numbers of joints of the models that write points with numbers; unseen ones may be left out."""


@dataclass(frozen=True)
class Person:
    """The joints of a person.

    Args:
        place: of the joints in the file.
        points: (J, 3) of x, y, confidence.
        names: of the J joints as in the file, if it names them.
    """

    place: Field
    points: np.ndarray
    names: tuple[str, ...] | None = None


def is_point(value: Any) -> bool:
    """An object with x and y, at once or within ``position``, ``coordinates`` or the like."""
    return isinstance(value, dict) and _xy(value) is not None


def is_person(value: Any) -> bool:
    """An object with joints, by their names, or a list of points."""
    if isinstance(value, list):
        return bool(value) and is_point(value[0])
    return isinstance(value, dict) and (_points_key(value) is not None or bare_points(value) is not None)


def bare_points(holder: dict[str, Any]) -> dict[str, Any] | None:
    """The joints of a person that has them as its own entries, by name or by number."""
    points = {
        key: value
        for key, value in holder.items()
        if (is_point(value) or _is_row(value)) and (str(key).isdigit() or canonical(str(key)) is not None)
    }
    return points if len(points) >= FEWEST else None


def person_of(field: Field) -> Person:
    """Read a person's joints.

    Raises:
        DataError: if they are in none of the known forms.
    """
    holder, key = field.value, None
    if isinstance(holder, dict):
        key = _points_key(holder)
        bare = bare_points(holder) if key is None else None
        place = field["keypoints" if key is None else key] if bare is None else field.holding(bare)
        if isinstance(place.value, dict) and "landmark" in place.value:
            place = place["landmark"]
    else:
        place, holder = field, {}
    value = place.value
    if isinstance(value, dict):
        return _columns(place) if isinstance(value.get("x"), list) else _entries(place)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _points(place)
    scores = next((field[name] for name in SCORES if isinstance(holder.get(name), list)), None)
    return Person(place, _numbers(place, scores))


def _points_key(holder: dict[str, Any]) -> str | None:
    keys = [key for key in holder if key in POINTS and _holds_points(holder[key], key in LANDMARKS)]
    return next((key for key in keys if holder[key]), keys[0] if keys else None)


def _holds_points(value: Any, landmarks: bool) -> bool:
    """Whether a person is there. No landmarks mean nobody; an empty list of others, one without joints."""
    if isinstance(value, dict):
        if isinstance(value.get("landmark"), list):
            return True
        first = next(iter(value.values()), None)
        return isinstance(value.get("x"), list) or is_point(first) or _is_row(first)
    if not isinstance(value, list) or not value:
        return isinstance(value, list) and not landmarks
    return not isinstance(value[0], list) or not value[0] or not isinstance(value[0][0], dict)


def _is_row(value: Any) -> bool:
    return isinstance(value, list) and 2 <= len(value) <= 4 and all(isinstance(n, int | float) for n in value)


def _numbers(place: Field, scores: Field | None) -> np.ndarray:
    """(J, 3) from x, y, c, x, y, c … or from rows of two to four numbers."""
    value = place.value
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        flat = place.numbers("N")
        width = 2 if scores is not None and len(flat) == 2 * len(scores.value) else 3
        if len(flat) % width:
            raise place.fail("three numbers a joint", f"{len(flat)} numbers")
        rows = flat.reshape(-1, width)
    else:
        if len(value) == 1 and value[0] and isinstance(value[0][0], list):  # a batch of one
            place = place.holding(value[0])
        rows = place.numbers(("N", (2, 3, 4) if scores is None else (2,)))
    if scores is not None:
        rows = np.concatenate([rows[:, :2], scores.numbers((len(rows),))[:, None]], -1)
    elif rows.shape[1] == 2:
        rows = np.concatenate([rows, np.ones((len(rows), 1))], -1)
    return rows[:, [0, 1, -1]]


def _columns(place: Field) -> Person:
    """``{"x": […], "y": […], "visible": […]}``."""
    x = place["x"].numbers("N")
    y = place["y"].numbers((len(x),))
    key = next((key for key in CONFIDENCES if isinstance(place.value.get(key), list)), None)
    confidence = np.ones(len(x)) if key is None else place[key].numbers((len(x),))
    return Person(place, np.stack([x, y, confidence], -1))


def _points(place: Field) -> Person:
    """A list of points, in order or each with its name or number."""
    points, first = place.value, place.value[0]
    wrong = next((at for at, point in enumerate(points) if not isinstance(point, dict)), None)
    if wrong is not None:
        raise place.elements()[wrong].fail("an object")
    label = next((key for key in (*NAMES, *NUMBERS) if _is_label(first.get(key))), "")
    labels = [point[label] if label in point and _is_label(point[label]) else None for point in points]
    if "x" not in first:
        return _labelled(place, labels, [_row(point) for point in points])
    # Files have hundreds of thousands of points: their keys are those of the first.
    score = next((key for key in CONFIDENCES if key in first), "")
    rows = [[point.get("x"), point.get("y"), point.get(score, 1.0)] for point in points]
    return _labelled(place, labels, rows)


def _entries(place: Field) -> Person:
    """An entry for each joint, by its name or its number: an object or a row."""
    labels, rows = list[str | int | None](), list[list[Any]]()
    for key, value in place.record().items():
        labels.append(int(key) if key.isascii() and key.isdigit() and len(key) < 4 else key)
        rows.append(_row(value) if isinstance(value, dict) else _padded(value))
    return _labelled(place, labels, rows)


def _labelled(place: Field, labels: list[str | int | None], rows: list[list[Any]]) -> Person:
    """Put points where their labels say."""
    table = place.holding(rows).numbers((len(rows), 3))
    if labels and all(isinstance(label, str) for label in labels):
        return Person(place, table, tuple(map(str, labels)))
    if not labels or any(not isinstance(label, int) for label in labels):
        return Person(place, table)
    numbers = [int(label) for label in labels if isinstance(label, int)]
    if len(set(numbers)) < len(numbers):
        raise place.fail("each joint once", f"joint {max(numbers, key=numbers.count)} twice")
    joints = len(numbers)
    if max(numbers) >= joints or min(numbers) < 0:
        joints = next((whole for whole in WHOLE if max(numbers) < whole), 0)
    if not joints or min(numbers) < 0:
        raise place.fail(f"numbers of joints from 0 to {max(WHOLE) - 1}", f"{min(numbers)} to {max(numbers)}")
    points = np.full((joints, 3), np.nan)
    points[numbers] = table
    return Person(place, points)


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _xy(point: dict[str, Any]) -> Sequence[Any] | None:
    """What a point holds as its place."""
    for key in ("position", "coordinates", "xy", "point"):
        inner = point.get(key)
        if isinstance(inner, dict) and "x" in inner:
            return inner.get("x"), inner.get("y")
        if _is_row(inner):
            return list(inner)[:2]  # type: ignore[arg-type]
    return (point["x"], point.get("y")) if "x" in point else None


def _row(point: dict[str, Any]) -> list[Any]:
    """x, y, confidence."""
    x, y = _xy(point) or (None, None)
    key = next((key for key in CONFIDENCES if key in point), None)
    confidence = 1.0 if key is None else point[key]
    return [x, y, confidence]


def _padded(value: Any) -> list[Any]:
    """The row of an entry that is a list: x, y[, z][, confidence]."""
    row = value if isinstance(value, list) else [None, None]
    confidence = row[-1] if len(row) > 2 else 1.0
    return [*row[:2], *[None] * (2 - len(row)), confidence]
