"""Tables of a record of ``python -m benchmarks.real``."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from benchmarks.real.score import WAYS

HEADINGS = ("view", "frames", "one pass", "found", "tilt given", "tilt off by, degrees")


def by_view(record: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    """MPJPE by view and way, mean over seeds; last the mean over views with its spread over seeds."""
    rows = [
        [view, str(int(_of(record, "found", "views", view=view)[0]))]
        + [f"{mean(_of(record, way, 'mpjpe', view=view)):.0f}" for way in WAYS]
        + [f"{mean(_of(record, 'found', 'tilt_off', view=view)):.0f}"]
        for view in dict.fromkeys(row["view"] for row in record["scores"])
    ]
    ends = ["**mean**", ""]
    for way in WAYS:
        means = [mean(_of(record, way, "mpjpe", seed=seed)) for seed in _seeds(record)]
        spread = f" ± {stdev(means):.1f}" if len(means) > 1 else ""
        ends.append(f"**{mean(means):.1f}{spread}**")
    return HEADINGS, [*rows, [*ends, f"{mean(_of(record, 'found', 'tilt_off')):.0f}"]]


def sentence(record: dict[str, Any]) -> str:
    """How to read the table, the share of the views that was lifted, and how right expected errors are."""
    lifted, there = (sum(_of(record, "found", name)) for name in ("lifted", "views"))
    within = 100 * mean(_of(record, "found", "within_error"))
    return (
        f"MPJPE in mm of twelve limb joints about the middle of the hips. Second halves of the frames; seeds "
        f"{', '.join(map(str, _seeds(record)))}. Lifted {100 * lifted / there:.1f} % of the views with eight "
        f"seen joints. {within:.0f} % of the joints are within their expected error."
    )


def _seeds(record: dict[str, Any]) -> list[int]:
    return sorted({row["seed"] for row in record["scores"]})


def _of(record: dict[str, Any], way: str, key: str, **match: Any) -> list[float]:
    """The numbers of one way, of the rows that match."""
    return [
        row[key]
        for row in record["scores"]
        if row["way"] == way
        and row[key] is not None
        and all(row[name] == value for name, value in match.items())
    ]
