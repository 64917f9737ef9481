"""Tables of a record of ``python -m benchmarks.real``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from benchmarks.real.clips import BYSTANDERS

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
    ends = ["**mean**", "", *(f"**{over_views(record, column)}**" for column in COLUMNS.values())]
    off = [f"{mean(_of(record, way, 'tilt_off')):.0f}" for way in (BEST, TOGETHER)]
    return HEADINGS, [*rows, [*ends, *off]]


SUMMARY_HEADINGS = (
    *("lifter", "known", "mean", "without the bystander", "highest of these", "Shelf", "beam, BODY_25"),
    *("lifted %", "within expected error %"),
)
"""What is known is as in the table by view."""


def summary(records: Mapping[str, dict[str, Any]]) -> tuple[Sequence[str], list[list[str]]]:
    """A line for each lifter and what is known of the camera: means over views and seeds, MPJPE in mm.

    Args:
        records: by what the table calls them. The arm wide is shown of the first one of its kind.
    """
    lines, shown = [], set()
    for title, record in records.items():
        for heading, column in COLUMNS.items():
            arm, way = column
            kind = (arm, way, str(record["asked"].get("motion")))
            if arm == "wide" and kind in shown:
                continue
            shown.add(kind)
            told = heading.strip().removeprefix(f"{arm}: ")
            lines.append([f"{title}: {arm}", told, *_summed(record, column)])
    return SUMMARY_HEADINGS, lines


def _summed(record: dict[str, Any], column: tuple[str, str]) -> list[str]:
    """The cells of one arm and way."""
    views = dict.fromkeys(row["view"] for row in record["scores"])
    by_view = {view: mean(_of(record, column, "mpjpe", view=view)) for view in views}
    lifted, there = (sum(_of(record, column, name)) for name in ("lifted", "views"))
    return [
        over_views(record, column),
        over_views(record, column, lambda view: view not in BYSTANDERS),
        f"{max(error for view, error in by_view.items() if view not in BYSTANDERS):.0f}",
        over_views(record, column, lambda view: view.startswith("shelf")),
        over_views(record, column, lambda view: view.startswith("pose2sim_balancing ")),
        f"{100 * lifted / there:.0f}",
        f"{100 * mean(_of(record, column, 'within_error')):.0f}",
    ]


def over_views(
    record: dict[str, Any],
    column: tuple[str, str],
    kept: Callable[[str], bool] = lambda view: True,
    key: str = "mpjpe",
) -> str:
    """Mean MPJPE, or another number, over the kept views, and its spread over seeds."""
    rows = [row for row in record["scores"] if (row["arm"], row["way"]) == column and kept(row["view"])]
    means = [mean(row[key] for row in rows if row["seed"] == seed) for seed in _seeds(record)]
    return f"{mean(means):.1f}" + (f" ± {stdev(means):.1f}" if len(means) > 1 else "")


WEAK_HEADINGS = (
    *("view", "wide: found", "wide_target: found", "with weak labels", "wide_target: tilt given"),
    *("with weak labels", "PA-MPJPE: wide_target", "with weak labels"),
)
"""All but the last two are MPJPE."""


def with_weak_labels(
    without: dict[str, Any], taught: dict[str, Any]
) -> tuple[Sequence[str], list[list[str]]]:
    """Errors in mm of the views of a record with weak labels, beside a record without, mean over seeds."""
    wide, given = ("wide", "found"), ("wide_target", "given")
    columns = [(without, wide, "mpjpe")]
    columns += [(record, BEST, "mpjpe") for record in (without, taught)]
    columns += [(record, given, key) for key in ("mpjpe", "pa_mpjpe") for record in (without, taught)]
    views = dict.fromkeys(row["view"] for row in taught["scores"])
    lines = [
        [view, *(f"{mean(_of(record, way, key, view=view)):.0f}" for record, way, key in columns)]
        for view in views
    ]
    means = [over_views(record, way, views.__contains__, key) for record, way, key in columns]
    return WEAK_HEADINGS, [*lines, ["**mean**", *(f"**{value}**" for value in means)]]


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
