"""Imports fall one way: training and evaluation know run folders, and nobody looks into training."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from runs import short_run

import poseda
from poseda import training
from poseda.datasets import Domains

PACKAGE = Path(poseda.__file__).parent


def imported(module: Path) -> set[str]:
    """The modules of this package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.startswith("poseda.")}


def offenders(package: str, *forbidden: str) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in sorted((PACKAGE / package).rglob("*.py"))
        for name in sorted(imported(path))
        if any(name == f"poseda.{part}" or name.startswith(f"poseda.{part}.") for part in forbidden)
    ]


LAYERS = {
    "geometry": ("runs", "training", "evaluation", "report", "inference", "cli"),
    "datasets": ("runs", "training", "evaluation", "report", "inference", "cli"),
    "method": ("runs", "training", "evaluation", "report", "inference", "cli"),
    "lifters": ("runs", "training", "evaluation", "report", "inference", "cli"),
    "runs": ("training", "evaluation", "report", "inference", "cli"),
    "evaluation": ("training", "report", "inference", "cli"),
    "inference": ("training", "report", "cli"),
    "report": ("training", "inference", "cli"),
    "training": ("report", "inference", "cli"),
}
"""What no module of a package may import, at any depth of its code."""


@pytest.mark.parametrize("package", LAYERS)
def test_nothing_imports_upward(package: str) -> None:
    assert (PACKAGE / package).is_dir() and not offenders(package, *LAYERS[package])


def test_the_command_line_asks_training_for_its_public_names() -> None:
    private = {path.stem for path in (PACKAGE / "training").glob("*.py")} - {"__init__"}
    assert not offenders("cli", *(f"training.{name}" for name in private))


def test_the_order_of_stages_knows_few_of_its_siblings() -> None:
    siblings = {name for name in imported(PACKAGE / "training" / "run.py") if ".training." in name}
    assert len({name.split(".")[2] for name in siblings}) <= 6


@pytest.mark.parametrize("command", ["lift", "evaluate"])
def test_a_run_is_used_without_the_library_that_trains(
    tmp_path: Path, domains: Domains, command: str
) -> None:
    out = tmp_path / "run"
    training.prepare(short_run(out, "source_only", steps=2, every=2), domains).train()
    given = {
        "lift": ["--model", str(out), "--input", "-", "--image-size", "640x480", "--layout", "h36m16"],
        "evaluate": [str(out)],
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
