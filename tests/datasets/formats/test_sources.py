"""Readers of labelled sources: each on a small file in the data set's format, recognised by its content."""

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sources import body, reprojects

from poseda.datasets import DataError, read_source
from poseda.datasets.conversion import conversion
from poseda.datasets.filming import assumed_rig
from poseda.datasets.formats.cameras import read_intrinsics
from poseda.datasets.layouts import H36M32
from poseda.geometry.skeleton import H36M16, H36M17

# ----------------------------------------------------------------------------------------------- Human3.6M


def cameras_json(path: Path) -> Path:
    """Two Human3.6M-like cameras for S1 and S9."""
    intrinsics = [
        {
            "focal_length": [1145.0, 1143.0], "center": [512.5, 515.4], "res_w": 1000, "res_h": 1002,
            "radial_distortion": [-0.2, 0.24, -0.003], "tangential_distortion": [-0.001, -0.0014],
        },
        {"focal_length": [1150.0, 1150.0], "center": [500, 500], "res_w": 1000, "res_h": 1000},
    ]  # fmt: skip
    rig = assumed_rig()[:2]
    extrinsics = [{"R_world_to_cam": c.rotation.tolist(), "position_m": c.position.tolist()} for c in rig]
    content = {
        "human36m": {"intrinsics": intrinsics, "extrinsics": {"S1": extrinsics, "S9": extrinsics[:1] * 2}},
    }
    path.write_text(json.dumps(content))
    return path


def write_human36m(path: Path, joints: int = 32) -> dict:
    rng = np.random.default_rng(0)
    pose = {
        subject: {
            action: rng.normal([0, 0, 1], 0.3, (rows, joints, 3)).astype(np.float32)
            for action, rows in (("Walking 1", 4), ("Eating", 3))
        }
        for subject in ("S1", "S9")
    }
    np.savez_compressed(path, positions_3d=pose)
    return pose


def test_human36m_of_videopose3d_with_the_users_cameras(tmp_path):
    positions = write_human36m(tmp_path / "data_3d_h36m.npz")
    cameras = cameras_json(tmp_path / "cameras.json")
    poses = read_source(tmp_path / "data_3d_h36m.npz", cameras=cameras)
    assert len(poses) == 2 * (4 + 3) and set(poses.columns["subject"]) == {"S1"}  # no test subject by default
    assert reprojects(poses) and len(poses.clip.unique()) == 4
    world = conversion(H36M32, H36M16)(positions["S1"]["Walking 1"].astype(np.float64))[0]
    rig = assumed_rig()
    expected = (world - rig[1].position) @ rig[1].rotation.T
    own = poses.columns["camera"] == 1
    assert np.allclose(poses.pose_3d[own][:4], expected, atol=1e-5)
    assert poses.camera.distortion[0].tolist() == pytest.approx([-0.2, 0.24, -0.003, -0.001, -0.0014])
    assert poses.camera.focal[own][0].tolist() == pytest.approx([2.3, 2.3])
    tested = read_source(tmp_path / "data_3d_h36m.npz", cameras=cameras, subjects=("S9",), stride=2)
    assert len(tested) == 2 * (2 + 2) and set(tested.columns["subject"]) == {"S9"}


def test_human36m_needs_cameras_and_known_subjects(tmp_path):
    path, cameras = tmp_path / "data_3d_h36m.npz", cameras_json(tmp_path / "cameras.json")
    positions = write_human36m(path)
    with pytest.raises(
        DataError, match=r"data_3d_h36m\.npz: cameras: expected a JSON .*--cameras.*, found none"
    ):
        read_source(path)
    with pytest.raises(DataError, match="positions_3d: expected subject S5, found S1, S9"):
        read_source(path, cameras=cameras, subjects=("S5",))
    positions["S1"]["Eating"] = positions["S1"]["Eating"][:, :20]
    np.savez(path, positions_3d=positions)
    with pytest.raises(DataError, match=r"positions_3d\[S1\]\[Eating\]: expected 32 or 17 joints, found 20"):
        read_source(path, cameras=cameras)
    np.savez(path, positions_3d={"S1": {"Eating": [1, 2]}})
    with pytest.raises(
        DataError, match=r"positions_3d\[S1\]\[Eating\]: expected numbers of shape \(N, J, 3\), found a list"
    ):
        read_source(path, cameras=cameras)
    cameras.write_text('{"human36m": {"intrinsics": []}}')
    with pytest.raises(
        DataError, match=r"cameras\.json: human36m\.extrinsics: expected an object, found nothing"
    ):
        read_source(path, cameras=cameras)
    whole = json.loads(cameras_json(cameras).read_text())
    for place, value, message in (
        ("position_m", [0.0, 1.0], r"numbers of shape \(3\), found shape \(2,\)"),
        ("position_m", [0, 1e308, 0], r"numbers below 1e\+07, found"),
        ("R_world_to_cam", [1], r"numbers of shape \(3, 3\), found shape \(1,\)"),
    ):
        damaged = json.loads(json.dumps(whole))
        damaged["human36m"]["extrinsics"]["S1"][0][place] = value
        cameras.write_text(json.dumps(damaged))
        with pytest.raises(DataError, match=rf"human36m\.extrinsics\[S1\]\[0\]\.{place}: expected {message}"):
            read_source(path, cameras=cameras)


