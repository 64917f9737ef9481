"""The run whose report tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from runs import short_steps

from poseda.cli import main
from poseda.report import RunRecord


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "run"
    arms = ["--arms", "source_only", "gpa", "gpa_lpa", "--domain-size", "0.2"]
    assert (
        main(["adapt", "--preset", "tiny", "--device", "cpu", *short_steps(20), *arms, "--out", str(out)])
        == 0
    )
    torch.set_num_threads(before)
    return out


@pytest.fixture(scope="session")
def record(folder: Path) -> RunRecord:
    return RunRecord.read(folder)
