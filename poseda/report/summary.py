"""The table of a run's arms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

COLUMNS = {"mpjpe": "MPJPE mm", "pa_mpjpe": "PA-MPJPE mm", "pck": "PCK %", "auc": "AUC %"}

MOTION = {"mpjve": "MPJVE mm", "acceleration_error": "accel. mm"}
"""Columns more for lifters that see several frames: errors a frame and a frame squared."""


ORACLE = "oracle"
"""The arm that learned from the target's labels."""


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
    columns = columns_of([row for group in rows.values() for row in group])
    means = {arm: {name: mean(row[name] for row in group) for name in columns} for arm, group in rows.items()}
    ends = [means[arm]["mpjpe"] if arm in means else math.nan for arm in ("source_only", "oracle")]
    gap = ends[0] - ends[1]
    return [
        Summary(
            arm,
            len(group),
            means[arm],
            {name: stdev(row[name] for row in group) if len(group) > 1 else 0.0 for name in columns},
            100 * (ends[0] - means[arm]["mpjpe"]) / gap if gap > 0 else None,
        )
        for arm, group in rows.items()
    ]


def ranked(summaries: Sequence[Summary]) -> list[Summary]:
    """The arms from the best MPJPE to the worst; the oracle, a bound, comes last."""
    return sorted(summaries, key=lambda one: (one.arm == ORACLE, one.mean["mpjpe"]))


def by_labels(summaries: Sequence[Summary], recommended: str) -> str:
    """What labels say of the recommended arm beside other arms that saw no label; empty without others."""
    arms = [one for one in ranked(summaries) if one.arm != ORACLE]
    own = next((one for one in arms if one.arm == recommended), None)
    if own is None or len(arms) < 2:
        return ""
    if own is arms[0]:
        return (
            f"By the target's labels, {recommended} is the best arm that saw no label: MPJPE "
            f"{own.mean['mpjpe']:.1f} mm, then {arms[1].arm} with {arms[1].mean['mpjpe']:.1f} mm."
        )
    return (
        f"By the target's labels, {arms[0].arm} is better than {recommended}: MPJPE "
        f"{arms[0].mean['mpjpe']:.1f} mm against {own.mean['mpjpe']:.1f} mm."
    )


def by_camera(results: Sequence[dict[str, Any]], arm: str) -> str:
    """An arm's MPJPE in every camera of the shown split, mean over seeds; empty where it is not recorded."""
    split = shown_split(results)
    own = [row for row in results if (row["arm"], row["split"]) == (arm, split) and "per_camera" in row]
    rows = [row["per_camera"] for row in own]
    cameras = [f"{name} {mean(row[name] for row in rows):.1f}" for name in (rows[0] if rows else ())]
    return f"{arm}, MPJPE mm by number of camera: {', '.join(cameras)}" if cameras else ""


def columns_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The metrics that a table of these rows shows: those of motion, too, if all are of several frames."""
    moving = all(row.get("frames", 1) > 1 and row.keys() >= MOTION.keys() for row in rows)
    return [*COLUMNS, *(MOTION if moving else ())]


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
        for name in summary.mean
    ]
    return [*texts, "" if summary.gap_closed is None else f"{summary.gap_closed:.0f} %"]


def headings(summaries: Sequence[Summary]) -> list[str]:
    """The headings over :func:`cells`."""
    columns = COLUMNS | MOTION
    return ["arm", *(columns[name] for name in summaries[0].mean), "gap closed"]


def markdown(summaries: Sequence[Summary]) -> str:
    """The table of arms in Markdown."""
    head = headings(summaries)
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *([s.arm, *cells(s)] for s in summaries)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
