"""Sources that other programs have prepared: MMPose's annotations, and what `poseda lift` writes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sources import body, reprojects

from poseda.datasets import DataError, read_source
from poseda.datasets.formats.mmpose_sources import MAX_MISFIT
from poseda.datasets.layouts import MPI_INF_3DHP_17
from poseda.export import LiftedPoses, write_poses
from poseda.geometry.skeleton import H36M16, H36M17

# -------------------------------------------------------------------------------------------------- MMPose


def with_pelvis(names: tuple[str, ...], rows: int, seed: int) -> np.ndarray:
    """(N, 17, 3) bodies before a camera, with the pelvis in the middle of the hips."""
    pose, at = body(17, rows, seed), names.index
    pose[:, at("pelvis")] = (pose[:, at("left_hip")] + pose[:, at("right_hip")]) / 2
    return pose


def mmpose_npz(
    path: Path, names: tuple[str, ...], pictures: list[list[str]], noise: float = 0.0
) -> np.ndarray:
    """MMPose's npz; each list of pictures is a clip with a camera of its own."""
    poses, parts = [], []
    for clip, images in enumerate(pictures):
        pose = with_pelvis(names, len(images), clip)
        pixels = pose[..., :2] / pose[..., 2:] * [1145 + clip, 1143] + [512.5, 515.25]
        poses.append(pose)
        parts.append(pixels + np.random.default_rng(0).normal(0, noise, pixels.shape))
    ones = np.ones((sum(map(len, pictures)), 17, 1))
    np.savez(
        path,
        imgname=np.array([name for images in pictures for name in images]),
        center=np.zeros((len(ones), 2)),
        scale=np.ones(len(ones)),
        part=np.concatenate([np.concatenate(parts), ones], -1),
        S=np.concatenate([np.concatenate(poses), ones], -1),
    )
    return np.concatenate(poses)


H36M_PICTURES = [
    [f"S1/S1_Walking.{camera}/S1_Walking.{camera}_{frame:06d}.jpg" for frame in (1, 6, 11, 16)]
    for camera in (54138969, 55011271)
]


def test_mmposes_human36m_brings_its_cameras_along(tmp_path):
    pose = mmpose_npz(tmp_path / "h36m_train.npz", H36M17.joint_names, H36M_PICTURES)
    poses = read_source(tmp_path / "h36m_train.npz", skeleton=H36M17)
    assert np.allclose(poses.pose_3d.numpy(), pose, atol=1e-5) and reprojects(poses, 1e-4)
    assert poses.camera.focal[0].tolist() == pytest.approx([2 * 1145 / 1025, 2 * 1143 / 1025], abs=1e-4)
    assert poses.clip.tolist() == [0] * 4 + [1] * 4 and poses.columns["frame"].tolist() == [1, 6, 11, 16] * 2
    assert poses.reading.format == "MMPose npz"
    assert poses.reading.warnings == (
        "h36m_train.npz: cameras are fitted to 2D and 3D, with a median error of at most 0.0 pixels",
    )
    assert len(read_source(tmp_path / "h36m_train.npz", stride=2)) == 4


def test_mmposes_mpi_inf_3dhp_has_joints_of_another_order(tmp_path):
    names = MPI_INF_3DHP_17.joint_names
    pictures = [[f"S1_Seq1_Cam0_{frame:06d}.jpg" for frame in range(1, 6)]]
    pose = mmpose_npz(tmp_path / "mpi_inf_3dhp_train.npz", names, pictures)
    poses = read_source(tmp_path / "mpi_inf_3dhp_train.npz")
    for ours, theirs in (("left_knee", "left_knee"), ("thorax", "neck"), ("head_top", "head_top")):
        expected = pose[:, names.index(theirs)]
        assert np.allclose(poses.pose_3d[:, H36M16.joint(ours)].numpy(), expected, atol=1e-5)


def test_2d_that_is_not_of_the_3d_poses_is_refused(tmp_path):
    path = tmp_path / "h36m_train.npz"
    mmpose_npz(path, H36M17.joint_names, H36M_PICTURES, noise=4 * MAX_MISFIT)
    with pytest.raises(DataError, match="S, part: expected 3D poses that project onto the 2D poses"):
        read_source(path)
    mmpose_npz(path, H36M17.joint_names[::-1], H36M_PICTURES)
    with pytest.raises(DataError, match="S: expected joints in the order of h36m17 or mpi_inf_3dhp_17"):
        read_source(path)
    mmpose_npz(path, H36M17.joint_names, [H36M_PICTURES[0][:2]])
    with pytest.raises(DataError, match="S: expected clips of at least 3 poses before their camera"):
        read_source(path)


