"""3DPW's sequence files: Python 2 pickles, read as data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poseda.datasets.conversion import Conversion, conversion
from poseda.datasets.filming import labelled
from poseda.datasets.formats import limits
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_bytes, read_each
from poseda.datasets.formats.pickle import unpickle
from poseda.datasets.layouts import SMPL24
from poseda.datasets.records import LabelledPoses, concatenated
from poseda.geometry.camera import Camera
from poseda.geometry.rotation import rotated
from poseda.geometry.skeleton import Skeleton

NEAREST = 0.1
"""Metres; frames with a joint nearer to the camera are left out."""

MAX_PEOPLE = 16
"""Most people of a sequence; clip numbers leave room for as many."""


def read_3dpw(
    files: Sequence[Path], skeleton: Skeleton, stride: int, strict: bool = False
) -> tuple[LabelledPoses, dict[str, str]]:
    """``jointPositions`` (a (N, 72) array a person, metres, world), ``cam_poses``, ``cam_intrinsics``.

    2D is the projection of the 3D joints. Frames without a valid camera pose are left out. The
    picture is 2 times as large as its principal point, as in all of 3DPW's files.

    Returns:
        the poses, and why each file that could not be read was left out.
    """
    convert = conversion(SMPL24, skeleton)
    good, bad = read_each(files, lambda number, path: _sequence(number, path, convert, stride), strict)
    return concatenated([part for parts in good for part in parts if len(part)]), bad


def _sequence(number: int, path: Path, convert: Conversion, stride: int) -> list[LabelledPoses]:
    """The people of one file."""
    file, parts = Field(path), []
    content = file.holding(unpickle(read_bytes(path, limits.MAX_PICKLE), file))
    poses = content["cam_poses"].array(("N", 4, 4))
    lens, rows = _lens(content["cam_intrinsics"]), len(poses)
    for person, flat in enumerate(_people(content["jointPositions"])):
        world = flat.array((rows, 3 * len(SMPL24))).reshape(rows, len(SMPL24), 3)
        seen = rotated(poses[:, :3, :3], world) + poses[:, None, :3, 3]
        valid = _valid(content, person, rows) & (seen[..., 2].min(1) > NEAREST)
        kept = np.flatnonzero(valid)[::stride]
        columns = {"subject": np.full(len(kept), f"{path.stem}/{person}"), "frame": kept}
        clip = np.full(len(kept), number * MAX_PEOPLE + person)
        parts.append(labelled(convert(seen[kept])[0], lens, clip, columns))
    return parts


def _lens(intrinsics: Field) -> Camera:
    matrix = intrinsics.array((3, 3))
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    if not min(fx, fy, cx, cy) > 0:
        raise intrinsics.fail("positive focal lengths and centre", matrix.tolist())
    return Camera.from_pixels(fx, fy, cx, cy, round(2 * cx), round(2 * cy))


def _people(field: Field) -> list[Field]:
    expected = f"a list of 1 to {MAX_PEOPLE} people"
    people = field.elements(expected)
    if not 1 <= len(people) <= MAX_PEOPLE:
        raise field.fail(expected, f"{len(people)} people")
    return people


def _valid(content: Field, person: int, rows: int) -> np.ndarray:
    """(N,) bool: the camera's pose is marked valid for this person."""
    if "campose_valid" not in content:
        return np.ones(rows, bool)
    people = _people(content["campose_valid"])
    if len(people) <= person:
        raise content["campose_valid"].fail("a list for each person", f"{len(people)} lists")
    marks = people[person]
    if isinstance(marks.value, np.ndarray) and marks.value.dtype == bool:
        marks = marks.holding(marks.value.astype(np.int64))
    return marks.array((rows,)) > 0
