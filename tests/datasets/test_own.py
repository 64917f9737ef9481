"""A user's own pair: any source, 2D detections as the target, no labels of it, and a real adaptation step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from motions import MARKERS, trc

from poseda.datasets import AdaptationData, DataError, NoLabelsError, own_domains
from poseda.datasets.account_words import barely_seen
from poseda.datasets.own import split_source
from poseda.geometry.camera import Camera, denormalize_screen, project
from poseda.geometry.placements import TargetPlacements
from poseda.geometry.skeleton import COCO17, H36M16, H36M17

SIZE = (1280, 720)


def write_source(path: Path, rows: int = 40, clips: int = 8, **more: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    pose = rng.normal([0, 0, 5], 0.3, (rows, 16, 3))
    clip = np.arange(rows) * clips // rows
    np.savez(path, pose_3d=pose, focal=np.array([2.0, 2.0]), center=np.zeros(2), clip=clip, **more)
    return path


def write_target(path: Path, people: int = 6, hide: str | None = None) -> np.ndarray:
    """COCO results of people filmed by a camera of 60 degrees; returns their (N, 17, 2) pixels."""
    rng = np.random.default_rng(1)
    pose = rng.normal(0, 0.3, (people, 17, 3)) + rng.uniform([-1, -0.3, 4], [1, 0.3, 6], (people, 1, 3))
    camera = Camera.from_field_of_view(60, *SIZE).to(torch.float64)
    pixels = denormalize_screen(project(torch.from_numpy(pose), camera), *SIZE).numpy()
    content = []
    for image, points in enumerate(pixels):
        confidence = np.full((17, 1), 0.9)
        if hide and image == 0:
            confidence[COCO17.joint(hide)] = 0.1
        keypoints = np.concatenate([points, confidence], 1).ravel().tolist()
        content.append({"image_id": image, "category_id": 1, "keypoints": keypoints, "score": 1.0})
    path.write_text(json.dumps(content))
    return pixels


def test_a_source_and_detections_become_domains(tmp_path):
    pixels = write_target(tmp_path / "gym.json", hide="left_wrist")
    domains = own_domains(write_source(tmp_path / "source.npz"), tmp_path / "gym.json", SIZE, 60)
    data = domains.adaptation()
    assert isinstance(data, AdaptationData) and data.skeleton is H36M16 and domains.name == "gym"
    assert len(data.source) == 35 and len(data.source_val) == 5  # a tenth of eight clips, whole
    clips = [set(part.clip.tolist()) for part in (data.source, data.source_val, data.target)]
    assert not clips[0] & clips[1] and not (clips[0] | clips[1]) & clips[2]
    left_hip = pixels[:, COCO17.joint("left_hip")]
    expected = (2 * left_hip - SIZE) / SIZE[0]
    assert np.allclose(data.target.pose_2d[:, H36M16.joint("left_hip")], expected, atol=1e-5)
    assert data.target.camera.focal[0].tolist() == pytest.approx([3**0.5] * 2)
    unseen = (~data.target.visible).nonzero().tolist()
    assert unseen == [[0, H36M16.joint("left_wrist")]]
    assert domains.made_up["pelvis"] == "mean of left_hip, right_hip"
    placements = TargetPlacements.build(
        data.target.pose_2d, data.target.camera, data.skeleton, data.target.visible
    )
    assert len(placements) == 6 and placements.dropped == 0


def test_rows_that_show_too_few_joints_are_counted(tmp_path):
    write_target(tmp_path / "gym.json")
    assert barely_seen(own_domains(None, tmp_path / "gym.json", SIZE).adaptation().target) is None
    content = json.loads((tmp_path / "gym.json").read_text())
    legs = [
        COCO17.joint(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")
    ]
    arms = [COCO17.joint(f"{side}_{joint}") for side in ("left", "right") for joint in ("elbow", "wrist")]
    for one, unseen in ((content[0], legs), (content[1], legs + arms)):
        for joint in unseen:
            one["keypoints"][3 * joint + 2] = 0.0
    (tmp_path / "gym.json").write_text(json.dumps(content))
    target = own_domains(None, tmp_path / "gym.json", SIZE).adaptation().target
    # Of the first person head and arms are seen, eleven joints of the detector; of the second seven.
    assert target.shown[:2].sum(1).tolist() == [7, 3]
    assert target.liftable.tolist() == [True, False, True, True, True, True]
    assert barely_seen(target).startswith("1 of 6 rows of the target show fewer than 8 joints. They teach")
    assert target.rows(torch.tensor([1])).liftable.tolist() == [False]


def test_labels_of_the_target_are_refused_by_name(tmp_path):
    write_target(tmp_path / "gym.json")
    domains = own_domains(write_source(tmp_path / "source.npz"), tmp_path / "gym.json", SIZE)
    assert len(domains.evaluation("source_val")) == 5
    with pytest.raises(
        NoLabelsError, match="gym: target_test: expected 3D labels, found 2D detections without labels"
    ):
        domains.evaluation()
    with pytest.raises(DataError, match="gym: oracle: expected 3D labels"):
        domains.oracle()
    with pytest.raises(ValueError, match="split: expected one of target_test, source_val"):
        domains.evaluation("target_train")


def test_without_a_source_the_embedded_studio_serves(tmp_path):
    write_target(tmp_path / "gym.json")
    data = own_domains(None, tmp_path / "gym.json", SIZE).adaptation()
    assert len(data.source) > 1000 and len(data.target) == 6
    assert own_domains(None, tmp_path / "gym.json", SIZE).source_account == ()
    with pytest.raises(DataError, match="embedded source: skeleton: expected h36m17, found h36m16"):
        own_domains(None, tmp_path / "gym.json", SIZE, skeleton=H36M17)


def test_a_domain_file_keeps_its_own_split_and_may_lack_a_target(tmp_path):
    rng = np.random.default_rng(0)
    table = {}
    for split, rows, first in (("source", 7, 0), ("source_val", 3, 7)):
        table[f"{split}_pose_3d"] = (rng.normal([0, 0, 5], 0.3, (rows, 16, 3))).astype(np.float32)
        table[f"{split}_pose_2d"] = rng.uniform(-0.5, 0.5, (rows, 16, 2)).astype(np.float32)
        table[f"{split}_focal"], table[f"{split}_center"] = np.ones((rows, 2)), np.zeros((rows, 2))
        table[f"{split}_clip"] = first + np.arange(rows)
    np.savez(tmp_path / "studio.npz", **table)
    write_target(tmp_path / "gym.json")
    data = own_domains(tmp_path / "studio.npz", tmp_path / "gym.json", SIZE).adaptation()
    assert len(data.source) == 7 and len(data.source_val) == 3
    assert np.array_equal(data.source.pose_3d.numpy(), table["source_pose_3d"])


def test_the_fingerprint_follows_files_and_options(tmp_path):
    source = write_source(tmp_path / "source.npz")
    write_target(tmp_path / "gym.json")

    def print_of(**options: object) -> str:
        return own_domains(source, tmp_path / "gym.json", SIZE, **options).fingerprint()  # type: ignore[arg-type]

    first = print_of()
    assert print_of() == first and print_of(fov=60) != first and print_of(min_confidence=0.5) != first
    write_target(tmp_path / "gym.json", people=5)
    assert print_of() != first


def test_intrinsics_win_over_the_field_of_view(tmp_path):
    write_target(tmp_path / "gym.json")
    lens = {"width": 1280, "height": 720, "focal_length": [1000, 1010], "center": [640, 360]}
    (tmp_path / "lens.json").write_text(json.dumps(lens))
    source = write_source(tmp_path / "source.npz")
    data = own_domains(source, tmp_path / "gym.json", fov=90, intrinsics=tmp_path / "lens.json").adaptation()
    assert data.target.camera.focal[3].tolist() == pytest.approx([2000 / 1280, 2020 / 1280])


def test_a_single_clip_is_split_in_time(tmp_path):
    write_target(tmp_path / "gym.json")
    source = write_source(tmp_path / "one.npz", rows=30, clips=1)
    data = own_domains(source, tmp_path / "gym.json", SIZE).adaptation()
    assert len(data.source) == 27 and len(data.source_val) == 3
    assert not set(data.source.clip.tolist()) & set(data.source_val.clip.tolist())
    with pytest.raises(DataError, match="source: expected at least two poses, found 1"):
        split_source(data.source.rows(torch.tensor([0])))


def test_the_split_is_by_seed_and_keeps_every_row(tmp_path):
    write_target(tmp_path / "gym.json")
    source = write_source(tmp_path / "source.npz")
    one, two, other = (
        own_domains(source, tmp_path / "gym.json", SIZE, seed=seed).adaptation() for seed in (0, 0, 3)
    )
    assert torch.equal(one.source.clip, two.source.clip) and not torch.equal(
        one.source_val.clip, other.source_val.clip
    )
    assert len(one.source) + len(one.source_val) == 40


def test_a_source_behind_the_camera_is_refused(tmp_path):
    write_target(tmp_path / "gym.json")
    pose = np.random.default_rng(0).normal([0, 0, -5], 0.3, (40, 16, 3))
    clip = np.arange(40) // 5
    np.savez(tmp_path / "back.npz", pose_3d=pose, focal=np.full(2, 2.0), center=np.zeros(2), clip=clip)
    with pytest.raises(DataError, match=r"back\.npz: .*depth|back\.npz: .*camera"):
        own_domains(tmp_path / "back.npz", tmp_path / "gym.json", SIZE)


def test_one_map_of_joints_serves_target_and_source_and_both_are_accounted_for(tmp_path):
    pixels = write_target(tmp_path / "gym.json")
    odd = [name if name != "nose" else "tip" for name in COCO17.joint_names]
    table = {"keypoints": pixels, "image_size": np.array(SIZE), "joint_names": np.array(odd)}
    np.savez(tmp_path / "gym.npz", **table)
    markers = {("Knie_L" if name == "LKnee" else name): joint for name, joint in MARKERS.items()}
    (tmp_path / "walk.trc").write_text(trc(markers, frames=4))
    domains = own_domains(
        tmp_path / "walk.trc", tmp_path / "gym.npz", joints=["nose=tip", "left_knee=Knie_L"], stride=2
    )
    first, *rest = domains.source_account
    assert first.startswith("source: TRC, 1 file; +y is up, by the format's custom; 30 frames per second")
    assert "made up: pelvis (LHip and RHip), spine (pelvis and Neck)" in first
    assert len(rest) == 1 and rest[0].startswith(
        "source: which way is up comes from the source's people, who"
    )
    assert f"source: which way is up comes {domains.source_up}" == rest[0]
    with pytest.raises(
        DataError, match=r"walk\.trc: joints: left_knee: .*found Knie_R; did you mean Knie_L\?"
    ):
        own_domains(tmp_path / "walk.trc", tmp_path / "gym.npz", joints=["nose=tip", "left_knee=Knie_R"])


def test_a_source_that_is_faster_than_the_target_is_said(tmp_path):
    (tmp_path / "walk.trc").write_text(trc(frames=8))
    pixels = write_target(tmp_path / "gym.json")
    instances = [
        {"frame_id": at, "instances": [{"keypoints": one.tolist(), "keypoint_scores": [1.0] * 17}]}
        for at, one in enumerate(pixels)
    ]
    content = {"fps": 20, "meta_info": {}, "instance_info": instances}
    (tmp_path / "gym.json").write_text(json.dumps(content))
    domains = own_domains(tmp_path / "walk.trc", tmp_path / "gym.json", SIZE)
    assert domains.source_account[-1] == (
        "the source has 60 frames per second and the target 20, which matters to lifters of several frames; "
        "--stride 3 is nearest"
    )
