"""The benchmark of lifters shows what it recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.step import lifters as program


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Run a command that must fail; return its one sentence."""
    assert program.main(options) == 2
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("benchmarks.step.lifters: ") and "\n" not in sentence
    return sentence


@pytest.mark.usefixtures("one_thread")
def test_a_record_is_drawn_as_a_row_a_lifter_and_window(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A lifter of single frames has no row for more; the calls themselves are measured once each.
    monkeypatch.setattr(program, "measure", lambda call, threads, seconds: float(call().isfinite().all()) / 4)
    out = tmp_path / "lifters.json"
    lifters = ["--lifters", "simple_baseline", "videopose3d", "--frames", "1", "9"]
    assert program.main(["--quick", *lifters, "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["results"]
    assert [(row["lifter"], row["frames"]) for row in rows] == [
        ("simple_baseline", 1),
        ("videopose3d", 1),
        ("videopose3d", 9),
    ]
    capsys.readouterr()
    assert program.main(["--markdown", str(out)]) == 0
    weights = f"{rows[2]['parameters']:,}"
    assert f"| videopose3d | {weights} | 9 | 256 | 250ms | 250ms |" in capsys.readouterr().out


@pytest.mark.usefixtures("one_thread")
def test_every_lifter_has_windows_of_its_own_and_latency_needs_no_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "measure", lambda call, threads, seconds: float(call().isfinite().all()) / 4)
    monkeypatch.setattr(program, "training_step", lambda *_: pytest.fail("trained"))
    out = tmp_path / "latency.json"
    assert program.main(["--quick", "--latency", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["results"]
    windows = [(name, frames) for name in program.SMALL for frames in program.FRAMES[name]]
    assert [(row["lifter"], row["frames"]) for row in rows] == windows
    capsys.readouterr()
    assert program.main(["--markdown", str(out)]) == 0
    drawn = capsys.readouterr().out
    assert "| frames | latency eager |" in drawn and "| 243 | 250ms |" in drawn and "training" not in drawn


def test_modes_stand_side_by_side() -> None:
    row = {"lifter": "mixste", "parameters": 5, "frames": 9, "windows_a_second": 2.0}
    eager = row | {"mode": "eager", "training_step": 2.0, "cpu_latency": 1e-3}
    compiled = row | {"mode": "compiled", "training_step": 1.0, "cpu_latency": 5e-4, "windows_a_second": 4.0}
    headings, rows = program.cells([eager, compiled, row | eager | {"frames": 1}])
    assert headings[4:] == ["step eager", "step compiled", "latency eager", "latency compiled"]
    assert rows[0] == ["mixste", "5", "9", "4", "2s", "1s", "1ms", "500us"]
    assert rows[1][4:] == ["2s", "-", "1ms", "-"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--lifters", "simple_baseline", "--frames", "9"],
            "--frames: expected numbers that one of the lifters sees, got 9 with simple_baseline",
        ),
        (["--frames", "0"], "--frames: expected a number above 0, got 0"),
        (["--threads", "-1"], "--threads: expected a number above 0, got -1"),
        (["--device", "tpu"], "device"),
    ],
)
def test_mistakes_are_one_sentence(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert message in refused(capsys, "--quick", *options)


def test_no_record_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(capsys, "--markdown", "nowhere")
    assert "--markdown: expected a file or folder, got nowhere, which does not exist" in sentence
