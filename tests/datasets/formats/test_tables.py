"""Tables and arrays of detections as each tool writes them: CSV, label txt, h5, npz, npy."""

import csv
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detections import SIZE, refused_when_damaged
from h5 import HEAD, FakeGroup, fake_h5py
from walkers import walker

from poseda.datasets import DataError, read_detections
from poseda.datasets.layouts import LAYOUTS

FRAMES = 4
COCO = LAYOUTS["coco17"].joint_names


def coco(frame: int, who: int = 0) -> np.ndarray:
    return walker("coco17", frame, (700.0 + 500 * who, 900.0))


def write_rows(path: Path, rows: list[list[Any]], **dialect: Any) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file, **dialect).writerows(rows)
    return path


def are_walkers(found, layout: str = "coco17", first: int = 0) -> None:
    """Whether a reading holds the first walker."""
    assert found.layout.name == layout and found.frame.tolist() == list(range(first, first + FRAMES))
    expected = np.stack([walker(layout, n) for n in range(FRAMES)])
    assert np.allclose(found.pose_2d, expected[..., :2]) and np.allclose(found.confidence, expected[..., 2])


# --------------------------------------------------------------------------------------------------- CSV


def mediapipe_rows(heading: str, start: int = 0) -> list[list[Any]]:
    """A heading for each coordinate of each landmark, by number or by name."""
    names = LAYOUTS["mediapipe33"].joint_names
    head = ["frame"]
    for at, name in enumerate(names):
        head += [
            heading.format(i=at + start, name=name.upper(), axis=axis)
            for axis in ("x", "y", "z", "visibility")
        ]
    rows: list[list[Any]] = [head]
    for n in range(FRAMES):
        rows.append([n])
        for x, y, c in walker("mediapipe33", n).tolist():
            rows[-1] += [x / SIZE[0], y / SIZE[1], -0.1, c]
    return rows


@pytest.mark.parametrize(
    ("heading", "start", "dialect"),
    [
        ("landmark_{i}_{axis}", 0, {}),
        ("{i}_{axis}", 0, {}),
        ("{axis}{i}", 1, {}),
        ("{axis}_{i}", 0, {"delimiter": ";"}),
        ("{name}_{axis}", 0, {}),
        ("{name}.{axis}", 0, {"delimiter": "\t"}),
        ("{axis}_{name}", 0, {}),
    ],
)
def test_mediapipes_landmarks_in_columns_of_any_heading(tmp_path, heading, start, dialect):
    path = write_rows(tmp_path / "pose.csv", mediapipe_rows(heading, start), **dialect)
    found = read_detections(path, SIZE)
    are_walkers(found, "mediapipe33")
    assert found.format == "MediaPipe CSV" and found.reading.image_size_told_by == "flag"
    with pytest.raises(DataError, match=r"image size: expected width x height in pixels .*--image-size"):
        read_detections(path)


def test_a_table_with_a_row_for_each_joint(tmp_path):
    rows: list[list[Any]] = [["frame", "person", "joint", "x", "y", "score"]]
    for n in range(FRAMES):
        for who in range(2):
            rows += [[n, who, name, *point] for name, point in zip(COCO, coco(n, who).tolist(), strict=True)]
    found = read_detections(write_rows(tmp_path / "long.csv", rows), SIZE)
    are_walkers(found.rows(found.person == 0))
    assert len(found) == 2 * FRAMES and found.reading.layout_told_by == "names"


def test_a_row_of_joints_above_a_row_of_coordinates(tmp_path):
    rows = [["", *[name for name in COCO for _ in range(3)]], ["frame", *["x", "y", "score"] * 17]]
    rows += [[n, *coco(n).ravel()] for n in range(FRAMES)]
    are_walkers(read_detections(write_rows(tmp_path / "two.csv", rows), SIZE))


def test_sleaps_csv_and_joints_in_pixels(tmp_path):
    head = ["track", "frame_idx", "instance.score"]
    rows: list[list[Any]] = [head + [f"{name}.{axis}" for name in COCO for axis in ("x", "y", "score")]]
    rows += [[f"track_{who}", n + 3, 0.9, *coco(n, who).ravel()] for n in range(FRAMES) for who in range(2)]
    found = read_detections(write_rows(tmp_path / "sleap.csv", rows), SIZE)
    are_walkers(found.rows(found.person == 0), first=3)
    assert set(found.person) == {0, 1} and found.format == "CSV"


