"""Detections of videos are kept, read by a second run, and made again when video or detector change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from poseda.datasets import DataError, read_detections

pytest.importorskip("av", reason="pip install 'poseda[video]' brings PyAV")

from videos import SquareDetector, picture, walk, write_video

from poseda.video import Video, detect, detect_all


def refuse() -> SquareDetector:
    raise AssertionError("the detector was opened")


def test_the_kept_file_reads_back_to_what_was_detected(tmp_path: Path) -> None:
    path = write_video(tmp_path / "walk.mp4", [*walk(6), picture(300, 300), *walk(3)])
    found = detect(Video(path), SquareDetector())
    kept = detect_all(path, [tmp_path / "kept"], SquareDetector, "squares")
    assert kept == tmp_path / "kept" / "walk.npz"
    read = read_detections(kept)
    assert read.format == "video walk.mp4, detected by squares 1"
    assert np.abs(read.pose_2d - found.pose_2d).max() < 0.001 and read.layout == found.layout
    # The seventh picture is empty.
    assert read.frame.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert read.image_size is not None and read.image_size[0].tolist() == [320, 240]
    assert read.reading.rate == pytest.approx(29.97, abs=0.01) and read.reading.rate_told_by == "file"
    assert read.reading.clip_names == {0: "walk"} and not read.reading.warnings


def test_a_second_run_reads_and_says_so(tmp_path: Path) -> None:
    path, said = write_video(tmp_path / "walk.mp4", walk()), list[str]()
    kept = detect_all(path, [tmp_path / "model", tmp_path / "new"], SquareDetector, "squares", said.append)
    assert kept.parent == tmp_path / "new" and "12 poses of 1 person, 320x240, by squares 1" in said[0]
    again = detect_all(path, [tmp_path / "new", tmp_path / "other"], refuse, "squares", said.append)
    assert again == kept and not (tmp_path / "other").exists()
    assert said[1] == f"{path}: its detections are there already, in {kept}"


@pytest.mark.parametrize("change", ["video", "detector", "damage"])
def test_what_changed_is_detected_again(tmp_path: Path, change: str) -> None:
    path, folder = write_video(tmp_path / "walk.mp4", walk()), tmp_path / "kept"
    kept, asked = detect_all(path, [folder], SquareDetector, "squares"), "squares"
    if change == "video":
        write_video(path, walk(7))
    elif change == "detector":
        asked = "squares other.task"
    else:
        kept.write_bytes(kept.read_bytes()[:-40])
        with pytest.raises(DataError, match=r"a free name for the detections of a video"):
            detect_all(path, [folder], SquareDetector, asked)
        return
    detector = SquareDetector()
    detect_all(path, [folder], lambda: detector, asked)
    assert detector.seen == (7 if change == "video" else 12)
    assert len(read_detections(kept)) == detector.seen


def test_a_folder_keeps_names_and_continues_where_it_stopped(tmp_path: Path) -> None:
    clips, said = tmp_path / "clips", list[str]()
    for name in ("monday/walk.mp4", "monday/run.mp4", "tuesday/walk.mov"):
        write_video(clips / name, walk(4 + len(said)))
    (clips / "tuesday" / "walk.mov").write_text("damaged")
    with pytest.raises(DataError, match=r"walk\.mov"):
        detect_all(clips, [tmp_path / "kept"], refuse, "squares", said.append)
    write_video(clips / "tuesday" / "walk.mov", [np.zeros((240, 320, 3), np.uint8)] * 3)
    with pytest.raises(DataError, match=r"walk\.mov: file: expected a person"):
        detect_all(clips, [tmp_path / "kept"], SquareDetector, "squares", said.append)
    write_video(clips / "tuesday" / "walk.mov", walk(5))
    (clips / "monday" / "run.mp4").unlink()
    below, detector = tmp_path / "kept" / "clips", SquareDetector()
    assert detect_all(clips, [tmp_path / "kept"], lambda: detector, "squares", said.append) == below
    assert detector.seen == 5
    assert said[-1] == f"{below / 'monday' / 'run.npz'}: removed, as its video is no longer there"
    assert sorted(read_detections(below).reading.clip_names.values()) == ["monday/walk", "tuesday/walk"]


def test_detections_of_a_video_that_went_are_neither_read_nor_taken_from_another_run(tmp_path: Path) -> None:
    clips, run, own = (tmp_path / name for name in ("clips", "run", "own"))
    for name in ("run.mp4", "walk.mp4", ".walk.mp4"):
        write_video(clips / name, walk(4))
    below = detect_all(clips, [run], SquareDetector, "squares")
    assert sorted(file.name for file in below.iterdir()) == ["run.npz", "walk.npz"]  # no hidden files
    (clips / "run.mp4").unlink()
    # Of another run's folder nothing is removed, and not all of it is this folder's.
    assert detect_all(clips, [run, own], SquareDetector, "squares") == own / "clips"
    assert len(list(below.iterdir())) == 2 and len(list((own / "clips").iterdir())) == 1
    assert detect_all(clips, [run], SquareDetector, "squares") == below
    assert [file.name for file in below.iterdir()] == ["walk.npz"]


def test_other_files_beside_videos_are_left_out_and_said(tmp_path: Path) -> None:
    clips, said = tmp_path / "clips", list[str]()
    write_video(clips / "walk.mp4", walk(4))
    for name in ("notes.txt", "times.csv", "settings.json", "cover.jpg"):
        (clips / name).write_text("{}")
    kept = detect_all(clips, [tmp_path / "kept"], SquareDetector, "squares", said.append)
    assert [file.name for file in kept.iterdir()] == ["walk.npz"]
    assert said[0] == (
        f"{clips}: left out 4 files beside the videos: cover.jpg, notes.txt, settings.json and 1 more"
    )


@pytest.mark.parametrize("name", ["people.json", "label.txt"])
def test_a_folder_of_videos_and_detections_is_refused(tmp_path: Path, name: str) -> None:
    clips = tmp_path / "clips"
    write_video(clips / "walk.mp4", walk(4))
    points = np.concatenate([np.random.default_rng(0).uniform(0.4, 0.6, (17, 2)), np.ones((17, 1))], 1)
    if name == "people.json":
        points[:, :2] *= 300
        content = json.dumps(
            [{"image_id": 0, "category_id": 1, "keypoints": points.ravel().tolist(), "score": 1}]
        )
    else:
        content = " ".join(map(str, [0, 0.5, 0.5, 0.2, 0.2, *points.ravel()]))
    (clips / name).write_text(content)
    with pytest.raises(DataError) as caught:
        detect_all(clips, [tmp_path / "kept"], refuse, "squares")
    assert f"expected videos, or detections without videos, found both ({name} holds" in str(caught.value)
    assert not (tmp_path / "kept").exists()


def test_names_that_differ_in_their_endings_and_files_of_others_are_refused(tmp_path: Path) -> None:
    clips, kept = tmp_path / "clips", tmp_path / "kept"
    for name in ("walk.mp4", "walk.avi"):
        write_video(clips / name, walk(3))
    with pytest.raises(DataError, match=r"two whose names differ in their endings alone"):
        detect_all(clips, [kept], refuse, "squares")
    kept.mkdir()
    (kept / "walk.npz").write_text("mine")
    with pytest.raises(DataError, match=r"walk\.npz: file: expected a free name"):
        detect_all(clips / "walk.mp4", [kept], SquareDetector, "squares")
    assert (kept / "walk.npz").read_text() == "mine"


def test_a_video_without_people_is_refused_and_keeps_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "empty.mp4", [picture(300, 300)] * 3)
    with pytest.raises(
        DataError, match=r"empty\.mp4: file: expected a person in a picture, found none in 3, by squares"
    ):
        detect_all(path, [tmp_path / "kept"], SquareDetector, "squares")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e12, np.nan, np.inf])
def test_a_rate_that_no_recording_has_is_refused(tmp_path: Path, rate: float) -> None:
    path = tmp_path / "clip.npz"
    np.savez(path, keypoints=np.random.default_rng(0).uniform(100, 200, (3, 17, 2)), rate=rate)
    with pytest.raises(DataError, match=r"rate: expected 0\.001 to 100000 frames per second, found"):
        read_detections(path, (640, 480))


def test_what_a_kept_file_says_about_its_making_is_never_run(tmp_path: Path) -> None:
    path = write_video(tmp_path / "walk.mp4", walk(3))
    kept = detect_all(path, [tmp_path / "kept"], SquareDetector, "squares")
    made_by = json.loads(str(np.load(kept, allow_pickle=False)["made_by"]))
    assert (
        made_by["video"] == "walk.mp4" and made_by["detector"] == "squares 1" and len(made_by["sha256"]) == 64
    )
