"""The motion-capture benchmarks: every arm, over pairs, splits and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from poseda.config import Pair, ReproduceMocapConfig, RunConfig
from poseda.reproduce.domains import Benchmark
from poseda.reproduce.queue import Job
from poseda.reproduce.tables import (
    Comparison,
    Line,
    Row,
    compare,
    describe,
    markdown_table,
    percent,
    sentence,
    summarise,
)
from poseda.training import read_folder
from poseda.training.run import read_results

OPTIONS = ReproduceMocapConfig

HEADINGS = ("arm", "runs", "MPJPE mm", "PA-MPJPE mm", "PCK %", "AUC %", "seed sd mm", "gap closed")

METHOD = "gpa_lpa"
RIVALS = ("random", "gpa", "poseaug", "lpa")
"""Arms that the method is compared with, run by run."""


def plan(options: ReproduceMocapConfig, recipe: RunConfig) -> list[Job]:
    """The jobs, breadth first: pairs, then splits, then seeds, so that a queue stopped early is balanced."""
    return [
        job(options, recipe, pair, split, seed)
        for seed in options.seeds
        for split in options.splits
        for pair in options.pairs
    ]


def job(options: ReproduceMocapConfig, recipe: RunConfig, pair: Pair, split: int, seed: int) -> Job:
    """One seed of all arms on one split of one pair."""
    benchmark = Benchmark(options.mocap, options.out / "domains", pair, split)
    config = replace(
        recipe,
        data=benchmark.path,
        out=options.out / "runs" / benchmark.name,
        arms=options.arms,
        seeds=(seed,),
    )
    return Job(benchmark.name, benchmark, config)


def collect(jobs: Sequence[Job]) -> list[Row]:
    """The finished rows of these jobs, with ``pair`` and ``domain_split``, the split of the benchmark."""
    return [
        {"run": job.name, "name": row["arm"]}
        | {"pair": job.benchmark.pair, "domain_split": job.benchmark.split}
        | row
        for job in jobs
        for row in read_results(job.config.out)
        if row["seed"] == job.seed and row["arm"] in job.config.arms
    ]


@dataclass(frozen=True)
class PairResult:
    """What is finished of one pair, on the target's test clips.

    Args:
        pair: its name.
        finished, planned: runs of an arm.
        lines: one an arm.
        against: the method against other arms.
    """

    pair: Pair
    finished: int
    planned: int
    lines: list[Line]
    against: list[Comparison]


def summarise_pair(options: ReproduceMocapConfig, pair: Pair, rows: Sequence[Row]) -> PairResult:
    """Summarise the rows of one pair."""
    own = [row for row in rows if row["pair"] == pair and row["split"] == "target_test"]
    own.sort(key=lambda row: options.arms.index(row["arm"]))
    planned = len(options.seeds) * len(options.splits) * len(options.arms)
    against = [compare(own, METHOD, rival) for rival in RIVALS]
    return PairResult(pair, len(own), planned, summarise(own), [found for found in against if found])


def report(options: ReproduceMocapConfig, jobs: Sequence[Job]) -> dict[str, Any]:
    """All numbers of what is finished, ready for JSON."""
    rows = collect(jobs)
    pairs = {pair: asdict(summarise_pair(options, pair, rows)) for pair in options.pairs}
    return {"data": recorded_data(jobs), "pairs": pairs, "rows": rows}


def markdown(options: ReproduceMocapConfig, jobs: Sequence[Job]) -> str:
    """The tables of what is finished, and how to read them."""
    rows = collect(jobs)
    text = []
    for pair in options.pairs:
        result = summarise_pair(options, pair, rows)
        text.append(f"## {pair}: {result.finished} of {result.planned} runs\n")
        text.append(markdown_table(HEADINGS, [_cells(line) for line in result.lines]))
        text += [f"- {sentence(found)}" for found in result.against]
        text.append("")
    return "\n".join([*text, notes(options), ""])


def _cells(line: Line) -> list[str]:
    spread = "" if line.seed_deviation is None else f"{line.seed_deviation:.1f}"
    return [line.name, *describe(line), spread, percent(line.gap_closed)]


def notes(options: ReproduceMocapConfig) -> str:
    """How to read the tables."""
    return (
        f"Target test clips, mean ± sample standard deviation over runs: splits {_listed(options.splits)}, "
        f"each with seeds {_listed(options.seeds)}. seed sd: over seeds, of the MPJPE averaged over splits. "
        f"gap closed: from source_only to oracle in MPJPE, over the runs that have both."
    )


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def recorded_data(jobs: Sequence[Job]) -> dict[str, str]:
    """SHA-256 of each domain file, as the runs recorded it."""
    return {
        job.name: read_folder(job.config.out)["data"]["sha256"]
        for job in jobs
        if (job.config.out / "config.json").exists()
    }
