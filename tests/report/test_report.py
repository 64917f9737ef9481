"""The arithmetic of the table of arms."""

from __future__ import annotations

import math
from typing import Any

import pytest

from poseda.report import COLUMNS, cells, markdown, summarise


def row(arm: str, seed: int, mpjpe: float, split: str = "target_test") -> dict[str, Any]:
    return {"arm": arm, "seed": seed, "split": split, **dict.fromkeys(COLUMNS, 50.0), "mpjpe": mpjpe}


RESULTS = [
    row("source_only", 0, 100.0),
    row("source_only", 1, 104.0),
    row("gpa", 0, 80.0),
    row("gpa", 1, 82.0),
    row("oracle", 0, 60.0),
    row("oracle", 1, 64.0),
    row("gpa", 0, 1.0, split="source_val"),
]


def test_means_deviations_and_the_gap_are_those_of_the_asked_split() -> None:
    source, gpa, oracle = summarise(RESULTS)
    assert (source.arm, gpa.arm, oracle.arm) == ("source_only", "gpa", "oracle")
    assert gpa.mean["mpjpe"] == 81.0 and gpa.seeds == 2
    assert gpa.deviation["mpjpe"] == pytest.approx(math.sqrt(2.0))
    # From 102 to 62 are 40 mm, of which 21 are closed.
    assert gpa.gap_closed == pytest.approx(52.5) and source.gap_closed == 0.0 and oracle.gap_closed == 100.0
    assert summarise(RESULTS, "source_val")[0].mean["mpjpe"] == 1.0


def test_without_both_ends_there_is_no_gap() -> None:
    only = summarise([row("gpa", 0, 80.0)])
    assert only[0].gap_closed is None and cells(only[0]) == ["80.0", "50.0", "50.0", "50.0", ""]


def test_markdown_has_one_line_an_arm_and_shows_the_spread() -> None:
    lines = markdown(summarise(RESULTS)).splitlines()
    assert len(lines) == 5 and lines[3].startswith("| gpa | 81.0 ± 1.4 |")
    assert all(line.count("|") == lines[0].count("|") for line in lines)
