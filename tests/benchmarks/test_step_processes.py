"""The benchmark of several processes compares runs that end at one loss."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from programs import load_program

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "step" / "processes.py"
SMALL = ["--steps", "2", "--rounds", "1", "--width", "16", "--batches", "16"]


@pytest.fixture
def program() -> ModuleType:
    return load_program(PROGRAM)


def call(program: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(PROGRAM), *SMALL, *options])
    program.main()


def test_one_process_and_two_end_at_one_loss(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "processes.json"
    call(program, monkeypatch, "--json", str(out))
    one, two = json.loads(out.read_text())["results"]
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["speedup"] == 1 and two["speedup"] == pytest.approx(one["seconds"] / two["seconds"])
    assert two["loss"] == pytest.approx(one["loss"], rel=program.AGREEMENT)


def test_other_losses_are_no_comparison(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "train", lambda processes, *_: {"seconds": 1.0, "loss": 1.0 + processes})
    with pytest.raises(SystemExit, match=r"2 processes end at a loss of 3\.0, 1 at 2\.0"):
        call(program, monkeypatch)
    assert not capsys.readouterr().out


def test_a_batch_that_does_not_split_is_refused(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call(program, monkeypatch, "--processes", "1", "3")
    assert "--processes: expected divisors of --batches 16, got 3" in capsys.readouterr().err


def test_processes_that_fail_end_it_in_their_words(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"(?s)^bench_processes: 1 processes ended with status 1:.*nobody"):
        call(program, monkeypatch, "--processes", "1", "--lifter", "nobody")


def test_a_record_that_cannot_be_kept_is_refused_before_measuring(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "train", lambda *_: pytest.fail("measured"))
    with pytest.raises(SystemExit, match="--json: expected a file to write"):
        call(program, monkeypatch, "--json", str(tmp_path))
