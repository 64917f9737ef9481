"""JSON of detectors: COCO results, AlphaPose, OpenPose, MMPose, Sapiens, Ultralytics, MediaPipe and others.

They differ in how they nest pictures (:mod:`poseda.datasets.formats.pictures`) and how they write joints
(:mod:`poseda.datasets.formats.keypoints`). A file may hold a picture, a video or several videos; a folder may
hold a file for each picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.errors import DataError
from poseda.datasets.formats.coco import is_coco_annotations
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_json
from poseda.datasets.formats.keypoints import LANDMARKS, POINTS, Person, bare_points, person_of
from poseda.datasets.formats.nearest import unknown_json
from poseda.datasets.formats.picture_order import order_pictures
from poseda.datasets.formats.pictures import Picture, pictures_of
from poseda.datasets.formats.sightings import Sightings, Size
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import MEDIAPIPE33, OPENPOSE_MPI15, Layout

TRACKS = ("track_id", "tracking_id", "person_id", "personID", "idx", "id_", "person")
"""Where a person's track is. OpenPose writes ``[-1]`` where it did not track. ``person`` is that of the lines
of a stream, and counts where it is a number or a name."""

MOST_NORMALISED = 2.0
"""MediaPipe's landmarks are shares of the picture, and may lie a little outside it."""

A_PICTURE = "the people of one picture, as in the other files"
"""What a file in a folder of pictures should hold."""

WITHOUT_JOINTS = "without joints"
"""Reason for which a detection is left out."""


def read_keypoint_json(file: Field, layout: Layout | None, size: Size | None) -> Sightings | None:
    """Read people's joints of one file, or None if it holds none in a known form.

    Raises:
        DataError: if the content is damaged.
    """
    pictures = _pictures(file)
    if not pictures:
        return None
    return _Reader(file.path, layout, size).read(file.value, pictures)


def read_keypoint_folder(
    path: Path,
    files: Sequence[Path],
    layout: Layout | None,
    size: Size | None,
    bad: dict[str, str] | None = None,
) -> Sightings | None:
    """Read a folder with a file for each picture; None if its files hold something else, or many pictures.

    The pictures are in order of their files' numbers. A picture without people is a gap. Several videos may
    lie in one folder if OpenPose or the like has put a video's name before the numbers.

    Args:
        path: of the folder.
        files: of it.
        layout: given by the user.
        size: of the pictures, given by the user.
        bad: gets the reason for each file that cannot be read, by its path; its picture is a gap. None: such
            a file is refused.

    Raises:
        DataError: if OpenPose's files show nobody, or of a file that is refused.
    """
    pictures, first = dict[Path, Picture](), None
    unreadable, others = dict[str, str](), dict[Path, str]()
    openpose = False
    for file in files:
        content, found = _picture_of(file, bad is None, unreadable)
        if not found and bad is not None:
            unreadable[str(file)] = f"expected {A_PICTURE}, found {_keys(content)}"
            continue
        if len(found) != 1 or is_coco_annotations(content):
            others[file] = "a whole recording" if found else _keys(content)
            continue
        openpose |= isinstance(content.value, dict) and "people" in content.value
        first = content if first is None and found[0].people else first
        pictures[file] = found[0]
    if others and not (openpose and len(others) < len(pictures)):
        return None
    for file, kind in others.items():  # OpenPose writes pictures alone: it is another tool's
        if bad is None:
            raise Field(file).fail(A_PICTURE, f"{kind}; move it elsewhere, or leave out --strict")
        unreadable[str(file)] = f"expected {A_PICTURE}, found {kind}"
    if first is None and openpose and len(pictures) > 1:
        raise Field(path, "detections").fail(f"a person in one of {len(pictures)} pictures", "none")
    if first is None or len(pictures) < 2:
        return None
    if bad is not None:
        pictures, unlike = _of_one_size(pictures)
        bad |= unreadable | unlike
    return _Reader(path, layout, size).read(first.value, _of_a_folder(pictures))


def _keys(content: Field) -> str:
    """What JSON without people holds, in words."""
    return unknown_json(content.value).partition(";")[0]


def _of_one_size(pictures: dict[Path, Picture]) -> tuple[dict[Path, Picture], dict[str, str]]:
    """Pictures with as many joints as most have; the others are gaps, with the reason by path."""
    joints = {file: _joints_of(picture) for file, picture in pictures.items()}
    known = [count for count in joints.values() if count is not None]
    if len(set(known)) < 2:
        return pictures, {}
    usual = max(set(known), key=known.count)
    unlike = {file: count for file, count in joints.items() if count not in (None, usual)}
    kept = {
        file: replace(picture, people=[]) if file in unlike else picture for file, picture in pictures.items()
    }
    return kept, {
        str(file): f"joints: expected {usual} as in most pictures, found {count}"
        for file, count in unlike.items()
    }


def _joints_of(picture: Picture) -> int | None:
    """Number of joints of a picture's first person; None where there is none or it cannot be read."""
    try:
        return len(person_of(picture.people[0]).points) if picture.people else None
    except DataError:
        return None


