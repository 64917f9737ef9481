"""COCO's annotations, and those of data sets in its form: CrowdPose, AIC, PoseTrack, MPII, JHMDB, Halpe."""

from __future__ import annotations

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.keypoints import person_of
from poseda.datasets.formats.picture_order import Pictures, order_pictures
from poseda.datasets.formats.pictures import FRAMES, VIDEOS, size_of
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import Layout

WITHOUT_LABELS = "without a labelled joint"
"""Reason for which an annotation is left out."""


def is_coco_annotations(file: Field) -> bool:
    """COCO's own annotation file."""
    return "annotations" in file and "images" in file


def read_coco_annotations(file: Field, layout: Layout | None) -> Sightings:
    """COCO annotations, which hold the sizes of the pictures and the names of the joints.

    A hidden joint that is labelled (v = 1) counts as seen, because its place is labelled. Videos, or folders
    in the pictures' names, are clips.
    """
    lists = "lists of images and annotations"
    images, items = file["images"].elements(lists), file["annotations"].elements(lists)
    found = Sightings(file.path, "COCO annotations JSON")
    named = None if layout is not None else _category_layout(file["categories"])
    found.layout = layout or named
    found.layout_told_by = "flag" if layout is not None else "names" if named is not None else "number"
    by_id = {image["id"].name(): image for image in images}
    places = _places(file, found, images)
    for item in items:
        picture = item["image_id"]
        if not isinstance(picture.value, str | int) or picture.value not in by_id:
            raise picture.fail("the id of one of the images", str(picture.value)[:40])
        if "keypoints" not in item:
            found.dropped["without keypoints"] += 1
            continue
        person = person_of(item)
        points = person.points
        points[:, 2] = points[:, 2] > 0
        if not points[:, 2].any():
            found.dropped[WITHOUT_LABELS] += 1
            continue
        clip, frame = places[picture.value]
        track = item["track_id"].value
        who = found.number_of(track) if isinstance(track, str) else None
        if who is None and track is not None:
            who = item["track_id"].whole()
        found.add(points, person.place, frame, who, clip, size_of(by_id[picture.value]))
    return found


def _places(file: Field, found: Sightings, images: list[Field]) -> dict[str | int, tuple[int, int]]:
    """Clip and frame of each picture, by its id."""
    ids = [image["id"].name() for image in images]
    videos = [
        next((image[key].name() for key in VIDEOS if image[key].value is not None), None) for image in images
    ]
    if not images:
        return {}
    titles = _titles(file)
    names = [_name(image) for image in images]
    if any(isinstance(name, int) for name in names):
        names = [name if isinstance(name, int) else at for at, name in enumerate(names)]
    order: Pictures = order_pictures(names, [titles.get(video, video) for video in videos])
    found.ordered(order)
    return {
        one: order.place(name, titles.get(video, video))
        for one, name, video in zip(ids, names, videos, strict=True)
    }


def _name(image: Field) -> str | int:
    """What orders a picture within its clip: its number in the video, its file's name, or its id."""
    for key in FRAMES:
        if isinstance(image.value.get(key), int):
            return image[key].whole()
    name = image["file_name"].value
    return name if isinstance(name, str) and name else image["id"].name()


def _titles(file: Field) -> dict[str | int | None, str]:
    """Ids of videos to their names, in the files that list them."""
    videos = file.value.get("videos")
    titles: dict[str | int | None, str] = {}
    for video in file["videos"].elements() if isinstance(videos, list) else []:
        name = next((video.value[key] for key in ("name", "file_name") if key in video), None)
        if "id" in video and isinstance(name, str):
            titles[video["id"].name()] = name
    return titles


def _category_layout(categories: Field) -> Layout | None:
    """The joints that the first category with keypoints names, if one does."""
    for category in categories.elements() if isinstance(categories.value, list) else []:
        names = category.value.get("keypoints") if isinstance(category.value, dict) else None
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            try:
                return layout_of_names(names)
            except ValueError as error:
                raise category["keypoints"].fail("each name once", error) from error
    return None
