"""The fuzzers of tests/fuzz, a few seconds of each with a fixed seed; tests/fuzz/run.sh runs for long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "fuzz"


def run(*command: str | Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("script", "cases"), [("readers_fuzz.py", 600), ("ops_fuzz.py", 1000)])
def test_readers_and_ops_refuse_what_they_do_not_take(script: str, cases: int, tmp_path: Path) -> None:
    keep = ("--keep", str(tmp_path)) if script == "readers_fuzz.py" else ()
    said = run(sys.executable, FOLDER / script, "--cases", str(cases), "--seed", "1", *keep)
    assert said.startswith(f"{cases} ")


def test_kernels_take_any_numbers(tmp_path: Path) -> None:
    program = tmp_path / "kernels_fuzz"
    run("bash", FOLDER / "build.sh", "g++", "-O0", program)
    assert run(program, "1", "500") == "500 cases\n"
