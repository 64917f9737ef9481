"""Readers of detectors that write frames or tracks: OpenPose, MediaPipe, DeepLabCut."""

import csv
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detections import SIZE, person, refused_when_damaged
from h5 import FakeGroup, fake_h5py

from poseda.datasets import DataError, read_detections
from poseda.datasets.layouts import LAYOUTS
from poseda.datasets.screen import unlabelled
from poseda.geometry.skeleton import H36M16, Skeleton


def openpose(*people: np.ndarray) -> dict:
    return {
        "version": 1.3,
        "people": [
            {"person_id": [-1], "pose_keypoints_2d": points.ravel().tolist(), "face_keypoints_2d": []}
            for points in people
        ],
    }


def test_openpose_folder_of_two_videos(write):
    points = person(25)
    points[4] = 0  # not found
    write(openpose(points), "op/a_000000000000_keypoints.json")
    write(openpose(), "op/a_000000000001_keypoints.json")
    write(openpose(person(25, 1), person(25, 2)), "op/a_000000000002_keypoints.json")
    folder = write(openpose(person(25, 3)), "op/b_000000000000_keypoints.json").parent
    (folder / "picture.png").write_bytes(b"passed over")
    found = read_detections(folder, SIZE)
    assert found.format == "OpenPose JSON" and found.layout.name == "body_25"
    assert found.clip.tolist() == [0, 0, 0, 1] and found.frame.tolist() == [0, 2, 2, 0]
    poses = unlabelled(found, H36M16)
    assert poses.clip.tolist() == [0, 0, 1, 2]
    hidden = [H36M16.joint_names[j] for j in np.flatnonzero(~poses.visible[0].numpy())]
    assert hidden == ["right_wrist"] and LAYOUTS["body_25"].joint_names[4] == "right_wrist"
    assert poses.pose_2d[0, H36M16.joint("right_wrist")].tolist() == [0, 0]


def landmarks(points: np.ndarray) -> list[dict]:
    return [{"x": x / SIZE[0], "y": y / SIZE[1], "z": 0.1, "visibility": c} for x, y, c in points.tolist()]


def test_mediapipe_in_all_forms(write):
    points = person(33)
    frame = landmarks(points)
    forms = [
        [frame, None, frame],
        [{"landmarks": frame}, {"landmarks": []}, {"landmarks": frame}],
        [{"frame": 0, "pose_landmarks": [frame]}, {"frame": 2, "pose_landmarks": [frame]}],
        {"frames": [{"poseLandmarks": frame}, {"poseLandmarks": None}, {"poseLandmarks": frame}]},
    ]
    for content in forms:
        found = read_detections(write(content), SIZE)
        assert found.format == "MediaPipe JSON" and found.layout.name == "mediapipe33"
        assert found.frame.tolist() == [0, 2]
        assert np.allclose(found.pose_2d[1], points[:, :2]) and np.array_equal(
            found.confidence[0], points[:, 2]
        )
    sized = {"image_width": 1920, "image_height": 1080, "frames": [frame]}
    assert np.allclose(read_detections(write(sized)).pose_2d[0], points[:, :2])
    with pytest.raises(
        DataError, match=r"file\.json: image size: expected width x height in pixels .*, found none"
    ):
        read_detections(write([frame]))


def deeplabcut(path: Path, individuals: bool) -> np.ndarray:
    parts = ["Snout", "leftear", "tail base"]
    animals = ["mouse1", "mouse2"] if individuals else [""]
    table = np.random.default_rng(0).uniform(0, 500, (4, len(animals), 3, 3)).round(2)
    table[..., 2] = 0.9
    rows = [[w] * 9 * len(animals) for w in ("net",)]
    head = [("scorer", rows[0])]
    if individuals:
        head.append(("individuals", [animal for animal in animals for _ in range(9)]))
    head += [
        ("bodyparts", [p for p in parts for _ in range(3)] * len(animals)),
        ("coords", ["x", "y", "likelihood"] * 3 * len(animals)),
    ]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([name, *row] for name, row in head)
        writer.writerows([at, *row.ravel().tolist()] for at, row in enumerate(table))
    return table


