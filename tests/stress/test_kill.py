"""Killed runs lose nothing: a few kills of tests/stress/kill_runs.py, which does as many as one likes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("kill_runs.py")


def test_five_killed_runs_resume_to_the_same_bits() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "5", "--short", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("5 kills, nothing lost")
