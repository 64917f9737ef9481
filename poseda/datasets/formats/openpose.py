"""OpenPose's JSON: a file for each frame."""

from __future__ import annotations

import re
from pathlib import Path

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_json
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.layouts import BODY_25, Layout


def is_openpose(file: Field) -> bool:
    """One frame of OpenPose's --write_json."""
    return "people" in file


def read_openpose(path: Path, files: list[Path], layout: Layout | None) -> Sightings:
    """A folder of ``NAME_000000000012_keypoints.json`` files, a video for each NAME, or one such file."""
    found, joints = Sightings(path, "OpenPose JSON", layout), len(layout or BODY_25)
    videos: dict[str, int] = {}
    for at, file in enumerate(files):
        match = re.fullmatch(r"(.*?)_?(\d{1,18})(?:_keypoints)?", file.stem)
        video, frame = (match[1], int(match[2])) if match else ("", at)
        clip = videos.setdefault(video, len(videos))
        for place, person in enumerate(read_json(file)["people"].elements()):
            keypoints = person["pose_keypoints_2d"]
            flat = keypoints.numbers("N")
            if len(flat) != 3 * joints:
                raise keypoints.fail(f"{3 * joints} numbers", f"{len(flat)}")
            found.add(flat.reshape(-1, 3), keypoints, frame, _track(person, place), clip)
    return found


def _track(person: Field, place: int) -> int:
    """OpenPose writes ``person_id: [-1]`` where it did not track."""
    given = person.get("person_id", [-1]).value
    number = given[0] if isinstance(given, list) and given else given
    return int(number) if isinstance(number, int) and 0 <= number < 1 << 62 else place
