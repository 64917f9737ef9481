"""BVH read back by our own reader: bones point as lifted, for any skeleton."""

from pathlib import Path

import numpy as np
import pytest

from poseda.datasets.formats.bvh import Bvh, read_bvh
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.export import LiftedPoses, skipped_tracks, write_poses
from poseda.geometry.skeleton import BUILT_IN, H36M16, Skeleton

DOG = Skeleton.declare("dog", {"hip": None, "chest": "hip", "nose": "chest", "tail": "hip"})


def lifted(pose: np.ndarray, skeleton: Skeleton, **given: np.ndarray) -> LiftedPoses:
    frames = len(pose)
    columns = {"frame": np.arange(frames), "person": np.zeros(frames, int), "clip": np.zeros(frames, int)}
    columns |= {"valid": np.isfinite(pose).all((1, 2)), "visible": np.ones(pose.shape[:2], bool)}
    root = given.pop("root", None)
    return LiftedPoses(pose.astype(np.float32), root, **(columns | given), skeleton=skeleton, rate=25.0)


def random_motion(skeleton: Skeleton, frames: int = 40) -> np.ndarray:
    """Bones of constant lengths that point anywhere, each on its own; all straight down at first."""
    rng = np.random.default_rng(0)
    length = rng.uniform(0.1, 0.5, skeleton.num_joints)
    direction = rng.normal(size=(frames, skeleton.num_joints, 3))
    direction[0] = [0, 1, 0]
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    pose = np.zeros((frames, skeleton.num_joints, 3))
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            pose[:, joint] = pose[:, parent] + length[joint] * direction[:, joint]
    return pose


def in_metres(bvh: Bvh, skeleton: Skeleton) -> np.ndarray:
    """(F, J, 3) in the camera's axes."""
    names = [joint.name for joint in bvh.joints]
    at = [names.index(name) for name in skeleton.joint_names]
    return bvh.position[:, at] / 100 * [1, -1, -1]


@pytest.mark.parametrize("skeleton", [*BUILT_IN.values(), DOG], ids=lambda skeleton: skeleton.name)
def test_motion_of_constant_bone_lengths_comes_back(tmp_path: Path, skeleton: Skeleton) -> None:
    pose = random_motion(skeleton)
    root = np.cumsum(np.random.default_rng(1).normal(0, 0.1, (len(pose), 3)), 0).astype(np.float32)
    assert write_poses(tmp_path / "m.bvh", lifted(pose, skeleton, root=root)) == [tmp_path / "m.bvh"]
    bvh = read_bvh(tmp_path / "m.bvh")
    error = np.abs(in_metres(bvh, skeleton) - (pose + root[:, None])).max()
    assert error < 1e-5  # metres; a millimetre is asked for
    assert bvh.frame_time == pytest.approx(1 / 25)


def test_changing_bone_lengths_become_their_median(tmp_path: Path) -> None:
    pose = random_motion(DOG, frames=5)
    nose, chest = DOG.joint("nose"), DOG.joint("chest")
    bone = pose[:, nose] - pose[:, chest]
    bone /= np.linalg.norm(bone, axis=-1, keepdims=True)
    pose[:, nose] = pose[:, chest] + bone * np.array([1.0, 2, 3, 4, 9])[:, None]
    write_poses(tmp_path / "m.bvh", lifted(pose, DOG))
    back = in_metres(read_bvh(tmp_path / "m.bvh"), DOG)
    assert np.allclose(back[:, nose] - back[:, chest], 3 * bone, atol=1e-5)


def test_the_rest_pose_is_a_t_that_looks_at_the_camera(tmp_path: Path) -> None:
    write_poses(tmp_path / "m.bvh", lifted(random_motion(H36M16), H36M16))
    joints = read_bvh(tmp_path / "m.bvh").joints
    offset = {joint.name: joint.offset for joint in joints}
    for name, axis, sign in [
        ("left_wrist", 0, 1), ("right_wrist", 0, -1), ("left_knee", 1, -1), ("head_top", 1, 1),
    ]:  # fmt: skip
        assert offset[name][axis] * sign > 10 and np.count_nonzero(np.abs(offset[name]) > 1e-6) == 1


def test_angles_do_not_jump_by_whole_turns(tmp_path: Path) -> None:
    """A body that turns about the vertical twice has a heading that grows to 720 degrees."""
    angle = np.linspace(0, 4 * np.pi, 100)
    still = EmbeddedDomains(size=0.05).evaluation().root_relative[:1].numpy().astype(float)
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros(100), np.ones(100)
    turn = np.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], -1).reshape(-1, 3, 3)
    write_poses(tmp_path / "m.bvh", lifted(np.einsum("nij,kj->nki", turn, still[0]), H36M16))
    motion = (tmp_path / "m.bvh").read_text().partition("Frame Time:")[2].splitlines()[1:]
    values = np.array([[float(word) for word in line.split()] for line in motion])
    steps = np.abs(np.diff(values[:, 3:6], axis=0))
    assert steps.max() < 15 and abs(abs(np.ptp(values[:, 5])) - 720) < 30


def test_gaps_hold_the_pose_before_and_persons_get_files_of_their_own(tmp_path: Path) -> None:
    pose = random_motion(DOG, frames=6)
    pose[0] = pose[3] = np.nan
    person = np.array([0, 0, 0, 0, 2, 2])
    poses = lifted(pose, DOG, person=person, frame=np.array([0, 1, 2, 3, 0, 1]))
    files = write_poses(tmp_path / "m.bvh", poses)
    assert [file.name for file in files] == ["m_clip0_person0.bvh", "m_clip0_person2.bvh"]
    back = in_metres(read_bvh(files[0]), DOG)
    assert np.allclose(back[0], back[1]) and np.allclose(back[3], back[2])
    assert not np.allclose(back[1], back[2])


def test_a_person_without_a_valid_frame_is_left_out_and_named(tmp_path: Path) -> None:
    pose = random_motion(DOG, frames=6)
    pose[2:4] = np.nan
    person, frame = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1] * 3)
    poses = lifted(pose, DOG, person=person, frame=frame)
    files = write_poses(tmp_path / "m.bvh", poses)
    assert [file.name for file in files] == ["m_clip0_person0.bvh", "m_clip0_person2.bvh"]
    assert skipped_tracks(tmp_path / "m.bvh", poses) == [(0, 1)]
    assert np.allclose(in_metres(read_bvh(files[1]), DOG), pose[4:], atol=1e-5)
    assert skipped_tracks(tmp_path / "m.csv", poses) == [], "which holds gaps"


@pytest.mark.parametrize("person", [np.zeros(3, int), np.arange(3)])
def test_nobody_with_a_valid_frame_is_refused(tmp_path: Path, person: np.ndarray) -> None:
    poses = lifted(np.full((3, 4, 3), np.nan), DOG, person=person)
    with pytest.raises(ValueError, match=r"^output: expected a person with a valid frame for a BVH, got "):
        write_poses(tmp_path / "m.bvh", poses)
    assert not list(tmp_path.iterdir())
