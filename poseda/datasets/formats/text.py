"""Text and JSON files, bounded in size, and the sightings that detection readers gather from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.datasets.records import DataError

MAX_TEXT = 1 << 29
"""Largest text file read, bytes: parsing takes several times as much memory."""

BY_JOINTS = {
    17: ("coco17", 17), 25: ("body_25", 25), 26: ("halpe26", 26), 33: ("mediapipe33", 33),
    133: ("coco17", 17), 136: ("halpe26", 26),
}  # fmt: skip
"""Joints a detector writes: the layout that number stands for, and how many of the first joints it takes
(whole-body models write the body first, then face and hands)."""


def fail(path: Path, where: str, expected: str, found: object) -> DataError:
    """The one sentence in which every complaint about a file is made."""
    return DataError(f"{path}: {where}: expected {expected}, found {found}")


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        DataError: if it cannot be read, is too large or is no UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > MAX_TEXT:
            raise fail(path, "file", f"at most {MAX_TEXT} bytes", f"{size} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise fail(path, "file", "a file that can be read", error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise fail(path, "file", "UTF-8 text", f"byte {error.start} that is none") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: if it is none.
    """
    try:
        return json.loads(read_text(path))
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise fail(path, "file", "JSON", f"text that is none ({error})") from error


def numbers(path: Path, where: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A float64 array from nested lists; ``-1`` in the shape stands for any length above zero.

    Raises:
        DataError: if the value is no such table of numbers. ``null`` is NaN.
    """
    wanted = f"numbers of shape ({', '.join('N' if n < 0 else str(n) for n in shape)})"
    try:
        array = np.array(value, dtype=np.float64) if isinstance(value, list) else None
    except (ValueError, TypeError, OverflowError) as error:
        raise fail(path, where, wanted, f"others ({str(error)[:60]})") from error
    if array is None:
        raise fail(path, where, wanted, type(value).__name__)
    if array.ndim != len(shape) or any(
        n != m if n >= 0 else m == 0 for n, m in zip(shape, array.shape, strict=True)
    ):
        raise fail(path, where, wanted, f"shape {array.shape}")
    return array


def whole(path: Path, where: str, value: Any) -> int:
    """An integer of 63 bits.

    Raises:
        DataError: if the value is none.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 62:
        raise fail(path, where, "an integer", str(value)[:40])
    return value


def record(path: Path, where: str, value: Any) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: if the value is none.
    """
    if not isinstance(value, dict):
        raise fail(path, where, "an object", type(value).__name__)
    return value


@dataclass
class Sightings:
    """Poses gathered row by row.

    Args:
        path: of the file or folder.
        format: what it is taken for.
        layout: of the joints, or None: told by their number.
    """

    path: Path
    format: str
    layout: Layout | None = None
    points: list[np.ndarray] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    sizes: list[tuple[float, float] | None] = field(default_factory=list)

    def add(
        self,
        points: np.ndarray,
        where: str,
        frame: int,
        person: int = 0,
        clip: int = 0,
        size: tuple[float, float] | None = None,
    ) -> None:
        """Add a pose (J, 3) of x, y, confidence.

        Raises:
            DataError: if its number of joints fits no layout, or not that of the rows before.
        """
        if self.layout is None:
            if len(points) not in BY_JOINTS:
                known = ", ".join(map(str, BY_JOINTS))
                raise fail(self.path, where, f"{known} joints, or --layout", f"{len(points)} joints")
            self.layout = LAYOUTS[BY_JOINTS[len(points)][0]]
        kept = BY_JOINTS.get(len(points), ("", len(points)))[1]
        if kept != len(self.layout) and len(points) != len(self.layout):
            raise fail(self.path, where, f"{len(self.layout)} joints of {self.layout.name}", len(points))
        self.points.append(points[: len(self.layout)])
        self.rows.append((clip, person, frame))
        self.sizes.append(size)

    def detections(self, image_size: tuple[int, int] | None = None) -> Detections2D:
        """All rows as one table, in order of clip, person and frame.

        Args:
            image_size: width and height given by the user, where the file has none.

        Raises:
            DataError: if there is no pose, or the file's size is another than the user's.
        """
        if not self.points or self.layout is None:
            raise fail(self.path, "detections", f"at least one pose ({self.format})", "none")
        points, rows = np.stack(self.points), np.array(self.rows, np.int64)
        order = np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))
        points, rows = points[order], rows[order]
        finite = np.isfinite(points[..., :2]).all(-1)
        confidence = np.where(finite & np.isfinite(points[..., 2]), points[..., 2], 0.0)
        return Detections2D(
            pose_2d=np.where(finite[..., None], points[..., :2], np.nan),
            confidence=confidence,
            frame=rows[:, 2],
            person=rows[:, 1],
            clip=rows[:, 0],
            layout=self.layout,
            image_size=self._image_size(order, image_size),
            format=self.format,
            path=self.path,
        )

    def _image_size(self, order: np.ndarray, given: tuple[int, int] | None) -> np.ndarray | None:
        known = [size for size in self.sizes if size is not None]
        if len(known) < len(self.sizes):
            return None if given is None else np.tile(np.array(given, np.float64), (len(order), 1))
        if given is not None and any(size != given for size in known):
            other = next(size for size in known if size != given)
            shown = " x ".join(f"{n:g}" for n in other)
            raise fail(self.path, "image size", f"{given[0]} x {given[1]} as given", shown)
        return np.array(known, np.float64)[order]


def natural(paths: Sequence[Path]) -> list[Path]:
    """Sort by name with numbers in order of value: frame 10 after frame 9."""
    import re

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(t), "") if t.isdigit() else (-1, t) for t in re.split(r"(\d{1,18})", path.name)]

    return sorted(paths, key=key)
