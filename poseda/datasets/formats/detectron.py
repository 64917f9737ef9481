"""Detectron2's npz, as VideoPose3D's script of inference writes it for a video."""

from __future__ import annotations

from typing import Any

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.pictures import size_of
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import Layout

PERSON = 1
"""Class of people; class 0 is the background."""


def read_detectron(archive: Archive, layout: Layout | None) -> Sightings:
    """``keypoints`` (frames, classes) of (people, 4, J): x, y, logit, probability; ``metadata`` has w and h.

    Raises:
        DataError: if the content is nested otherwise.
    """
    found = Sightings(archive.path, "Detectron2 npz", layout, "number" if layout is None else "flag")
    size = size_of(archive.objects("metadata")) if "metadata" in archive else None
    frames = archive.objects("keypoints")
    if not isinstance(frames.value, np.ndarray) or frames.value.ndim not in (1, 2):
        raise frames.fail("an entry for each frame and class")
    for frame, classes in enumerate(frames.value):
        place = frames.at(f"keypoints[{frame}]")
        people = _people(place, classes)
        for points in people:
            if points.shape[0] not in (3, 4):
                raise place.fail("x, y, logit and probability of each joint", f"shape {points.shape}")
            # The last row is the height of a peak, about 0.15 for hips that are found well.
            joints = np.concatenate([points[:2], np.ones_like(points[:1])])
            found.add(joints.T, place, frame, None, size=size)
    found.warnings.append("Detectron2 scores joints on a scale of its own: every joint counts as seen")
    return found


def _people(place: Field, classes: Any) -> list[np.ndarray]:
    """Tables (4, J) of the people of a frame."""
    if not isinstance(classes, np.ndarray | list) or len(classes) <= PERSON:
        raise place.fail("an entry for each class", None if classes is None else str(type(classes).__name__))
    people = classes[PERSON]
    if people is None or len(people) == 0:
        return []
    return list(place.holding(np.asarray(people)).array(("N", (3, 4), "J"), finite=False))
