"""JSON of MMPose and RTMPose: predictions for a video, for a picture, or for a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.coco import track_of
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_json
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import LAYOUTS, Layout


def is_mmpose(file: Field) -> bool:
    """What MMPose writes for a video (frames of instances) or a picture (instances)."""
    frames = file.value.get("instance_info") if isinstance(file.value, dict) else file.value
    first = frames[0] if isinstance(frames, list) and frames else None
    return isinstance(first, dict) and ("instances" in first or "keypoint_scores" in first)


def is_mmpose_picture(file: Field) -> bool:
    """What MMPose writes for one picture: a list of instances."""
    return is_mmpose(file) and isinstance(file.value, list) and "keypoints" in file.value[0]


def read_mmpose(file: Field, layout: Layout | None) -> Sightings:
    """Predictions of MMPose's inferencer and demo scripts, a video's or a picture's."""
    frames = file
    if isinstance(file.value, dict):
        frames, layout = file["instance_info"], layout or _meta_layout(file["meta_info"].value)
    found = Sightings(file.path, "MMPose JSON", layout)
    if "instances" not in frames.value[0]:
        _add_instances(found, frames, 0)
        return found
    for at, frame in enumerate(frames.elements()):
        number = frame.get("frame_id", at).whole()
        _add_instances(found, frame["instances"], number)
    return found


def read_mmpose_pictures(path: Path, files: list[Path], layout: Layout | None) -> Sightings:
    """A folder with a file a picture, as MMPose fills it; the pictures in order of name are the frames."""
    found = Sightings(path, "MMPose JSON", layout)
    for frame, file in enumerate(files):
        _add_instances(found, read_json(file), frame)
    return found


def _add_instances(found: Sightings, instances: Field, frame: int) -> None:
    for place, instance in enumerate(instances.elements("a list of instances")):
        keypoints = instance["keypoints"]
        points = keypoints.numbers(("N", 2))
        scores = instance.get("keypoint_scores", [1.0] * len(points)).numbers((len(points),))
        joints = np.concatenate([points, scores[:, None]], -1)
        found.add(joints, keypoints, frame, track_of(instance, place))


def _meta_layout(meta: Any) -> Layout | None:
    """The joints' names in MMPose's ``meta_info``, where a script saved it."""
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict):
        return None
    clean = tuple(str(name) for name in names.values())
    if clean == LAYOUTS["coco17"].joint_names:
        return LAYOUTS["coco17"]
    # MMPose's names of Halpe's joints differ from ours, so their number decides the layout.
    if len(clean) in (26, 133) or len(set(clean)) != len(clean):
        return None
    return Layout("the file's own joints", clean)
