"""The benchmark of several processes compares runs that end at one loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.step import processes as program

SMALL = ["--steps", "2", "--rounds", "1", "--width", "16", "--batches", "16"]


def run(*options: str) -> int:
    code: int = program.main([*SMALL, *options])
    return code


def test_one_process_and_two_end_at_one_loss(tmp_path: Path) -> None:
    out = tmp_path / "processes.json"
    assert run("--json", str(out)) == 0
    one, two = json.loads(out.read_text())["results"]
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["speedup"] == 1 and two["speedup"] == pytest.approx(one["seconds"] / two["seconds"])
    assert two["loss"] == pytest.approx(one["loss"], rel=program.AGREEMENT)


def test_other_losses_are_no_comparison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "train", lambda processes, *_: {"seconds": 1.0, "loss": 1.0 + processes})
    assert run() == 1
    shown = capsys.readouterr()
    assert "2 processes end at a loss of 3.0, 1 at 2.0" in shown.err and not shown.out


def test_a_batch_that_does_not_split_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--processes", "1", "3") == 2
    assert "--processes: expected divisors of --batches 16, got 3" in capsys.readouterr().err


def test_processes_that_fail_end_it_in_their_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--processes", "1", "--lifter", "nobody") == 1
    sentence = capsys.readouterr().err
    assert sentence.startswith("benchmarks.step.processes: 1 processes ended with status 1")
    assert "nobody" in sentence
