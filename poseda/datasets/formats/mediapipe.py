"""JSON of MediaPipe Pose (BlazePose): frames of landmarks."""

from __future__ import annotations

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.layouts import MEDIAPIPE33, Layout

LANDMARK_KEYS = ("landmarks", "pose_landmarks", "poseLandmarks")
"""Names under which a frame holds its landmarks, in Python's and JavaScript's results."""

LOOKED_AT = 1000
"""Frames in which landmarks are looked for before the file counts as another format."""


def is_mediapipe(file: Field) -> bool:
    """Frames with landmarks: a list of them, or one under ``frames``."""
    frames = _frames(file)
    return isinstance(frames.value, list) and any(
        _landmarks(frames.at("", frame)) is not None for frame in frames.value[:LOOKED_AT]
    )


def read_mediapipe(file: Field, layout: Layout | None, image_size: Size | None) -> Sightings:
    """MediaPipe Pose has no file format of its own; this one is accepted.

    A list of frames, or ``{"image_width": …, "image_height": …, "frames": […]}``. A frame is a list of 33
    landmarks ``{"x", "y", "visibility"}`` in MediaPipe's order. Or it is an object with that list under
    ``landmarks``, ``pose_landmarks`` or ``poseLandmarks``, and may hold its number as ``frame``. Several
    people are a list of such lists; null or an empty list means no person. MediaPipe divides x and y by width
    and height, so the size of the picture turns them into pixels.
    """
    if "image_width" in file or "image_height" in file:
        image_size = (file["image_width"].whole(), file["image_height"].whole())
    if image_size is None or min(image_size) <= 0:
        raise file.at("image size").fail("width x height in pixels (--image-size)", "none")
    found = Sightings(file.path, "MediaPipe JSON", layout or MEDIAPIPE33)
    for at, frame in enumerate(_frames(file).elements()):
        number = frame["frame"].whole() if "frame" in frame else at
        for place, person in enumerate(_people(frame)):
            points = _points(person) * [*image_size, 1]
            found.add(points, person, number, place, size=(float(image_size[0]), float(image_size[1])))
    return found


def _frames(file: Field) -> Field:
    return file.at("frames", file.value["frames"]) if "frames" in file else file


def _landmarks(frame: Field) -> Field | None:
    """The landmarks of a frame: under a name, or the frame itself where it is a list of points."""
    if isinstance(frame.value, dict):
        return next((frame[key] for key in LANDMARK_KEYS if key in frame), None)
    first = frame.value[0] if isinstance(frame.value, list) and frame.value else None
    while isinstance(first, list) and first:
        first = first[0]
    return frame if isinstance(first, dict) and "x" in first else None


def _people(frame: Field) -> list[Field]:
    """The landmarks of each person of a frame."""
    landmarks = _landmarks(frame)
    if landmarks is None or not landmarks.value:
        return []
    people = landmarks.elements("a list of landmarks")
    return [landmarks] if isinstance(people[0].value, dict) else people


def _points(person: Field) -> np.ndarray:
    """(33, 3) of x, y and visibility."""
    landmarks = [landmark.record() for landmark in person.elements("a list of landmarks")]
    if len(landmarks) != len(MEDIAPIPE33):
        raise person.fail(f"{len(MEDIAPIPE33)} landmarks", len(landmarks))
    rows = [[point.get("x"), point.get("y"), point.get("visibility", 1.0)] for point in landmarks]
    return person.holding(rows).numbers((len(MEDIAPIPE33), 3))