def test_deeplabcut_csv_of_one_animal_and_of_two(tmp_path):
    mouse = Skeleton.declare("mouse", {"tail_base": None, "snout": "tail_base", "leftear": "snout"})
    for individuals in (False, True):
        table = deeplabcut(tmp_path / "tracks.csv", individuals)
        found = read_detections(tmp_path / "tracks.csv", (640, 480))
        assert found.format == "DeepLabCut" and found.layout.joint_names == ("snout", "left_ear", "tail_base")
        assert np.array_equal(found.pose_2d, table[..., :2].swapaxes(0, 1).reshape(-1, 3, 2))
        assert found.person.tolist() == ([0] * 4 + [1] * 4 if individuals else [0] * 4)
        poses = unlabelled(found, mouse)
        assert poses.pose_2d[0, 1].tolist() == pytest.approx(
            [2 * table[0, 0, 0, 0] / 640 - 1, (2 * table[0, 0, 0, 1] - 480) / 640], abs=1e-6
        )


def test_deeplabcut_h5_without_h5py_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "tracks.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(
        DataError, match=r"tracks\.h5: file: expected h5py .*pip install h5py.*, found it not installed"
    ):
        read_detections(tmp_path / "tracks.h5", SIZE)


def test_deeplabcut_h5_reads_its_pickled_headings_as_data(tmp_path, monkeypatch):
    columns = [("net", part, c) for part in ("snout", "tail") for c in ("x", "y", "likelihood")]
    table = np.zeros(3, np.dtype([("index", "<i8"), ("values_block_0", "<f8", (6,))]))
    table["values_block_0"] = np.arange(18).reshape(3, 6) + 1
    (tmp_path / "tracks.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))

    def content(axes: bytes) -> FakeGroup:
        return FakeGroup(
            {"df_with_missing": FakeGroup({"table": table}, {"non_index_axes": np.bytes_(axes)})}
        )

    fake_h5py(monkeypatch, content(pickle.dumps([(1, columns)], 0)))
    found = read_detections(tmp_path / "tracks.h5", SIZE)
    assert found.layout.joint_names == ("snout", "tail")
    assert found.pose_2d[1].tolist() == [[7, 8], [10, 11]] and found.confidence[1].tolist() == [1, 1]
    assert "no shares: every joint counts as seen" in found.reading.warnings[0]
    fake_h5py(monkeypatch, content(b"cos\nsystem\n(S'true'\ntR."))
    with pytest.raises(DataError, match=r"non_index_axes: expected a pickle .*found the name os\.system"):
        read_detections(tmp_path / "tracks.h5", SIZE)


BAD: dict[str, tuple[Any, str]] = {
    "OpenPose of another model": (
        openpose(person(20)),
        r"pose_keypoints_2d: expected 17, 18, .* or --layout, found 20 joints",
    ),
    "people": ({"people": 3}, "people: expected a list, found an integer"),
    "landmarks": (
        [[{"x": 1, "y": 2}] * 5],
        r"\[0\]: expected 33 landmarks, found 5",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gets_one_sentence_with_file_field_expected_and_found(write, case):
    content, message = BAD[case]
    with pytest.raises(DataError, match=rf"file\.json: .*{message}|file\.json: {message}") as caught:
        read_detections(write(content), SIZE)
    assert "\n" not in str(caught.value)


CSV = {
    "scorer,net\ncoords,x\n0,1\n": "headings: expected rows bodyparts and coords, found scorer, coords",
    "bodyparts,a,a\ncoords,x\n0,1\n": "headings: expected 1 columns in each row",
    "bodyparts,a,a\ncoords,x,y\n0,1\n": "row 0: expected 3 columns, found 2",
    "bodyparts,a,a\ncoords,x,y\n0,1,b\n": "row 0: expected numbers, found other values",
    "bodyparts,a,a\ncoords,x,z\n0,1,2\n": "a: expected a column y, found none",
}


@pytest.mark.parametrize("content", CSV)
def test_a_bad_deeplabcut_file_gets_one_sentence(write, content):
    with pytest.raises(DataError, match=rf"tracks\.csv: {CSV[content]}"):
        read_detections(write(content, "tracks.csv"), SIZE)


def test_damaged_files_raise_nothing_but_data_errors(write, tmp_path):
    """Truncated and flipped at random: it reads, or says why not, and nothing else."""
    deeplabcut(tmp_path / "tracks.csv", True)
    files = [
        write(openpose(person(25)), "op.json"),
        write([{"landmarks": landmarks(person(33))}], "mp.json"),
        tmp_path / "tracks.csv",
    ]
    assert refused_when_damaged(files) > 150
