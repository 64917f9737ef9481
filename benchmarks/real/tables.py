"""Tables of a record of ``python -m benchmarks.real``."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

COLUMNS = {
    "wide: one pass": ("wide", "one_pass"),
    "found": ("wide", "found"),
    "rig": ("wide", "rig"),
    "tilt given": ("wide", "given"),
    "wide_target: found": ("wide_target", "found"),
    "rig ": ("wide_target", "rig"),
    "tilt given ": ("wide_target", "given"),
}
"""Heading to arm and way."""

HEADINGS = ("view", "frames", *(heading.strip() for heading in COLUMNS), "tilt off by, degrees", "rig")

BEST, TOGETHER = ("wide_target", "found"), ("wide_target", "rig")
"""The arm and way of the last columns. The sentence is about the first."""


def by_view(record: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    """MPJPE by view, arm and way, mean over seeds; last the mean over views with its spread over seeds."""
    rows = [
        [view, str(int(_of(record, BEST, "views", view=view)[0]))]
        + [f"{mean(_of(record, column, 'mpjpe', view=view)):.0f}" for column in COLUMNS.values()]
        + [f"{mean(_of(record, way, 'tilt_off', view=view)):.0f}" for way in (BEST, TOGETHER)]
        for view in dict.fromkeys(row["view"] for row in record["scores"])
    ]
    ends = ["**mean**", ""]
    for column in COLUMNS.values():
        means = [mean(_of(record, column, "mpjpe", seed=seed)) for seed in _seeds(record)]
        spread = f" ± {stdev(means):.1f}" if len(means) > 1 else ""
        ends.append(f"**{mean(means):.1f}{spread}**")
    off = [f"{mean(_of(record, way, 'tilt_off')):.0f}" for way in (BEST, TOGETHER)]
    return HEADINGS, [*rows, [*ends, *off]]


def sentence(record: dict[str, Any]) -> str:
    """How to read the table, the share of the views that was lifted, and how right expected errors are."""
    lifted, there = (sum(_of(record, BEST, name)) for name in ("lifted", "views"))
    within = 100 * mean(_of(record, BEST, "within_error"))
    weak = record["asked"].get("weak")
    taught = ""
    if weak is not None:
        taught = (
            f" wide_target learned from weak labels of {weak['frames']} moments of each first half, off by "
            f"{1000 * weak['noise']:.0f} mm."
        )
    return (
        f"MPJPE in mm of twelve limb joints about the middle of the hips. Second halves of the frames; seeds "
        f"{', '.join(map(str, _seeds(record)))}. Lifted {100 * lifted / there:.1f} % of the views with eight "
        f"seen joints. {within:.0f} % of the joints are within their expected error.{taught}"
    )


def _seeds(record: dict[str, Any]) -> list[int]:
    return sorted({row["seed"] for row in record["scores"]})


def _of(record: dict[str, Any], column: tuple[str, str], key: str, **match: Any) -> list[float]:
    """The numbers of one arm and way, of the rows that match."""
    return [
        row[key]
        for row in record["scores"]
        if (row["arm"], row["way"]) == column
        and row[key] is not None
        and all(row[name] == value for name, value in match.items())
    ]
