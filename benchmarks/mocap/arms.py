"""The motion-capture benchmarks: every arm, over pairs, splits and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.mocap.breakdown import FARTHER, POSES_KIND, read_breakdown
from benchmarks.mocap.config import Pair, ReproduceMocapConfig
from benchmarks.mocap.domains import Benchmark
from benchmarks.mocap.queue import ArmsJob, recorded_data
from benchmarks.mocap.tables import (
    Comparison,
    Group,
    Line,
    Row,
    by_group,
    compare,
    describe,
    joint_means,
    listed,
    markdown_table,
    percent,
    sentence,
    summarise,
)
from poseda.config import Arm, RunConfig

OPTIONS = ReproduceMocapConfig

HEADINGS = ("arm", "runs", "MPJPE mm", "PA-MPJPE mm", "PCK %", "AUC %", "seed sd mm", "gap closed")

RIVALS: dict[Arm, tuple[Arm, ...]] = {
    "gpa_lpa": ("random", "gpa", "poseaug", "lpa"),
    "gpa_lpa_view": ("gpa_lpa", "gpa", "random"),
}
"""Arms that the method, and ours beyond it, are compared with, run by run."""


def plan(options: ReproduceMocapConfig, recipe: RunConfig) -> list[ArmsJob]:
    """The jobs, breadth first: pairs, then splits, then seeds, so that a queue stopped early is balanced.

    Raises:
        ValueError: if the recipe's lifter sees several frames.
    """
    return [
        job(options, recipe, pair, split, seed)
        for seed in options.seeds
        for split in options.splits
        for pair in options.pairs
    ]


def job(options: ReproduceMocapConfig, recipe: RunConfig, pair: Pair, split: int, seed: int) -> ArmsJob:
    """One seed of all arms on one split of one pair."""
    benchmark = Benchmark.of(options, pair, split, recipe.frames)
    config = replace(
        recipe,
        data=benchmark.path,
        out=options.out / "runs" / benchmark.name,
        arms=options.arms,
        seeds=(seed,),
    )
    return ArmsJob(benchmark.name, config, benchmark, breakdown=True)


def collect(jobs: Sequence[ArmsJob]) -> list[Row]:
    """The finished rows of these jobs, with ``pair`` and ``domain_split``, the split of the benchmark."""
    return [
        {"run": job.name, "name": row["arm"]}
        | {"pair": job.benchmark.pair, "domain_split": job.benchmark.split}
        | row
        for job in jobs
        for row in job.results()
    ]


def collect_breakdowns(jobs: Sequence[ArmsJob]) -> list[Row]:
    """The rows of the breakdowns, errors by joint among them, with ``pair``, ``by`` and ``group``."""
    rows = []
    for job in jobs:
        common = {"run": job.name, "pair": job.benchmark.pair}
        for arm in job.config.arms:
            for row in read_breakdown(job.folder, job.seed, arm):
                rows.append(common | {"name": arm} | row)
    return rows


@dataclass(frozen=True)
class PairResult:
    """The finished runs of one pair, on the target's test clips.

    Args:
        pair: its name.
        finished, planned: runs of an arm.
        lines: one an arm.
        against: the method and `gpa_lpa_view` against other arms.
        joints: error of each joint by arm, millimetres; left and right are averaged.
        groups: results on groups of the test frames, by kind of group.
    """

    pair: Pair
    finished: int
    planned: int
    lines: list[Line]
    against: list[Comparison]
    joints: dict[str, dict[str, float]]
    groups: dict[str, list[Group]]


def summarise_pair(
    options: ReproduceMocapConfig, pair: Pair, rows: Sequence[Row], parts: Sequence[Row]
) -> PairResult:
    """Summarise the rows of one pair, and those of its breakdowns."""
    own = [row for row in rows if row["pair"] == pair and row["split"] == "target_test"]
    own.sort(key=lambda row: options.arms.index(row["arm"]))
    parts = [part for part in parts if part["pair"] == pair]
    kinds = dict.fromkeys(part["by"] for part in parts)
    planned = len(options.seeds) * len(options.splits) * len(options.arms)
    against = [compare(own, arm, rival) for arm, rivals in RIVALS.items() for rival in rivals]
    return PairResult(
        pair,
        len(own),
        planned,
        summarise(own),
        [found for found in against if found],
        joint_means(own),
        {kind: by_group([part for part in parts if part["by"] == kind]) for kind in kinds},
    )


def report(options: ReproduceMocapConfig, jobs: Sequence[ArmsJob]) -> dict[str, Any]:
    """All numbers of the finished runs, ready for JSON."""
    rows, parts = collect(jobs), collect_breakdowns(jobs)
    pairs = {pair: asdict(summarise_pair(options, pair, rows, parts)) for pair in options.pairs}
    asked = {name: getattr(options, name) for name in ("splits", "seeds", "arms")}
    return {"asked": asked, "data": recorded_data(jobs), "pairs": pairs, "rows": rows}


def markdown(options: ReproduceMocapConfig, jobs: Sequence[ArmsJob]) -> str:
    """The tables of the finished runs, and how to read them."""
    rows, parts = collect(jobs), collect_breakdowns(jobs)
    text = []
    for pair in options.pairs:
        result = summarise_pair(options, pair, rows, parts)
        text.append(f"## {pair}: {result.finished} of {result.planned} runs\n")
        text.append(markdown_table(HEADINGS, [_cells(line) for line in result.lines]))
        text += [f"- {sentence(found)}" for found in result.against]
        text += ["", *_breakdowns(result)]
    return "\n".join([*text, notes(options), ""])


def _breakdowns(result: PairResult) -> Iterator[str]:
    """Errors of the arms, side by side, by joint and by group of frames."""
    arms = [line.name for line in result.lines]
    if result.joints:
        yield f"### {result.pair}: MPJPE mm by joint\n"
        lines = [[joint, *(f"{named[arm]:.1f}" for arm in arms)] for joint, named in result.joints.items()]
        yield markdown_table(("joint", *arms), lines)
    for kind, groups in result.groups.items():
        yield f"### {result.pair}: MPJPE mm by {kind}\n"
        means = [{line.name: line.mean["mpjpe"] for line in group.lines} for group in groups]
        lines = [
            [
                group.name,
                f"{group.share:.1f} %",
                *(f"{named[arm]:.1f}" if arm in named else "" for arm in arms),
            ]
            for group, named in zip(groups, means, strict=True)
        ]
        yield markdown_table((kind, "frames", *arms), lines)
    for group in result.groups.get(POSES_KIND, []):
        if group.name == FARTHER:
            yield f"### {result.pair}: test frames with the {POSES_KIND} {FARTHER}\n"
            yield markdown_table(HEADINGS, [_cells(line) for line in group.lines])


def _cells(line: Line) -> list[str]:
    spread = "" if line.seed_deviation is None else f"{line.seed_deviation:.1f}"
    return [line.name, *describe(line), spread, percent(line.gap_closed)]


def notes(options: ReproduceMocapConfig) -> str:
    """How to read the tables."""
    return (
        f"Target test clips, mean ± sample standard deviation over runs: splits {listed(options.splits)}, "
        f"each with seeds {listed(options.seeds)}. seed sd: over seeds, of the MPJPE averaged over splits. "
        f"gap closed: from source_only to oracle in MPJPE, over the runs that have both. Training poses are "
        f"target_train's, whose 3D no arm but the oracle learns from."
    )
