"""2D detections from a file or a folder of any detector. The content decides the format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D, Reading
from poseda.datasets.formats.coco import is_coco_annotations, read_coco_annotations
from poseda.datasets.formats.deeplabcut import is_deeplabcut, read_deeplabcut_csv, without_copies
from poseda.datasets.formats.deeplabcut_h5 import read_deeplabcut_h5
from poseda.datasets.formats.detectron import read_detectron
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import in_natural_order, kind_of, read_json, read_text
from poseda.datasets.formats.keypoint_json import read_keypoint_folder, read_keypoint_json
from poseda.datasets.formats.nearest import unknown_json
from poseda.datasets.formats.npy import read_npy
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.plain_detections import read_plain_detections
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.formats.sleap import is_sleap, read_sleap
from poseda.datasets.formats.tables import read_table
from poseda.datasets.formats.ultralytics import is_label_text, read_label_texts
from poseda.datasets.formats.videopose3d import read_videopose3d_2d
from poseda.datasets.layouts import Layout

FORMATS = (
    "COCO results or annotations JSON, AlphaPose/Halpe JSON, MMPose/RTMPose/Sapiens JSON, OpenPose JSON, "
    "Ultralytics label txt or JSON, MediaPipe JSON or CSV, TF.js, OpenPifPaf or EasyMocap JSON, "
    "CSV with a column for each coordinate, DeepLabCut or Lightning Pose CSV or h5, SLEAP analysis h5, "
    "VideoPose3D data_2d npz, Detectron2 npz, npz with keypoints or pose_2d, npy"
)
"""Every format of detections, for messages."""

SUFFIXES = (".json", ".jsonl", ".csv", ".h5", ".npz", ".npy", ".txt")
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
        path: a file, or a folder of files of one kind (a file a picture, or a file a recording).
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
            found = read_sleap(path, self.layout) if is_sleap(path) else read_deeplabcut_h5(path, self.layout)
        elif kind == "npy":
            found = read_npy(path, self.layout)
        elif kind == "text":
            found = self._text(path)
        else:
            raise Field(path).fail(FORMATS, kind)
        return found.detections(self.size)

    def folder(self, path: Path) -> Detections2D:
        """Detections of a folder: of one recording with a file a picture, or of a recording a file."""
        listed = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()]
        files = in_natural_order(listed)
        if not files:
            raise Field(path, "folder").fail(f"files ending in {', '.join(SUFFIXES)}", "none")
        found = self._pictures(path, files)
        if found is not None:
            return found.detections(self.size)
        files, copies = without_copies(files)
        joined = _concatenated([self.file(file) for file in files], path)
        if not copies:
            return joined
        names = ", ".join(file.name for file in copies)
        note = f"left out as other copies of recordings that are read: {names}"
        return replace(joined, reading=replace(joined.reading, warnings=(*joined.reading.warnings, note)))

    def _pictures(self, path: Path, files: list[Path]) -> Sightings | None:
        """A folder with a file for each picture, if it is one."""
        kinds = {file.suffix.lower() for file in files}
        if kinds == {".json"}:
            return read_keypoint_folder(path, files, self.layout, self.size)
        if kinds == {".txt"} and any(is_label_text(file) for file in files):
            return read_label_texts(path, files, self.layout, self.size)
        return None

    def _text(self, path: Path) -> Sightings:
        if path.suffix.lower() != ".csv" and is_label_text(path):
            return read_label_texts(path, [path], self.layout, self.size)
        if is_deeplabcut(path):
            return read_deeplabcut_csv(path, self.layout)
        found = (
            read_table(path, read_text(path), self.layout, self.size)
            if path.suffix.lower() == ".csv"
            else None
        )
        if found is None:
            raise Field(path).fail(FORMATS, "other text")
        return found

    def _json(self, file: Field) -> Sightings:
        if is_coco_annotations(file):
            return read_coco_annotations(file, self.layout)
        found = read_keypoint_json(file, self.layout, self.size)
        if found is None:
            raise file.fail(FORMATS, unknown_json(file.value))
        return found

    def _npz(self, archive: Archive) -> Detections2D:
        if "positions_2d" in archive:
            return read_videopose3d_2d(archive, self.layout, self.subjects).detections(self.size)
        if "keypoints" in archive and "boxes" in archive:
            return read_detectron(archive, self.layout).detections(self.size)
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
    clips, offset, names = [], 0, dict[int, str]()
    for part in parts:
        numbers, own = np.unique(part.clip, return_inverse=True)
        clips.append(own.reshape(-1) + offset)
        named = part.reading.clip_names
        for at, number in enumerate(numbers.tolist(), offset):
            names[at] = (
                part.path.stem if len(numbers) == 1 else f"{part.path.stem}/{named.get(number, number)}"
            )
        offset += len(numbers)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("pose_2d", "confidence", "frame", "person", "image_size")
        if getattr(first, name) is not None
    }
    reading = Reading.merged([part.reading for part in parts], names)
    return replace(first, **columns, clip=np.concatenate(clips), path=path, reading=reading)
