"""The clips that a run keeps for its report: what they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.joint_map import JointMap
from poseda.datasets.target import Target, TargetOptions, read_target
from poseda.evaluation.viewed_clips import clip_names
from poseda.geometry.skeleton import H36M16

FRAMES = 12


def read(*paths: Path) -> Target:
    options = TargetOptions(H36M16, [(640, 480)], [], [], 0.3, "h36m16", "all", JointMap.of(None), False)
    return read_target(paths, options)


def names_of(target: Target) -> list[str]:
    found = clip_names(target.poses, list(target.accounts.values()))
    return [found[clip] for clip in sorted(set(target.poses.clip.tolist()))]


def write(path: Path, people: int = 1, unseen: int | None = None) -> Path:
    """A recording of people whose track numbers begin at 4; of one of them nothing is seen."""
    rng = np.random.default_rng(0)
    items: list[dict[str, Any]] = []
    for frame in range(FRAMES):
        for person in range(people):
            points = np.concatenate([rng.uniform(100, 400, (16, 2)), np.ones((16, 1))], 1)
            points[:, 2] = person != unseen
            name = {"image_id": f"{frame}.jpg", "track_id": 4 + person, "category_id": 1, "score": 1.0}
            items.append(name | {"keypoints": points.ravel().tolist()})
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(items))
    return path


def test_a_clip_has_the_name_of_its_recording_from_one_path_and_from_several(tmp_path: Path) -> None:
    walk, run = write(tmp_path / "walk.json"), write(tmp_path / "run.json")
    assert names_of(read(walk)) == ["walk"]
    assert names_of(read(walk, run)) == ["walk", "run"]


def test_people_of_a_recording_are_counted(tmp_path: Path) -> None:
    pair = write(tmp_path / "pair.json", people=2)
    assert names_of(read(pair)) == ["pair, person 1 of 2", "pair, person 2 of 2"]
    assert names_of(read(pair, write(tmp_path / "alone.json"))) == [
        "pair, person 1 of 2",
        "pair, person 2 of 2",
        "alone",
    ]


def test_where_somebody_is_never_seen_the_recording_alone_is_named(tmp_path: Path) -> None:
    assert names_of(read(write(tmp_path / "pair.json", people=3, unseen=1))) == ["pair", "pair"]


def test_clips_of_data_without_names_have_none(tmp_path: Path) -> None:
    target = read(write(tmp_path / "walk.json"))
    assert clip_names(target.poses, []) == {}
