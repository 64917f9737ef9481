"""BVH read back by our own reader: limbs point as lifted, people stand on a floor, on one clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lifted import lifted

from poseda.datasets import read_source
from poseda.datasets.formats.bvh import Bvh, read_bvh
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.export import bridged_frames, held_frames, skipped_tracks, world_note, write_poses
from poseda.geometry.skeleton import BUILT_IN, H36M16, Skeleton
from poseda.geometry.world import LEVEL, world_axes

DOG = Skeleton.declare("dog", {"hip": None, "chest": "hip", "nose": "chest", "tail": "hip"})
SNAKE = Skeleton.declare("snake", {"head": None, "neck": "head", "belly": "neck", "tail": "belly"})


def random_motion(skeleton: Skeleton, frames: int = 40) -> np.ndarray:
    """Bones of constant, symmetric lengths that point anywhere, each on its own; at first all down."""
    rng = np.random.default_rng(0)
    length = rng.uniform(0.1, 0.5, skeleton.num_groups)[list(skeleton.bone_groups)]
    direction = rng.normal(size=(frames, skeleton.num_joints, 3))
    direction[0] = [0, 1, 0]
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    pose = np.zeros((frames, skeleton.num_joints, 3))
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            pose[:, joint] = pose[:, parent] + length[joint - 1] * direction[:, joint]
    return pose


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """(F, 16, 3) root-relative poses of one clip of a person of constant bones, camera axes."""
    poses = EmbeddedDomains(size=0.05).evaluation()
    return poses.root_relative[poses.clip == poses.clip[0]].numpy().astype(float)


def joints_of(bvh: Bvh, skeleton: Skeleton) -> np.ndarray:
    """(F, J, 3) metres, the world's axes."""
    names = [joint.name for joint in bvh.joints]
    return bvh.position[:, [names.index(name) for name in skeleton.joint_names]] / 100


