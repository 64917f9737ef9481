"""One lifter for the cameras of a rig, from the command line to the report."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from poseda.cli import main
from poseda.cli.adapt import parse_run
from poseda.config import RunConfig, from_json, to_json
from poseda.geometry.world import LEVEL, level_axes
from poseda.report import RunRecord
from tests.shared.rigs import FilmedRig, film_rig

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> FilmedRig:
    return film_rig(tmp_path_factory.mktemp("filmed") / "rig", frames=30)


def line(rig: FilmedRig, out: Path) -> list[str]:
    steps = ["--wide.steps", "20", "--wide.target-steps", "5", "--arms", "wide", "wide_target"]
    given = [
        "--target",
        *map(str, rig.paths),
        "--intrinsics",
        str(rig.calibration),
        "--source",
        str(rig.source),
    ]
    return ["adapt", "--preset", "tiny", "--device", "cpu", *given, *steps, "--out", str(out)]


@pytest.fixture(scope="module")
def run(rig: FilmedRig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(line(rig, out)) == 0
    return out


def test_what_told_the_vertical_of_the_source_is_said_once_and_kept(
    rig: FilmedRig, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*line(rig, run), "--resume"]) == 0
    assert "source: which way is up comes from the source's people" in capsys.readouterr().out
    assert main([*line(rig, run), "--resume", "--verbose"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("source: which way is up comes from the source's people, who agree on it by") == 1
    note = RunRecord.read(run).card["up in the source"]
    assert note.startswith("from the source's people") and f"comes {note}" in said


def test_a_run_keeps_what_it_read_and_found_by_path(rig: FilmedRig, run: Path) -> None:
    record = RunRecord.read(run)
    assert list(record.accounts) == ["cam0", "cam1"] and record.accounts["cam1"].rows == 30
    assert "cam1: camera cam1 of Calib.toml" in record.card["target camera"]
    assert [clip["name"] for clip in record.clip_notes["clips"]] == ["cam0", "cam1"]
    for clip in record.clip_notes["clips"]:
        assert list(clip["up"]) == ["wide", "wide_target"]
        for up in clip["up"].values():
            assert np.allclose(level_axes(up) @ up, LEVEL, atol=1e-5)
    assert record.config["config"]["target"] == [str(path) for path in rig.paths]
    assert record.labelfree is not None
    for numbers in record.labelfree["models"].values():
        assert numbers["disagreement_mm"] > 0 and numbers["disagreement_pairs"] == 30
        assert len(numbers["tilt"]) == 2
    report = (run / "report.md").read_text()
    assert "footage: cam0: npz" in report and "Cameras apart" in (run / "report.html").read_text()


def test_each_path_is_lifted_with_its_camera_and_the_tilt_that_all_found(
    rig: FilmedRig, run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*line(rig, run), "--resume"]) == 0
    commands = [text for text in capsys.readouterr().out.splitlines() if text.startswith("poseda lift")]
    assert len(commands) == 2
    words = shlex.split(commands[1])[1:]
    assert words[words.index("--input") + 1] == str(rig.paths[1]) and "--camera-pitch" in words
    assert main([*words, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    pitch = float(words[words.index("--camera-pitch") + 1])
    assert re.search(rf"camera cam1 of Calib\.toml; camera tilt: {pitch:.0f} degrees", summary["camera"])


def test_a_tilt_that_is_given_is_used_kept_and_passed_on(
    rig: FilmedRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = [*line(rig, out), "--camera-pitch", "-12", "33", "--camera-roll", "4"]
    assert main(words) == 0
    commands = [text for text in capsys.readouterr().out.splitlines() if text.startswith("poseda lift")]
    assert [text.partition("--camera-pitch ")[2] for text in commands] == [
        "-12.0 --camera-roll 4.0",
        "33.0 --camera-roll 4.0",
    ]
    record = RunRecord.read(out)
    assert record.labelfree is not None
    for numbers in record.labelfree["models"].values():
        assert [(tilt["pitch"], tilt["roll"], tilt["error"]) for tilt in numbers["tilt"]] == [
            (-12, 4, 0),
            (33, 4, 0),
        ]
    assert "given as 33 degrees down, rolled 4" in record.card["target camera"]
    changed = [word if word != "33" else "34" for word in words]
    assert main([*changed, "--resume"]) == 2
    assert "--camera-pitch: the run to resume has" in capsys.readouterr().err
    assert main([*line(rig, out), "--resume"]) == 2


def test_other_footage_is_lifted_with_a_camera_of_its_own(
    rig: FilmedRig, run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other.npz"
    other.write_bytes(rig.paths[0].read_bytes())
    lift = ["lift", "--model", str(run), "--input", str(other), "--output", str(tmp_path / "other.csv")]
    assert main(lift) == 2
    assert (
        "Calib.toml: cameras: expected one named as each path of the target (other)"
        in capsys.readouterr().err
    )
    assert main([*lift, "--fov", "60"]) == 0


def test_a_run_is_resumed_with_the_files_of_all_paths_alone(
    rig: FilmedRig, run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    changed = tmp_path / "cam1.npz"
    content = dict(np.load(rig.paths[1]))
    content["keypoints"][0, 0, 0] += 1
    np.savez(changed, **content)
    other = [str(changed) if word == str(rig.paths[1]) else word for word in line(rig, run)]
    assert main([*other, "--resume"]) == 2
    assert "expected the data of the run to resume" in capsys.readouterr().err


def test_one_path_and_several_survive_files_of_options(rig: FilmedRig, tmp_path: Path) -> None:
    several = RunConfig(target=tuple(rig.paths), fov=(60.0, "estimate"), image_size=("640x480",))
    written = json.loads(json.dumps(to_json(several)))
    assert (written["fov"], written["image_size"]) == ([60.0, "estimate"], "640x480")
    assert from_json(written) == several
    one = RunConfig(target=(rig.paths[0],), fov=(60.0,))
    assert to_json(one)["target"] == str(rig.paths[0]) and to_json(one)["fov"] == 60.0  # as 0.2 wrote it
    assert from_json(to_json(one)) == one and to_json(RunConfig())["target"] is None
    assert RunConfig(target=rig.paths[0], fov=60.0) == one  # type: ignore[arg-type]
    file = tmp_path / "options.yaml"
    file.write_text(f"target: [{rig.paths[0]}, {rig.paths[1]}]\nfov: [60, 70]\n")
    read = parse_run(["--config", str(file), "--from-scratch"])
    assert read.target == tuple(rig.paths) and read.fov == (60, 70)
    file.write_text(f"target: {rig.paths[0]}\n")
    assert parse_run(["--config", str(file), "--from-scratch"]).target == (rig.paths[0],)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--target"], "--target: expected paths, got nothing"),
        (["--target", "0", "0"], "--target: expected values without repetition, got "),
        (
            ["--target", "0", "1", "--fov", "1", "2", "3"],
            "--fov: expected one value, or one for each of the 2 ",
        ),
        (["--target", "0", "--fov", "1", "2"], "--fov: expected one value, as --target is one path, got 2"),
        (
            ["--target", "0", "1", "--camera-pitch", "1", "2", "3"],
            "--camera-pitch: expected one value, or one for each of the 2 ",
        ),
        (["--target", "0", "--camera-pitch", "91"], "--camera-pitch: expected at most 90 degrees"),
        (
            ["--target", "0", "--camera-roll", "1"],
            "--camera-roll: expected --camera-pitch beside it, got none",
        ),
        (["--camera-pitch", "-5"], "--camera-pitch: expected --target beside it, got none"),
        (
            ["--target", "0", "gone.npz"],
            "--target: expected a file or folder, got gone.npz, which does not exist",
        ),
    ],
)
def test_mistakes_about_paths_are_one_sentence_and_write_nothing(
    rig: FilmedRig, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    paths = {"0": str(rig.paths[0]), "1": str(rig.paths[1])} if "--target" in given else {}
    at = next(
        (at for at, word in enumerate(given) if word in ("--fov", "--camera-pitch", "--camera-roll")),
        len(given),
    )
    words = [paths.get(word, word) for word in given[:at]] + given[at:]
    assert main(["adapt", *words, "--out", str(tmp_path / "run")]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1 and not (tmp_path / "run").exists()


def test_pictures_of_inspected_files_have_one_size_or_one_each(
    rig: FilmedRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in rig.paths:
        content = dict(np.load(path))
        del content["image_size"]
        np.savez(tmp_path / path.name, **content)
    files = [str(tmp_path / path.name) for path in rig.paths]
    assert main(["inspect", *files, "--image-size", "1280x960", "1280x1000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [found[file]["image_size"] for file in files] == [[1280, 960], [1280, 1000]]
    assert main(["inspect", *files, "--image-size", "1x1", "1x1", "1x1"]) == 2
    assert "one for each of the 2 paths of FILES, got 3" in capsys.readouterr().err


def test_a_lift_takes_no_list_of_cameras_from_the_options_of_a_run(
    rig: FilmedRig, run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = json.loads((run / "config.json").read_text())
    record["config"]["fov"] = [60, 70]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(record))
    lift = ["lift", "--config", str(file), "--input", str(rig.paths[0]), "--output", str(tmp_path / "a.csv")]
    assert main(lift) == 0
    assert "left out" in capsys.readouterr().err
