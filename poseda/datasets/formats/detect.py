"""Detections from a file or folder, whatever wrote them: the format is told by the content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D
from poseda.datasets.formats import frame_json, keypoint_json
from poseda.datasets.formats.deeplabcut import read_deeplabcut_csv, read_deeplabcut_h5
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.npz_detections import read_plain_npz, read_videopose3d_2d
from poseda.datasets.formats.text import Sightings, fail, natural, read_json
from poseda.datasets.layouts import Layout

FORMATS = (
    "COCO results or annotations JSON, AlphaPose/Halpe JSON, MMPose/RTMPose JSON, OpenPose JSON, "
    "MediaPipe JSON, DeepLabCut CSV or h5, VideoPose3D data_2d npz, npz with keypoints or pose_2d"
)

SUFFIXES = (".json", ".csv", ".h5", ".npz")
"""Files of a folder that are read; others (pictures, videos) are passed over."""

Size = tuple[int, int]


def kind_of(path: Path) -> str:
    """What a file is by its first bytes: npz, hdf5, mat5, pickle, bvh, json or text.

    Raises:
        DataError: if it cannot be read or is empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise fail(path, "file", "a file that can be read", error.strerror or error) from error
    if not head.strip():
        raise fail(path, "file", "content", "an empty file")
    if head.startswith(b"MATLAB 5.0"):
        return "mat5"
    if head.startswith((b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3")):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"HIERARCHY"):
        return "bvh"
    if text[:1] in (b"{", b"["):
        return "json"
    if head[:1] == b"\x80" or head[:2] in (b"(d", b"(l", b"(i"):
        return "pickle"
    return "text"


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
        layout: of the joints, where neither names in the file nor their number tell it.
        subjects: of a VideoPose3D file; default all.

    Raises:
        DataError: if the content is none of the formats, or damaged; one sentence.
    """
    path = Path(path)
    if image_size is not None and min(image_size) <= 0:
        raise fail(path, "image size", "a positive width and height", f"{image_size[0]} x {image_size[1]}")
    if isinstance(layout, str):
        layout = Layout.named(layout)
    if path.is_dir():
        return _folder(path, image_size, layout, subjects)
    return _file(path, image_size, layout, subjects)


def _file(
    path: Path, size: Size | None, layout: Layout | None, subjects: tuple[str, ...] | None
) -> Detections2D:
    kind = kind_of(path)
    if kind == "json":
        return _json(path, read_json(path), layout, size)
    if kind == "npz":
        archive = Archive(path)
        if "positions_2d" in archive:
            return read_videopose3d_2d(archive, layout, subjects).detections(size)
        if "keypoints" in archive or "pose_2d" in archive:
            return read_plain_npz(archive, layout, size)
        raise fail(path, "members", "positions_2d, keypoints or pose_2d", ", ".join(archive.members)[:80])
    if kind == "hdf5":
        return read_deeplabcut_h5(path).detections(size)
    if kind == "text" and path.suffix.lower() == ".csv":
        return read_deeplabcut_csv(path).detections(size)
    raise fail(path, "file", FORMATS, {"text": "other text"}.get(kind, kind))


def _json(path: Path, content: Any, layout: Layout | None, size: Size | None) -> Detections2D:
    found: Sightings
    if keypoint_json.is_coco_results(content):
        found = keypoint_json.read_coco_results(path, content, layout)
    elif keypoint_json.is_coco_annotations(content):
        found = keypoint_json.read_coco_annotations(path, content, layout)
    elif keypoint_json.is_mmpose(content):
        found = keypoint_json.read_mmpose(path, content, layout)
    elif frame_json.is_openpose(content):
        found = frame_json.read_openpose(path, [path], layout)
    elif frame_json.is_mediapipe(content):
        found = frame_json.read_mediapipe(path, content, layout, size)
    else:
        shown = (
            f"an object with {', '.join(map(str, content))[:60]}"
            if isinstance(content, dict)
            else "other JSON"
        )
        raise fail(path, "file", FORMATS, shown)
    return found.detections(size)


def _folder(
    path: Path, size: Size | None, layout: Layout | None, subjects: tuple[str, ...] | None
) -> Detections2D:
    files = natural([file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()])
    if not files:
        raise fail(path, "folder", f"files ending in {', '.join(SUFFIXES)}", "none")
    if kind_of(files[0]) == "json":
        # Pictures without people are empty lists, which tell nothing.
        first: Any = next((content for file in files if (content := read_json(file))), [])
        if frame_json.is_openpose(first):
            return frame_json.read_openpose(path, files, layout).detections(size)
        if keypoint_json.is_mmpose(first) and "keypoints" in (first[0] if isinstance(first, list) else {}):
            return frame_json.read_mmpose_pictures(path, files, layout).detections(size)
    return joined([_file(file, size, layout, subjects) for file in files], path)


def joined(parts: list[Detections2D], path: Path) -> Detections2D:
    """Several recordings as one table, their clips numbered on.

    Raises:
        DataError: if their joints, units or knowledge of the picture's size differ.
    """
    first = parts[0]
    for part in parts:
        if part.layout != first.layout or part.units != first.units:
            other = f"{part.layout.name} in {part.units}"
            raise fail(
                part.path, "joints", f"{first.layout.name} in {first.units} as {first.path.name}", other
            )
        if (part.image_size is None) != (first.image_size is None):
            raise fail(part.path, "image size", f"one, or none, as {first.path.name}", "the contrary")
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