TABLES = {
    "a,b\n1,2\n": "columns: expected a column for each coordinate, as landmark_0_x.*, found a, b",
    "nose_x,nose_y\n1,b\n": "column 2, row 1: expected numbers, found the text 'b'",
    "nose_x,nose_y\n1,2,3\n": "row 1: expected 2 columns, found 3",
    "nose_x,nose_y\n": "columns: expected a column for each coordinate",
    "nose_x,neck_y\n1,2\n": "columns: expected a column for each coordinate, .*, found nose_x, neck_y",
}


@pytest.mark.parametrize("text", TABLES)
def test_an_unknown_table_is_refused_with_its_columns_and_the_nearest_form(write, text):
    with pytest.raises(DataError, match=rf"table\.csv: {TABLES[text]}"):
        read_detections(write(text, "table.csv"), SIZE)


# -------------------------------------------------------------------------------------- DeepLabCut, SLEAP


def deeplabcut_rows(index: list[list[Any]], scorer: str = "net", labels: bool = False) -> list[list[Any]]:
    axes = ("x", "y") if labels else ("x", "y", "likelihood")
    blank = [""] * (len(index[0]) - 1)
    parts = [name for name in COCO for _ in axes]
    rows = [["scorer", *blank, *[scorer] * len(parts)], ["bodyparts", *blank, *parts]]
    rows.append(["coords", *blank, *axes * len(COCO)])
    return rows + [[*row, *coco(n)[:, : len(axes)].ravel()] for n, row in enumerate(index)]


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_labels_of_deeplabcut_have_two_to_four_index_columns(tmp_path, columns):
    parts = ["project", "labeled-data", "jump"][4 - columns :]
    index = [[*parts, f"img{n + 7:04}.png"] for n in range(FRAMES)]
    found = read_detections(
        write_rows(tmp_path / "CollectedData_me.csv", deeplabcut_rows(index, "me", True)), SIZE
    )
    assert found.frame.tolist() == [7, 8, 9, 10] and found.layout.name == "coco17"
    assert found.reading.clip_names == {0: "jump"} and (found.confidence == 1).all()


def fake_table(values: np.ndarray, index: np.ndarray) -> FakeGroup:
    columns = [("net", name, axis) for name in COCO for axis in ("x", "y", "likelihood")]
    dtype = np.dtype([("index", index.dtype), ("values_block_0", "<f8", (values.shape[1],))])
    table = np.zeros(len(values), dtype)
    table["index"], table["values_block_0"] = index, values
    axes = np.bytes_(pickle.dumps([(1, columns)], 0))
    return FakeGroup({"df_with_missing": FakeGroup({"table": table}, {"non_index_axes": axes})})


def fake_fixed(values: np.ndarray, index: dict[str, np.ndarray]) -> FakeGroup:
    axes = np.array([b"likelihood", b"x", b"y"])
    group = {
        "block0_values": values,
        "block0_items_level0": np.array([b"net"]),
        "block0_items_label0": np.zeros(51, np.int8),
        "block0_items_level1": np.array([name.encode() for name in COCO]),
        "block0_items_label1": np.repeat(np.arange(17, dtype=np.int8), 3),
        "block0_items_level2": axes,
        "block0_items_label2": np.tile(np.array([1, 2, 0], np.int8), 17),
    }
    return FakeGroup({"df_with_missing": FakeGroup(group | index)})


def test_a_table_that_starts_at_frame_5_starts_there_as_csv_and_as_h5_alike(tmp_path, monkeypatch):
    values = np.stack([coco(n).ravel() for n in range(FRAMES)])
    index = np.arange(5, 5 + FRAMES)
    are_walkers(
        read_detections(write_rows(tmp_path / "a.csv", deeplabcut_rows([[n] for n in index])), SIZE), first=5
    )
    (tmp_path / "a.h5").write_bytes(HEAD)
    for content in (fake_table(values, index), fake_fixed(values, {"axis1": index})):
        fake_h5py(monkeypatch, content)
        are_walkers(read_detections(tmp_path / "a.h5", SIZE), first=5)


