"""The embedded domains: possible people, the stated gap, no clip in two splits, bits fixed by the seed."""

import dataclasses

import numpy as np
import pytest
import torch

from poseda.datasets import SPLITS, LabelledPoses, UnlabelledPoses, open_domains
from poseda.datasets.synthetic.embedded import CLIPS
from poseda.datasets.synthetic.repertoire import (
    FRAMES,
    SOURCE_REPERTOIRE,
    TARGET_REPERTOIRE,
    Repertoire,
    draw_clips,
)
from poseda.geometry import anatomy
from poseda.geometry.camera import Camera, project
from poseda.geometry.skeleton import H36M16

SIZE = 0.5


@pytest.fixture(scope="module")
def splits() -> dict[str, LabelledPoses]:
    domains = open_domains(None, size=SIZE)
    data = domains.adaptation()
    return {
        "source": data.source,
        "source_val": data.source_val,
        "target_train": domains.oracle(),
        "target_test": domains.evaluation("target_test"),
    }


def world(poses: LabelledPoses) -> np.ndarray:
    """(N, J, 3) root-relative poses with z up."""
    return np.einsum("nji,nkj->nki", poses.columns["rotation"], poses.root_relative.double().numpy())


def angle_at(pose: np.ndarray, first: str, middle: str, last: str) -> np.ndarray:
    """(N,) degrees by which the joint in the middle is bent from straight."""
    one, two = (
        pose[:, H36M16.joint(b)] - pose[:, H36M16.joint(a)] for a, b in ((first, middle), (middle, last))
    )
    cosine = (one * two).sum(-1) / (np.linalg.norm(one, axis=-1) * np.linalg.norm(two, axis=-1))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_sizes_are_near_the_stated_ones(splits):
    for name, poses in splits.items():
        stated = CLIPS[name] * FRAMES * SIZE
        assert 0.9 * stated <= len(poses) <= stated, name


@pytest.mark.parametrize("split", SPLITS)
def test_records_have_the_shapes_and_dtypes_promised(splits, split):
    poses = splits[split]
    rows = len(poses)
    assert poses.pose_3d.shape == (rows, 16, 3) and poses.pose_3d.dtype == torch.float32
    assert poses.pose_2d.shape == (rows, 16, 2) and poses.pose_2d.dtype == torch.float32
    assert poses.clip.shape == (rows,) and poses.clip.dtype == torch.int64
    assert poses.camera.focal.dtype == torch.float32 and len(poses.camera) == rows
    assert poses.root_relative[:, 0].eq(0).all()


@pytest.mark.parametrize("split", SPLITS)
def test_2d_is_the_projection_of_3d_and_lies_on_screen(splits, split):
    poses = splits[split]
    seen = project(poses.pose_3d.double(), poses.camera.to(torch.float64))
    # float32 storage of the pose at some metres and of the result.
    torch.testing.assert_close(poses.pose_2d.double(), seen, rtol=0, atol=1e-6)
    assert poses.pose_2d[..., 0].abs().max() <= 1
    assert (poses.pose_2d[..., 1].abs() <= poses.camera.aspect[:, None]).all()
    assert poses.pose_3d[..., 2].min() > 0.5


def test_no_clip_stands_in_two_splits(splits):
    seen = [set(poses.clip.tolist()) for poses in splits.values()]
    assert len(set().union(*seen)) == sum(map(len, seen))


@pytest.mark.parametrize("split", SPLITS)
def test_bones_keep_their_length_per_person_and_sides_are_equal(splits, split):
    poses = splits[split]
    length = (poses.pose_3d[:, 1:] - poses.pose_3d[:, list(H36M16.parents[1:])]).norm(dim=-1)
    for person in np.unique(poses.columns["subject"]):
        own = length[torch.from_numpy(poses.columns["subject"] == person)]
        assert (own - own.mean(0)).abs().max() < 1e-5
    torch.testing.assert_close(length, length[:, list(H36M16.mirror_bones)], rtol=0, atol=1e-5)


