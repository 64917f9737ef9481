"""JSON files of whole recordings: COCO (results, annotations), AlphaPose/Halpe, MMPose/RTMPose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.text import Sightings, fail, numbers, record, whole
from poseda.datasets.layouts import LAYOUTS, Layout


def is_coco_results(content: Any) -> bool:
    """A list of objects with an image and flat keypoints: COCO's results, and AlphaPose's."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and "image_id" in first and "keypoints" in first


def is_coco_annotations(content: Any) -> bool:
    """COCO's own annotation file."""
    return isinstance(content, dict) and "annotations" in content and "images" in content


def is_mmpose(content: Any) -> bool:
    """What MMPose writes for a video (frames of instances) or a picture (instances)."""
    frames = content.get("instance_info") if isinstance(content, dict) else content
    first = frames[0] if isinstance(frames, list) and frames else None
    return isinstance(first, dict) and ("instances" in first or "keypoint_scores" in first)


def _triples(path: Path, where: str, value: Any) -> np.ndarray:
    """(J, 3) from COCO's flat x, y, v, x, y, v …"""
    flat = numbers(path, where, value, (-1,))
    if len(flat) % 3:
        raise fail(path, where, "three numbers a joint", f"{len(flat)} numbers")
    return flat.reshape(-1, 3)


class _Pictures:
    """Numbers for pictures: those in their names or ids, where they are all different, else their order."""

    def __init__(self, names: list[Any], path: Path) -> None:
        for name in names:
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise fail(path, "image_id", "a number or a name", type(name).__name__)
        distinct = list(dict.fromkeys(names))
        told = [self._told(name) for name in distinct]
        numbered = [at if number is None else number for at, number in enumerate(told)]
        usable = None not in told and len(set(told)) == len(told)
        self.number: dict[Any, int] = {
            name: (numbered[at] if usable else at) for at, name in enumerate(distinct)
        }

    @staticmethod
    def _told(name: str | int) -> int | None:
        if isinstance(name, int):
            return name if abs(name) < 1 << 62 else None
        found = re.findall(r"\d{1,18}", Path(name).stem)
        return int(found[-1]) if found else None


def _track(path: Path, where: str, item: dict[str, Any], default: int) -> int:
    """``track_id``, or AlphaPose's ``idx``, a number or a list of one."""
    value = item.get("track_id", item.get("idx"))
    if isinstance(value, list):
        value = value[0] if value and not isinstance(value[0], list) else None
    return default if value is None else whole(path, f"{where}.idx", value)


def read_coco_results(path: Path, content: Any, layout: Layout | None) -> Sightings:
    """COCO results, or AlphaPose's file, which is the same with ``idx`` for the track."""
    alpha = any(key in content[0] for key in ("idx", "box"))
    found = Sightings(path, "AlphaPose JSON" if alpha else "COCO results JSON", layout)
    items = [record(path, f"[{at}]", item) for at, item in enumerate(content)]
    pictures = _Pictures([item.get("image_id") for item in items], path)
    seen: dict[int, int] = {}
    for at, item in enumerate(items):
        frame = pictures.number[item.get("image_id")]
        place = seen.get(frame, 0)
        seen[frame] = place + 1
        points = _triples(path, f"[{at}].keypoints", item.get("keypoints"))
        found.add(points, f"[{at}].keypoints", frame, _track(path, f"[{at}]", item, place))
    return found


