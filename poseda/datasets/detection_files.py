"""2D detections from a file or a folder of any detector. The content decides the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D, Reading
from poseda.datasets.errors import DataError
from poseda.datasets.formats.coco import is_coco_annotations, read_coco_annotations
from poseda.datasets.formats.deeplabcut import is_deeplabcut, read_deeplabcut_csv, without_copies
from poseda.datasets.formats.deeplabcut_h5 import read_deeplabcut_h5
from poseda.datasets.formats.detectron import read_detectron
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import in_natural_order, kind_of, left_out, read_each, read_json, read_text
from poseda.datasets.formats.keypoint_json import read_keypoint_folder, read_keypoint_json
from poseda.datasets.formats.nearest import unknown_json
from poseda.datasets.formats.npy import is_lists, read_lists, read_npy
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.own_files import OWN, is_own_csv, is_own_json, is_own_npz
from poseda.datasets.formats.plain_detections import read_plain_detections
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.formats.sleap import is_sleap, read_sleap
from poseda.datasets.formats.tables import read_table
from poseda.datasets.formats.ultralytics import is_label_text, read_label_texts
from poseda.datasets.formats.videopose3d import read_videopose3d_2d
from poseda.datasets.joint_map import JointMap
from poseda.datasets.layouts import Layout
from poseda.datasets.otherwise import VIDEOS

FORMATS = (
    "COCO results or annotations JSON, AlphaPose/Halpe JSON, MMPose/RTMPose/Sapiens JSON, OpenPose JSON, "
    "Ultralytics label txt or JSON, MediaPipe JSON or CSV, TF.js, OpenPifPaf or EasyMocap JSON, "
    "CSV with a column for each coordinate, DeepLabCut or Lightning Pose CSV or h5, SLEAP analysis h5, "
    "VideoPose3D data_2d npz, Detectron2 npz, npz with keypoints or pose_2d, npy or JSON of lists"
)
"""Every format of detections, for messages."""

SUFFIXES = (".json", ".jsonl", ".csv", ".h5", ".npz", ".npy", ".txt")
"""Files of a folder that are read. Others, such as pictures and videos, are left out."""


def read_detections(
    path: str | Path,
    image_size: Size | None = None,
    *,
    layout: str | Layout | None = None,
    joints: Mapping[str, str | int] | JointMap | None = None,
    subjects: tuple[str, ...] | None = None,
    strict: bool = False,
) -> Detections2D:
    """Read 2D detections. How they were read is in their ``reading``.

    Args:
        path: a file, or a folder of files of one kind (a file a picture, or a file a recording), or of such
            folders. Clips of folders within folders have their paths as names.
        image_size: width and height in pixels, where the format does not say.
        layout: of the joints, where neither their names in the file nor their number decide it.
        joints: our joint to the file's name of it, or to its number in the file. A :class:`JointMap` is not
            checked for names that the file lacks.
        subjects: of a VideoPose3D file. Default: all.
        strict: refuse a bad file of a folder. Default: leave it out if another is good, and say so.

    Raises:
        DataError: if the content has no known format or is damaged; one sentence.
    """
    path = Path(path)
    if image_size is not None and min(image_size) <= 0:
        shown = f"{image_size[0]} x {image_size[1]}"
        raise Field(path, "image size").fail("a positive width and height", shown)
    names = JointMap.of(joints)
    known = Layout.named(layout) if isinstance(layout, str) else layout
    reader = _Reader(image_size, known or names.layout(), names, subjects, strict)
    found = reader.tree(path) if path.is_dir() else reader.file(path)
    if names is not joints:
        names.check()
    return found


class _Reader:
    """What the user says about files, and the readers that need it.

    Args:
        size: of the pictures, or None.
        layout: of the joints, or None.
        joints: our names of a file's joints.
        subjects: of VideoPose3D files, or None.
        strict: refuse bad files.
    """

    def __init__(
        self,
        size: Size | None,
        layout: Layout | None,
        joints: JointMap,
        subjects: tuple[str, ...] | None,
        strict: bool,
    ) -> None:
        self.size, self.layout, self.joints = size, layout, joints
        self.subjects, self.strict = subjects, strict

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
        return self._table(found)

    def tree(self, path: Path) -> Detections2D:
        """Detections of a folder and the folders in it, as far as they hold files that may be read."""
        folders = [path, *in_natural_order([folder for folder in path.rglob("*") if folder.is_dir()])]
        folders = [folder for folder in folders if not hidden(folder.relative_to(path)) and _files(folder)]
        if not folders:
            raise _nothing_to_read(path)
        if len(folders) == 1 and folders[0] == path:
            return self.folder(path)
        folders.sort(key=lambda folder: folder.relative_to(path).parts)
        good, bad = read_each(folders, lambda _, folder: self.folder(folder), self.strict)
        return _noted(_concatenated(good, path), bad, path)

    def folder(self, path: Path) -> Detections2D:
        """Detections of a folder's files: of one recording with a file a picture, or of a recording each."""
        files, bad = _files(path), dict[str, str]()
        found = self._pictures(path, files, bad)
        if found is not None:
            return _noted(self._table(found), bad, path)
        files, copies = without_copies(files)
        parts, bad = read_each(files, lambda _, file: self.file(file), self.strict)
        joined = _noted(_concatenated(parts, path), bad, path)
        if not copies:
            return joined
        names = ", ".join(file.name for file in copies)
        return _warned(joined, f"left out as other copies of recordings that are read: {names}")

    def _table(self, found: Sightings) -> Detections2D:
        """The table of what a reader gathered, with the joints named as the user says."""
        if found.layout is not None and self.joints.pairs:
            renamed = self.joints.renamed(found.layout, found.path)
            if renamed != found.layout:
                found.layout, found.layout_told_by = renamed, "flag"
        return found.detections(self.size)

    def _pictures(self, path: Path, files: list[Path], bad: dict[str, str]) -> Sightings | None:
        """A folder with a file for each picture, if it is one; files left out are added to ``bad``."""
        unreadable, found = None if self.strict else bad, None
        pictures = [file for file in files if file.suffix.lower() == ".json"]
        if len(pictures) > 1:
            found = read_keypoint_folder(path, pictures, self.layout, self.size, unreadable)
        if found is None:
            pictures = [file for file in files if file.suffix.lower() == ".txt"]
            if any(is_label_text(file) for file in pictures):
                found = read_label_texts(path, pictures, self.layout, self.size, unreadable)
        for other in [] if found is None else [file for file in files if file not in set(pictures)]:
            reason = Field(other).fail("a picture's file as the others of this folder", "another kind")
            if self.strict:
                raise reason
            bad[str(other)] = str(reason).removeprefix(f"{other}: ")
        return found

    def _text(self, path: Path) -> Sightings:
        if is_own_csv(path):
            raise Field(path).fail("2D detections", OWN)
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
        if is_own_json(file):
            raise file.fail("2D detections", OWN)
        if is_coco_annotations(file):
            return read_coco_annotations(file, self.layout)
        found = read_keypoint_json(file, self.layout, self.size)
        if found is None and is_lists(file.value):
            return read_lists(file, self.layout)
        if found is None:
            raise file.fail(FORMATS, unknown_json(file.value))
        return found

    def _npz(self, archive: Archive) -> Detections2D:
        if is_own_npz(archive):
            raise Field(archive.path).fail("2D detections", OWN)
        if "positions_2d" in archive:
            return self._table(read_videopose3d_2d(archive, self.layout, self.subjects))
        if "keypoints" in archive and "boxes" in archive:
            return self._table(read_detectron(archive, self.layout))
        if "keypoints" in archive or "pose_2d" in archive:
            return read_plain_detections(archive, self.layout, self.size, self.joints)
        members = ", ".join(archive.members)[:80]
        raise archive.fail("members", "positions_2d, keypoints or pose_2d", members or "none")


