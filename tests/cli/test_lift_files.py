"""Files of `poseda lift`: several of one run, others from its npz, and what is said of them in few words."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bodies import walk
from lifted import lifted

from poseda.cli import main
from poseda.geometry.skeleton import H36M16
from poseda.inference.trajectory import JUMP, jumping_frames

pytestmark = pytest.mark.usefixtures("one_thread")

ENDINGS = ("npz", "json", "csv", "bvh", "trc", "mot", "glb")


@pytest.fixture
def lift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``lift(*options)``: what is said while 20 frames of two people are lifted by the package's lifter."""
    rows = []
    for who, poses in enumerate((walk(20, (200, 300)), walk(20, (400, 320)))):
        for at, pose in enumerate(poses):
            confidence = np.ones((17, 1))
            confidence[9, 0] = at % 2  # a wrist
            keypoints = np.hstack([pose, confidence]).ravel().tolist()
            rows.append(
                {"image_id": at, "category_id": 1, "track_id": who, "keypoints": keypoints, "score": 1}
            )
    (tmp_path / "yard.json").write_text(json.dumps(rows))

    def lift(*options: object) -> str:
        words = ["--image-size", "640x480", "--device", "cpu", *map(str, options)]
        assert main(["lift", "--input", str(tmp_path / "yard.json"), *words]) == 0
        shown = capsys.readouterr()
        return shown.out + shown.err

    return lift


def test_several_files_of_one_run_are_what_export_makes_of_its_npz(
    tmp_path: Path, lift: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    said = lift("--root", "exact", "--output", *(one / f"o.{ending}" for ending in ENDINGS))
    files = sorted(path.name for path in one.iterdir())
    assert len(files) == 4 + 3 * 2 and all(name in said for name in files)
    outputs = [str(two / f"o.{ending}") for ending in ENDINGS]
    assert main(["export", str(one / "o.npz"), "--output", *outputs]) == 0
    shown = capsys.readouterr()
    assert sorted(path.name for path in two.iterdir()) == files
    for name in files:
        if name.endswith("npz"):
            with np.load(one / name) as first, np.load(two / name) as second:
                assert first.files == second.files
                assert all(np.array_equal(first[key], second[key]) for key in first.files if key != "error")
                assert np.array_equal(first["error"], second["error"], equal_nan=True)
        else:
            assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert "world: y up, on a floor, in their places" in said and "world: y up" in shown.out
    before = {name: (two / name).read_bytes() for name in files}
    assert main(["export", str(one / "o.npz"), "--output", *outputs]) == 2
    error = capsys.readouterr().err
    assert "--output: expected a new file" in error and "--overwrite" in error
    assert before == {name: (two / name).read_bytes() for name in files}


def test_what_cannot_be_exported_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "walk.mp4").write_bytes(b"a film")
    np.savez(tmp_path / "other.npz", pose_2d=np.zeros((2, 17, 2)))
    for words, sentence in (
        ([tmp_path / "walk.mp4", "--output", "a.bvh"], "PATH: expected an npz of `poseda lift`"),
        ([tmp_path / "other.npz", "--output", "a.bvh"], "PATH: expected an npz of `poseda lift`"),
        ([tmp_path / "other.npz", "--output", "a.fbx"], "--output: expected a file ending in .npz"),
        ([tmp_path / "other.npz", "--output", "a.trc", "a.trc"], "expected each file once"),
        ([tmp_path / "other.npz"], "--output: expected a file to write, got none"),
        ([tmp_path / "other.npz", "--output", "a.trc", "--arm", "wide"], "--arm: expected none beside PATH"),
        (["--output", "a.trc"], "or --model with the folder of a run, got neither"),
    ):
        assert main(["export", *map(str, words)]) == 2
        error = capsys.readouterr().err
        assert sentence in error and error.count("\n") == 1
    assert not Path("a.bvh").exists() and not Path("a.trc").exists()


def test_one_existing_file_of_several_leaves_all_unwritten(
    tmp_path: Path, lift: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o.csv").write_text("mine")  # --output may be given again
    words = ["--input", str(tmp_path / "yard.json"), "--image-size", "640x480"]
    assert (
        main(["lift", *words, "--output", str(tmp_path / "o.csv"), "--output", str(tmp_path / "o.bvh")]) == 2
    )
    assert f"got {tmp_path / 'o.csv'}, which exists" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.bvh"))


def test_the_account_is_brief_and_whole_when_asked_for(tmp_path: Path, lift: Callable[..., str]) -> None:
    brief = lift("--output", tmp_path / "a.npz").partition("lifted ")[0]
    assert len(brief.splitlines()) <= 8 and max(map(len, brief.splitlines())) <= 80
    assert "made up, 4 joints: pelvis, spine, thorax, head_top" in brief and "--verbose" in brief
    whole = " ".join(lift("--output", tmp_path / "b.npz", "--verbose").split())
    assert "made up, as the layout lacks them: pelvis (mean of left_hip, right_hip)" in whole


def test_unseen_and_made_up_joints_are_counted_apart(
    tmp_path: Path, lift: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = " ".join(lift("--output", tmp_path / "a.npz", tmp_path / "a.csv").split())
    assert "unseen in their frame, so guessed: 20 of 480 joints that the input has" in said
    assert "made up in all frames, as the input lacks them: pelvis, spine, thorax, head_top" in said
    summary, _ = json.JSONDecoder().raw_decode(lift("--output", tmp_path / "b.npz", "--json"))
    assert summary["joints"]["unseen"] == 20 and summary["joints"]["made_up"] == 4 * 40
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert {row["spine_seen"] for row in rows} == {""}
    assert [row["left_wrist_seen"] for row in rows[:4]] == ["0", "1", "0", "1"]


def test_a_root_of_each_frame_alone_is_said_and_that_of_the_fit_is_steady(
    tmp_path: Path, lift: Callable[..., str]
) -> None:
    alone = " ".join(lift("--output", tmp_path / "a.npz", "--root", "exact", "--no-fit").split())
    assert "root: each frame placed alone, " in alone and "--smooth.filter savgol" in alone
    assert "root:" not in lift("--output", tmp_path / "b.npz", "--root", "exact")
    roots = {name: np.load(tmp_path / f"{name}.npz")["root"][:20] for name in "ab"}
    bent = {name: np.linalg.norm(np.diff(root, 2, 0), axis=1).max() * 900 for name, root in roots.items()}
    assert bent["b"] < JUMP < bent["a"]


def test_frames_whose_root_jumps_are_counted_but_not_across_gaps() -> None:
    """A frame 0.3 m off its path bends it three times. Where a gap lies, nothing is told."""
    frame = np.r_[np.arange(20), np.arange(60, 80)]
    root = np.stack([0.02 * frame, 0 * frame, 4 + 0 * frame], -1).astype(np.float32)
    root[20:, 0] += 3
    pose, seen = np.zeros((40, 16, 3)), np.ones((40, 16), bool)
    assert jumping_frames(lifted(pose, H36M16, root=root, frame=frame, visible=seen, rate=30.0)) == 0
    root[9, 2] += 0.3
    root[30] = np.nan
    assert jumping_frames(lifted(pose, H36M16, root=root, frame=frame, visible=seen, rate=30.0)) == 3
    assert jumping_frames(lifted(pose, H36M16, frame=frame, visible=seen, rate=30.0)) == 0
