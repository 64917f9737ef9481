"""3DPW's sequence files: Python 2 pickles, read as data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.conversion import conversion
from poseda.datasets.filming import labelled, together
from poseda.datasets.formats.text import fail
from poseda.datasets.formats.unpickle import unpickle
from poseda.datasets.layouts import SMPL24
from poseda.datasets.records import LabelledPoses
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton

NEAREST = 0.1
"""Metres; frames with a joint nearer to the camera are left out."""

MAX_PICKLE = 1 << 30
"""Largest pickle read, bytes."""


def read_3dpw(files: Sequence[Path], skeleton: Skeleton, stride: int) -> LabelledPoses:
    """``jointPositions`` (a (N, 72) array a person, metres, world), ``cam_poses``, ``cam_intrinsics``.

    2D is the projection of the 3D joints; frames whose camera pose is not marked valid are left out. The
    picture is twice its principal point wide and high, as in all of 3DPW's files.
    """
    convert, parts = conversion(SMPL24, skeleton), []
    for number, file in enumerate(files):
        content = _content(file)
        matrix = _array(file, content, "cam_intrinsics", (3, 3))
        poses = _array(file, content, "cam_poses", (-1, 4, 4))
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
        if not min(fx, fy, cx, cy) > 0:
            raise fail(file, "cam_intrinsics", "positive focal lengths and centre", matrix.tolist())
        lens = Camera.from_pixels(fx, fy, cx, cy, round(2 * cx), round(2 * cy))
        for person, flat in enumerate(_people(file, content, "jointPositions")):
            world = _checked(file, f"jointPositions[{person}]", flat, (len(poses), 3 * len(SMPL24))).reshape(
                len(poses), -1, 3
            )
            seen = np.einsum("nij,nkj->nki", poses[:, :3, :3], world) + poses[:, None, :3, 3]
            kept = (_valid(file, content, person, len(poses)) & (seen[..., 2].min(1) > NEAREST)).nonzero()[0][
                ::stride
            ]
            pose = convert(seen[kept])[0]
            columns = {"subject": np.full(len(kept), f"{file.stem}/{person}"), "frame": kept}
            parts.append(labelled(pose, lens, np.full(len(kept), number * 16 + person), columns))
    return together([part for part in parts if len(part)])


def _content(path: Path) -> dict[Any, Any]:
    try:
        size = path.stat().st_size
        if size > MAX_PICKLE:
            raise fail(path, "file", f"at most {MAX_PICKLE} bytes", f"{size} bytes")
        content = unpickle(path.read_bytes(), str(path))
    except OSError as error:
        raise fail(path, "file", "a file that can be read", error.strerror or error) from error
    if not isinstance(content, dict):
        raise fail(path, "file", "a dict as 3DPW's", type(content).__name__)
    return content


def _array(path: Path, content: dict[Any, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    return _checked(path, name, content.get(name), shape)


def _checked(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    good = isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim == len(shape)
    if not good or any(n not in (m, -1) for n, m in zip(shape, value.shape, strict=True)):
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise fail(path, name, f"numbers of shape {shape}".replace("-1", "N"), found)
    if not np.isfinite(value).all():
        raise fail(path, name, "finite numbers", "NaN or Inf")
    return np.asarray(value, np.float64)


def _people(path: Path, content: dict[Any, Any], name: str) -> list[Any]:
    people = content.get(name)
    if not isinstance(people, list) or not 1 <= len(people) <= 16:
        raise fail(path, name, "a list of 1 to 16 people", type(people).__name__)
    return people


def _valid(path: Path, content: dict[Any, Any], person: int, rows: int) -> np.ndarray:
    if "campose_valid" not in content:
        return np.ones(rows, bool)
    people = _people(path, content, "campose_valid")
    if len(people) <= person:
        raise fail(path, "campose_valid", "a list for each person", len(people))
    value = people[person]
    if isinstance(value, np.ndarray) and value.dtype == bool:
        value = value.astype(np.int64)
    return _checked(path, f"campose_valid[{person}]", value, (rows,)) > 0
