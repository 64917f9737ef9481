"""2D detections from a file or a folder of any detector. The content decides the format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D
from poseda.datasets.formats.coco import (
    is_coco_annotations,
    is_coco_results,
    read_coco_annotations,
    read_coco_results,
)
from poseda.datasets.formats.deeplabcut import read_deeplabcut_csv, read_deeplabcut_h5
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import in_natural_order, kind_of, read_json
from poseda.datasets.formats.mediapipe import is_mediapipe, read_mediapipe
from poseda.datasets.formats.mmpose import (
    is_mmpose,
    is_mmpose_picture,
    read_mmpose,
    read_mmpose_pictures,
)
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.openpose import is_openpose, read_openpose
from poseda.datasets.formats.plain_detections import read_plain_detections
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.formats.videopose3d import read_videopose3d_2d
from poseda.datasets.layouts import Layout

FORMATS = (
    "COCO results or annotations JSON, AlphaPose/Halpe JSON, MMPose/RTMPose JSON, OpenPose JSON, "
    "MediaPipe JSON, DeepLabCut CSV or h5, VideoPose3D data_2d npz, npz with keypoints or pose_2d"
)
"""Every format of detections, for messages."""

SUFFIXES = (".json", ".csv", ".h5", ".npz")
"""Files of a folder that are read. Others, such as pictures and videos, are left out."""


def read_detections(
    path: str | Path,
    image_size: Size | None = None,
    *,
    layout: str | Layout | None = None,
    subjects: tuple[str, ...] | None = None,
) -> Detections2D:
    """Read 2D detections.

    Args:
        path: a file, or a folder of files of one kind (OpenPose's frames, or a file a recording).
        image_size: width and height in pixels, where the format does not say.
        layout: of the joints, where neither their names in the file nor their number decide it.
        subjects: of a VideoPose3D file. Default: all.

    Raises:
        DataError: if the content has no known format or is damaged; one sentence.
    """
    path = Path(path)
    if image_size is not None and min(image_size) <= 0:
        shown = f"{image_size[0]} x {image_size[1]}"
        raise Field(path, "image size").fail("a positive width and height", shown)
    reader = _Reader(image_size, Layout.named(layout) if isinstance(layout, str) else layout, subjects)
    return reader.folder(path) if path.is_dir() else reader.file(path)


class _Reader:
    """What the user says about files, and the readers that need it.

    Args:
        size: of the pictures, or None.
        layout: of the joints, or None.
        subjects: of VideoPose3D files, or None.
    """

    def __init__(self, size: Size | None, layout: Layout | None, subjects: tuple[str, ...] | None) -> None:
        self.size, self.layout, self.subjects = size, layout, subjects

    def file(self, path: Path) -> Detections2D:
        """Detections of one file."""
        kind = kind_of(path)
        if kind == "npz":
            return self._npz(Archive(path))
        if kind == "json":
            found = self._json(read_json(path))
        elif kind == "hdf5":
            found = read_deeplabcut_h5(path)
        elif kind == "text" and path.suffix.lower() == ".csv":
            found = read_deeplabcut_csv(path)
        else:
            raise Field(path).fail(FORMATS, {"text": "other text"}.get(kind, kind))
        return found.detections(self.size)

    def folder(self, path: Path) -> Detections2D:
        """Detections of a folder: of one recording with a file a frame, or of a recording a file."""
        found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()]
        files = in_natural_order(found)
        if not files:
            raise Field(path, "folder").fail(f"files ending in {', '.join(SUFFIXES)}", "none")
        if kind_of(files[0]) == "json":
            # Pictures without people are empty lists, which do not show the format.
            first = next((content for file in files if (content := read_json(file)).value), Field(path))
            if is_openpose(first):
                return read_openpose(path, files, self.layout).detections(self.size)
            if is_mmpose_picture(first):
                return read_mmpose_pictures(path, files, self.layout).detections(self.size)
        return _concatenated([self.file(file) for file in files], path)

    def _json(self, file: Field) -> Sightings:
        if is_coco_results(file):
            return read_coco_results(file, self.layout)
        if is_coco_annotations(file):
            return read_coco_annotations(file, self.layout)
        if is_mmpose(file):
            return read_mmpose(file, self.layout)
        if is_openpose(file):
            return read_openpose(file.path, [file.path], self.layout)
        if is_mediapipe(file):
            return read_mediapipe(file, self.layout, self.size)
        keys = ", ".join(map(str, file.value))[:60] if isinstance(file.value, dict) else ""
        raise file.fail(FORMATS, f"an object with {keys}" if keys else "other JSON")

    def _npz(self, archive: Archive) -> Detections2D:
        if "positions_2d" in archive:
            return read_videopose3d_2d(archive, self.layout, self.subjects).detections(self.size)
        if "keypoints" in archive or "pose_2d" in archive:
            return read_plain_detections(archive, self.layout, self.size)
        members = ", ".join(archive.members)[:80]
        raise archive.fail("members", "positions_2d, keypoints or pose_2d", members or "none")


def _concatenated(parts: list[Detections2D], path: Path) -> Detections2D:
    """Several recordings as one table, with clips of different numbers.

    Raises:
        DataError: if their joints or units differ, or if only some know the picture's size.
    """
    first = parts[0]
    for part in parts:
        if part.layout != first.layout or part.units != first.units:
            expected = f"{first.layout.name} in {first.units} as {first.path.name}"
            raise Field(part.path, "joints").fail(expected, f"{part.layout.name} in {part.units}")
        if (part.image_size is None) != (first.image_size is None):
            words = ("one", "none") if part.image_size is None else ("none", "one")
            raise Field(part.path, "image size").fail(f"{words[0]} as {first.path.name}", words[1])
    clips, offset = [], 0
    for part in parts:
        _, own = np.unique(part.clip, return_inverse=True)
        clips.append(own.reshape(-1) + offset)
        offset += int(own.max()) + 1
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("pose_2d", "confidence", "frame", "person", "image_size")
        if getattr(first, name) is not None
    }
    return replace(first, **columns, clip=np.concatenate(clips), path=path)
