"""The fuzzers of tests/fuzz, a few seconds of each with a fixed seed; tests/fuzz/run.sh runs for long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "fuzz"


def run(*command: str | Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("script", "cases"), [("readers_fuzz.py", 600), ("ops_fuzz.py", 1000)])
def test_readers_and_ops_refuse_what_they_do_not_take(script: str, cases: int, tmp_path: Path) -> None:
    keep = ("--keep", str(tmp_path)) if script == "readers_fuzz.py" else ()
    said = run(sys.executable, FOLDER / script, "--cases", str(cases), "--seed", "1", *keep)
    assert said.startswith(f"{cases} ")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fuzzers in C++, built with the compiler that is there wherever poseda builds."""
    folder = tmp_path_factory.mktemp("fuzz")
    run("bash", FOLDER / "build.sh", "g++", "-O0", folder)
    return folder


@pytest.mark.parametrize(("program", "cases"), [("kernels_fuzz", 500), ("guards_fuzz", 2000)])
def test_kernels_and_guards_take_anything(program: str, cases: int, programs: Path) -> None:
    assert run(programs / program, "1", str(cases)).endswith(f"{cases} cases\n")
