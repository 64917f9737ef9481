"""TRC and MOT: markers read back by our own reader, angles of poses whose angles are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lifted import lifted

from poseda.datasets import read_source
from poseda.datasets.formats.trc import read_trc
from poseda.export import LiftedPoses, bridged_frames, write_poses
from poseda.export.angles import joint_angles, missing_angles
from poseda.geometry.rotation import about_axis
from poseda.geometry.skeleton import COCO17, H36M16, MPI_INF_3DHP, Skeleton

STANDING = {
    "pelvis": (0, 0.9, 0), "spine": (0, 1.15, 0), "thorax": (0, 1.4, 0), "head_top": (0, 1.7, 0),
    "hip": (0, 0.9, 0.1), "knee": (0, 0.45, 0.1), "ankle": (0, 0, 0.1), "toe": (0.2, 0, 0.1),
    "shoulder": (0, 1.4, 0.2), "elbow": (0, 1.1, 0.2), "wrist": (0, 0.85, 0.2),
}  # fmt: skip
"""Somebody who stands straight, arms hanging, and faces x: the right side, and what there is once."""

DOWN = {
    "hip": ("knee", "ankle", "toe"), "knee": ("ankle", "toe"), "ankle": ("toe",),
    "shoulder": ("elbow", "wrist"),
    "elbow": ("wrist",),
}  # fmt: skip
"""What moves with a joint."""

WHOLE = Skeleton.declare(
    "whole",
    {"pelvis": None, "spine": "pelvis", "thorax": "spine", "head_top": "thorax"}
    | {f"{s}_{j}": p.format(s) for s in ("right", "left") for j, p in [
        ("hip", "pelvis"), ("knee", "{}_hip"), ("ankle", "{}_knee"), ("toe", "{}_ankle"),
        ("shoulder", "thorax"), ("elbow", "{}_shoulder"), ("wrist", "{}_elbow"),
    ]},
    [(f"left_{j}", f"right_{j}") for j in ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist")],
)  # fmt: skip


def standing() -> dict[str, np.ndarray]:
    places = {}
    for name, place in STANDING.items():
        if name in ("pelvis", "spine", "thorax", "head_top"):
            places[name] = np.array(place, float)
        else:
            for side, mirror in (("right", 1), ("left", -1)):
                places[f"{side}_{name}"] = np.array(place, float) * [1, 1, mirror]
    return places


def turn(places: dict[str, np.ndarray], joint: str, axis: str, degrees: float) -> None:
    """Turn all that moves with a limb's joint about an axis of the world through it."""
    side, _, stem = joint.partition("_")
    rotation = about_axis(axis, np.array(np.radians(degrees)))
    for other in DOWN[stem]:
        places[f"{side}_{other}"] = places[joint] + rotation @ (places[f"{side}_{other}"] - places[joint])


def angles(places: dict[str, np.ndarray], skeleton: Skeleton = WHOLE) -> dict[str, float]:
    pose = np.stack([places[name] for name in skeleton.joint_names])[None]
    return {name: float(values[0]) for name, values in joint_angles(pose, skeleton).items()}


def test_who_stands_straight_has_angles_of_zero() -> None:
    found = angles(standing())
    assert len(found) == 20 and missing_angles(WHOLE) == []
    assert {name for name, value in found.items() if abs(value) > 1e-9} <= {
        "shoulder_plane_r",
        "shoulder_plane_l",
    }


