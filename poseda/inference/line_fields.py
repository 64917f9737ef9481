"""What a line of a stream says: whether joints have confidences, who it is, and when."""

from __future__ import annotations

from pathlib import Path

from poseda.datasets.formats.field import Field, kind
from poseda.datasets.formats.keypoint_json import TRACKS
from poseda.datasets.formats.keypoints import POINTS, SCORES
from poseda.datasets.formats.sightings import Sightings

STDIN = Path("stdin")
"""Name of the input in messages."""

USED = {
    *(*POINTS, *SCORES, *TRACKS, "score", "person", "frame", "frame_id", "image_width", "image_height"),
    *("joint_names", "keypoint_names", "meta_info"),
}
"""Fields of a line that are used."""


def refuse_empty(content: Field) -> None:
    """Say what stands where the joints of a person should be.

    Raises:
        DataError: if something does.
    """
    name = next((name for name in POINTS if name in content), None)
    if name is not None:
        joints = content[name]
        shown = {"None": "null", "[]": "an empty list", "{}": "an empty object"}.get(repr(joints.value))
        wanted = "the joints of one person, [[x, y, confidence], …]"
        raise joints.fail(wanted, shown or kind(joints.value))


def person_of(content: Field, found: Sightings) -> str | int:
    """Who it is: ``person``, or a track as detectors write it."""
    if content.get("person").value is not None:
        return content["person"].name()
    track = found.rows[0][1]
    return 0 if track < 0 else track


def frame_of(content: Field, number: int) -> int:
    """The frame's number: as the line says, or that of the line."""
    name = "frame" if "frame" in content else "frame_id"
    return content.get(name, number - 1).whole()


def has_confidences(content: Field) -> bool:
    """Whether the joints have confidences of their own."""
    if any(isinstance(content.value.get(name), list) for name in SCORES):
        return True
    points = next((content.value[name] for name in POINTS if name in content), None)
    first = points[0] if isinstance(points, list) and points else points
    return not (isinstance(first, list) and len(first) == 2)