@pytest.mark.parametrize("split", SPLITS)
def test_knees_bend_backward_and_elbows_forward(splits, split):
    pose = world(splits[split])
    left = pose[:, H36M16.joint("left_hip")] - pose[:, H36M16.joint("right_hip")]
    for side in ("left", "right"):
        hip, knee, ankle = (pose[:, H36M16.joint(f"{side}_{name}")] for name in ("hip", "knee", "ankle"))
        # The axis about which a knee bends points to the body's left: thigh x shin has that sign.
        axis = np.cross(knee - hip, ankle - knee)
        bent = angle_at(pose, f"{side}_hip", f"{side}_knee", f"{side}_ankle") > 30
        assert bent.mean() > 0.1
        assert ((axis * left).sum(-1)[bent] > 0).mean() > 0.99
        knees = angle_at(pose, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        elbows = angle_at(pose, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        for angle, degree in ((knees, "knee"), (elbows, "elbow")):
            low, high = anatomy.SIDED_RANGES[degree]
            assert angle.min() > low - 0.5 and angle.max() < high + 0.5


@pytest.mark.parametrize("split", SPLITS)
def test_something_always_stands_on_the_floor_and_nothing_below(splits, split):
    poses = splits[split]
    # Heights relative to the lowest clearance: the floor is where a contact point rests.
    pose = world(poses)
    clearance = np.array(
        [
            anatomy.CLEARANCE.get(n.removeprefix("left_").removeprefix("right_"), np.nan)
            for n in H36M16.joint_names
        ]
    )
    height = (pose[..., 2] - clearance)[:, ~np.isnan(clearance)]
    pelvis_height = -height.min(1)
    assert pelvis_height.min() > 0.1 and pelvis_height.max() < 1.15
    standing = pelvis_height > 0.8
    ankles = pose[:, [H36M16.joint("left_ankle"), H36M16.joint("right_ankle")], 2].min(1)
    assert standing.mean() > 0.2
    np.testing.assert_allclose(ankles[standing] + pelvis_height[standing], 0.08, atol=1e-5)


def test_the_foot_that_carries_does_not_slide():
    angles, heading, posture = draw_clips(200, SOURCE_REPERTOIRE, np.random.default_rng(0))
    rows = 200 * FRAMES
    lengths = np.full((rows, 15), 0.3)
    pose = anatomy.posed(angles.reshape(rows, -1), lengths, heading.reshape(rows)).reshape(200, FRAMES, 16, 3)
    stood = anatomy.on_floor(pose)[posture == "walk"]
    ankles = stood[:, :, [H36M16.joint("left_ankle"), H36M16.joint("right_ankle")]]
    carries = ankles[:, :-1, :, 2].argmin(-1)[..., None, None]
    step = np.take_along_axis(np.diff(ankles[..., :2], axis=1), carries, 2)
    assert np.abs(step).max() < 1e-9
    travelled = np.linalg.norm(stood[:, -1, 0, :2] - stood[:, 0, 0, :2], axis=-1)
    assert np.median(travelled) > 0.4


def test_walks_move_the_way_the_body_faces():
    angles, heading, posture = draw_clips(200, SOURCE_REPERTOIRE, np.random.default_rng(1))
    rows = 200 * FRAMES
    pose = anatomy.posed(angles.reshape(rows, -1), np.full((rows, 15), 0.3), heading.reshape(rows))
    stood = anatomy.on_floor(pose.reshape(200, FRAMES, 16, 3))[posture == "walk"]
    facing = np.radians(heading[posture == "walk"])
    ahead = np.stack([np.cos(facing), np.sin(facing)], -1)[:, :-1]
    assert ((np.diff(stood[:, :, 0, :2], axis=1) * ahead).sum((1, 2)) > 0).mean() > 0.98


def test_arms_swing_against_the_legs():
    walk = Repertoire(postures={"walk": 1}, gestures={"hang": 1})
    angles, _, _ = draw_clips(50, walk, np.random.default_rng(0))
    rows = 50 * FRAMES
    pose = anatomy.posed(angles.reshape(rows, -1), np.full((rows, 15), 0.3), np.zeros(rows))
    for side in ("left", "right"):
        ankle, wrist = pose[:, H36M16.joint(f"{side}_ankle"), 0], pose[:, H36M16.joint(f"{side}_wrist"), 0]
        assert np.corrcoef(ankle, wrist)[0, 1] < -0.5


@pytest.mark.parametrize("repertoire", [SOURCE_REPERTOIRE, TARGET_REPERTOIRE])
def test_angles_stay_within_anatomical_ranges_and_move_smoothly(repertoire):
    angles, _, _ = draw_clips(300, repertoire, np.random.default_rng(0))
    assert (angles >= anatomy.RANGES[:, 0]).all() and (angles <= anatomy.RANGES[:, 1]).all()
    # A frame lasts 0.1 s; a runner's knee is the fastest, at about 600 degrees a second.
    assert np.abs(np.diff(angles, axis=1)).max() < 75


def test_the_gap_between_the_domains_is_the_stated_one(splits):
    source, target = splits["source"], splits["target_train"]
    depth = [poses.pose_3d[:, 0, 2].mean().item() for poses in (source, target)]
    focal = [poses.camera.focal.mean().item() for poses in (source, target)]
    pitch = [poses.columns["pitch"].mean() for poses in (source, target)]
    assert 4.6 < depth[0] < 5.6 and 2.3 < depth[1] < 3.5
    assert 2.2 < focal[0] < 2.35 and 1.25 < focal[1] < 1.5
    assert pitch[0] > pitch[1] + 2
    spread = [
        (p.root_relative - p.root_relative.mean(0)).norm(dim=-1).mean().item() for p in (source, target)
    ]
    assert spread[1] > 1.1 * spread[0]
    low = ("crouch", "bend", "lunge", "kneel", "floor")
    share = [np.isin(poses.columns["action"], low).mean() for poses in (source, target)]
    assert share[1] > 2 * share[0]
    assert target.camera.distortion.abs().max() > 0.05 and source.camera.distortion.abs().max() == 0


def test_target_train_and_test_come_from_one_domain(splits):
    train, test = splits["target_train"], splits["target_test"]
    assert set(test.columns["subject"]) == set(train.columns["subject"])
    assert abs((train.pose_3d[:, 0, 2].mean() - test.pose_3d[:, 0, 2].mean()).item()) < 0.2


def test_a_seed_fixes_every_bit_and_another_seed_changes_them():
    first, again, other = (open_domains(None, seed=s, size=0.02) for s in (3, 3, 4))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert torch.equal(first.evaluation().pose_2d, again.evaluation().pose_2d)
    assert not torch.equal(first.evaluation().pose_2d[:20], other.evaluation().pose_2d[:20])


def test_the_global_random_state_is_left_alone():
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002, the legacy state is what must not move
    open_domains(None, size=0.02).adaptation()
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_adapting_code_receives_no_3d_pose_of_the_target():
    data = open_domains(None, size=0.02).adaptation()
    assert {field.name for field in dataclasses.fields(data)} == {
        "skeleton",
        "source",
        "source_val",
        "target",
        "weak",
    }
    assert data.weak is None
    assert {field.name for field in dataclasses.fields(data.target)} == {
        "pose_2d",
        "camera",
        "clip",
        "visible",
        "observed",
        "rig",
        "up",
        "enough",
        "time",
    }
    assert data.target.rig is None
    tensors = [data.target.pose_2d, data.target.clip]
    tensors += [
        v for f in dataclasses.fields(Camera) if (v := getattr(data.target.camera, f.name)) is not None
    ]
    assert all(tensor.dim() < 3 or tensor.shape[-1] == 2 for tensor in tensors)


def test_rows_and_devices_keep_everything_together(splits):
    poses = splits["target_test"]
    index = torch.tensor([5, 0, 5])
    some = poses.rows(index).to("cpu")
    assert torch.equal(some.pose_3d, poses.pose_3d[index]) and torch.equal(some.clip, poses.clip[index])
    assert torch.equal(some.camera.focal, poses.camera.focal[index])
    assert some.columns["subject"].tolist() == [poses.columns["subject"][i] for i in (5, 0, 5)]
    seen = UnlabelledPoses(
        poses.pose_2d, poses.camera, poses.clip, torch.ones(len(poses), 16, dtype=torch.bool)
    )
    mask = poses.clip == poses.clip[0]
    assert len(seen.rows(mask)) == int(mask.sum()) == len(seen.rows(mask).visible)


def test_records_whose_parts_disagree_are_refused(splits):
    poses = splits["target_test"]
    with pytest.raises(ValueError, match=rf"camera: expected 3 rows as pose_2d, got {len(poses)}"):
        UnlabelledPoses(poses.pose_2d[:3], poses.camera, poses.clip[:3])
    with pytest.raises(ValueError, match="clip: expected int64"):
        UnlabelledPoses(poses.pose_2d, poses.camera, poses.clip.int())
    with pytest.raises(ValueError, match=r"pose_3d: expected shape \(\d+, 16, 3\) as pose_2d"):
        LabelledPoses(poses.pose_3d[:, :15], poses.pose_2d, poses.camera, poses.clip)
    with pytest.raises(ValueError, match="visible: expected bool"):
        UnlabelledPoses(poses.pose_2d, poses.camera, poses.clip, poses.pose_2d[..., 0])
    with pytest.raises(ValueError, match=r"columns\['subject'\]: expected"):
        LabelledPoses(poses.pose_3d, poses.pose_2d, poses.camera, poses.clip, {"subject": np.zeros(3)})


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
def test_a_size_that_means_nothing_is_refused(size):
    with pytest.raises(ValueError, match="size: expected a positive number"):
        open_domains(None, size=size)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed: expected 0 or more, got -1"):
        open_domains(None, seed=-1)


@pytest.mark.parametrize("split", ["target_train", "source", "test"])
def test_only_two_splits_may_be_evaluated_on(split):
    with pytest.raises(ValueError, match="split: expected one of target_test, source_val"):
        open_domains(None, size=0.02).evaluation(split)
