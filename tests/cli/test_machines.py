"""The command line as programs meet it: JSON on stdout and nothing else there, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poseda import pretrained
from poseda.bench import op as bench
from poseda.cli import main
from poseda.ops._native import build_info

TINY = ["--preset", "tiny", "--device", "cpu", "--arms", "gpa"]
SHORT = ["--training.pretrain-steps", "10", "--training.adapt-steps", "10"]


def test_adapt_and_evaluate_print_their_results_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["adapt", *TINY, *SHORT, "--out", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    printed = json.loads(shown.out)
    assert printed["results"] == json.loads((out / "results.json").read_text())
    assert printed["gate"] == json.loads((out / "gate.json").read_text())
    assert printed["gate"]["verdict"] in ("adapt", "keep") and printed["gate"]["recommended"]
    assert (
        printed["run"] == str(out) and Path(printed["report"]).exists() and "arms: gpa; seed 0; " in shown.err
    )
    assert main(["evaluate", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "evaluation.json").read_text()) and printed["protocol"]
    # Asking for JSON is no part of what a run is.
    assert main(["adapt", *TINY, *SHORT, "--out", str(out), "--resume"]) == 0


def test_info_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    wanted = build_info() | {"pretrained": pretrained.card()}
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(wanted))


def test_bench_prints_its_record_on_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_measure", lambda *_: {"batch": 1})
    monkeypatch.setattr(bench, "_measure_stages", lambda *_: [])
    monkeypatch.setattr(bench, "table", lambda results: f"table of {len(results)}")
    monkeypatch.setattr(bench, "stage_table", lambda stages: f"{len(stages)} stages")
    assert main(["bench", "--quick", "--batches", "1", "--threads", "1", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["results"] == [{"batch": 1}] * len(bench.DIRECTIONS)
    assert "table of" in shown.err


def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [*TINY, "--training.pretrain-steps", "1500", "--out", str(out)]
    # Started in the background, a test run ignores SIGINT and so would its children.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from poseda.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "adapt", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ,
    ) as process:
        assert process.stderr
        partial = out / "seed0" / "pretrained" / "lifter.partial"
        deadline = time.monotonic() + 120
        while not partial.exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        complaint = process.stderr.read().decode().strip()
        assert process.wait(60) == 130
    assert complaint == (
        f"poseda: interrupted; the same command with --resume continues from the last checkpoint in {out}"
    )
    assert partial.exists() and not (out / "results.json").exists()
    assert main(["adapt", *command, "--resume"]) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if line["arm"] == "pretrained"]
    assert steps == list(range(20, 1501, 20))  # each once: what was done was not done again