def _nothing_to_read(folder: Path) -> DataError:
    """The refusal of a folder without detections. It names videos, which adapt and lift take, too."""
    wanted, place = f"files ending in {', '.join(SUFFIXES)}", Field(folder, "folder")
    if any(file.suffix.lower() in VIDEOS for file in folder.rglob("*")):
        return place.fail(wanted, "videos, which --target of poseda adapt and --input of poseda lift take")
    return place.fail(f"{wanted}, or videos ending in {', '.join(VIDEOS)}", "none")


def _files(folder: Path) -> list[Path]:
    """The files of a folder that may be read, in natural order."""
    listed = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()]
    return in_natural_order([file for file in listed if not hidden(Path(file.name))])


def hidden(path: Path) -> bool:
    """Whether a program has put a file or folder there for itself."""
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _noted(found: Detections2D, bad: Mapping[str, str], below: Path) -> Detections2D:
    """Say which files were left out."""
    return _warned(found, left_out(bad, below)) if bad else found


def _warned(found: Detections2D, sentence: str) -> Detections2D:
    warnings = (*found.reading.warnings, sentence)
    return replace(found, reading=replace(found.reading, warnings=warnings))


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
        names |= {
            at: _clip_name(part, number, len(numbers), path)
            for at, number in enumerate(numbers.tolist(), offset)
        }
        offset += len(numbers)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("pose_2d", "confidence", "frame", "person", "image_size")
        if getattr(first, name) is not None
    }
    reading = Reading.merged([part.reading for part in parts], names)
    return replace(first, **columns, clip=np.concatenate(clips), path=path, reading=reading)


def _clip_name(part: Detections2D, clip: int, clips: int, path: Path) -> str:
    """The name of a clip of a file or folder within a folder: its way there, and the clip's own name."""
    own = part.clip_name(clip)
    if part.path == path:
        return own
    way = part.path.relative_to(path)
    if part.path.is_file():
        way = way.with_suffix("")
        return way.as_posix() if clips == 1 else f"{way.as_posix()}/{own}"
    return way.as_posix() if own in (part.path.name, part.path.stem) else f"{way.as_posix()}/{own}"
