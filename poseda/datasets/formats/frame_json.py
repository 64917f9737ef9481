"""JSON of detectors that write frames: OpenPose's file a frame, MediaPipe's landmarks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.keypoint_json import mmpose_points
from poseda.datasets.formats.text import Sightings, fail, numbers, read_json, record, whole
from poseda.datasets.layouts import BODY_25, MEDIAPIPE33, Layout

LANDMARK_KEYS = ("landmarks", "pose_landmarks", "poseLandmarks")
"""Names under which a MediaPipe frame holds its landmarks (Python's and JavaScript's results)."""


def is_openpose(content: Any) -> bool:
    """One frame of OpenPose's --write_json."""
    return isinstance(content, dict) and "people" in content


def is_mediapipe(content: Any) -> bool:
    """Frames with landmarks, a list of them or under ``frames``."""
    frames = content.get("frames") if isinstance(content, dict) and "frames" in content else content
    return isinstance(frames, list) and any(_landmarks(frame) is not None for frame in frames[:1000])


def _landmarks(frame: Any) -> Any:
    """The landmarks of a frame: under a name, or the frame itself where it is a list of points."""
    if isinstance(frame, dict):
        return next((frame[key] for key in LANDMARK_KEYS if key in frame), None)
    first = frame[0] if isinstance(frame, list) and frame else None
    while isinstance(first, list) and first:
        first = first[0]
    return frame if isinstance(first, dict) and "x" in first else None


def read_openpose(path: Path, files: list[Path], layout: Layout | None) -> Sightings:
    """A folder of ``NAME_000000000012_keypoints.json`` files, a video for each NAME, or one such file."""
    found = Sightings(path, "OpenPose JSON", layout)
    videos: dict[str, int] = {}
    for at, file in enumerate(files):
        match = re.fullmatch(r"(.*?)_?(\d{1,18})(?:_keypoints)?", file.stem)
        video, frame = (match[1], int(match[2])) if match else ("", at)
        clip = videos.setdefault(video, len(videos))
        people = record(file, "file", read_json(file)).get("people")
        if not isinstance(people, list):
            raise fail(file, "people", "a list", type(people).__name__)
        for place, person in enumerate(people):
            where = f"people[{place}].pose_keypoints_2d"
            flat = numbers(file, where, record(file, where, person).get("pose_keypoints_2d"), (-1,))
            if len(flat) != 3 * len(layout or BODY_25):
                raise fail(file, where, f"{3 * len(layout or BODY_25)} numbers", f"{len(flat)}")
            found.add(flat.reshape(-1, 3), where, frame, _person(person, place), clip)
    return found


def _person(person: dict[str, Any], place: int) -> int:
    """OpenPose writes ``person_id: [-1]`` where it did not track."""
    told = person.get("person_id", [-1])
    number = told[0] if isinstance(told, list) and told else told
    return int(number) if isinstance(number, int) and 0 <= number < 1 << 62 else place


def read_mediapipe(
    path: Path, content: Any, layout: Layout | None, image_size: tuple[int, int] | None
) -> Sightings:
    """MediaPipe Pose has no file format of its own; this is the one accepted.

    A list of frames, or ``{"image_width": …, "image_height": …, "frames": […]}``. A frame is a list of 33
    landmarks ``{"x", "y", "visibility"}`` in MediaPipe's order, or an object that holds it under
    ``landmarks``, ``pose_landmarks`` or ``poseLandmarks`` (a list of such lists for several people; null
    or empty where nobody was found) and may number itself with ``frame``. x and y are normalised by width
    and height, as MediaPipe gives them; the size of the picture turns them into pixels.
    """
    frames = content
    if isinstance(content, dict):
        frames = content["frames"]
        if "image_width" in content or "image_height" in content:
            width, height = (whole(path, key, content.get(key)) for key in ("image_width", "image_height"))
            image_size = (width, height)
    if image_size is None or min(image_size) <= 0:
        raise fail(path, "image size", "width x height in pixels (--image-size)", "none")
    found = Sightings(path, "MediaPipe JSON", layout or MEDIAPIPE33)
    for at, frame in enumerate(frames):
        number = frame.get("frame", at) if isinstance(frame, dict) else at
        number = whole(path, f"[{at}].frame", number)
        people = _landmarks(frame) or []
        if not isinstance(people, list):
            raise fail(path, f"[{at}]", "a list of landmarks", type(people).__name__)
        if people and isinstance(people[0], dict):
            people = [people]
        for place, landmarks in enumerate(people):
            where = f"[{at}].landmarks"
            points = _points(path, where, landmarks) * [*image_size, 1]
            found.add(points, where, number, place, size=(float(image_size[0]), float(image_size[1])))
    return found


def _points(path: Path, where: str, landmarks: Any) -> np.ndarray:
    """(33, 3) of one person's landmarks."""
    if not isinstance(landmarks, list):
        raise fail(path, where, "a list of landmarks", type(landmarks).__name__)
    rows = []
    for joint, landmark in enumerate(landmarks):
        landmark = record(path, f"{where}[{joint}]", landmark)
        rows.append([landmark.get("x"), landmark.get("y"), landmark.get("visibility", 1.0)])
    return numbers(path, where, rows, (len(MEDIAPIPE33), 3))


def read_mmpose_pictures(path: Path, files: list[Path], layout: Layout | None) -> Sightings:
    """A folder that MMPose filled with a file a picture: the pictures, in order of name, are the frames."""
    found = Sightings(path, "MMPose JSON", layout)
    for frame, file in enumerate(files):
        content = read_json(file)
        if not isinstance(content, list):
            raise fail(file, "file", "a list of instances", type(content).__name__)
        for place, instance in enumerate(content):
            found.add(mmpose_points(file, f"[{place}]", instance), f"[{place}]", frame, place)
    return found