# Turns about the world's axes, the body facing x: about z is in the sagittal, about x in the frontal plane.
@pytest.mark.parametrize(
    ("joint", "axis", "degrees", "expected"),
    [
        ("right_hip", "z", 30, {"hip_flexion_r": 30}),
        ("left_hip", "z", 30, {"hip_flexion_l": 30}),
        ("right_hip", "z", -20, {"hip_flexion_r": -20}),
        ("right_hip", "x", 15, {"hip_adduction_r": 15}),
        ("left_hip", "x", -15, {"hip_adduction_l": 15}),
        ("right_knee", "z", -60, {"knee_flexion_r": 60}),
        ("left_knee", "z", -60, {"knee_flexion_l": 60}),
        ("right_ankle", "z", 10, {"ankle_dorsiflexion_r": 10}),
        ("left_ankle", "z", -25, {"ankle_dorsiflexion_l": -25}),
        ("right_elbow", "z", 80, {"elbow_flexion_r": 80}),
        ("right_shoulder", "z", 90, {"shoulder_elevation_r": 90, "shoulder_plane_r": 90}),
        ("left_shoulder", "z", 90, {"shoulder_elevation_l": 90, "shoulder_plane_l": 90}),
        ("right_shoulder", "x", -70, {"shoulder_elevation_r": 70, "shoulder_plane_r": 0}),
        ("left_shoulder", "x", 70, {"shoulder_elevation_l": 70, "shoulder_plane_l": 0}),
    ],
)  # fmt: skip
def test_a_turn_of_one_joint_is_its_angle_alone(
    joint: str, axis: str, degrees: float, expected: dict[str, float]
) -> None:
    places = standing()
    turn(places, joint, axis, degrees)
    found = angles(places)
    for name, value in found.items():
        if not name.startswith("shoulder_plane") or name in expected:
            assert value == pytest.approx(expected.get(name, 0), abs=1e-9), name


@pytest.mark.parametrize(
    ("axis", "degrees", "name"),
    [("z", -25, "trunk_flexion"), ("x", 15, "trunk_bending"), ("y", 35, "trunk_rotation")],
)
def test_the_trunk_turns_on_the_pelvis(axis: str, degrees: float, name: str) -> None:
    places = standing()
    rotation = about_axis(axis, np.array(np.radians(degrees)))
    for joint in places:
        if joint in ("thorax", "head_top") or joint.partition("_")[2] in ("shoulder", "elbow", "wrist"):
            places[joint] = places["spine"] + rotation @ (places[joint] - places["spine"])
    found = angles(places)
    assert found[name] == pytest.approx(abs(degrees))
    others = {
        key: found[key]
        for key in found
        if key.startswith(("trunk", "pelvis", "hip", "elbow")) and key != name
    }
    assert max(map(abs, others.values())) < 1e-9
    assert max(found["shoulder_elevation_r"], found["shoulder_elevation_l"]) < 1e-6


@pytest.mark.parametrize(
    ("axis", "degrees", "name", "value"),
    [("y", 120, "pelvis_rotation", 120), ("x", 10, "pelvis_list", 10), ("z", -20, "pelvis_tilt", -20)],
)
def test_a_body_that_turns_as_one_turns_its_pelvis_alone(
    axis: str, degrees: float, name: str, value: float
) -> None:
    rotation = about_axis(axis, np.array(np.radians(degrees)))
    found = angles({joint: rotation @ place for joint, place in standing().items()})
    assert found[name] == pytest.approx(value)
    assert (
        max(abs(v) for key, v in found.items() if key != name and not key.startswith("shoulder_plane")) < 1e-6
    )


def test_angles_with_opensims_names_turn_its_joints_to_the_same_place() -> None:
    """Pelvis and hips of gait2392: about z, x and y of the ground or the pelvis; the left hip mirrored."""

    def turned(z: float, x: float, y: float) -> np.ndarray:
        parts = [about_axis(axis, np.array(np.radians(by))) for axis, by in (("z", z), ("x", x), ("y", y))]
        return np.asarray(parts[0] @ parts[1] @ parts[2])

    pelvis, places = turned(12, -8, 70), standing()
    hips = {"right": (35, -6), "left": (-15, 9)}
    for side, (flexion, adduction) in hips.items():
        thigh = turned(flexion, adduction if side == "right" else -adduction, 0)
        hip = places[f"{side}_hip"]
        for other in DOWN["hip"]:
            places[f"{side}_{other}"] = hip + thigh @ (places[f"{side}_{other}"] - hip)
    found = angles({name: pelvis @ place for name, place in places.items()})
    assert [found[f"pelvis_{name}"] for name in ("tilt", "list", "rotation")] == pytest.approx([12, -8, 70])
    for side, (flexion, adduction) in hips.items():
        assert found[f"hip_flexion_{side[0]}"] == pytest.approx(flexion)
        assert found[f"hip_adduction_{side[0]}"] == pytest.approx(adduction)