def read_coco_annotations(path: Path, content: Any, layout: Layout | None) -> Sightings:
    """COCO annotations: sizes of the pictures and names of the joints come with them.

    A joint labelled but hidden (v = 1) has its place labelled all the same: it counts as seen.
    """
    images, items = content["images"], content["annotations"]
    if not isinstance(images, list) or not isinstance(items, list):
        raise fail(path, "images", "lists of images and annotations", type(images).__name__)
    found = Sightings(path, "COCO annotations JSON", layout or _category_layout(path, content))
    by_id: dict[Any, dict[str, Any]] = {}
    for at, image in enumerate(images):
        key = record(path, f"images[{at}]", image).get("id")
        if not isinstance(key, str | int):
            raise fail(path, f"images[{at}].id", "a number or a name", type(key).__name__)
        by_id[key] = image
    pictures = _Pictures(list(by_id), path)
    seen: dict[Any, int] = {}
    for at, item in enumerate(items):
        where = f"annotations[{at}]"
        picture = record(path, where, item).get("image_id")
        if not isinstance(picture, str | int) or picture not in by_id:
            raise fail(path, f"{where}.image_id", "the id of one of the images", str(picture)[:40])
        if "keypoints" not in item:
            continue
        points = _triples(path, f"{where}.keypoints", item["keypoints"])
        points[:, 2] = points[:, 2] > 0
        place = seen.get(picture, 0)
        seen[picture] = place + 1
        person = _track(path, where, item, place)
        size = _size(path, by_id[picture])
        found.add(points, f"{where}.keypoints", pictures.number[picture], person, size=size)
    return found


def _size(path: Path, image: dict[str, Any]) -> tuple[float, float] | None:
    if "width" not in image or "height" not in image:
        return None
    width, height = (whole(path, f"images.{key}", image[key]) for key in ("width", "height"))
    if width <= 0 or height <= 0:
        raise fail(path, "images.width", "a positive width and height", f"{width} x {height}")
    return float(width), float(height)


def _category_layout(path: Path, content: dict[str, Any]) -> Layout | None:
    """The joints that the file's first category with keypoints names, if it does."""
    categories = content.get("categories")
    for category in categories if isinstance(categories, list) else []:
        names = category.get("keypoints") if isinstance(category, dict) else None
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            clean = tuple(name.strip().lower().replace(" ", "_") for name in names)
            if clean == LAYOUTS["coco17"].joint_names:
                return LAYOUTS["coco17"]
            try:
                return Layout("the file's own joints", clean)
            except ValueError as error:
                raise fail(path, "categories.keypoints", "names once each", error) from error
    return None


def read_mmpose(path: Path, content: Any, layout: Layout | None) -> Sightings:
    """Predictions of MMPose's inferencer and demo scripts, a video's or a picture's."""
    frames = content
    if isinstance(content, dict):
        frames, layout = content["instance_info"], layout or _meta_layout(content.get("meta_info"))
    found = Sightings(path, "MMPose JSON", layout)
    if "instances" not in record(path, "[0]", frames[0]):
        frames = [{"frame_id": 0, "instances": frames}]
    for at, frame in enumerate(frames):
        where = f"[{at}]"
        number = whole(path, f"{where}.frame_id", record(path, where, frame).get("frame_id", at))
        instances = frame.get("instances")
        if not isinstance(instances, list):
            raise fail(path, f"{where}.instances", "a list", type(instances).__name__)
        for place, instance in enumerate(instances):
            points = mmpose_points(path, f"{where}.instances[{place}]", instance)
            person = _track(path, f"{where}.instances[{place}]", instance, place)
            found.add(points, f"{where}.instances[{place}]", number, person)
    return found


def mmpose_points(path: Path, where: str, instance: Any) -> np.ndarray:
    """(J, 3) of one instance.

    Raises:
        DataError: if keypoints and scores do not agree.
    """
    instance = record(path, where, instance)
    points = numbers(path, f"{where}.keypoints", instance.get("keypoints"), (-1, 2))
    scores = instance.get("keypoint_scores", [1.0] * len(points))
    scores = numbers(path, f"{where}.keypoint_scores", scores, (len(points),))
    return np.concatenate([points, scores[:, None]], -1)


def _meta_layout(meta: Any) -> Layout | None:
    """The joints' names in MMPose's ``meta_info``, where a script saved it."""
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict):
        return None
    clean = tuple(str(name) for name in names.values())
    for known in (LAYOUTS["coco17"],):
        if clean == known.joint_names:
            return known
    if len(clean) in (26, 133) or len(set(clean)) != len(clean):
        return None  # told by number: MMPose's names for Halpe's joints differ from ours
    return Layout("the file's own joints", clean)
