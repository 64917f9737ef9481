"""Videos and cameras on the command line, with a stand-in for the detector."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import short_steps

pytest.importorskip("av", reason="pip install 'poseda[video]' brings PyAV")

from videos import SquareDetector, picture, walk, write_video

from poseda.cli import main
from poseda.cli.footage import with_all_detections
from poseda.cli.program import UsageError
from poseda.datasets import read_detections
from poseda.datasets.rig import names_of
from poseda.inference import LineLifter

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


def test_a_video_is_detected_once_for_lift_and_adapt_in_either_order(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write_video(tmp_path / "walk.mp4", walk(12))
    with monkeypatch.context() as patch:
        patch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
        assert main(["lift", "--input", "walk.mp4", "--output", "motion.npz"]) == 0
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # without the detector
    kept = Path("motion-detections/walk.npz")
    assert [path.resolve() for path in with_all_detections([clip], Path("run"), "mediapipe", None)] == [
        kept.resolve()
    ]
    elsewhere = tmp_path / "results" / "run"
    assert with_all_detections([clip], elsewhere, "mediapipe", None) == [kept]
    assert "its detections are there already, in" in capsys.readouterr().err
    Path("motion-detections").rename(tmp_path / "run-detections")
    assert main(["lift", "--input", "walk.mp4", "--output", "again.npz"]) == 0
    assert "run-detections/walk.npz" in capsys.readouterr().err and not Path("again-detections").exists()
    with pytest.raises(UsageError, match="mediapipe"):  # another content of the video
        with_all_detections([write_video(tmp_path / "walk.mp4", walk(9))], Path("run"), "mediapipe", None)


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
    assert with_all_detections(paths[:1], tmp_path / "alone" / "one", "mediapipe", None) == [
        tmp_path / "alone" / "one-detections" / "walk.npz"
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
        summary = json.loads(said.out)
        assert summary["frames"] == 20 + at, names[at]
        assert [Path(file).suffix for file in summary["written"]] == [".bvh", ".mp4"], (
            "people on the pictures"
        )
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


@pytest.fixture
def detected(run: Path, tmp_path: Path) -> Path:
    """Detections of the first run's video, far from it."""
    kept = tmp_path / "elsewhere" / "walk.npz"
    kept.parent.mkdir()
    kept.write_bytes((run.parent / "run-detections" / "walk.npz").read_bytes())
    return kept


def test_the_video_of_detections_is_drawn_under_the_skeleton(
    run: Path, detected: Path, tmp_path: Path
) -> None:
    from PIL import Image

    movies = [tmp_path / "plain.gif", tmp_path / "drawn.gif"]
    for movie, words in zip(movies, [[], ["--video", str(run.parent / "walk.mp4")]], strict=True):
        assert lift(run, detected, movie.with_suffix(".npz"), "--overlay", str(movie), *words) == 0
    reds = []
    for movie in movies:
        with Image.open(movie) as opened:
            shown = np.asarray(opened.convert("RGB"))[:, :640].astype(int)
        reds.append(int(((shown[..., 0] > 180) & (shown[..., 1:].max(-1) < 80)).sum()))
    assert reds[0] < 50 < 500 < reds[1], "the square of the video"


def test_a_video_that_does_not_fit_its_detections_is_refused(
    run: Path, detected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run.parent / "walk.mp4"
    short = write_video(tmp_path / "short.mp4", walk(9))
    small = write_video(tmp_path / "small.mp4", [picture(20, 20, (160, 120))] * 40)
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "run.mp4", walk(3))
    drawn = ["--overlay", str(tmp_path / "o.gif")]
    for source, words, sentence in [
        (
            detected,
            [*drawn, "--video", short],
            f"expected a picture for frame 39, counted from 0, in {short}, found 9",
        ),
        (detected, [*drawn, "--video", small], f"expected pictures of 320x240 in {small}, found 160x120"),
        (
            detected,
            [*drawn, "--video", tmp_path / "clips"],
            "expected a video of its name in --video, found none",
        ),
        (detected, ["--video", whole], f"--video: expected --overlay beside it, got {whole} alone"),
        (
            whole,
            [*drawn, "--video", whole],
            f"--video: expected none, as --input {whole} holds videos itself",
        ),
        (detected, ["--video-detector", "rtmpose"], "--video-detector: expected none, as --input"),
    ]:
        assert lift(run, source, tmp_path / "o.npz", *map(str, words)) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "o.npz").exists() and not (tmp_path / "o.gif").exists()


def test_a_missing_detector_is_one_sentence_and_nothing_is_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    clip = write_video(tmp_path / "other.mp4", walk(9))
    assert lift(run, clip, tmp_path / "out.json", "--video-detector", "rtmpose") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "pip install 'poseda[rtmpose]'" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.mp4"]


class StandInCamera:
    """Pictures at 12.5 frames a second, and the rate that a capture announces."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        for at, content in enumerate(walk(6)):
            yield 100 + at / 12.5, content


def test_a_camera_is_lifted_picture_by_picture_on_its_own_clock(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("poseda.video.open_detector", lambda name, model: SquareDetector())
    rates: list[float] = []

    class Clocked(LineLifter):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            rates.append(self.options.rate)

    monkeypatch.setattr("poseda.inference.LineLifter", Clocked)
    monkeypatch.setattr("poseda.video.open_camera", lambda name: StandInCamera(rate=12.5))
    assert lift(run, "camera:0", tmp_path / "out.jsonl", "--json") == 0
    assert "camera:0: 12.5 frames per second, as the capture says" in capsys.readouterr().err
    assert lift(run, "camera:0", tmp_path / "25.jsonl", "--rate", "25") == 0
    monkeypatch.setattr("poseda.video.open_camera", lambda name: StandInCamera(rate=None))
    assert lift(run, "camera:0", tmp_path / "30.jsonl") == 0
    assert "30 frames per second, by default" in capsys.readouterr().err
    assert rates == [12.5, 25, 30]
    for name, step in {"out.jsonl": 1, "25.jsonl": 2, "30.jsonl": 2.4}.items():
        answers = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        assert [answer["frame"] for answer in answers] == [round(at * step) for at in range(6)]
        assert all(answer["valid"] for answer in answers)


def test_an_overlay_of_a_camera_is_refused_by_its_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lift(run, "camera:0", tmp_path / "out.jsonl", "--overlay", "o.mp4") == 2
    said = capsys.readouterr().err
    assert "--overlay: expected a recording, got --input camera:0, a stream" in said


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
