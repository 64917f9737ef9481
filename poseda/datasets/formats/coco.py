"""COCO's JSON: results, with AlphaPose's variant of them, and annotations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import LAYOUTS, Layout


def is_coco_results(file: Field) -> bool:
    """A list of objects with an image and flat keypoints: COCO's results, and AlphaPose's."""
    first = file.value[0] if isinstance(file.value, list) and file.value else None
    return isinstance(first, dict) and "image_id" in first and "keypoints" in first


def is_coco_annotations(file: Field) -> bool:
    """COCO's own annotation file."""
    return "annotations" in file and "images" in file


def read_coco_results(file: Field, layout: Layout | None) -> Sightings:
    """COCO results. AlphaPose writes the same, with ``idx`` for the track."""
    alphapose = any(key in file.value[0] for key in ("idx", "box"))
    found = Sightings(file.path, "AlphaPose JSON" if alphapose else "COCO results JSON", layout)
    items = file.elements()
    numbers = picture_numbers([item["image_id"] for item in items])
    people: dict[int, int] = {}
    for item in items:
        frame = numbers[item.value["image_id"]]
        place = people.get(frame, 0)
        people[frame] = place + 1
        keypoints = item["keypoints"]
        found.add(_triples(keypoints), keypoints, frame, track_of(item, place))
    return found


def read_coco_annotations(file: Field, layout: Layout | None) -> Sightings:
    """COCO annotations, which hold the sizes of the pictures and the names of the joints.

    A hidden joint that is labelled (v = 1) counts as seen, because its place is labelled.
    """
    lists = "lists of images and annotations"
    images, items = file["images"].elements(lists), file["annotations"].elements(lists)
    found = Sightings(file.path, "COCO annotations JSON", layout or _category_layout(file["categories"]))
    by_id = {image["id"].name(): image for image in images}
    numbers = picture_numbers([image["id"] for image in images])
    people: dict[Any, int] = {}
    for item in items:
        picture = item["image_id"]
        if not isinstance(picture.value, str | int) or picture.value not in by_id:
            raise picture.fail("the id of one of the images", str(picture.value)[:40])
        if "keypoints" not in item:
            continue
        keypoints = item["keypoints"]
        points = _triples(keypoints)
        points[:, 2] = points[:, 2] > 0
        place = people.get(picture.value, 0)
        people[picture.value] = place + 1
        size = _size(by_id[picture.value])
        found.add(points, keypoints, numbers[picture.value], track_of(item, place), size=size)
    return found


def picture_numbers(names: list[Field]) -> dict[Any, int]:
    """Numbers for pictures: those in their ids or names if all differ, otherwise their order.

    Raises:
        DataError: if a name is neither a number nor text.
    """
    distinct = list(dict.fromkeys(name.name() for name in names))
    written = [_number_in(name) for name in distinct]
    if None in written or len(set(written)) < len(written):
        return {name: index for index, name in enumerate(distinct)}
    return {name: number for name, number in zip(distinct, written, strict=True) if number is not None}


def _number_in(name: str | int) -> int | None:
    if isinstance(name, int):
        return name if abs(name) < 1 << 62 else None
    found = re.findall(r"\d{1,18}", Path(name).stem)
    return int(found[-1]) if found else None


def track_of(item: Field, default: int) -> int:
    """``track_id``, or AlphaPose's ``idx``: a number, or a list of one.

    Raises:
        DataError: if it is not an integer.
    """
    track = item["track_id"] if "track_id" in item else item["idx"]
    if isinstance(track.value, list):
        first = track.value[0] if track.value and not isinstance(track.value[0], list) else None
        track = track.holding(first)
    return default if track.value is None else track.whole()


def _triples(keypoints: Field) -> np.ndarray:
    """(J, 3) from COCO's flat x, y, v, x, y, v …"""
    flat = keypoints.numbers("N")
    if len(flat) % 3:
        raise keypoints.fail("three numbers a joint", f"{len(flat)} numbers")
    return flat.reshape(-1, 3)


def _size(image: Field) -> tuple[float, float] | None:
    if "width" not in image or "height" not in image:
        return None
    width, height = image["width"].whole(), image["height"].whole()
    if width <= 0 or height <= 0:
        raise image["width"].fail("a positive width and height", f"{width} x {height}")
    return float(width), float(height)


def _category_layout(categories: Field) -> Layout | None:
    """The joints that the first category with keypoints names, if one does."""
    for category in categories.elements() if isinstance(categories.value, list) else []:
        names = category.value.get("keypoints") if isinstance(category.value, dict) else None
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            clean = tuple(name.strip().lower().replace(" ", "_") for name in names)
            if clean == LAYOUTS["coco17"].joint_names:
                return LAYOUTS["coco17"]
            try:
                return Layout("the file's own joints", clean)
            except ValueError as error:
                raise category["keypoints"].fail("each name once", error) from error
    return None
