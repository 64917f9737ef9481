"""The pictures of a JSON file, and the people in each, however the tool nests them.

A file is one picture or many; a picture is a list of people, or an object that holds one. People may also
stand in one long list in which each names its picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.keypoints import LANDMARKS, is_person, is_point

CONTAINERS = (
    *("frames", "instance_info", "instances", "people", "predictions", "annots", "pose_results", "poses"),
    *("persons", "bodies", "detections", "annotations", "objects", "results", "pictures", "images", "data"),
)
"""Where a file holds its pictures, or a picture its people."""

FIRM = ("people", "instance_info", "instances", "annots")
"""Containers that are nothing else in any file."""

FRAMES = ("frame_id", "frame_idx", "frame_index", "frame_number", "frameNumber", "frameId", "frame")
"""Where the number of a picture is."""

NAMES = ("image_id", "image_name", "filename", "file_name", "image", "img_name", "img_path", "image_path")
"""Where the name of a picture is."""

VIDEOS = ("video_id", "vid_id", "video_name", "video", "sequence")
"""Where the video of a picture is."""

SIZES = (("image_width", "image_height"), ("img_width", "img_height"))
OWN_SIZES = (("width", "height"), ("w", "h"))
"""Where the size of a picture is. A person's own width and height are those of the box."""

SIZE_PAIRS = ("image_size", "img_size", "resolution")

MOST_POSES = 6
"""MoveNet and PoseNet find at most so many people in a picture."""


@dataclass(frozen=True)
class Picture:
    """People of one picture.

    Args:
        place: of the picture in the file.
        people: their fields, each with joints.
        frame: its number, if the file numbers its pictures.
        name: its name, if the file names its pictures.
        video: what it belongs to.
        size: width and height in pixels.
    """

    place: Field
    people: list[Field] = field(default_factory=list)
    frame: int | None = None
    name: str | int | None = None
    video: str | int | None = None
    size: tuple[float, float] | None = None


def pictures_of(file: Field) -> list[Picture]:
    """Every picture of a file in its order; none if the file holds no people's joints.

    Raises:
        DataError: if a picture's number, name or size is none.
    """
    value, found = file.value, list[Picture]()
    if isinstance(value, list):
        found = _of_list(file)
    elif isinstance(value, dict):
        found = _of_object(file)
    size = size_of(file) if isinstance(value, dict) else None
    return [replace(one, size=size) if one.size is None and size is not None else one for one in found]


def _of_object(file: Field) -> list[Picture]:
    value = file.value
    if is_person(value):
        return [_picture(file, [file])]
    for key in FIRM:
        if key in value and not isinstance(value[key], list | dict | None):
            raise file[key].fail("a list")
    held = [key for key in CONTAINERS if isinstance(value.get(key), list | dict)]
    for key in held:
        inner = file[key]
        if _are_people(inner.value):
            return [_picture(file, _members(inner))]
        if found := pictures_of(inner):
            return found
    landmarks = next((key for key in LANDMARKS if key in value), None)
    if landmarks is not None:
        return [_picture(file, _members(file[landmarks]))]
    if any(key in value for key in CONTAINERS) and all(not value[key] for key in held):
        return [_picture(file, [])]
    entries = file.entries()
    if any("world" in str(key) for key in value):  # metres, not a picture
        return []
    if any(_is_picture(one.value) for _, one in entries) and all(_may_be_picture(v) for v in value.values()):
        return [_named(key, inner) for key, one in entries for inner in _of_one(one)]
    return []


def _of_list(file: Field) -> list[Picture]:
    elements = file.elements()
    first = next((one.value for one in elements if one.value), None)
    if isinstance(first, dict) and is_person(first):
        if any(key in first for key in (*FRAMES, *NAMES)):
            return _by_picture(elements)
        if not any(key in first for key in LANDMARKS) and not _are_frames(first, len(elements)):
            return [Picture(file, [one for one in elements if one.value])]
    if is_point(first):
        return [Picture(file, [file])]
    if isinstance(first, list | dict) and (_is_picture(first) or is_person(first)):
        return [picture for one in elements for picture in _of_one(one)]
    return []


def _of_one(field: Field) -> list[Picture]:
    """The picture that an element of a list of pictures is."""
    value = field.value
    if not value:
        return [Picture(field)]
    if isinstance(value, list):
        return [_of_people(field)]
    if not isinstance(value, dict):
        raise field.fail("a picture")
    landmarks = [key for key in LANDMARKS if key in value]
    if landmarks and not is_person(value):
        return [_picture(field, _members(field[landmarks[0]]))]
    inside = _of_object(field)
    return [_merged(field, inside) if inside else _picture(field, [])]


