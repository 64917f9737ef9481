"""What tables are drawn from, and what all of them share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings and rows."""

Tables = Mapping[str, Callable[[], Table]]
"""By the name in their mark, what draws them."""


def read(name: str) -> dict[str, Any]:
    """A record of benchmarks/results."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def spread(line: dict[str, Any], metric: str) -> str:
    """Mean and standard deviation over runs; of one run, the number alone."""
    mean, deviation = line["mean"][metric], line["deviation"][metric]
    return f"{mean:.1f} ± {deviation:.1f}" if line["runs"] > 1 else f"{mean:.1f}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"