def test_labels_as_fixed_h5_keep_the_names_of_their_pictures(tmp_path, monkeypatch):
    values = np.stack([coco(n).ravel() for n in range(FRAMES)])
    names = np.array([f"img{n:03}.png".encode() for n in (4, 5, 6, 7)])
    levels = {"axis1_level0": np.array([b"labeled-data"]), "axis1_label0": np.zeros(4, np.int8)}
    levels |= {"axis1_level1": np.array([b"jump"]), "axis1_label1": np.zeros(4, np.int8)}
    levels |= {"axis1_level2": names, "axis1_label2": np.arange(4, dtype=np.int8)}
    (tmp_path / "labels.h5").write_bytes(HEAD)
    fake_h5py(monkeypatch, fake_fixed(values, levels))
    found = read_detections(tmp_path / "labels.h5", SIZE)
    are_walkers(found, first=4)
    assert found.reading.clip_names == {0: "jump"}
    levels["axis1_label2"] = np.array([0, 1, 2, 9], np.int8)
    fake_h5py(monkeypatch, fake_fixed(values, levels))
    with pytest.raises(DataError, match="axis1_label2: expected places below 4, found 9"):
        read_detections(tmp_path / "labels.h5", SIZE)


def test_csv_h5_and_filtered_of_one_video_are_read_once(tmp_path):
    rows = deeplabcut_rows([[n] for n in range(FRAMES)])
    for name in ("runDLC_shuffle1_1000", "runDLC_shuffle1_1000_filtered", "jumpDLC_shuffle1_1000"):
        write_rows(tmp_path / f"{name}.csv", rows)
        (tmp_path / f"{name}.h5").write_bytes(HEAD)
    found = read_detections(tmp_path, SIZE)
    assert len(found) == 2 * FRAMES and set(found.clip) == {0, 1}
    (said,) = [line for line in found.reading.warnings if "copies" in line]
    assert "runDLC_shuffle1_1000.csv" in said and "runDLC_shuffle1_1000_filtered.csv" not in said


def test_lightning_pose_is_read_like_deeplabcut(tmp_path):
    rows = deeplabcut_rows([[n] for n in range(FRAMES)], "heatmap_tracker")
    are_walkers(read_detections(write_rows(tmp_path / "predictions.csv", rows), SIZE))


def test_a_layout_by_flag_goes_before_the_names(tmp_path):
    rows = deeplabcut_rows([[n] for n in range(FRAMES)])
    rows[1] = ["bodyparts", *[f"part{at}" for at in range(17) for _ in range(3)]]
    path = write_rows(tmp_path / "own.csv", rows)
    assert read_detections(path, SIZE).layout.joint_names[0] == "part0"
    found = read_detections(path, SIZE, layout="coco17")
    are_walkers(found)
    assert found.reading.layout_told_by == "flag"
    with pytest.raises(DataError, match="bodyparts: expected 16 joints of h36m16, found 17"):
        read_detections(path, SIZE, layout="h36m16")


def sleap_content(turned: bool) -> FakeGroup:
    place = np.stack([[coco(n, who) for n in range(FRAMES)] for who in range(2)])  # people, frames, joints, 3
    place[1, 2] = np.nan
    tracks, scores = place[..., :2].transpose(0, 3, 2, 1), place[..., 2].transpose(0, 2, 1)
    if turned:
        tracks, scores = place[..., :2].transpose(1, 2, 3, 0), place[..., 2].transpose(1, 2, 0)
    names = np.array([name.encode() for name in COCO])
    return FakeGroup({"tracks": tracks, "point_scores": scores, "node_names": names})


@pytest.mark.parametrize("turned", [False, True])
def test_sleaps_analysis_h5_in_either_order_of_axes(tmp_path, monkeypatch, turned):
    (tmp_path / "run.analysis.h5").write_bytes(HEAD)
    fake_h5py(monkeypatch, sleap_content(turned))
    found = read_detections(tmp_path / "run.analysis.h5", SIZE)
    are_walkers(found.rows(found.person == 0))
    assert found.format == "SLEAP analysis h5" and found.frame[found.person == 1].tolist() == [0, 1, 3]


def test_a_project_of_sleap_and_other_h5_are_refused_with_the_step_to_take(tmp_path, monkeypatch):
    (tmp_path / "run.h5").write_bytes(HEAD)
    fake_h5py(monkeypatch, FakeGroup({"frames": 1, "instances": 2, "metadata": 3}))
    with pytest.raises(
        DataError, match=r"expected SLEAP's analysis h5 \(in SLEAP: .*\), found a project of SLEAP"
    ):
        read_detections(tmp_path / "run.h5", SIZE)
    fake_h5py(monkeypatch, FakeGroup({"weights": FakeGroup({})}))
    with pytest.raises(
        DataError, match="a table as DeepLabCut writes it, or SLEAP's analysis h5, found weights"
    ):
        read_detections(tmp_path / "run.h5", SIZE)
    odd = sleap_content(False)
    odd["tracks"] = odd["tracks"][:, :1]
    fake_h5py(monkeypatch, odd)
    with pytest.raises(DataError, match="tracks: expected 2 coordinates of 17 joints, found shape"):
        read_detections(tmp_path / "run.h5", SIZE)