def _of_people(field: Field) -> Picture:
    """The picture that a list is: a person as a list of points, people, or a picture nested once more."""
    if is_person(field.value):
        return Picture(field, [field])
    people = [one for one in field.elements() if one.value]
    if not people:
        return Picture(field)
    if not is_person(people[0].value):
        return _merged(field, pictures_of(field))
    return replace(_picture(people[0], people), place=field)


def _merged(field: Field, inside: list[Picture]) -> Picture:
    """One picture of an element: a file for each picture may nest it once more."""
    if len(inside) == 1:
        return inside[0]
    return _picture(field, [person for picture in inside for person in picture.people])


def _picture(field: Field, people: list[Field]) -> Picture:
    return Picture(
        field, people, _number(field, FRAMES), _name(field, NAMES), _name(field, VIDEOS), size_of(field)
    )


def _named(key: Any, picture: Picture) -> Picture:
    """A picture under its name or number."""
    if picture.frame is not None or picture.name is not None:
        return picture
    name = str(key)
    return replace(picture, name=int(name) if name.isascii() and name.isdigit() and len(name) < 19 else name)


def _by_picture(people: list[Field]) -> list[Picture]:
    """People who each name their picture."""
    pictures: dict[tuple[Any, Any, Any], Picture] = {}
    for person in people:
        one = _picture(person, [person])
        if one.frame is None and one.name is None:
            raise person.at(f"{person.where}.image_id").fail("an integer or a name")
        pictures.setdefault((one.video, one.frame, one.name), replace(one, people=[])).people.append(person)
    return list(pictures.values())


def _members(field: Field) -> list[Field]:
    """The people of a list, or of an object with a person for each track."""
    if isinstance(field.value, dict):
        return [field] if is_person(field.value) else [one for _, one in field.entries()]
    if isinstance(field.value, list) and field.value and is_point(field.value[0]):
        return [field]
    return [one for one in field.elements("a list of people") if one.value] if field.value else []


def _are_people(value: Any) -> bool:
    """Whether a container holds the people of one picture."""
    members = value.values() if isinstance(value, dict) else value
    first = next((one for one in members if one), None)
    return (
        isinstance(first, dict)
        and is_person(first)
        and not any(key in first for key in (*FRAMES, *NAMES, *LANDMARKS))
    )


def _are_frames(first: dict[str, Any], count: int) -> bool:
    """Whether poses in one list, of points, are those of successive pictures."""
    points = first.get("keypoints")
    if not isinstance(points, list) or not points or not is_point(points[0]):
        return False
    return "visibility" in points[0] or count > MOST_POSES


def _is_picture(value: Any) -> bool:
    if isinstance(value, list):
        return is_person(value) or any(isinstance(one, dict) and _is_picture(one) for one in value[:8])
    return isinstance(value, dict) and (
        is_person(value) or any(key in value for key in (*CONTAINERS, *LANDMARKS))
    )


def _may_be_picture(value: Any) -> bool:
    return not value or _is_picture(value)


def _number(field: Field, keys: tuple[str, ...]) -> int | None:
    for key in keys:
        if isinstance(field.value, dict) and field.value.get(key) is not None:
            value = field.value[key]
            if key == "frame" and isinstance(value, str) and not value.isdigit():
                return None
            if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
                return int(value)
            return field[key].whole()
    return None


def _name(field: Field, keys: tuple[str, ...]) -> str | int | None:
    for key in (*keys, "frame") if keys is NAMES else keys:
        if isinstance(field.value, dict) and field.value.get(key) is not None:
            value = field.value[key]
            return field[key].name() if not isinstance(value, list | dict) else None
    return None


def size_of(field: Field) -> tuple[float, float] | None:
    """The size of a picture, where an object has it.

    Raises:
        DataError: if it is not a positive width and height.
    """
    for pair in _sizes(field):
        width, height = (one.number() for one in pair)
        if not (width > 0 and height > 0):
            raise pair[0].fail("a positive width and height", f"{width:g} x {height:g}")
        return width, height
    return None


def _sizes(field: Field) -> Iterator[tuple[Field, Field]]:
    if not isinstance(field.value, dict):
        return
    for width, height in SIZES if is_person(field.value) else (*SIZES, *OWN_SIZES):
        if isinstance(field.value.get(width), int | float) and height in field.value:
            yield field[width], field[height]
    for key in SIZE_PAIRS:
        pair = field.value.get(key)
        if isinstance(pair, list) and len(pair) == 2:
            yield field[key].at(f"{key}[0]", pair[0]), field[key].at(f"{key}[1]", pair[1])
