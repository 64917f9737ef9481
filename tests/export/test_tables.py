"""npz, JSON and CSV: what another program needs to know stands in the file, rounded to what is known."""

from __future__ import annotations

import csv
import doctest
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from lifted import lifted

from poseda.export import BoneLengths, LiftedPoses, angles, read_poses, write, write_poses
from poseda.geometry.skeleton import H36M16


@pytest.fixture
def poses() -> LiftedPoses:
    """Four frames of a wide lifter: the third is a gap, in the second a wrist is unseen."""
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(4, 16, 3))
    pose[2] = np.nan
    seen = np.ones((4, 16), bool)
    seen[1, H36M16.joint("left_wrist")] = False
    return lifted(
        pose,
        H36M16,
        frame=np.arange(10, 14),
        visible=seen,
        error=np.where(np.isnan(pose[..., 0]), np.nan, 0.0333333).astype(np.float32),
        clip_names={0: 'a "kitchen", 1'},
        arm="wide",
        camera="field of view 60 degrees, as given",
        image_size={0: (1280, 720)},
        up={0: (0.0, -1.0, 0.0)},
    )


def test_a_csv_says_time_unit_arm_camera_and_of_each_joint_whether_it_was_seen_and_how_far_off_it_may_be(
    tmp_path: Path, poses: LiftedPoses
) -> None:
    write_poses(tmp_path / "o.csv", poses)
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    assert [row["time"] for row in rows] == ["0.4000", "0.4400", "0.4800", "0.5200"]
    assert {row["unit"] for row in rows} == {"m"} and {row["arm"] for row in rows} == {"wide"}
    assert rows[0]["camera"] == poses.camera and rows[0]["clip_name"] == 'a "kitchen", 1'
    assert [row["left_wrist_seen"] for row in rows] == ["1", "0", "1", "1"]
    assert rows[0]["left_wrist_error"] == "0.0333" and rows[2]["left_wrist_error"] == ""
    assert rows[0]["left_wrist_x"] == f"{poses.pose_3d[0, H36M16.joint('left_wrist'), 0]:.4f}"
    assert rows[2]["left_wrist_x"] == "" and rows[2]["valid"] == "0"


def test_json_says_the_same_once_and_by_frame(tmp_path: Path, poses: LiftedPoses) -> None:
    write_poses(tmp_path / "o.json", poses)
    found = json.loads((tmp_path / "o.json").read_text())
    frames = found.pop("frames")
    assert found == {
        "format": "poseda lift", "unit": "m", "rate": 25.0, "rate_assumed": False, "skeleton": "h36m16",
        "arm": "wide", "camera": poses.camera, "made_up": {},
    }  # fmt: skip
    assert frames[1]["time"] == 0.44 and frames[1]["clip_name"] == 'a "kitchen", 1'
    assert "left_wrist" not in frames[1]["seen"] and "left_wrist" in frames[0]["seen"]
    assert frames[1]["unseen"] == ["left_wrist"] and frames[0]["unseen"] == []
    assert frames[0]["error"]["left_wrist"] == 0.0333 and frames[2]["error"] is None
    assert all(round(x, 4) == x for place in frames[0]["pose_3d"].values() for x in place)


def test_made_up_joints_are_neither_seen_nor_unseen(tmp_path: Path, poses: LiftedPoses) -> None:
    made = replace(poses, made_up={"pelvis": "mean of left_hip, right_hip", "spine": "mean of hips and neck"})
    for ending in ("csv", "json", "npz"):
        write_poses(tmp_path / f"o.{ending}", made)
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    assert {row["pelvis_seen"] for row in rows} == {""} and rows[0]["left_hip_seen"] == "1"
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["made_up"] == made.made_up
    for frame in found["frames"]:
        parts = [*frame["seen"], *frame["unseen"], *found["made_up"]]
        assert sorted(parts) == sorted(H36M16.joint_names)
    assert read_poses(tmp_path / "o.npz").made_up == made.made_up


def test_without_errors_tables_have_no_column_of_them(tmp_path: Path, poses: LiftedPoses) -> None:
    silent = replace(poses, error=None)
    for ending in ("csv", "json"):
        write_poses(tmp_path / f"o.{ending}", silent)
        assert "error" not in (tmp_path / f"o.{ending}").read_text()


def test_npz_says_where_up_is_and_how_large_the_pictures_are(tmp_path: Path, poses: LiftedPoses) -> None:
    write_poses(tmp_path / "o.npz", poses)
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["up"].tolist() == [[0, -1, 0]] and arrays["image_size"].tolist() == [[1280, 720]]
        assert str(arrays["arm"]) == "wide" and str(arrays["camera"]) == poses.camera
        assert np.allclose(arrays["time"], [0.4, 0.44, 0.48, 0.52])


@pytest.mark.parametrize("module", [angles, write], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted >= 3 and result.failed == 0


def test_lengths_of_bones_stand_in_npz_and_json_by_person_and_bone(
    tmp_path: Path, poses: LiftedPoses
) -> None:
    groups = H36M16.num_groups
    metres = np.linspace(0.1, 0.5, groups, dtype=np.float32)[None]
    one, unknown = np.array([0]), np.full((1, groups), np.nan, np.float32)
    told = BoneLengths(one, one, metres, unknown, np.float32([1.7]), np.float32([np.nan]), "found")
    measured = replace(poses, lengths=told)
    write_poses(tmp_path / "o.npz", measured)
    read = read_poses(tmp_path / "o.npz").lengths
    assert read is not None and read.told_by == "found" and read.people() == [(0, 0)]
    for name in ("metres", "error", "height", "height_error"):
        assert np.array_equal(getattr(read, name), getattr(told, name), equal_nan=True)
    with np.load(tmp_path / "o.npz") as content:
        assert content["bone_names"].tolist() == list(H36M16.group_names)
    write_poses(tmp_path / "o.json", measured)
    (person,) = json.loads((tmp_path / "o.json").read_text())["lengths"]
    assert person["height"] == 1.7 and person["height_error"] is None and person["told_by"] == "found"
    assert person["metres"]["hip"] == 0.1 and set(person["error"].values()) == {None}
    write_poses(tmp_path / "plain.npz", poses)
    assert read_poses(tmp_path / "plain.npz").lengths is None
