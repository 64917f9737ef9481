"""Folders as people have them: odd and damaged files, folders of folders; joints that the user names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseda.datasets import DataError, read_detections
from poseda.datasets.joint_map import JointMap
from poseda.datasets.layouts import BODY_25, LAYOUTS

SIZE = (640, 480)
COCO = LAYOUTS["coco17"].joint_names

STANDING = np.array(
    [
        [320, 90], [326, 84], [314, 84], [334, 88], [306, 88], [350, 130], [290, 130], [356, 190], [284, 190],
        [360, 240], [280, 240], [340, 250], [300, 250], [340, 330], [300, 330], [340, 410], [300, 410],
    ],
    float,
)  # fmt: skip
"""COCO's joints of a person who stands, pixels."""

MIDDLES = {"neck": (320, 130), "mid_hip": (320, 250)}


def openpose(frame: int) -> dict[str, Any]:
    """OpenPose's JSON of a frame."""
    place = dict(zip(COCO, STANDING + np.array([frame, 0]), strict=True)) | MIDDLES
    flat = [n for name in BODY_25.joint_names for n in (*place.get(name, (0, 0)), 0.9 * (name in place))]
    return {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": [float(n) for n in flat]}]}


def fill(folder: Path, frames: int = 3, name: str = "walk") -> Path:
    """A folder with OpenPose's file for each frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        (folder / f"{name}_{frame:012d}_keypoints.json").write_text(json.dumps(openpose(frame)))
    return folder


def annotations(names: list[str], points: np.ndarray = STANDING) -> dict[str, Any]:
    """COCO's annotations of one person, whose joints have these names."""
    flat = np.concatenate([points, np.full((len(points), 1), 2)], -1).ravel().tolist()
    return {
        "images": [{"id": 1, "width": 640, "height": 480, "file_name": "000001.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": flat}],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }


# -------------------------------------------------------------------------------------------------- folders


def test_a_damaged_picture_of_a_folder_is_a_gap_and_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "walk", 5)
    (folder / "walk_000000000001_keypoints.json").write_text("")
    (folder / "walk_000000000003_keypoints.json").write_text('{"people": [{"pose_key')
    found = read_detections(folder, SIZE)
    assert found.frame.tolist() == [0, 2, 4] and len(set(found.clip.tolist())) == 1
    (warning,) = [one for one in found.reading.warnings if "left out" in one]
    assert warning.startswith(
        "2 files left out, which --strict refuses: walk_000000000001_keypoints.json (file: "
    )
    with pytest.raises(DataError, match=r"walk_000000000001_keypoints\.json: file: expected JSON"):
        read_detections(folder, SIZE, strict=True)


def test_a_file_of_another_kind_does_not_make_every_picture_a_clip(tmp_path: Path) -> None:
    folder = fill(tmp_path / "walk", 4)
    (folder / "camera.json").write_text(json.dumps({"fx": 1200.0, "fy": 1200.0}))
    found = read_detections(folder, SIZE)
    assert found.frame.tolist() == [0, 1, 2, 3] and found.clip.tolist() == [0] * 4
    (warning,) = [one for one in found.reading.warnings if "left out" in one]
    assert warning == (
        "1 file left out, which --strict refuses: camera.json (expected the people of one picture, as in the "
        "other files, found an object with fx, fy); mend it, or move it elsewhere"
    )
    with pytest.raises(
        DataError, match=r"camera\.json: file: expected the people of one picture, .*; move it"
    ):
        read_detections(folder, SIZE, strict=True)


def test_a_recording_of_another_tool_does_not_make_every_picture_a_clip(tmp_path: Path) -> None:
    folder = fill(tmp_path / "walk", 4)
    (folder / "labels.json").write_text(json.dumps(annotations(list(COCO))))
    found = read_detections(folder, SIZE)
    assert found.frame.tolist() == [0, 1, 2, 3] and found.clip.tolist() == [0] * 4
    assert any("labels.json (expected the people of one pic" in one for one in found.reading.warnings)
    with pytest.raises(DataError, match=r"labels\.json: file: .*found a whole recording"):
        read_detections(folder, SIZE, strict=True)


def test_a_folder_of_pictures_without_people_is_refused_as_one(tmp_path: Path) -> None:
    for frame in range(3):
        (tmp_path / f"walk_{frame:012d}_keypoints.json").write_text('{"version": 1.3, "people": []}')
    with pytest.raises(DataError, match=r"detections: expected a person in one of 3 pictures, found none"):
        read_detections(tmp_path, SIZE)


def test_a_bad_recording_of_a_folder_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(annotations(list(COCO))))
    (tmp_path / "other.json").write_text(json.dumps(annotations(list(COCO))))
    (tmp_path / "bad.json").write_text("[1, 2")
    (tmp_path / "empty.csv").write_text("")
    found = read_detections(tmp_path)
    assert list(found.reading.clip_names.values()) == ["good", "other"]
    (warning,) = [one for one in found.reading.warnings if "left out" in one]
    assert warning.startswith("2 files left out") and "bad.json (" in warning and "empty.csv (" in warning
    with pytest.raises(DataError, match=r"bad\.json"):
        read_detections(tmp_path, strict=True)
    for name in ("good", "other"):
        (tmp_path / f"{name}.json").write_text("")
    with pytest.raises(DataError, match=r"bad\.json: file: expected JSON"):
        read_detections(tmp_path)