def test_skeletons_without_feet_or_spine_have_the_angles_that_their_joints_show() -> None:
    assert missing_angles(H36M16) == ["ankle_dorsiflexion_r", "ankle_dorsiflexion_l"]
    assert missing_angles(MPI_INF_3DHP) == []
    assert "knee_flexion_r" not in missing_angles(COCO17) and "trunk_flexion" in missing_angles(COCO17)


# ----------------------------------------------------------------------------------------------- the files


@pytest.fixture
def poses() -> LiftedPoses:
    """Six frames of somebody who bends the right knee by 10 degrees a frame; the fourth is a gap."""
    frames = []
    for at in range(6):
        places = standing()
        turn(places, "right_knee", "z", -10 * at)
        frames.append(np.stack([places[name] for name in WHOLE.joint_names]))
    pose = np.stack(frames) * [1, -1, -1]
    root = pose[:, 0] + [0.5, 0, 4]
    pose = pose - pose[:, :1]
    pose[3] = np.nan
    return lifted(pose, WHOLE, root=root.astype(np.float32), clip_names={0: "squat\t1"}, rate=50.0)


def test_trc_comes_back_with_gaps_rate_unit_and_names(tmp_path: Path, poses: LiftedPoses) -> None:
    write_poses(tmp_path / "o.trc", poses)
    motion = read_trc(tmp_path / "o.trc")
    assert motion.names == list(WHOLE.joint_names) and motion.rate == 50 and motion.unit == "m"
    assert motion.warnings == () and motion.up == "+y"
    assert np.isnan(motion.position[3]).all() and np.isfinite(motion.position[[0, 1, 2, 4, 5]]).all()
    expected = poses.pose_3d[0] * [1, -1, -1]
    assert np.allclose(motion.position[0] - motion.position[0, 0], expected, atol=1.1e-4)
    assert (tmp_path / "o.trc").read_text().splitlines()[0].endswith("\to.trc")
    assert bridged_frames(tmp_path / "o.trc", poses) == {}


@pytest.mark.parametrize("ending", ["trc", "mot"])
def test_each_file_of_several_people_is_headed_by_its_own_name(
    tmp_path: Path, poses: LiftedPoses, ending: str
) -> None:
    columns = {"person": np.repeat([0, 1], 6), "frame": np.tile(np.arange(6), 2)}
    pair = lifted(np.concatenate([poses.pose_3d] * 2), WHOLE, clip_names={0: "squat"}, **columns)
    for file in write_poses(tmp_path / f"my\t file.{ending}", pair):
        (first, *_) = file.read_text().splitlines()
        name = f"my file_squat_person{file.stem[-1]}"
        assert first == name if ending == "mot" else first.split("\t")[3:] == [f"{name}.trc"]


def test_trc_is_a_source_again(tmp_path: Path, poses: LiftedPoses) -> None:
    write_poses(tmp_path / "o.trc", poses)
    read = read_source(tmp_path / "o.trc")
    assert len(read.pose_3d) > 0 and len(read.pose_3d) % 5 == 0, "five frames, seen by each camera of the rig"


def test_mot_holds_angles_in_degrees_and_names_what_was_bridged_and_left_out(
    tmp_path: Path, poses: LiftedPoses
) -> None:
    write_poses(tmp_path / "o.mot", poses)
    head, _, table = (tmp_path / "o.mot").read_text().partition("endheader\n")
    assert head.startswith("o\nversion=1\nnRows=6\nnColumns=24\ninDegrees=yes\n")
    assert "Bridged rows: 3\n" in head and "Not in skeleton" not in head
    names, *rows = (line.split("\t") for line in table.splitlines())
    values = dict(zip(names, np.array(rows, float).T, strict=True))
    assert np.allclose(values["time"], np.arange(6) / 50)
    assert np.allclose(values["knee_flexion_r"][[0, 1, 2, 4, 5]], [0, 10, 20, 40, 50], atol=1e-3)
    assert 25 < values["knee_flexion_r"][3] < 35, "bridged"
    assert np.allclose(values["pelvis_tx"], 0.5, atol=1e-5)
    assert bridged_frames(tmp_path / "o.mot", poses) == {(0, 0): [(3, 3)]}
    (short,) = write_poses(tmp_path / "h.mot", lifted(np.zeros((2, 16, 3)), H36M16))
    assert "Not in skeleton h36m16: ankle_dorsiflexion_r, ankle_dorsiflexion_l\n" in short.read_text()
