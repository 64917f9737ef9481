"""The method with every lifter: of single frames on the benchmarks of ``mocap``, of more on whole clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from benchmarks.mocap import arms as mocap
from benchmarks.mocap.config import Pair, ReproduceLiftersConfig
from benchmarks.mocap.domains import Benchmark
from benchmarks.mocap.motion import SKELETON
from benchmarks.mocap.queue import ArmsJob, recorded_data
from benchmarks.mocap.tables import Line, Row, listed, markdown_table, percent, summarise, value
from poseda.config import SMALLEST_BATCH, Arm, NetworkConfig, RunConfig
from poseda.lifters.sizes import SMALL, build_lifter, count_parameters, published_size
from poseda.report import MOTION

OPTIONS = ReproduceLiftersConfig

SETS = ("lifter", "frames", "network")
"""Options of a run that the queue gives each of its own."""

METHOD: Arm = "gpa_lpa"
"""The arm whose share of the gap the table shows."""


class Window(NamedTuple):
    """How many frames a lifter sees at once, and how many it lifts."""

    frames: int  # T
    poses: int  # that it returns


WINDOWS = {
    "simple_baseline": Window(1, 1),
    "residual": Window(1, 1),
    "semgcn": Window(1, 1),
    "videopose3d": Window(27, 1),
    "stgcn": Window(9, 9),
    "mixste": Window(9, 9),
    "dstformer": Window(9, 9),
}


class LifterJob(ArmsJob):
    """All arms of one seed of one lifter."""

    def protocol(self) -> dict[str, str]:
        """The protocol card, without the frames, which differ between lifters."""
        return {name: value for name, value in super().protocol().items() if name != "frames"}


def plan(options: ReproduceLiftersConfig, recipe: RunConfig) -> list[LifterJob]:
    """The jobs, breadth first: every lifter on one split with one seed before any has a second run.

    Raises:
        ValueError: if a lifter that is asked for is not in the study, or sees too many frames for its arms.
    """
    for name in options.lifters:
        if name not in WINDOWS:
            raise ValueError(f"--lifters: expected some of {', '.join(WINDOWS)}, got {name!r}")
    return [
        _job(options, configure(options, recipe, name), pair, split, seed)
        for seed in options.seeds
        for split in options.splits
        for name in options.lifters or WINDOWS
        for pair in options.pairs
    ]


def configure(options: ReproduceLiftersConfig, recipe: RunConfig, name: str) -> RunConfig:
    """The recipe for one lifter. All return as many poses a step: one of all frames gets fewer windows."""
    frames, poses = WINDOWS[name]
    arms = options.arms
    if frames > 1:  # gpa_lpa_view aligns single frames
        arms = tuple(arm for arm in arms if arm != "gpa_lpa_view") or arms
    batch = max(SMALLEST_BATCH, recipe.training.batch // poses)
    return replace(
        recipe,
        lifter=name,
        frames=frames,
        arms=arms,
        network=published_size(name) if options.published else SMALL[name],
        training=replace(recipe.training, batch=batch),
    )


def _job(options: ReproduceLiftersConfig, config: RunConfig, pair: Pair, split: int, seed: int) -> LifterJob:
    benchmark = Benchmark.of(options, pair, split, config.frames, sequences=config.frames > 1)
    out = options.out / "runs" / benchmark.name / config.lifter
    config = replace(config, data=benchmark.path, out=out, seeds=(seed,))
    return LifterJob(f"{benchmark.name} {config.lifter}", config, benchmark)


@dataclass(frozen=True)
class LifterResult:
    """The finished runs of one lifter on one pair, on the target's test clips.

    Args:
        lifter: its name.
        frames: T.
        parameters: how many numbers it learns.
        network: its size.
        batch: windows a step.
        lines: one an arm.
    """

    lifter: str
    frames: int
    parameters: int
    network: NetworkConfig
    batch: int
    lines: list[Line]

    @property
    def by_arm(self) -> dict[str, Line]:
        return {line.name: line for line in self.lines}


def collect(jobs: Sequence[LifterJob]) -> list[Row]:
    """The finished rows of these jobs as ``mocap`` has them, with ``lifter``."""
    return [{"lifter": job.config.lifter} | row for job in jobs for row in mocap.collect([job])]


def summarise_pair(jobs: Sequence[LifterJob], pair: Pair, rows: Sequence[Row]) -> list[LifterResult]:
    """Summarise the rows of one pair, lifter by lifter, in the order of the jobs."""
    configs = {job.config.lifter: job.config for job in jobs}
    results = []
    for name, config in configs.items():
        own = [
            row for row in rows if (row["pair"], row["lifter"], row["split"]) == (pair, name, "target_test")
        ]
        own.sort(key=lambda row: config.arms.index(row["arm"]))
        parameters = count_parameters(build_lifter(config, SKELETON))
        lines = summarise(own)
        results.append(
            LifterResult(name, config.frames, parameters, config.network, config.training.batch, lines)
        )
    return results


def report(options: ReproduceLiftersConfig, jobs: Sequence[LifterJob]) -> dict[str, Any]:
    """All numbers of the finished runs, ready for JSON."""
    rows = collect(jobs)
    pairs = {pair: [asdict(result) for result in summarise_pair(jobs, pair, rows)] for pair in options.pairs}
    asked = {name: getattr(options, name) for name in ("splits", "seeds", "arms", "published")}
    return {"asked": asked, "data": recorded_data(jobs), "pairs": pairs, "rows": rows}


def markdown(options: ReproduceLiftersConfig, jobs: Sequence[LifterJob]) -> str:
    """For each pair a line a lifter, then the errors of motion of those that see several frames."""
    rows, text = collect(jobs), []
    for pair in options.pairs:
        results = summarise_pair(jobs, pair, rows)
        finished = sum(line.runs for result in results for line in result.lines)
        planned = sum(len(job.config.arms) for job in jobs if job.benchmark.pair == pair)
        text.append(f"## {pair}: MPJPE mm, {finished} of {planned} runs\n")
        headings = ("lifter", "frames", "parameters", *options.arms, f"gap closed by {METHOD}")
        text.append(markdown_table(headings, [_cells(options, result) for result in results]))
        if motion := list(_motion(options, results)):
            text.append(f"### {pair}: motion\n")
            text.append(markdown_table(("lifter", "error", *options.arms), motion))
    return "\n".join([*text, notes(options, jobs), ""])


def _cells(options: ReproduceLiftersConfig, result: LifterResult) -> list[str]:
    of, method = result.by_arm, result.by_arm.get(METHOD)
    errors = [value(of[arm], "mpjpe") if arm in of else "" for arm in options.arms]
    closed = percent(method.gap_closed) if method else ""
    return [result.lifter, str(result.frames), f"{result.parameters:,}", *errors, closed]


def _motion(options: ReproduceLiftersConfig, results: Sequence[LifterResult]) -> Iterator[list[str]]:
    for result in results:
        of = {arm: line for arm, line in result.by_arm.items() if line.mean.keys() >= MOTION.keys()}
        for metric, title in MOTION.items() if of else ():
            errors = [value(of[arm], metric) if arm in of else "" for arm in options.arms]
            yield [result.lifter, title, *errors]


def notes(options: ReproduceLiftersConfig, jobs: Sequence[LifterJob]) -> str:
    """How to read the tables."""
    batches = {job.config.lifter: job.config.training.batch for job in jobs}
    windows = ", ".join(f"{name} {batch}" for name, batch in batches.items())
    return (
        f"Target test clips, mean ± sample standard deviation over runs: splits {listed(options.splits)}, "
        f"each with seeds {listed(options.seeds)}. gap closed: from source_only to oracle in MPJPE, over the "
        f"runs that have both. Lifters of one frame learn from frames by themselves, the others from whole "
        f"clips, filmed by other cameras: compare the arms of a lifter, and lifters only where they see "
        f"more than one frame or none does. Windows a step: {windows}; one that lifts every frame of a "
        f"window gets fewer. MPJVE: of the steps between frames; accel.: of their changes."
    )