def test_folders_of_folders_are_clips_named_by_their_paths(tmp_path: Path) -> None:
    fill(tmp_path / "day1" / "cam10", 2, "a")
    fill(tmp_path / "day1" / "cam2", 3, "b")
    (tmp_path / "day2").mkdir()
    (tmp_path / "day2" / "run.json").write_text(json.dumps([openpose(frame) for frame in range(2)]))
    (tmp_path / "day2" / "run.mp4").write_bytes(b"a video")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.json").write_text("{}")
    found = read_detections(tmp_path, SIZE)
    names = [found.clip_name(clip) for clip in sorted(set(found.clip.tolist()))]
    assert sorted(names) == ["day1/cam10", "day1/cam2", "day2/run"]
    lengths = {found.clip_name(clip): int((found.clip == clip).sum()) for clip in set(found.clip.tolist())}
    assert lengths == {"day1/cam10": 2, "day1/cam2": 3, "day2/run": 2}
    (tmp_path / "day1" / "cam2" / "b_000000000001_keypoints.json").write_text("")
    with pytest.raises(DataError, match=r"b_000000000001_keypoints\.json"):
        read_detections(tmp_path, SIZE, strict=True)
    assert any("left out" in sentence for sentence in read_detections(tmp_path, SIZE).reading.warnings)


def test_a_folder_without_files_that_are_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(DataError, match=r"ending in .*\.txt, or videos ending in \.mp4, .*, found none"):
        read_detections(tmp_path)
    (tmp_path / "videos" / "a.MP4").write_bytes(b"a video")
    with pytest.raises(DataError, match=r"files ending in .*\.txt, found videos, which --target of poseda"):
        read_detections(tmp_path)


# --------------------------------------------------------------------------------------------------- joints


def test_joints_of_other_names_are_named_by_the_user(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    odd = [{"left_hip": "LH_marker", "nose": "tip"}.get(name, name) for name in COCO]
    path.write_text(json.dumps(annotations(odd)))
    found = read_detections(path, joints={"left_hip": "LH_marker", "nose": "tip"})
    assert found.layout == LAYOUTS["coco17"] and found.reading.layout_told_by == "flag"
    with pytest.raises(
        DataError,
        match=r"joints: left_hip: expected the name of .*found LH_markers; did you mean lh_marker\?",
    ):
        read_detections(path, joints={"left_hip": "LH_markers"})


def test_joints_in_another_order_are_named_by_their_numbers(tmp_path: Path) -> None:
    path, order = tmp_path / "file.npz", np.r_[0:11, 12, 11, 13:17]  # hips exchanged
    np.savez(path, keypoints=STANDING[order][None], image_size=np.array(SIZE))
    found = read_detections(path, joints={"left_hip": 12, "right_hip": 11})
    at = found.layout.joint_names.index("left_hip")
    assert found.pose_2d[0, at].tolist() == STANDING[11].tolist()
    with pytest.raises(
        DataError, match=r"joints: left_hip: expected the name .*found 40; its joints are nose"
    ):
        read_detections(path, joints={"left_hip": 40})


def test_a_list_of_names_is_the_order_of_a_file_without_names(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez(path, keypoints=STANDING[::-1][None], image_size=np.array(SIZE))
    (tmp_path / "names.yaml").write_text("\n".join(f"- {name}" for name in COCO[::-1]))
    found = read_detections(path, joints=JointMap.read([str(tmp_path / "names.yaml")]))
    assert found.pose_2d[0, found.layout.joint_names.index("nose")].tolist() == STANDING[0].tolist()
    assert found.reading.layout_told_by == "flag"


def test_a_joint_keeps_a_name_that_the_user_gives_to_another_no_more(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    names = [*COCO, "crown", "head_top"]
    points = np.concatenate([STANDING, [[320, 60], [320, 300]]])
    path.write_text(json.dumps(annotations(names, points)))
    found = read_detections(path, joints={"head_top": "crown"})
    assert found.layout.joint_names[-2:] == ("head_top", "head_top of the file")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["left_hip"],
            r"joints: expected OURS=THEIRS pairs or a file of them, found left_hip \(No such file",
        ),
        (["left_hip=a", "b"], "joints: expected OURS=THEIRS pairs or one file, found 'b'"),
        (["left_hip="], "joints: expected OURS=THEIRS pairs or one file, found 'left_hip='"),
        (
            ["lefthipp=a", "nose=b"],
            r"expected a joint of a layout, .*found lefthipp; did you mean left_hip\?",
        ),
        (["nose=a", "Nose=b"], "joints: expected each joint once, found nose twice"),
    ],
)
def test_pairs_that_are_none_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        JointMap.read(given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "expected pairs of joints or a list of names, found neither"),
        ("{a: [", "expected YAML or JSON, found other text"),
        ("", "expected pairs of joints or a list of names, found neither"),
        ("{left_hip: true}", "expected pairs of joints or a list of names, found neither"),
        ("!!python/object/apply:os.system [ls]", "expected YAML or JSON, found other text"),
    ],
)
def test_files_of_pairs_that_are_none_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "joints.yaml"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"joints\.yaml: file: {message}"):
        JointMap.read([str(path)])


def test_a_file_of_pairs_may_be_yaml_or_json(tmp_path: Path) -> None:
    for text in ("left_hip: LASI\npelvis: 3\n", '{"left_hip": "LASI", "pelvis": 3}'):
        (tmp_path / "joints").write_text(text)
        assert JointMap.read([str(tmp_path / "joints")]).pairs == {"left_hip": "LASI", "pelvis": 3}


def test_one_map_may_serve_two_files(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(annotations(["tip", *COCO[1:]])))
    joints = JointMap.read(["nose=tip", "left_shoulder=Oberarm_L"])
    read_detections(path, joints=joints)
    with pytest.raises(DataError, match=r"joints: left_shoulder: expected the name .*found Oberarm_L"):
        joints.check()
    assert joints.among(["Hips", "Oberarm_L"], Path("a.bvh")) == {"left_shoulder": "Oberarm_L"}
    joints.check()
