"""Videos and cameras on the command line, with a stand-in for the detector."""

from __future__ import annotations

import json
import shlex
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from runs import short_steps

pytest.importorskip("av", reason="pip install 'poseda[video]' brings PyAV")

from videos import SquareDetector, walk, write_video

from poseda.cli import main
from poseda.cli.footage import with_all_detections
from poseda.cli.program import UsageError
from poseda.datasets import read_detections
from poseda.datasets.rig import names_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run on a video."""
    folder = tmp_path_factory.mktemp("video")
    clip, out = write_video(folder / "walk.mp4", walk(40)), folder / "run"
    line = ["adapt", "--preset", "tiny", *short_steps(20), "--device", "cpu", "--arms", "source_only", "wide"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
        assert main([*line, "--target", str(clip), "--out", str(out)]) == 0
    return out


def lift(run: Path, source: str | Path, output: Path, *options: str) -> int:
    return main(["lift", "--model", str(run), "--input", str(source), "--output", str(output), *options])


def test_adapt_keeps_detections_and_lift_reads_them(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (run.parent / "run-detections" / "walk.npz").is_file()
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # without the detector
    assert lift(run, run.parent / "walk.mp4", tmp_path / "out.npz") == 0
    assert "its detections are there already" in capsys.readouterr().err
    assert not (tmp_path / "out-detections").exists()
    with np.load(tmp_path / "out.npz") as lifted:
        assert lifted["frame"].tolist() == list(range(40))


def test_lift_detects_in_a_new_video_and_keeps_that_beside_the_result(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector(name=name))
    clip = write_video(tmp_path / "other.mp4", walk(9))
    assert lift(run, clip, tmp_path / "out.json", "--video-detector", "rtmpose") == 0
    assert (tmp_path / "out-detections" / "other.npz").is_file()
    assert len(json.loads((tmp_path / "out.json").read_text())["frames"]) == 9


def test_videos_of_one_name_before_two_cameras_keep_their_detections_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
    paths = []
    for at in range(2):
        (tmp_path / f"cam{at}").mkdir()
        paths.append(write_video(tmp_path / f"cam{at}" / "walk.mp4", walk(12 + at)))
    read = with_all_detections(paths, tmp_path / "run", "mediapipe", None)
    assert read == [tmp_path / "run-detections" / f"cam{at}" / "walk.npz" for at in range(2)]
    assert [len(read_detections(path)) for path in read] == [12, 13]
    assert names_of(read) == ["cam0/walk", "cam1/walk"]
    assert with_all_detections(paths[:1], tmp_path / "one", "mediapipe", None) == [
        tmp_path / "one-detections" / "walk.npz"
    ]


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_folder_that_cannot_be_the_runs_is_refused_before_its_video_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, resume: list[str]
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: pytest.fail("looked at the video"))
    clip, out = write_video(tmp_path / "walk.mp4", walk(9)), tmp_path / "notrun"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    line = ["adapt", "--preset", "tiny", "--device", "cpu", "--target", str(clip), "--out", str(out)]
    assert main([*line, *resume]) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("poseda: --resume: " if resume else "poseda: --out: ")
    assert sentence.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notrun", "walk.mp4"]


@pytest.mark.parametrize("names", [("a/clip.mp4", "b/clip.mp4"), ("clip.mp4", "clip.avi")])
def test_the_commands_of_a_run_lift_what_it_detected_whatever_the_names_of_its_videos(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for at, name in enumerate(names):
        write_video(Path(name), walk(20 + at))
    line = ["adapt", "--preset", "tiny", "--device", "cpu", "--arms", "wide", "--target", *names]
    with monkeypatch.context() as patch:
        patch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
        assert main([*line, "--out", "run.1"]) == 0
    shown = capsys.readouterr().out
    commands = [shlex.split(text)[1:] for text in shown.splitlines() if text.startswith("poseda lift")]
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # without the detector
    for at, command in enumerate(commands):
        assert main([*command, "--json"]) == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["frames"] == 20 + at, names[at]
        assert "its detections are there already, in run.1-detections/" in said.err
    assert len(commands) == 2
    assert {entry.name for entry in Path().iterdir()} == {
        "run.1",
        "run.1-detections",
        *(name.partition("/")[0] for name in names),
    }


def test_detections_for_a_run_in_this_folder_are_kept_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
    clip = write_video(tmp_path / "clip.mp4", walk(9))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert with_all_detections([clip], Path(), "mediapipe", None) == [
        tmp_path / "here-detections" / "clip.npz"
    ]


def test_a_missing_detector_is_one_sentence_and_nothing_is_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    clip = write_video(tmp_path / "other.mp4", walk(9))
    assert lift(run, clip, tmp_path / "out.json", "--video-detector", "rtmpose") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "pip install 'poseda[rtmpose]'" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.mp4"]


def test_a_camera_is_lifted_picture_by_picture(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
    monkeypatch.setattr("poseda.video.open_camera", lambda name: iter(walk(6)))
    assert lift(run, "camera:0", tmp_path / "out.jsonl") == 0
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [answer["frame"] for answer in answers] == list(range(6)) and all(a["valid"] for a in answers)


def test_a_camera_that_is_not_there_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
    assert lift(run, "camera:77", tmp_path / "out.jsonl") == 2
    assert (
        "--input: camera:77: expected a video" in capsys.readouterr().err
        and not (tmp_path / "out.jsonl").exists()
    )


def test_inspect_says_which_options_take_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_video(tmp_path / "other.mp4", walk(3))
    assert main(["inspect", str(clip)]) == 0
    assert "a video, for --target of poseda adapt and --input of poseda lift" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["lift --input {} --output {}", "adapt --target {} --out {}"])
@pytest.mark.parametrize("name", ["bad.mp4", "videos"])
def test_what_is_no_video_is_refused_before_a_detector_is_made(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    name: str,
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: pytest.fail("made a detector"))
    write_video(tmp_path / "videos" / "a.mp4", walk(9))
    for text in (tmp_path / "bad.mp4", tmp_path / "videos" / "b.mp4"):
        text.write_text("some text")
    assert main(command.format(tmp_path / name, tmp_path / "out.npz").split()) == 2
    said = capsys.readouterr().err
    assert "expected a video that FFmpeg can decode, found none (Invalid data found" in said
    assert "Errno" not in said and said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"bad.mp4", "videos"}


def test_of_several_videos_the_last_is_opened_before_the_first_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: pytest.fail("made a detector"))
    first = write_video(tmp_path / "a.mp4", walk(9))
    (tmp_path / "b.mp4").write_text("some text")
    with pytest.raises(UsageError, match=r"b\.mp4: file: expected a video"):
        with_all_detections([first, tmp_path / "b.mp4"], tmp_path / "run", "mediapipe", None)


@pytest.mark.parametrize("content", [b"some text", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"])
def test_inspect_takes_no_other_content_for_a_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    assert main(["inspect", str(tmp_path / "bad.mp4")]) == 2
    assert "bad.mp4: file: expected a video, as its name ends in .mp4, found" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".m4v", ".avi", ".mkv", ".mpg", ".mpeg", ".mts", ".3gp"])
def test_inspect_knows_every_container_by_its_first_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    clip = write_video(tmp_path / f"clip{ending}", walk(3), Fraction(25))
    assert main(["inspect", str(clip)]) == 0
    assert "a video, for --target" in capsys.readouterr().out
