"""BVH as a source: channels and orders by hand, any unit, left is left, one sentence for every bad file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from motions import bvh

from poseda.datasets import DataError, LabelledPoses, read_source
from poseda.datasets.formats.bvh import read_bvh
from poseda.geometry.camera import project
from poseda.geometry.skeleton import H36M16, Skeleton


def reprojects(poses: LabelledPoses, atol: float = 1e-5) -> bool:
    seen = project(poses.pose_3d.double(), poses.camera.to(torch.float64))
    return bool(torch.allclose(seen, poses.pose_2d.double(), atol=atol))


def joint(path: Path, name: str) -> np.ndarray:
    found = read_bvh(path)
    return found.position[:, [j.name for j in found.joints].index(name)]


def test_bvh_rest_pose_is_the_sum_of_offsets(tmp_path):
    path = tmp_path / "rest.bvh"
    path.write_text(bvh([{}, {"root": (10, 95, -20)}]))
    assert joint(path, "LeftHand")[0].tolist() == [3 + 14 + 28 + 25, 95 + 10 + 14 + 22, 0]
    assert joint(path, "Head_end")[1].tolist() == [10, 95 + 10 + 14 + 26 + 10 + 15, -20]
    assert read_bvh(path).frame_time == 0.008333


def test_bvh_rotations_multiply_in_the_channels_order(tmp_path):
    path = tmp_path / "turn.bvh"
    # The forearm hangs along +x; first channel outermost: R = Rz(90) Rx(90) Ry(0).
    path.write_text(bvh([{"LeftArm": (90, 90, 0)}], order="ZXY"))
    arm, elbow = joint(path, "LeftArm")[0], joint(path, "LeftForeArm")[0]
    assert np.allclose(elbow - arm, [0, 28, 0])  # Rx leaves x alone, Rz turns it to y
    path.write_text(bvh([{"LeftArm": (90, 90, 0)}], order="XZY"))
    assert np.allclose(joint(path, "LeftForeArm")[0] - arm, [0, 0, 28])  # Rz to y, then Rx to z
    path.write_text(bvh([{"LeftArm": (0, 0, 90), "LeftForeArm": (90, 0, 0)}], order="ZXY"))
    wrist = joint(path, "LeftHand")[0] - joint(path, "LeftForeArm")[0]
    assert np.allclose(wrist, [0, 25, 0])  # child's own turn first, then the parent's: Ry(90) keeps y


@pytest.mark.parametrize(
    ("prefix", "scale"), [("", 1.0), ("mixamorig:", 10.0), ("", 0.01), ("", 1 / 5.64444)]
)
def test_bvh_as_a_source_whatever_its_unit(tmp_path, prefix, scale):
    (tmp_path / "walk.bvh").write_text(
        bvh(
            [{"LeftUpLeg": (0, angle, 0), "root": (angle, 95, 0)} for angle in range(-20, 21, 10)],
            prefix=prefix,
            scale=scale,
            end=scale == 1.0,
        )
    )
    poses = read_source(tmp_path / "walk.bvh")
    assert len(poses) == 5 * 4 and reprojects(poses) and len(poses.clip.unique()) == 4
    lengths = (poses.pose_3d[:, 1:] - poses.pose_3d[:, list(H36M16.parents[1:])]).norm(dim=-1)
    bone = dict(zip(H36M16.joint_names[1:], lengths.mean(0).tolist(), strict=True))
    assert bone["left_knee"] == pytest.approx(0.43, rel=1e-3) and bone["right_wrist"] == pytest.approx(
        0.25, rel=1e-3
    )
    assert lengths.std(0).max() < 1e-4
    # Upright before an upright camera: the head is above the ankles, and y points down.
    height = poses.pose_3d[:, H36M16.joint("left_ankle"), 1] - poses.pose_3d[:, H36M16.joint("head_top"), 1]
    assert (height > 1.3).all()
    assert set(poses.columns["subject"]) == {"walk"} and set(poses.columns["camera"]) == {0, 1, 2, 3}


def test_bvh_left_is_left(tmp_path):
    # x is the person's left and y is up, so they face +z, and a bent left knee sends the shin to -z.
    (tmp_path / "stand.bvh").write_text(bvh([{"LeftLeg": (0, 60, 0)}]))
    poses = read_source(tmp_path / "stand.bvh")
    left, right, knee, ankle = (
        poses.pose_3d[:, H36M16.joint(name)] for name in ("left_hip", "right_hip", "left_knee", "left_ankle")
    )
    facing = (ankle - knee)[:, 2] > 0  # the shin points away from the camera
    assert 0 < int(facing.sum()) < len(poses)
    # Someone who faces the camera has their left at the picture's right.
    assert ((left - right)[facing, 0] > 0).all() and ((left - right)[~facing, 0] < 0).all()


def test_bvh_names_that_do_not_tell_are_given(tmp_path):
    path = tmp_path / "odd.bvh"
    path.write_text(bvh([{}]).replace("LeftArm", "Oberarm_L"))
    # Without the upper arm, "LeftShoulder" (the collar) would be taken for it: names may need help.
    given = read_source(path, joints={"left_shoulder": "Oberarm_L"})
    plain = tmp_path / "plain.bvh"
    plain.write_text(bvh([{}]))
    assert torch.equal(given.pose_3d, read_source(plain).pose_3d)
    with pytest.raises(
        DataError, match=r"joints: left_shoulder: expected the name of one of the file's joints, found Arm"
    ):
        read_source(path, joints={"left_shoulder": "Arm"})
    path.write_text(bvh([{}]).replace("LeftFoot", "Stump"))
    with pytest.raises(
        DataError,
        match=r"left_ankle: expected a joint of that meaning \(left_ankle, .*--joints .*found only .*Stump",
    ):
        read_source(path)


def test_bad_bvh_files_are_named(tmp_path):
    path, good = tmp_path / "bad.bvh", bvh([{}, {}])
    for old, new, message in (
        ("MOTION", "MOTON", "MOTION: expected this section, found none"),
        ("Frames: 2", "Frames: 3", "MOTION: expected 3 lines, found 2"),
        (
            "Frames: 2",
            "Frames: 2000000000",
            "MOTION: expected Frames: and Frame Time|Frames: expected at most",
        ),
        ("Frame Time: 0.008333", "Frame Time: fast", "MOTION: expected Frames: and Frame Time: in seconds"),
        ("OFFSET 0 ", "OFFSET zero ", "OFFSET: expected a number, found zero"),
        ("OFFSET 0 ", "OFFSET nan ", "OFFSET: expected a finite number, found nan"),
        ("CHANNELS 6", "CHANNELS 9", "CHANNELS: expected 0 to 6, found 9"),
        ("Zrotation", "Wrotation", "HIERARCHY: expected Xposition or .*, found Wrotation"),
        ("0.000000", "x", "frame 0: expected 60 numbers"),
        ("0.000000", "inf", "MOTION: expected finite numbers, found NaN, Inf or beyond"),
        ("JOINT", "ROOT", "HIERARCHY: expected JOINT or End or }, found ROOT"),
    ):
        assert old in good
        path.write_text(good.replace(old, new, 1))
        with pytest.raises(DataError, match=rf"bad\.bvh: .*({message})"):
            read_source(path)
    path.write_text(good.replace("43", "4300"))
    with pytest.raises(DataError, match=r"leg: expected about 0\.85 m in metres, .*found"):
        read_source(path)


def test_damaged_bvh_files_raise_nothing_but_data_errors(tmp_path):
    path, rng, refused = tmp_path / "x.bvh", np.random.default_rng(0), 0
    whole = bvh([{}, {}]).encode()
    for trial in range(200):
        damaged = bytearray(whole[: int(rng.integers(1, len(whole)))] if trial % 4 == 0 else whole)
        for at in rng.integers(0, len(damaged), size=int(rng.integers(1, 6))):
            damaged[at] = rng.integers(32, 127)
        path.write_bytes(damaged)
        try:
            read_source(path)
        except DataError:
            refused += 1
    assert refused > 100


def test_a_skeleton_of_other_joints_is_refused(tmp_path):
    (tmp_path / "a.bvh").write_text(bvh([{}]))
    fly = Skeleton.declare("fly", {"thorax": None, "wing": "thorax"})
    with pytest.raises(
        DataError, match="layout h36m17: expected joints for skeleton fly, found none for wing"
    ):
        read_source(tmp_path / "a.bvh", skeleton=fly)
