"""The command line as a user meets it: what a run leaves behind, and one sentence for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from runs import short_steps

import poseda
from poseda.cli import UNREAD, attempt, main

TINY = ["adapt", "--preset", "tiny", "--device", "cpu"]
SHORT = short_steps(10)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main([*TINY, *SHORT, "--out", str(out), "--seeds", "0", "1"]) == 0
    return out


def test_a_run_leaves_results_logs_reports_and_how_it_came_about(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    assert len(results) == 5 * 2 * 2  # arms, seeds, splits
    assert {"arm", "seed", "split", "mpjpe", "pa_mpjpe", "pck", "auc", "per_joint"} <= results[0].keys()
    assert all(len(row["per_camera"]) > 1 and min(row["per_camera"].values()) > 0 for row in results)
    assert (
        "- errors by camera: wide_target, MPJPE mm by number of camera: " in (run / "report.md").read_text()
    )
    record = json.loads((run / "config.json").read_text())
    assert record["config"]["training"]["adapt_steps"] == 10 and record["seeds"] == [0, 1]
    assert record["versions"]["torch"] == torch.__version__ and len(record["data"]["sha256"]) == 64
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all({"step", "phase"} <= line.keys() for line in lines)
    assert {line["phase"] for line in lines} == {"lifter", "generator", "round1"}
    card = json.loads((run / "protocol.json").read_text())
    assert {"joints", "frames", "test-time flip", "target", "selection", "seeds"} <= card.keys()
    assert "Recommended model" in (run / "report.html").read_text()
    assert "| gpa_lpa |" in (run / "report.md").read_text()


def test_evaluate_repeats_the_numbers_of_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run)]) == 0
    evaluation = json.loads((run / "evaluation.json").read_text())
    results = json.loads((run / "results.json").read_text())
    expected = [row for row in results if row["split"] == "target_test"]
    assert evaluation["results"] == expected
    assert "protocol" in capsys.readouterr().out


def test_resuming_a_finished_run_changes_nothing(run: Path) -> None:
    before = (run / "results.json").read_bytes(), (run / "metrics.jsonl").read_bytes()
    again = [*TINY, *SHORT, "--out", str(run), "--resume", "--arms", "gpa_lpa"]
    assert main(again) == 0
    assert before == ((run / "results.json").read_bytes(), (run / "metrics.jsonl").read_bytes())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail; return its one sentence."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    sentence = captured.err.strip()
    assert sentence.startswith("poseda: ") and "\n" not in sentence and "Traceback" not in sentence
    return sentence


def test_an_occupied_folder_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(run.rglob("*"))
    assert "--out: expected a new or empty folder" in refused(capsys, *TINY, "--out", str(run))
    assert sorted(run.rglob("*")) == before


FLIP = "--training.flip switches it on, and --training.no-flip off"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--lifter", "resnet"], "poseda: --lifter: expected one of"),
        (["--device", "tpu"], "--device: expected auto, cpu, cuda"),
        (["--device", "cuda:99"], "--device: expected"),
        (["--training.batch", "1"], "poseda: --training.batch: expected a number of at least 4, got 1"),
        (["--training.adapt-steps", "0"], "poseda: --training.adapt-steps: expected a number above 0, got 0"),
        (["--training.adapt-steps", "2.5"], "--training.adapt-steps: expected a whole number, got '2.5'"),
        (["--training.batch", "abc"], "poseda: --training.batch: expected a whole number, got 'abc'"),
        (["--training.learning-rate", "x"], "poseda: --training.learning-rate: expected a number, got 'x'"),
        (["--seeds", "1", "x"], "poseda: --seeds: expected whole numbers, got 'x'"),
        (["--fov", "wide"], "poseda: --fov: expected a number or estimate, got 'wide'"),
        (["--loud", "3"], "poseda: --loud: expected an option of poseda adapt, got an unknown one"),
        (["loud"], "poseda: expected options, which begin with --, got 'loud'"),
        (["--out"], "poseda: --out: expected a path, got nothing"),
        (["--data", ""], "poseda: --data: expected a path, got ''"),
        (["--arms", "gpa,lpa"], "got 'gpa,lpa'; separate values with spaces"),
        (["--save-every", "7"], "poseda: --save-every: expected a multiple of --log-every = 20, got 7"),
        (["--seeds", "1", "1"], "seeds: expected at least one value, without repetition"),
        (["--seeds", "0", "-1"], "poseda: --seeds: expected a number of at least 0, got -1"),
        (["--lifter", "semgnc"], "got 'semgnc'; did you mean semgcn?"),
        (["--device", "cdua"], "got 'cdua'; did you mean cuda?"),
        (["--device", "cdua:1"], "got 'cdua:1'; did you mean cuda?"),
        (["--fov", "estmate"], "got 'estmate'; did you mean estimate?"),
        (["--loss", "absolut"], "did you mean --training.loss?"),
        (["--training.loss", "absolut"], "got 'absolut'; did you mean absolute?"),
        (
            ["--", "--out"],
            "poseda: --: expected options, which begin with -- and a name, got -- alone; leave it out",
        ),
        (["--training.flip", "false"], f"poseda: --training.flip: expected no value, got 'false'; {FLIP}"),
        (["--training.no_flip", "x"], f"poseda: --training.no_flip: expected no value, got 'x'; {FLIP}"),
        (["--training.no-flip=x"], f"poseda: --training.no-flip: expected no value, got 'x'; {FLIP}"),
        (["--resume"], "poseda: --resume: expected a run to continue in --out, got "),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    assert named in refused(capsys, *TINY, "--out", str(tmp_path / "r"), *options)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 truncated", b"text"], ids=["empty", "truncated", "text"]
)
def test_an_unreadable_data_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    assert "broken.npz" in refused(capsys, *TINY, "--data", str(path), "--out", str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "arguments", [["adapt", "--preset", "huge"], ["adapt", "--arms", "magic"], ["adapt", "--no-such-option"]]
)
def test_unknown_options_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert arguments[-1] in refused(capsys, *arguments)


def test_evaluate_refuses_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "config.json" in refused(capsys, "evaluate", str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_unknown_commands_and_stray_options_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "adapt, lift, view, inspect, evaluate, export, bench, doctor, info, got 'train'" in refused(
        capsys, "train"
    )
    assert "--loud" in refused(capsys, "info", "--loud")
    assert refused(capsys, "lift", "--model", "r") == "poseda: expected --input, got none"
    assert main(["--help"]) == 0 and "adapt" in capsys.readouterr().out


def test_info_names_versions_and_instruction_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    for entry in ("poseda", "torch", "cpu_instruction_set", "cuda_built", "threads"):
        assert entry in shown


def test_a_reader_who_leaves_ends_the_command_without_a_word() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-m", "poseda", "info"], stdout=pipe, stderr=pipe) as info:
        assert info.stdout is not None and info.stderr is not None
        info.stdout.close()
        said = info.stderr.read()
    assert (info.returncode, said) == (UNREAD, b"")


def test_our_warnings_are_sentences_and_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    def warned() -> int:
        warnings.simplefilter("always")
        warnings.warn_explicit("left out 2 lines", UserWarning, poseda.__file__, 1)
        warnings.warn_explicit("of another package", UserWarning, "elsewhere.py", 1)
        return 0

    with pytest.warns(UserWarning, match="of another package"):
        assert attempt(warned) == 0
    assert capsys.readouterr().err == "poseda: left out 2 lines\n"


def test_memory_on_the_device_is_said_where_it_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = [*TINY, *short_steps(2), "--arms", "gpa", "--gate", "off"]
    assert main([*given, "--out", str(tmp_path / "uncounted")]) == 0
    assert "device memory" not in capsys.readouterr().out
    monkeypatch.setattr("poseda.device.peak_memory", lambda device: 1_300_000_000)
    assert main([*given, "--out", str(tmp_path / "counted")]) == 0
    assert "device memory: 1.3 GB at most" in capsys.readouterr().out
