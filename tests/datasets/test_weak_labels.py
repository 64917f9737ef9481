"""Weak labels: poses of any skeleton and scale find their rows, and all that is left out is counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poseda.datasets import AdaptationData, DataError, OwnDomains, own_domains
from poseda.datasets.weak_labels import _digests
from poseda.export import write_poses
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import H36M16
from tests.shared.lifted import lifted
from tests.shared.rigs import FOCAL, SIZE, FilmedRig, film_rig

FIELD_OF_VIEW = math.degrees(2 * math.atan(SIZE[0] / 2 / FOCAL))

FRAMES = np.array([3, 7, 11, 20])

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> FilmedRig:
    return film_rig(tmp_path_factory.mktemp("weak") / "rig", frames=30)


@pytest.fixture
def file(rig: FilmedRig, tmp_path: Path) -> Write:
    """Writes labels of :data:`FRAMES` of the first camera, but for what is given."""

    def write(name: str = "poses.npz", **given: Any) -> Path:
        content = {
            "pose_3d": rig.pose_3d[0, FRAMES].numpy(),
            "joint_names": np.array(H36M16.joint_names),
            "frame": FRAMES,
            "unit": np.array("m"),
        }
        content |= given
        np.savez(tmp_path / name, **{key: value for key, value in content.items() if value is not None})
        return tmp_path / name

    return write


def read(rig: FilmedRig, *files: Path, paths: int = 1, **given: Any) -> OwnDomains:
    return own_domains(rig.source, rig.paths[:paths], fov=FIELD_OF_VIEW, weak_labels=files, **given)


def weak(domains: OwnDomains) -> Any:
    data: AdaptationData = domains.adaptation()
    assert data.weak is not None
    return data.weak


def test_poses_find_the_rows_of_their_frames_and_keep_their_metres(rig: FilmedRig, file: Write) -> None:
    found = weak(read(rig, file()))
    assert found.row.tolist() == FRAMES.tolist()
    assert bool(found.known.all()) and bool(found.metric.all())
    torch.testing.assert_close(root_relative(found.pose_3d), rig.pose_3d[0, FRAMES].float())


def test_without_files_there_are_none_and_the_data_are_the_same(rig: FilmedRig, file: Write) -> None:
    without = read(rig)
    assert without.adaptation().weak is None and without.weak is None
    assert without.fingerprint() != read(rig, file()).fingerprint()
    assert without.fingerprint() == own_domains(rig.source, rig.paths[:1], fov=FIELD_OF_VIEW).fingerprint()


@pytest.mark.parametrize(("unit", "length"), [("cm", 100.0), ("mm", 1000.0)])
def test_a_unit_is_converted(rig: FilmedRig, file: Write, unit: str, length: float) -> None:
    pose = length * rig.pose_3d[0, FRAMES].numpy() + 5.0  # about any point
    found = weak(read(rig, file(pose_3d=pose, unit=np.array(unit))))
    torch.testing.assert_close(
        root_relative(found.pose_3d), rig.pose_3d[0, FRAMES].float(), atol=1e-5, rtol=0
    )


def test_a_pose_without_a_unit_has_no_scale(rig: FilmedRig, file: Write) -> None:
    domains = read(rig, file(pose_3d=7 * rig.pose_3d[0, FRAMES].numpy(), unit=None))
    assert not weak(domains).metric.any()
    assert (
        domains.weak is not None and "no unit, so people get their usual lengths" in domains.weak.account[0]
    )


def test_joints_of_another_skeleton_are_found_by_name_and_the_others_are_unknown(
    rig: FilmedRig, file: Write
) -> None:
    kept = [joint for joint, name in enumerate(H36M16.joint_names) if "ankle" not in name]
    names = [f"L_{n[5:]}" if n.startswith("left_") else n for n in H36M16.joint_names]
    pose = rig.pose_3d[0, FRAMES].numpy()[:, kept]
    domains = read(rig, file(pose_3d=pose, joint_names=np.array([names[joint] for joint in kept])))
    known = weak(domains).known
    ankles = [H36M16.joint("left_ankle"), H36M16.joint("right_ankle")]
    assert not known[:, ankles].any() and known.sum() == len(FRAMES) * len(kept)
    assert domains.weak is not None
    assert "joints that the lifter fills in: right_ankle 4, left_ankle 4" in domains.weak.account[0]


def test_joints_may_be_named_by_the_user(rig: FilmedRig, file: Write) -> None:
    names = ["foot of L" if name == "left_ankle" else name for name in H36M16.joint_names]
    path = file(joint_names=np.array(names))
    assert not weak(read(rig, path)).known[:, H36M16.joint("left_ankle")].any()
    assert bool(weak(read(rig, path, joints={"left_ankle": "foot of L"})).known.all())


def test_every_pose_that_is_left_out_is_counted_under_its_reason(rig: FilmedRig, file: Write) -> None:
    pose, frame = rig.pose_3d[0, :9].numpy().copy(), np.arange(9)
    pose[0] = np.nan
    pose[1, 7:] = np.nan
    frame[2], frame[4] = 400, 3
    pose[5, 4] = np.inf  # one joint alone
    pose[6] = pose[6, ::-1] * [1, -1, 1]
    domains = read(rig, file(pose_3d=pose, frame=frame, valid=np.arange(9) != 7))
    assert weak(domains).row.tolist() == [3, 5, 8]
    assert domains.weak is not None
    (account,) = domains.weak.account
    assert account.startswith("weak labels: 3 of 9 poses of poses.npz")
    for reason in (
        "2 without a pose",
        "1 with fewer than 8 joints",
        "1 of frames that the target does not have",
        "1 of people who are labelled already",
        "1 that do not fit the detections",
    ):
        assert f"left out: {reason}" in account


def test_of_two_files_the_first_labels_a_row(rig: FilmedRig, file: Write) -> None:
    more = file("more.npz", pose_3d=rig.pose_3d[0, [3, 4]].numpy(), frame=np.array([3, 4]))
    domains = read(rig, file(), more)
    assert weak(domains).row.tolist() == [*FRAMES.tolist(), 4]
    assert domains.weak is not None and set(domains.weak.files) == {"poses.npz", "more.npz"}


def test_several_paths_are_told_apart_by_their_order_or_their_names(rig: FilmedRig, file: Write) -> None:
    second = rig.pose_3d[1, FRAMES].numpy()
    by_order = weak(read(rig, file(), file("second.npz", pose_3d=second), paths=2))
    assert by_order.row.tolist() == [*FRAMES.tolist(), *(30 + FRAMES).tolist()]
    one = file("one.npz", pose_3d=second, camera=np.array(["cam1"] * len(FRAMES)))
    assert weak(read(rig, one, paths=2)).row.tolist() == (30 + FRAMES).tolist()


def test_a_person_must_be_named_where_the_frame_has_several(
    rig: FilmedRig, file: Write, tmp_path: Path
) -> None:
    content = dict(np.load(rig.paths[0]))
    other = content["keypoints"] + [300.0, 0.0, 0.0]
    target = tmp_path / "two.npz"
    np.savez(
        target,
        keypoints=np.concatenate([content["keypoints"], other]),
        joint_names=content["joint_names"],
        image_size=content["image_size"],
        frame=np.tile(content["frame"], 2),
        person=np.repeat([5, 6], 30),
    )

    def labels(**given: Any) -> OwnDomains:
        return own_domains(rig.source, target, fov=FIELD_OF_VIEW, weak_labels=file(**given))

    with pytest.raises(DataError, match="4 of frames with several people or clips"):
        labels()
    assert weak(labels(person=np.full(len(FRAMES), 6))).row.tolist() == (30 + FRAMES).tolist()


@pytest.mark.parametrize("suffix", ["npz", "json", "csv"])
def test_what_poseda_lift_writes_is_read(rig: FilmedRig, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"lifted.{suffix}"
    pose = rig.pose_3d[0, FRAMES].numpy()
    pose[1] = np.nan
    write_poses(path, lifted(pose, H36M16, frame=FRAMES))
    domains = read(rig, path)
    assert weak(domains).row.tolist() == FRAMES[[0, 2, 3]].tolist() and bool(weak(domains).metric.all())
    assert domains.weak is not None and "left out: 1 without a pose" in domains.weak.account[0]


def upside_down(rig: FilmedRig) -> dict[str, Any]:
    return {"pose_3d": rig.pose_3d[0, FRAMES].numpy() * [1, -1, -1]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (upside_down, "pose_3d: expected poses in camera axes .x right, y down, z forward"),
        (lambda _: {"frame": FRAMES + 900}, "4 of frames that the target does not have"),
        (lambda _: {"frame": None}, "frame: expected this member"),
        (lambda _: {"joint_names": None}, "joint_names: expected this member"),
        (lambda _: {"frame": FRAMES[:2]}, r"frame: expected shape \(4,\)"),
        (lambda _: {"unit": np.array("ft")}, "unit: expected one of m, cm, mm, found ft"),
        (lambda _: {"camera": np.array(["front"] * 4)}, "camera: expected a path of --target: cam0, found"),
        (lambda _: {"pose_3d": np.array([{}])}, "pose_3d: expected plain numbers or text, found Python obj"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    rig: FilmedRig, file: Write, given: Callable[[FilmedRig], dict[str, Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        read(rig, file(**given(rig)))
    assert "\n" not in str(refused.value) and "poses.npz" in str(refused.value)


def test_other_files_and_a_file_for_an_unknown_path_are_refused(
    rig: FilmedRig, file: Write, tmp_path: Path
) -> None:
    text = tmp_path / "poses.txt"
    text.write_text("frame x y z\n")
    with pytest.raises(DataError, match="weak labels: npz with pose_3d, joint_names and frame"):
        read(rig, text)
    with pytest.raises(DataError, match=r"camera: expected the path of --target of each pose \(cam0, cam1\)"):
        read(rig, file(), paths=2)


def test_the_rows_that_a_smaller_target_keeps_keep_their_labels(rig: FilmedRig, file: Write) -> None:
    found = weak(read(rig, file()))
    fewer = found.among(torch.tensor([11, 0, 3]))
    assert fewer.row.tolist() == [2, 0]  # of frames 3 and 11
    torch.testing.assert_close(fewer.pose_3d, found.pose_3d[[0, 2]])


def test_files_of_one_name_are_recorded_each(tmp_path: Path) -> None:
    one, two = (tmp_path / folder / "poses.npz" for folder in ("a", "b"))
    for path, content in ((one, b"one"), (two, b"two")):
        path.parent.mkdir()
        path.write_bytes(content)
    found = _digests([one, two])
    assert set(found) == {"poses.npz (1)", "poses.npz (2)"} and len(set(found.values())) == 2
    assert set(_digests([one])) == {"poses.npz"}