# -------------------------------------------------------------------------------------------- Ultralytics


def label_line(points: np.ndarray, ends: list[str], confidence: bool = True) -> str:
    shares = points / [*SIZE, 1]
    shares = shares if confidence else shares[:, :2]
    return " ".join(["0", "0.5", "0.5", "0.2", "0.6", *(f"{n:.6g}" for n in shares.ravel()), *ends])


@pytest.mark.parametrize(
    ("ends", "tracked"), [([], False), (["0.91"], False), (["7"], True), (["0.91", "7"], True)]
)
@pytest.mark.parametrize("confidence", [True, False])
def test_label_txt_of_a_video(write, ends, tracked, confidence):
    for n in range(FRAMES):
        text = "\n".join(
            label_line(coco(n, who), [*ends[:-1], *([str(7 + who)] if tracked else ends[-1:])], confidence)
            for who in range(2)
        )
        path = write(text + "\n" if n != 2 else "", f"labels/run_{n + 1}.txt")
    found = read_detections(path.parent, SIZE)
    assert found.format == "Ultralytics label txt" and found.layout.name == "coco17"
    assert sorted(set(found.frame)) == [1, 2, 4] and len(found) == 6
    assert np.allclose(found.pose_2d[found.frame == 4][0], coco(3)[:, :2], atol=0.01)
    assert (set(found.person) == {7, 8}) == tracked and found.reading.image_size_told_by == "flag"


def test_a_person_without_a_track_has_a_shorter_line(write):
    for n in range(3):
        lines = [label_line(coco(n), ["0.9", *(["4"] if n else [])]), label_line(coco(n, 1), ["0.8", "5"])]
        path = write("\n".join(lines[: 1 + bool(n)]), f"labels/run_{n + 1}.txt")
    found = read_detections(path.parent, SIZE)
    assert sorted(found.frame) == [1, 2, 2, 3, 3] and len(set(found.person)) == 2


def test_label_txt_needs_the_size_and_knows_unseen_joints(write):
    points = coco(0)
    points[3, :2] = 0
    path = write(label_line(points, []), "image.txt")
    assert read_detections(path, SIZE).confidence[0, 3] == 0
    with pytest.raises(DataError, match=r"image size: expected width x height .* label txt holds shares"):
        read_detections(path)
    feet = write(label_line(walker("halpe26"), []), "feet.txt")
    with pytest.raises(
        DataError, match=r"lines: expected 39 or 56 columns of 17 joints .*--layout.*, found 83"
    ):
        read_detections(feet, SIZE)
    assert read_detections(feet, SIZE, layout="halpe26").layout.name == "halpe26"
    broken = write(label_line(points, []) + "\n0 0.5 x\n", "broken.txt")
    with pytest.raises(DataError, match=r"line 2: expected numbers, found 0 0.5 x"):
        read_detections(broken, SIZE)


# -------------------------------------------------------------------------------------------- npz and npy


def test_videopose3ds_npz_of_ones_own_videos_has_their_sizes_and_names(tmp_path):
    poses = {
        video: {"custom": [np.stack([coco(n)[:, :2] for n in range(3)])]} for video in ("a.mp4", "b.mp4")
    }
    metadata = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[1], [2]]}
    metadata["video_metadata"] = {"a.mp4": {"w": 1920, "h": 1080}, "b.mp4": {"w": 1080, "h": 1920}}
    np.savez(tmp_path / "data_2d_custom_my.npz", positions_2d=poses, metadata=metadata)
    found = read_detections(tmp_path / "data_2d_custom_my.npz")
    assert found.image_size[::3].tolist() == [[1920, 1080], [1080, 1920]]
    assert found.reading.clip_names == {0: "a.mp4", 1: "b.mp4"} and found.reading.layout_told_by == "names"
    with pytest.raises(DataError, match=r"image size: expected 1920 x 1080 as given.*, found 1080 x 1920"):
        read_detections(tmp_path / "data_2d_custom_my.npz", SIZE)


