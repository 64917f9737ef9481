"""From rows of results to numbers to cite: means over runs, gaps closed, one arm against another.

A row is one of results.json's with two entries more: ``run``, the run folder's name, and ``name``, the
compared arm or variant. Rows of one ``run`` and seed are matched: they share data and random numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from poseda.report import COLUMNS, columns_of

Row = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One name's results over runs (splits and seeds).

    Args:
        name: of the arm or variant.
        runs: how many.
        mean: metric name to mean over runs, millimetres or percent.
        deviation: the same for the sample standard deviation over runs; 0 for one run.
        seed_deviation: sample standard deviation, over seeds, of the MPJPE averaged over the splits that all
            seeds have; None below two seeds. What remains when the differences between splits are taken out.
        gap_closed: share of the way from source_only to oracle in MPJPE, percent, over the runs that have all
            three; None where there is none.
    """

    name: str
    runs: int
    mean: dict[str, float]
    deviation: dict[str, float]
    seed_deviation: float | None
    gap_closed: float | None


@dataclass(frozen=True)
class Comparison:
    """One name against another over matched runs.

    Args:
        ours, other: their names.
        runs: how many have both.
        ours_mpjpe, other_mpjpe: means over these runs, millimetres.
        lower: by how much ours is lower, percent of the other's.
        wins: runs in which ours is lower.
    """

    ours: str
    other: str
    runs: int
    ours_mpjpe: float
    other_mpjpe: float
    lower: float
    wins: int


@dataclass(frozen=True)
class Group:
    """Results on some of the test frames.

    Args:
        name: of the group.
        share: of the test frames, mean over runs, percent.
        lines: one an arm.
    """

    name: str
    share: float
    lines: list[Line]


def summarise(rows: Iterable[Row]) -> list[Line]:
    """Average rows over runs, names in the order in which they first appear."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["name"], []).append(row)
    columns = columns_of([row for group in groups.values() for row in group])
    return [
        Line(
            name,
            len(group),
            {metric: mean(row[metric] for row in group) for metric in columns},
            {metric: deviation([row[metric] for row in group]) for metric in columns},
            _seed_deviation(group),
            _gap_closed(groups, name),
        )
        for name, group in groups.items()
    ]


def by_group(rows: Sequence[Row]) -> list[Group]:
    """Summarise rows of one kind by their ``group``, in the order in which the groups first appear.

    Each row has ``poses`` frames; those of one run, seed and name are all frames there are.
    """
    totals: dict[tuple[str, int, str], int] = {}
    for row in rows:
        unit = row["run"], row["seed"], row["name"]
        totals[unit] = totals.get(unit, 0) + row["poses"]
    groups = []
    for name in dict.fromkeys(row["group"] for row in rows):
        own = [row for row in rows if row["group"] == name]
        # A run without a frame in the group counts with a share of nothing.
        share = sum(row["poses"] / totals[row["run"], row["seed"], row["name"]] for row in own) / len(totals)
        groups.append(Group(name, 100 * share, summarise(own)))
    return groups


def joint_means(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Mean error over runs, millimetres: joint to name to error. Left and right are averaged."""
    means: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for joint, error in row["per_joint"].items():
            joint = joint.removeprefix("left_").removeprefix("right_")
            means.setdefault(joint, {}).setdefault(row["name"], []).append(error)
    return {joint: {name: mean(errors) for name, errors in named.items()} for joint, named in means.items()}


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 for one value."""
    return stdev(values) if len(values) > 1 else 0.0


def compare(rows: Iterable[Row], ours: str, other: str) -> Comparison | None:
    """Compare two names in MPJPE over the runs that have both; None where there is none."""
    pairs = matched(rows, ours, other)
    if not pairs:
        return None
    one, two = (mean(pair[at] for pair in pairs) for at in (0, 1))
    wins = sum(a < b for a, b in pairs)
    return Comparison(ours, other, len(pairs), one, two, 100 * (two - one) / two, wins)


def markdown_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, first column to the left and the others to the right."""
    rule = ["---"] + ["--:"] * (len(headings) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines)) + "\n"


def describe(line: Line) -> list[str]:
    """The cells of a line that every table has: runs, then metrics with their deviation over runs."""
    return [str(line.runs), *(value(line, metric) for metric in COLUMNS)]


def value(line: Line, metric: str) -> str:
    """A line's mean of a metric, with its deviation if there are several runs."""
    return f"{line.mean[metric]:.1f}" + (f" ± {line.deviation[metric]:.1f}" if line.runs > 1 else "")


def listed(values: Iterable[int]) -> str:
    """Numbers with commas between them."""
    return ", ".join(map(str, values))


def percent(value: float | None) -> str:
    """A share without decimals; empty where there is none."""
    return "" if value is None else f"{value:.0f} %"


def sentence(comparison: Comparison) -> str:
    """A comparison as a line of text."""
    c = comparison
    way = "lower" if c.lower >= 0 else "higher"
    return (
        f"{c.ours} against {c.other}: {c.ours_mpjpe:.1f} against {c.other_mpjpe:.1f} mm, "
        f"{abs(c.lower):.1f} % {way} MPJPE, lower in {c.wins} of {c.runs} runs"
    )


def matched(rows: Iterable[Row], *names: str) -> list[tuple[float, ...]]:
    """MPJPE by name of each run and seed that has all of the names."""
    runs: dict[tuple[str, int], dict[str, float]] = {}
    for row in rows:
        runs.setdefault((row["run"], row["seed"]), {})[row["name"]] = row["mpjpe"]
    return [tuple(found[name] for name in names) for found in runs.values() if found.keys() >= set(names)]


def _seed_deviation(group: Sequence[Row]) -> float | None:
    by_seed: dict[int, dict[str, float]] = {}
    for row in group:
        by_seed.setdefault(row["seed"], {})[row["run"]] = row["mpjpe"]
    common = set.intersection(*(set(runs) for runs in by_seed.values()))
    if len(by_seed) < 2 or not common:
        return None
    return stdev(mean(runs[run] for run in common) for runs in by_seed.values())


def _gap_closed(groups: dict[str, list[Row]], name: str) -> float | None:
    ends = [row for end in {"source_only", "oracle", name} for row in groups.get(end, [])]
    ends_and_own = matched(ends, "source_only", "oracle", name)
    if not ends_and_own:
        return None
    start, goal, own = (mean(found[at] for found in ends_and_own) for at in range(3))
    return 100 * (start - own) / (start - goal) if start > goal else None