def directions(position: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(F, K, 3) unit vectors along the bones."""
    bones = position[:, 1:] - position[:, list(skeleton.parents[1:])]
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)


def test_a_chain_of_constant_lengths_comes_back(tmp_path: Path) -> None:
    pose = random_motion(SNAKE)
    root = np.cumsum(np.random.default_rng(1).normal(0, 0.1, (len(pose), 3)), 0).astype(np.float32)
    assert write_poses(tmp_path / "m.bvh", lifted(pose, SNAKE, root=root)) == [tmp_path / "m.bvh"]
    bvh = read_bvh(tmp_path / "m.bvh")
    moved = joints_of(bvh, SNAKE) - (pose + root[:, None]) * [1, -1, -1]
    assert np.ptp(moved, axis=(0, 1)).max() < 1e-5, "all joints are moved alike, onto the floor"
    assert np.abs(moved[..., [0, 2]]).max() < 1e-5
    assert bvh.frame_time == pytest.approx(1 / 25)


def test_people_come_back_to_millimetres_with_limbs_as_lifted(tmp_path: Path, clip: np.ndarray) -> None:
    root = np.tile([0.3, 0.0, 4.0], (len(clip), 1)).astype(np.float32)
    write_poses(tmp_path / "m.bvh", lifted(clip, H36M16, root=root))
    back = joints_of(read_bvh(tmp_path / "m.bvh"), H36M16)
    expected = clip * [1, -1, -1]
    error = np.linalg.norm(back - back[:, :1] - expected, axis=-1)
    assert error.mean() < 2e-3 and error.max() < 8e-3
    cosine = (directions(back, H36M16) * directions(expected, H36M16)).sum(-1)
    limbs = [
        H36M16.joint(f"{side}_{joint}") - 1
        for side in ("left", "right")
        for joint in ("knee", "ankle", "elbow", "wrist")
    ]
    assert np.degrees(np.arccos(np.clip(cosine[:, limbs], -1, 1))).max() < 0.05
    assert np.allclose(back[:, 0, [0, 2]], [0.3, -4.0], atol=1e-5)


@pytest.mark.parametrize("skeleton", [*BUILT_IN.values(), DOG], ids=lambda skeleton: skeleton.name)
def test_no_bone_has_the_length_zero_and_both_sides_are_alike(tmp_path: Path, skeleton: Skeleton) -> None:
    pose = random_motion(skeleton)
    stretched = pose * np.random.default_rng(2).uniform(0.8, 1.2, (len(pose), 1, 1))
    for left, _ in skeleton.symmetric_joints:  # the detector's left is longer
        stretched[:, left] += 0.05
    if skeleton is DOG:
        stretched[:, DOG.joint("tail")] = stretched[:, DOG.joint("hip")]
    write_poses(tmp_path / "m.bvh", lifted(stretched, skeleton))
    joints = read_bvh(tmp_path / "m.bvh").joints
    length = {joint.name: np.linalg.norm(joint.offset) for joint in joints}
    assert min(size for name, size in length.items() if name != skeleton.joint_names[0]) > 1e-3  # centimetres
    for left, right in skeleton.symmetric_joints:
        assert length[skeleton.joint_names[left]] == pytest.approx(length[skeleton.joint_names[right]])


def test_changing_bone_lengths_become_their_median(tmp_path: Path) -> None:
    pose = random_motion(SNAKE, frames=5)
    tail, belly = SNAKE.joint("tail"), SNAKE.joint("belly")
    bone = pose[:, tail] - pose[:, belly]
    bone /= np.linalg.norm(bone, axis=-1, keepdims=True)
    pose[:, tail] = pose[:, belly] + bone * np.array([1.0, 2, 3, 4, 9])[:, None]
    write_poses(tmp_path / "m.bvh", lifted(pose, SNAKE))
    back = joints_of(read_bvh(tmp_path / "m.bvh"), SNAKE)
    assert np.allclose(back[:, tail] - back[:, belly], 3 * bone * [1, -1, -1], atol=1e-5)


def test_the_rest_pose_is_a_t_that_looks_at_the_camera(tmp_path: Path) -> None:
    write_poses(tmp_path / "m.bvh", lifted(random_motion(H36M16), H36M16))
    joints = read_bvh(tmp_path / "m.bvh").joints
    offset = {joint.name: joint.offset for joint in joints}
    for name, axis, sign in [
        ("left_wrist", 0, 1), ("right_wrist", 0, -1), ("left_knee", 1, -1), ("head_top", 1, 1),
    ]:  # fmt: skip
        assert offset[name][axis] * sign > 10 and np.count_nonzero(np.abs(offset[name]) > 1e-6) == 1


def test_angles_do_not_jump_by_whole_turns(tmp_path: Path, clip: np.ndarray) -> None:
    """A body that turns about the vertical twice has a heading that grows to 720 degrees."""
    angle = np.linspace(0, 4 * np.pi, 100)
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros(100), np.ones(100)
    turn = np.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], -1).reshape(-1, 3, 3)
    write_poses(tmp_path / "m.bvh", lifted(np.einsum("nij,kj->nki", turn, clip[0]), H36M16))
    motion = (tmp_path / "m.bvh").read_text().partition("Frame Time:")[2].splitlines()[1:]
    values = np.array([[float(word) for word in line.split()] for line in motion])
    steps = np.abs(np.diff(values[:, 3:6], axis=0))
    assert steps.max() < 15 and abs(abs(np.ptp(values[:, 5])) - 720) < 30


# ------------------------------------------------------------------------------------------------ the world


def tilted(up: tuple[float, float, float], pose: np.ndarray) -> np.ndarray:
    """Poses of a level camera as a camera with another upward direction sees them."""
    return pose @ world_axes(LEVEL).T @ world_axes(up)


@pytest.mark.parametrize(
    "up", [LEVEL, (0.0, -0.8, -0.6), (0.6, -0.8, 0.0), (0.36, -0.48, -0.8), (0.0, 0.0, -1.0)]
)
def test_people_are_upright_whatever_the_camera_does(
    tmp_path: Path, clip: np.ndarray, up: tuple[float, float, float]
) -> None:
    write_poses(tmp_path / "level.bvh", lifted(clip, H36M16))
    given = lifted(tilted(up, clip), H36M16, up={0: up})
    write_poses(tmp_path / "tilted.bvh", given)
    level, back = (joints_of(read_bvh(tmp_path / f"{name}.bvh"), H36M16) for name in ("level", "tilted"))
    assert np.allclose(back, level, atol=1e-4)
    assert "upright by the camera's tilt" in world_note(tmp_path / "m.bvh", given)
    assert "the camera taken for level" in world_note(tmp_path / "m.bvh", lifted(clip, H36M16))


def test_world_axes_are_rotations_with_up_at_y() -> None:
    for up in (LEVEL, (0.36, -0.48, -0.8), (0.0, 0.0, -1.0), (0.0, 0.0, 1.0)):
        axes = world_axes(up)
        assert np.allclose(axes @ axes.T, np.eye(3)) and np.linalg.det(axes) > 0
        assert np.allclose(axes @ up, [0, 1, 0])
    assert np.allclose(world_axes(LEVEL), np.diag([1, -1, -1]))


def test_everybody_stands_on_one_floor(tmp_path: Path, clip: np.ndarray) -> None:
    pose = np.concatenate([clip, clip])
    root = np.repeat([[0.0, 1.3, 4.0], [1.0, 0.9, 5.0]], len(clip), 0).astype(np.float32)
    columns = {"person": np.repeat([0, 1], len(clip)), "frame": np.tile(np.arange(len(clip)), 2)}
    files = write_poses(tmp_path / "m.bvh", lifted(pose, H36M16, root=root, **columns))
    lowest = [joints_of(read_bvh(file), H36M16)[..., 1].min(1) for file in files]
    assert np.quantile(lowest, 0.05, axis=1) == pytest.approx([0, 0], abs=0.01)
    (without,) = write_poses(tmp_path / "n.bvh", lifted(clip, H36M16))
    assert np.abs(joints_of(read_bvh(without), H36M16)[..., 1].min(1)).max() < 1e-5


def test_all_formats_of_a_world_have_one_floor(tmp_path: Path, clip: np.ndarray) -> None:
    """The lowest joint is beneath it in 5 % of the frames; what programs draw at the feet is not."""
    rng = np.random.default_rng(0)
    root = np.array([0.2, 0.0, 4.0]) + rng.normal(0, [0, 0.02, 0], (len(clip), 3))
    # Bones that change their lengths are what rigs do not follow.
    poses = lifted(clip * rng.uniform(0.9, 1.1, (len(clip), 1, 1)), H36M16, root=root.astype(np.float32))
    for ending in ("bvh", "trc", "glb"):
        write_poses(tmp_path / f"o.{ending}", poses)
    bvh, trc = read_bvh(tmp_path / "o.bvh"), np.loadtxt(tmp_path / "o.trc", skiprows=6)
    ends = [at for at, joint in enumerate(bvh.joints) if joint.name.endswith("_end")]
    lowest = np.quantile(np.delete(bvh.position, ends, 1)[..., 1].min(1), 0.05) / 100
    assert lowest == pytest.approx(0, abs=1e-5)
    assert np.quantile(bvh.position[..., 1].min(1), 0.05) / 100 > -0.005, "the ends of legs lie along it"
    assert np.quantile(trc[:, 3::3].min(1), 0.05) == pytest.approx(0, abs=1e-4)
    content = (tmp_path / "o.glb").read_bytes()
    document = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    assert document["nodes"][0]["translation"] == pytest.approx(bvh.position[0, 0] / 100, abs=1e-6)


def gaps() -> Iterator[np.ndarray]:
    """Columns of two people: the first is lost twice, the second comes late and leaves early."""
    yield np.array([0, 1, 2, 3, 4, 5, 6, 7, 2, 3, 4])
    yield np.array([0] * 8 + [2] * 3)


def test_people_are_on_one_clock_and_gaps_are_bridged_and_told(tmp_path: Path) -> None:
    frame, person = gaps()
    pose = random_motion(SNAKE, len(frame))
    root = np.zeros((len(frame), 3), np.float32)
    root[:, 0], root[:, 2] = frame, 5
    pose[3:5] = np.nan
    poses = lifted(pose, SNAKE, frame=frame, person=person, root=root, clip_names={0: "dance 1"})
    files = write_poses(tmp_path / "m.bvh", poses)
    assert [file.name for file in files] == ["m_dance-1_person0.bvh", "m_dance-1_person2.bvh"]
    first, second = (joints_of(read_bvh(file), SNAKE) for file in files)
    assert len(first) == 8 and len(second) == 5, "it ends with the last known frame"
    assert np.allclose(first[:, 0, 0], np.arange(8), atol=1e-5), "on the line between 2 and 5"
    assert np.allclose(second[:, 0, 0], [2, 2, 2, 3, 4], atol=1e-5)
    assert bridged_frames(tmp_path / "m.bvh", poses) == {(0, 0): [(3, 4)]}
    assert held_frames(tmp_path / "m.bvh", poses) == {(0, 2): [(0, 1)]}
    assert held_frames(tmp_path / "m.glb", poses) == {(0, 2): [(0, 1), (5, 7)]}, "the other goes on"
    for told in (bridged_frames, held_frames):
        assert told(tmp_path / "m.npz", poses) == told(tmp_path / "m.trc", poses) == {}


@pytest.mark.parametrize("ending", ["bvh", "glb", "mot"])
def test_no_file_goes_on_after_everybody_left(tmp_path: Path, ending: str) -> None:
    pose = random_motion(H36M16, 9)
    pose[:2] = pose[5:] = np.nan
    path, poses = tmp_path / f"m.{ending}", lifted(pose, H36M16)
    kept = slice(0, 5)
    short = lifted(pose[kept], H36M16)
    assert write_poses(path, poses) == [path]
    content = path.read_bytes()
    write_poses(path, short)
    assert content == path.read_bytes(), "as if the detections had ended there"
    assert held_frames(path, poses) == {(0, 0): [(0, 1)]} and bridged_frames(path, poses) == {}


def test_who_leaves_for_long_returns_at_the_right_time(tmp_path: Path) -> None:
    frame = np.array([0, 1, 2, 3, 500, 501])
    poses = lifted(random_motion(SNAKE, 6), SNAKE, frame=frame)
    write_poses(tmp_path / "m.bvh", poses)
    assert len(read_bvh(tmp_path / "m.bvh").position) == 502
    assert bridged_frames(tmp_path / "m.bvh", poses) == {(0, 0): [(4, 499)]}


def test_pictures_far_apart_follow_each_other(tmp_path: Path) -> None:
    pose = random_motion(SNAKE, 3)
    write_poses(tmp_path / "m.bvh", lifted(pose, SNAKE, frame=np.array([0, 5, 10**9])))
    assert len(read_bvh(tmp_path / "m.bvh").position) == 3


def test_a_file_is_a_source_again(tmp_path: Path, clip: np.ndarray) -> None:
    root = np.tile([0.3, 0.5, 4.0], (len(clip), 1)).astype(np.float32)
    write_poses(tmp_path / "m.bvh", lifted(clip, H36M16, root=root))
    read = read_source(tmp_path / "m.bvh")
    assert "+y is up" in str(read.reading.notes if hasattr(read.reading, "notes") else read.reading)
    length = (read.pose_3d[:, H36M16.joint("head_top")] - read.pose_3d[:, H36M16.joint("thorax")]).norm(
        dim=-1
    )
    own = np.linalg.norm(clip[:, H36M16.joint("head_top")] - clip[:, H36M16.joint("thorax")], axis=-1)
    assert float(length.mean()) == pytest.approx(own.mean(), abs=2e-3)


def test_a_person_without_a_valid_frame_is_left_out_and_named(tmp_path: Path) -> None:
    pose = random_motion(SNAKE, frames=6)
    pose[2:4] = np.nan
    person, frame = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1] * 3)
    poses = lifted(pose, SNAKE, person=person, frame=frame)
    files = write_poses(tmp_path / "m.bvh", poses)
    assert [file.name for file in files] == ["m_clip0_person0.bvh", "m_clip0_person2.bvh"]
    assert skipped_tracks(tmp_path / "m.bvh", poses) == [(0, 1)]
    assert skipped_tracks(tmp_path / "m.csv", poses) == [], "which holds gaps"


@pytest.mark.parametrize("person", [np.zeros(3, int), np.arange(3)])
def test_nobody_with_a_valid_frame_is_refused(tmp_path: Path, person: np.ndarray) -> None:
    poses = lifted(np.full((3, 4, 3), np.nan), DOG, person=person)
    with pytest.raises(ValueError, match=r"^output: expected a person with a valid frame for .bvh, got "):
        write_poses(tmp_path / "m.bvh", poses)
    assert not list(tmp_path.iterdir())
