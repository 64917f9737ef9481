"""VideoPose3D's npz files: nested dicts of subjects and actions, and the 2D poses of its data_2d_*.npz."""

from __future__ import annotations

from typing import Any

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.pictures import size_of
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import LAYOUTS, Layout

LAYOUT_NAMES = {"coco": "coco17", "h36m": "h36m17"}
"""VideoPose3D's names of layouts, and ours."""


def read_videopose3d_2d(
    archive: Archive, layout: Layout | None, subjects: tuple[str, ...] | None
) -> Sightings:
    """``positions_2d``: subject → action → a (N, J, 2) array of pixels for each camera.

    ``metadata`` may name the layout, and have the width and height of each video.
    """
    metadata = archive.objects("metadata") if "metadata" in archive else None
    named = None if metadata is None else _metadata_layout(metadata)
    found = Sightings(archive.path, "VideoPose3D 2D npz", layout or named)
    found.layout_told_by = "flag" if layout is not None else "names" if named is not None else "number"
    clip = 0
    for subject, action, cameras in actions_of(archive.objects("positions_2d"), subjects):
        if not isinstance(cameras.value, list | tuple | np.ndarray):
            raise cameras.fail("a list of cameras")
        size = None if metadata is None else _video_size(metadata, subject)
        for number, poses in enumerate(cameras.value):
            place = cameras.at(f"{cameras.where}[{number}]", poses)
            table = place.array(("N", "J", (2, 3)), finite=False)
            if table.shape[2] == 2:
                table = np.concatenate([table, np.ones_like(table[..., :1])], -1)
            for frame, points in enumerate(table):
                found.add(points, place, frame, 0, clip, size)
            found.clip_names[clip] = _title(subject, action, number if len(cameras.value) > 1 else None)
            clip += 1
    return found


def _title(subject: Any, action: Any, camera: int | None) -> str:
    """A clip's name. Scripts for one's own videos name the only action "custom"."""
    words = [str(subject), *([] if action == "custom" else [str(action)])]
    return "/".join([*words, *([] if camera is None else [f"camera {camera}"])])


def _video_size(metadata: Field, subject: Any) -> tuple[float, float] | None:
    """The size of a video that ``metadata.video_metadata`` gives."""
    videos = metadata.get("video_metadata", metadata.value)
    entry = videos.value.get(subject) if isinstance(videos.value, dict) else None
    return size_of(videos.at(f"{videos.where}[{subject}]", entry))


def actions_of(positions: Field, subjects: tuple[str, ...] | None) -> list[tuple[Any, Any, Field]]:
    """Subject, name and content of each action in VideoPose3D's nested dicts, of the subjects asked for.

    Raises:
        DataError: if the dicts are nested otherwise, or a subject is missing.
    """
    by_subject = dict(positions.entries("a dict of subjects"))
    if not by_subject:
        raise positions.fail("a dict of subjects", "an empty one")
    for subject in subjects or ():
        if subject not in by_subject:
            raise positions.fail(f"subject {subject}", ", ".join(map(str, by_subject))[:80])
    return [
        (subject, name, action)
        for subject in subjects or by_subject
        for name, action in by_subject[subject].entries("a dict of actions")
    ]


def _metadata_layout(metadata: Field) -> Layout | None:
    name = str(metadata["layout_name"].value) if "layout_name" in metadata else ""
    return LAYOUTS.get(LAYOUT_NAMES.get(name, name))
