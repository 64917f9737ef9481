"""The notebook runs from its first cell to its last, and is stored without results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "benchmarks" / "first_steps.ipynb"
CODE = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.usefixtures("one_thread")
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in CODE:
        exec("".join(cell["source"]), names)
    assert names["errors"].keys() == {"source_only", "gpa"} and min(names["errors"].values()) > 0
    assert names["pose_3d"].shape == (len(names["clip"]), 16, 3)


def test_it_is_stored_without_results() -> None:
    assert CODE and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CODE)