def detectron(path: Path, frames: list[list[np.ndarray]]) -> Path:
    keypoints, boxes = np.empty((len(frames), 2), object), np.empty((len(frames), 2), object)
    for n, people in enumerate(frames):
        tables = [np.stack([*points[:, :2].T, np.zeros(17), points[:, 2]]) for points in people]
        keypoints[n] = [[], np.stack(tables).astype(np.float32) if tables else []]
        boxes[n] = [[], np.zeros((len(people), 5), np.float32)]
    np.savez(
        path,
        boxes=boxes,
        keypoints=keypoints,
        segments=np.empty(len(frames), object),
        metadata={"w": 1920, "h": 1080},
    )
    return path


def test_detectrons_npz_has_x_y_logit_and_probability_of_each_person(tmp_path):
    found = read_detections(detectron(tmp_path / "run.npz", [[coco(0), coco(0, 1)], [], [coco(2)]]))
    assert found.format == "Detectron2 npz" and found.image_size[0].tolist() == [1920, 1080]
    assert sorted(found.frame) == [0, 0, 2] and found.reading.image_size_told_by == "file"
    last = found.rows(found.frame == 2)
    assert np.allclose(last.pose_2d[0], coco(2)[:, :2]) and (last.confidence == 1).all()
    assert "on a scale of its own" in found.reading.warnings[0]


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda name: name.replace("_", "-")])
def test_an_npz_names_its_joints_in_any_spelling(tmp_path, spelling):
    keypoints = np.stack([coco(n) for n in range(FRAMES)])
    np.savez(
        tmp_path / "own.npz", keypoints=keypoints, joint_names=np.array([spelling(name) for name in COCO])
    )
    are_walkers(read_detections(tmp_path / "own.npz", SIZE))


@pytest.mark.parametrize("member", ["confidence", "scores", "keypoint_scores"])
def test_an_npz_has_its_confidences_beside_the_joints(tmp_path, member):
    points = np.stack([coco(n) for n in range(FRAMES)])
    np.savez(tmp_path / "own.npz", keypoints=points[..., :2], **{member: points[..., 2]})
    are_walkers(read_detections(tmp_path / "own.npz", SIZE))


def test_npy_of_one_person_and_of_several(tmp_path):
    points = np.stack([coco(n) for n in range(FRAMES)])
    np.save(tmp_path / "one.npy", points)
    are_walkers(read_detections(tmp_path / "one.npy", SIZE))
    two = np.stack([points, np.stack([coco(n, 1) for n in range(FRAMES)])], 1)
    two[2, 1] = 0
    np.save(tmp_path / "two.npy", two[..., :2].astype(np.float32))
    found = read_detections(tmp_path / "two.npy", SIZE)
    assert len(found) == 2 * FRAMES - 1 and found.layout.name == "coco17"


def test_an_npy_of_other_content_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    np.save(tmp_path / "flat.npy", np.zeros((4, 34)))
    with pytest.raises(DataError, match=r"array: expected shape \(N, J, 2 or 3\) .*, found shape \(4, 34\)"):
        read_detections(tmp_path / "flat.npy", SIZE)
    monkeypatch.setattr("poseda.datasets.formats.limits.MAX_ARRAY", 1000)
    with pytest.raises(DataError, match="array: expected at most 125 numbers, found 136"):
        read_detections(tmp_path / "flat.npy", SIZE)
    np.save(tmp_path / "text.npy", np.array([[["a", "b"]]]))
    with pytest.raises(DataError, match="array: expected numbers, found <U1"):
        read_detections(tmp_path / "text.npy", SIZE)
    np.save(tmp_path / "objects.npy", np.array([{}, None]), allow_pickle=True)
    with pytest.raises(
        DataError, match="array: expected an npy file of numbers, found one that does not open"
    ):
        read_detections(tmp_path / "objects.npy", SIZE)


def test_damaged_files_raise_nothing_but_data_errors(tmp_path, write):
    write_rows(tmp_path / "deep.csv", deeplabcut_rows([[n] for n in range(2)]))
    write_rows(tmp_path / "pose.csv", mediapipe_rows("landmark_{i}_{axis}"))
    np.save(tmp_path / "one.npy", np.stack([coco(n) for n in range(2)]))
    files = [tmp_path / "deep.csv", tmp_path / "pose.csv", tmp_path / "one.npy"]
    files += [write(label_line(coco(0), ["7"]), "image.txt"), detectron(tmp_path / "run.npz", [[coco(0)]])]
    assert refused_when_damaged(files) > 200