def test_seventeen_joint_files_are_read_too(tmp_path):
    write_human36m(tmp_path / "data_3d.npz", joints=17)
    poses = read_source(tmp_path / "data_3d.npz", cameras=cameras_json(tmp_path / "c.json"), skeleton=H36M17)
    assert poses.pose_3d.shape == (14, 17, 3) and reprojects(poses)


# -------------------------------------------------------------------------------------------------- 3DPW


def python2(value: Any) -> bytes:
    """What Python 2's cPickle writes (protocol 2) of dicts, lists, text, integers and arrays."""
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(k) + python2(v) for k, v in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    shape = b"(" + b"".join(python2(n) for n in value.shape) + b"t"
    kind = value.dtype.str[1:].encode()
    dtype = (
        b"cnumpy\ndtype\nU"
        + bytes([len(kind)])
        + kind
        + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    raw = value.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape + dtype + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip


def threedpw(rows: int = 4) -> tuple[dict, np.ndarray]:
    rng = np.random.default_rng(0)
    world = [body(24, rows, person) for person in range(2)]
    extrinsics = np.tile(np.eye(4), (rows, 1, 1))
    angle = rng.uniform(-0.2, 0.2, rows)
    extrinsics[:, 0, 0] = extrinsics[:, 2, 2] = np.cos(angle)
    extrinsics[:, 0, 2], extrinsics[:, 2, 0] = np.sin(angle), -np.sin(angle)
    extrinsics[:, :3, 3] = [0.1, -0.2, 2.0]
    content = {
        "sequence": "downtown_walking_00",
        "genders": ["m", "f"],
        "jointPositions": [pose.reshape(rows, 72) for pose in world],
        "cam_poses": extrinsics,
        "cam_intrinsics": np.array([[1961.1, 0, 540], [0, 1969.2, 960], [0, 0, 1.0]]),
        "campose_valid": [np.array([1, 1, 0, 1]), np.ones(rows, np.int64)],
    }
    expected = [
        np.einsum("nij,nkj->nki", extrinsics[:, :3, :3], p) + extrinsics[:, None, :3, 3] for p in world
    ]
    return content, np.concatenate([expected[0][[0, 1, 3]], expected[1]])


def test_3dpw_of_python_2(tmp_path):
    content, truth = threedpw()
    (tmp_path / "downtown.pkl").write_bytes(b"\x80\x02" + python2(content) + b".")
    poses = read_source(tmp_path)
    assert np.allclose(poses.pose_3d, conversion("smpl24", H36M16)(truth)[0], atol=1e-5)
    assert reprojects(poses) and poses.clip.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert poses.camera.focal[0].tolist() == pytest.approx([2 * 1961.1 / 1080, 2 * 1969.2 / 1080])
    assert poses.camera.aspect[0].item() == pytest.approx(1920 / 1080)
    assert poses.columns["subject"].tolist()[0] == "downtown/0"


def test_a_hostile_3dpw_file_is_refused_by_name(tmp_path):
    class Trap:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {tmp_path / 'sprung'}",)

    content, _ = threedpw()
    path = tmp_path / "trap.pkl"
    path.write_bytes(pickle.dumps(content | {"genders": Trap()}, 2))
    with pytest.raises(
        DataError, match=r"trap\.pkl: file: expected a pickle of arrays .*found the name posix\.system"
    ):
        read_source(path)
    assert not (tmp_path / "sprung").exists()
    for change, message in (
        ({"cam_intrinsics": 3}, r"cam_intrinsics: expected numbers of shape \(3, 3\), found an integer"),
        ({"jointPositions": []}, "jointPositions: expected a list of 1 to 16 people, found 0 people"),
        ({"cam_poses": np.full((4, 4, 4), np.nan)}, "cam_poses: expected finite numbers, found NaN or Inf"),
        (
            {"jointPositions": [np.ones((4, 60))]},
            r"jointPositions\[0\]: expected numbers of shape \(4, 72\), found float64 \(4, 60\)",
        ),
    ):
        path.write_bytes(pickle.dumps(content | change, 2))
        with pytest.raises(DataError, match=message):
            read_source(path)


# --------------------------------------------------------------------------------------------------- npz


def test_plain_npz_in_camera_and_in_world_axes(tmp_path):
    pose = body(16, 6).astype(np.float32)
    np.savez(
        tmp_path / "camera.npz",
        pose_3d=pose,
        focal=np.array([2.0, 2.1]),
        center=np.zeros(2),
        clip=np.arange(6) // 3,
    )
    poses = read_source(tmp_path / "camera.npz", stride=2)
    assert np.array_equal(poses.pose_3d.numpy(), pose[::2]) and reprojects(poses)
    assert poses.clip.tolist() == [0, 0, 1] and poses.camera.focal[2].tolist() == pytest.approx([2.0, 2.1])
    np.savez(tmp_path / "behind.npz", pose_3d=-pose, focal=np.ones(2), center=np.zeros(2))
    with pytest.raises(DataError, match="pose_3d, focal: expected depths and focal lengths above zero"):
        read_source(tmp_path / "behind.npz")
    world = np.random.default_rng(0).normal(0, 0.2, (5, 16, 3)).astype(np.float32)
    np.savez(
        tmp_path / "world.npz",
        positions=world,
        clip_index=np.zeros(5, int),
        joint_names=np.array(H36M16.joint_names),
    )
    filmed = read_source(tmp_path / "world.npz")
    assert len(filmed) == 20 and reprojects(filmed)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(DataError, match=r"other\.npz: members: expected a domain npz, .*found a"):
        read_source(tmp_path / "other.npz")


def test_intrinsics_in_both_forms(tmp_path):
    path = tmp_path / "camera.json"
    path.write_text(
        json.dumps(
            {
                "width": 1920,
                "height": 1080,
                "matrix": [[1500, 0, 950], [0, 1500, 540], [0, 0, 1]],
                "distortion": [-0.1, 0.02, 0, 0],
            }
        )
    )
    opencv = read_intrinsics(path)
    assert opencv.size == (1920, 1080) and opencv.camera.distortion[0, 0].item() == pytest.approx(
        -0.1, abs=1e-4
    )
    path.write_text(
        json.dumps({"res_w": 1920, "res_h": 1080, "focal_length": [1500, 1490], "center": [960, 540]})
    )
    assert read_intrinsics(path).camera.focal[0].tolist() == pytest.approx([3000 / 1920, 2980 / 1920])
    for content, message in (
        ({"width": 10}, "height: expected an integer, found nothing"),
        ({"width": 10, "height": 10}, r"focal_length: expected numbers of shape \(2\), found nothing"),
        (
            {"width": 10, "height": 10, "focal_length": [-1, 1], "center": [5, 5]},
            r"focal_length: expected positive focal lengths, found \[-1\.0, 1\.0\]",
        ),
        (
            {"width": 0, "height": 10, "focal_length": [1, 1], "center": [5, 5]},
            "width: expected a picture of some pixels, found 0 x 10",
        ),
        (
            {"width": 10, "height": 10, "focal_length": [1e308, 1], "center": [5, 5]},
            r"focal_length: expected numbers below 1e\+07, found \[1e\+308, 1\.0\]",
        ),
        (
            {"width": 10, "height": 10, "matrix": [[1]]},
            r"matrix: expected numbers of shape \(3, 3\), found shape \(1, 1\)",
        ),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=rf"camera\.json: {message}"):
            read_intrinsics(path)


def test_what_holds_no_source_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"folder: expected files ending in \.bvh, \.c3d, .*\.trc, found none"
    ):
        read_source(tmp_path)
    (tmp_path / "a.bvh").write_text("HIERARCHY")
    with pytest.raises(DataError, match="stride: expected 1 or more, found 0"):
        read_source(tmp_path, stride=0)
    (tmp_path / "b.pkl").write_bytes(b"\x80\x02}.")
    with pytest.raises(DataError, match="folder: expected files of one kind, found bvh, pickle"):
        read_source(tmp_path)
    (tmp_path / "c.txt").write_text("hello")
    with pytest.raises(DataError, match=r"file: expected labelled 3D poses: .*found other text"):
        read_source(tmp_path / "c.txt")