def _of_a_folder(pictures: dict[Path, Picture]) -> list[Picture]:
    """Pictures with the numbers that they have in their files, else with the names of their files."""
    numbers = [_number(picture) for picture in pictures.values() if picture.people]
    if None not in numbers and len(set(numbers)) == len(numbers) > 1:
        return [replace(picture, frame=_number(picture) or 0) for picture in pictures.values()]
    named = list[Picture]()
    for file, picture in pictures.items():
        stem = re.sub(r"(_keypoints|\.predictions)$", "", file.stem)
        video = re.fullmatch(r"(.+)_\d{12}_keypoints", file.stem)
        named.append(replace(picture, frame=None, name=stem, video=picture.video or (video and video[1])))
    if len({picture.video for picture in named}) == 1:
        named = [replace(picture, video=None) for picture in named]
    return named


def _pictures(file: Field) -> list[Picture]:
    try:
        return pictures_of(file)
    except RecursionError as error:
        raise file.fail("pictures a few levels deep", "hundreds of levels") from error


def _picture_of(file: Path, strict: bool, bad: dict[str, str]) -> tuple[Field, list[Picture]]:
    """Content and pictures of a file; of one that cannot be read, a picture without people."""
    try:
        content = read_json(file)
        found = _pictures(content) if content.value else [Picture(content)]
        for picture in found if len(found) == 1 else []:
            for person in picture.people:
                person_of(person)
    except DataError as error:
        if strict:
            raise
        bad[str(file)] = str(error).removeprefix(f"{file}: ")
        content = Field(file)
        found = [Picture(content)]
    return content, found


class _Reader:
    """What is known of all pictures of a reading.

    Args:
        path: of the file or folder.
        layout: given by the user.
        size: of the pictures, given by the user.
    """

    def __init__(self, path: Path, layout: Layout | None, size: Size | None) -> None:
        self.path, self.layout, self.size = path, layout, size

    def read(self, content: Any, pictures: list[Picture]) -> Sightings:
        """Gather the people of all pictures."""
        found = Sightings(self.path, _format(content, pictures))
        found.rate = _rate(content)
        people = [[person_of(field) for field in picture.people] for picture in pictures]
        everybody = [person for seen in people for person in seen if len(person.points)]
        self._find_layout(found, content, everybody)
        if found.format == "MediaPipe JSON":
            self._in_pixels(pictures, people)
        for (clip, frame), picture, persons in zip(_places(found, pictures), pictures, people, strict=True):
            for field, person in zip(picture.people, persons, strict=True):
                if not len(person.points):
                    found.dropped[WITHOUT_JOINTS] += 1
                    continue
                track = track_of(field)
                who = found.number_of(track) if isinstance(track, str) else track
                found.add(self._ordered(found, person), person.place, frame, who, clip, picture.size)
        return found

    def _find_layout(self, found: Sightings, content: Any, people: list[Person]) -> None:
        """The layout by the user's flag, the joints' names, or the format; else their number decides."""
        self.names = tuple(dict.fromkeys(name for person in people for name in person.names or ()))
        found.layout = self.layout
        if self.layout is not None:
            found.layout_told_by = "flag"
            return
        place = next((person.place for person in people), Field(self.path))
        if names := self.names or _names_of(content):
            try:
                found.layout, found.layout_told_by = layout_of_names(names), "names"
            except ValueError as error:
                raise place.fail("each joint once", error) from error
        elif found.format == "OpenPose JSON" and people and len(people[0].points) == len(OPENPOSE_MPI15):
            found.layout = OPENPOSE_MPI15
        elif found.format == "MediaPipe JSON":
            found.layout, found.layout_told_by = MEDIAPIPE33, "format"
            wrong = next((person for person in people if len(person.points) != len(MEDIAPIPE33)), None)
            if wrong is not None:
                raise wrong.place.fail(f"{len(MEDIAPIPE33)} landmarks", len(wrong.points))

    def _ordered(self, found: Sightings, person: Person) -> np.ndarray:
        """A person's points in the order of the layout; joints that it does not name are unseen."""
        if person.names is None or person.names == self.names:
            return person.points
        at = {name: index for index, name in enumerate(self.names)}
        points = np.full((len(self.names), 3), np.nan)
        points[[at[name] for name in person.names]] = person.points
        return points

    def _in_pixels(self, pictures: list[Picture], people: list[list[Person]]) -> None:
        """MediaPipe divides x by the width and y by the height of the picture.

        Raises:
            DataError: if the size of the picture is unknown.
        """
        tables = [person.points[:, :2] for persons in people for person in persons]
        if not tables or np.nanmedian(np.abs(np.concatenate(tables))) > MOST_NORMALISED:
            return
        for picture, persons in zip(pictures, people, strict=True):
            size = picture.size or (self.size and (float(self.size[0]), float(self.size[1])))
            if size is None and persons:
                raise Field(self.path, "image size").fail("width x height in pixels (--image-size)", "none")
            for person in persons:
                with np.errstate(over="ignore"):  # beyond all numbers is unseen
                    person.points[:, :2] *= size


