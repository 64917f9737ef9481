"""The benchmark of lifters shows what it recorded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from programs import load_program

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "step" / "lifters.py"


@pytest.fixture
def program() -> ModuleType:
    return load_program(PROGRAM)


def call(program: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(PROGRAM), *options])
    program.main()


@pytest.mark.usefixtures("one_thread")
def test_a_record_is_drawn_as_a_row_a_lifter_and_window(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A lifter of single frames has no row for more; the calls themselves are measured once each.
    monkeypatch.setattr(program, "measure", lambda call, threads, seconds: float(call().isfinite().all()) / 4)
    out = tmp_path / "lifters.json"
    lifters = ["--lifters", "simple_baseline", "videopose3d", "--frames", "1", "9"]
    call(program, monkeypatch, "--quick", *lifters, "--json", str(out))
    rows = json.loads(out.read_text())["results"]
    assert [(row["lifter"], row["frames"]) for row in rows] == [
        ("simple_baseline", 1),
        ("videopose3d", 1),
        ("videopose3d", 9),
    ]
    capsys.readouterr()
    call(program, monkeypatch, "--markdown", str(out))
    weights = f"{rows[2]['parameters']:,}"
    assert f"| videopose3d | {weights} | 9 | 256 | 250ms | 250ms |" in capsys.readouterr().out


@pytest.mark.usefixtures("one_thread")
def test_every_lifter_has_windows_of_its_own_and_latency_needs_no_training(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "measure", lambda call, threads, seconds: float(call().isfinite().all()) / 4)
    monkeypatch.setattr(program, "training_step", lambda *_: pytest.fail("trained"))
    out = tmp_path / "latency.json"
    call(program, monkeypatch, "--quick", "--latency", "--json", str(out))
    rows = json.loads(out.read_text())["results"]
    windows = [(name, frames) for name in program.SMALL for frames in program.FRAMES[name]]
    assert [(row["lifter"], row["frames"]) for row in rows] == windows
    capsys.readouterr()
    call(program, monkeypatch, "--markdown", str(out))
    drawn = capsys.readouterr().out
    assert "| frames | latency eager |" in drawn and "| 243 | 250ms |" in drawn and "training" not in drawn


def test_modes_stand_side_by_side(program: ModuleType) -> None:
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
            "--frames: expected .* got 9 with simple_baseline",
        ),
        (["--frames", "0"], "--frames: expected numbers above 0, got 0"),
        (["--threads", "-1"], "--threads: expected numbers above 0, got -1"),
        (["--device", "tpu"], "device"),
    ],
)
def test_mistakes_are_one_sentence(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=f"^bench_lifters: .*{message}"):
        call(program, monkeypatch, "--quick", *options)


def test_no_record_is_one_sentence(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="--markdown: expected a file to read, got nowhere"):
        call(program, monkeypatch, "--markdown", "nowhere")


def test_a_record_that_cannot_be_kept_is_refused_before_measuring(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "measure", lambda *_: pytest.fail("measured"))
    with pytest.raises(SystemExit, match="--json: expected a file to write"):
        call(program, monkeypatch, "--quick", "--json", str(tmp_path))
