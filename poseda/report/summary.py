"""The table of a run's arms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

COLUMNS = {"mpjpe": "MPJPE mm", "pa_mpjpe": "PA-MPJPE mm", "pck": "PCK %", "auc": "AUC %"}


@dataclass(frozen=True)
class Summary:
    """One arm on one split.

    Args:
        arm: its name.
        seeds: how many it was run with.
        mean: metric name to mean over seeds, millimetres or percent.
        deviation: the same for the sample standard deviation; 0 for one seed.
        gap_closed: share of the way from source_only to oracle in MPJPE, percent; None without both arms.
    """

    arm: str
    seeds: int
    mean: dict[str, float]
    deviation: dict[str, float]
    gap_closed: float | None


def summarise(results: Sequence[dict[str, Any]], split: str = "target_test") -> list[Summary]:
    """Average the rows of results.json over seeds, arms in the order in which they first appear."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in results:
        if row["split"] == split:
            rows.setdefault(row["arm"], []).append(row)
    means = {arm: {name: mean(row[name] for row in group) for name in COLUMNS} for arm, group in rows.items()}
    ends = [means[arm]["mpjpe"] if arm in means else math.nan for arm in ("source_only", "oracle")]
    gap = ends[0] - ends[1]
    return [
        Summary(
            arm,
            len(group),
            means[arm],
            {name: stdev(row[name] for row in group) if len(group) > 1 else 0.0 for name in COLUMNS},
            100 * (ends[0] - means[arm]["mpjpe"]) / gap if gap > 0 else None,
        )
        for arm, group in rows.items()
    ]


SPLIT_TITLES = {
    "target_test": "the target's test clips",
    "source_val": "the source's validation clips (the target has no labels)",
}


def shown_split(results: Sequence[dict[str, Any]]) -> str:
    """The split that tables and pictures show: the target's, unless it has no labels."""
    return "target_test" if any(row["split"] == "target_test" for row in results) else "source_val"


def cells(summary: Summary) -> list[str]:
    """The cells of an arm's row: metrics, with deviation if there are several seeds, and the gap closed."""
    texts = [
        f"{summary.mean[name]:.1f}" + (f" ± {summary.deviation[name]:.1f}" if summary.seeds > 1 else "")
        for name in COLUMNS
    ]
    return [*texts, "" if summary.gap_closed is None else f"{summary.gap_closed:.0f} %"]


HEADINGS = ("arm", *COLUMNS.values(), "gap closed")


def markdown(summaries: Sequence[Summary]) -> str:
    """The table of arms in Markdown."""
    lines = [HEADINGS, ["---"] + ["--:"] * (len(HEADINGS) - 1), *([s.arm, *cells(s)] for s in summaries)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
