"""What uses a finished run starts without the library that trains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from runs import short_run

from poseda import training
from poseda.datasets import Domains

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, domains: Domains) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    training.prepare(short_run(out, "source_only", steps=2, every=2), domains).train()
    return out


@pytest.mark.parametrize("command", ["lift", "evaluate"])
def test_a_run_is_used_without_lightning(finished: Path, command: str) -> None:
    given = {
        "lift": ["--model", str(finished), "--input", "-", "--image-size", "640x480", "--layout", "h36m16"],
        "evaluate": [str(finished)],
    }
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "poseda", command, *given[command]],
        input="",
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
    )
    assert process.returncode == 0, process.stderr
    loaded = set(re.findall(r"^import time:.*\| +(\S+)$", process.stderr, re.MULTILINE))
    assert "torch" in loaded and "poseda.runs.folder" in loaded
    assert not {name for name in loaded if name.partition(".")[0] == "lightning"}
    assert not {name for name in loaded if name.startswith("poseda.training")}