# ------------------------------------------------------------------------------------------ our own exports


def lifted(rows: int = 6, root: bool = True) -> LiftedPoses:
    """Two people of three frames each; the last frame is a gap."""
    pose = body(16, rows)
    place = pose[:, :1].copy()
    pose = (pose - place).astype(np.float32)
    valid = np.arange(rows) < rows - 1
    pose[~valid] = np.nan
    return LiftedPoses(
        pose_3d=pose,
        root=place[:, 0].astype(np.float32) if root else None,
        valid=valid,
        visible=np.ones((rows, 16), bool),
        frame=np.tile(np.arange(rows // 2), 2),
        person=np.repeat([0, 1], rows // 2),
        clip=np.zeros(rows, np.int64),
        skeleton=H36M16,
        rate=25.0,
    )


@pytest.mark.parametrize("suffix", ["npz", "json", "csv"])
def test_an_export_with_roots_is_a_source(tmp_path, suffix):
    poses = lifted()
    write_poses(tmp_path / f"out.{suffix}", poses)
    read = read_source(tmp_path / f"out.{suffix}")
    expected = (poses.pose_3d + poses.root[:, None])[poses.valid]
    # In text a place is rounded twice, pose and root, to a tenth of a millimetre.
    assert np.allclose(read.pose_3d.numpy(), expected, atol=1.1e-4) and reprojects(read)
    assert read.clip.tolist() == [0, 0, 0, 1, 1] and read.columns["frame"].tolist() == [0, 1, 2, 0, 1]
    assert read.reading.dropped == {"a gap": 1} and read.reading.format == "poseda lift"
    (warning,) = read.reading.warnings
    assert warning == (
        f"out.{suffix}: the poses were estimated from 2D, and their camera is taken to see 55 degrees"
    )
    if suffix != "csv":
        assert read.reading.rates == (25.0,) and read.columns["time"].tolist() == pytest.approx(
            [0, 0.04, 0.08, 0, 0.04]
        )
        write_poses(tmp_path / f"unsure.{suffix}", replace(poses, rate_assumed=True))
        unsure = read_source(tmp_path / f"unsure.{suffix}")
        assert unsure.reading.rates == () and "time" not in unsure.columns, "no rate is known"


@pytest.mark.parametrize("suffix", ["npz", "json", "csv"])
def test_an_export_without_roots_is_refused_with_the_remedy(tmp_path, suffix):
    write_poses(tmp_path / f"out.{suffix}", lifted(root=False))
    with pytest.raises(
        DataError,
        match=rf"out\.{suffix}: root: expected poses in their places \(poseda lift --root",
    ):
        read_source(tmp_path / f"out.{suffix}")


def test_damaged_exports_raise_nothing_but_data_errors(tmp_path):
    rng = np.random.default_rng(0)
    for suffix in ("json", "csv"):
        write_poses(tmp_path / f"out.{suffix}", lifted())
        whole, refused = (tmp_path / f"out.{suffix}").read_bytes(), 0
        for trial in range(100):
            damaged = bytearray(whole[: int(rng.integers(1, len(whole)))] if trial % 4 == 0 else whole)
            for at in rng.integers(0, len(damaged), size=int(rng.integers(1, 6))):
                damaged[at] = rng.integers(32, 127)
            (tmp_path / f"out.{suffix}").write_bytes(damaged)
            try:
                read_source(tmp_path / f"out.{suffix}")
            except DataError:
                refused += 1
        assert refused > 20


def test_other_json_is_refused_with_the_keys_that_it_has(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"image_id": 1, "keypoints": [1, 2, 2]}]))
    with pytest.raises(DataError, match=r"expected labelled 3D poses: .*found JSON with image_id, keypoints"):
        read_source(tmp_path / "a.json")


def test_positions_whose_names_are_spelled_otherwise_are_used(tmp_path):
    names = list(H36M17.joint_names)
    place = np.random.default_rng(0).normal([0, 0, 1], 0.2, (4, 17, 3))
    spelled = ["".join(part.title() for part in name.split("_")) for name in names]
    np.savez(tmp_path / "a.npz", positions=place[:, ::-1], joint_names=np.array(spelled[::-1]))
    np.savez(tmp_path / "b.npz", positions=place, joint_names=np.array(names))
    assert torch.allclose(read_source(tmp_path / "a.npz").pose_3d, read_source(tmp_path / "b.npz").pose_3d)