def _format(content: Any, pictures: list[Picture]) -> str:
    """The tool that writes such a file, for messages."""
    people = [field.value for picture in pictures for field in picture.people]
    person = next((one for one in people if _first_points(one)), people[0] if people else None)
    holder = next((picture.place.value for picture in pictures if picture.people), None)
    keys = set(person) if isinstance(person, dict) else set()
    around = {key for one in (content, holder) if isinstance(one, dict) for key in one}
    points = _first_points(person)
    if keys & {"pose_keypoints_2d", "pose_keypoints"} or "bodies" in around:
        return "OpenPose JSON"
    if "annots" in around:
        return "EasyMocap JSON"
    if isinstance(points, dict) and isinstance(points.get("x"), list):
        return "Ultralytics JSON"
    if keys & set(LANDMARKS) or isinstance(person, list) or _has_depth(points):
        return "MediaPipe JSON"
    if _points_are_objects(points):
        return "TF.js JSON"
    if "image_id" in keys:
        return "AlphaPose JSON" if keys & {"idx", "box"} else "COCO results JSON"
    if "predictions" in around or {"category_id", "bbox"} <= keys:
        return "OpenPifPaf JSON"
    return "MMPose JSON"


def _first_points(person: Any) -> Any:
    """What a person holds as joints."""
    if isinstance(person, dict):
        return next((person[key] for key in POINTS if person.get(key)), bare_points(person))
    return person


def _points_are_objects(points: Any) -> bool:
    first = points[0] if isinstance(points, list) and points else None
    if isinstance(points, dict):
        first = next(iter(points.values()), None)
    return isinstance(first, dict)


def _has_depth(points: Any) -> bool:
    """Whether the points have what MediaPipe alone writes."""
    values = points if isinstance(points, list) else points.values() if isinstance(points, dict) else ()
    first = next(iter(values), None)
    return isinstance(first, dict) and "visibility" in first and not first.keys() & {"score", "confidence"}


def _names_of(content: Any) -> tuple[str, ...]:
    """The joints' names beside the pictures: MMPose's ``meta_info``, or a list of names."""
    if not isinstance(content, dict):
        return ()
    meta = content.get("meta_info")
    for holder in (meta, content):
        if not isinstance(holder, dict):
            continue
        for key in ("keypoint_id2name", "keypoint_names", "joint_names", "keypoints_names", "bodyparts"):
            names = holder.get(key)
            values = list(names.values()) if isinstance(names, dict) else names
            if isinstance(values, list) and values and all(isinstance(name, str) for name in values):
                return tuple(values)
    return ()


def _rate(content: Any) -> float | None:
    """Frames per second, where the file says it."""
    for key in ("fps", "frame_rate", "rate"):
        rate = content.get(key) if isinstance(content, dict) else None
        if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < 1e5:
            return float(rate)
    return None


def _places(found: Sightings, pictures: list[Picture]) -> list[tuple[int, int]]:
    """Clip and frame of each picture."""
    videos = [picture.video for picture in pictures]
    numbers = [_number(picture) for picture in pictures]
    if all(number is not None for number in numbers):
        clips = {video: clip for clip, video in enumerate(dict.fromkeys(videos))}
        found.clip_names |= {clip: str(video) for video, clip in clips.items() if video is not None}
        return [(clips[video], number or 0) for video, number in zip(videos, numbers, strict=True)]
    names = [at if picture.name is None else picture.name for at, picture in enumerate(pictures)]
    if any(picture.name is None for picture in pictures):
        names = list(range(len(pictures)))
    order = order_pictures(names, videos)
    found.ordered(order)
    return [order.place(name, video) for name, video in zip(names, videos, strict=True)]


def _number(picture: Picture) -> int | None:
    """A picture's number: a frame, or an id that is a number."""
    number = picture.name if picture.frame is None else picture.frame
    return number if isinstance(number, int) and abs(number) < 1 << 62 else None


def track_of(field: Field) -> int | str | None:
    """A person's track, a number or a name; None where the file has none.

    Raises:
        DataError: if it is neither.
    """
    person = field.value
    key = next(
        (key for key in TRACKS if isinstance(person, dict) and _may_be_track(key, person.get(key))), None
    )
    if key is None:
        return None
    track = field[key]
    while isinstance(track.value, list):
        if len(track.value) != 1:
            return None
        track = track.holding(track.value[0])
    if track.value is None:
        return None
    if isinstance(track.value, str):
        text = track.value.strip()
        if not (text.isascii() and text.isdigit()):
            return text or None
        track = track.holding(int(text[:18]))
    number = track.whole()
    return number if number >= 0 else None


def _may_be_track(key: str, value: Any) -> bool:
    """Whether a value says who it is. A ``person`` may also be an object, or how sure it is of one."""
    if key != "person":
        return value is not None
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    return whole or isinstance(value, str)
