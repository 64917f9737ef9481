"""The profile of an adaptation accounts for all of its time, and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.step import profile as program
from poseda.training.stage import Stage

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_profile_accounts_for_all_time(tmp_path: Path) -> None:
    make, out = Stage._make, tmp_path / "profile.json"
    options = "--preset tiny --gate off --arms gpa_lpa --device cpu --training.pretrain-steps 12"
    steps = "--training.adapt-steps 12 --generator-training.steps 35"
    assert program.main([*options.split(), *steps.split(), "--json", str(out)]) == 0
    assert Stage._make is make
    record = json.loads(out.read_text())
    phases = {row["phase"]: row for row in record["phases"]}
    assert list(phases) == [
        "pretrained · lifter · seed 0",
        "gpa_lpa · generator · seed 0",
        "gpa_lpa · lifter · seed 0",
        "gpa_lpa · measuring · seed 0",
        "target · measuring · seed 0",
        "everything else",
    ]
    assert sum(row["seconds"] for row in record["phases"]) == pytest.approx(record["seconds"])
    assert all(row["seconds"] > 0 for row in record["phases"])
    assert phases["gpa_lpa · generator · seed 0"]["steps"] == 35
    for phase in list(phases)[:3]:
        operators = phases[phase]["operators"]
        assert operators["aten::addmm"] > 0 and list(operators.values()) == sorted(
            operators.values(), reverse=True
        )


def test_bad_input_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--preset", "huge"]) == 2
    assert capsys.readouterr().err.startswith("benchmarks.step.profile: --preset: expected one of")
