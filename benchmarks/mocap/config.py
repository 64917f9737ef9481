"""Options of the queues of `python -m benchmarks.mocap`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from poseda.config.limits import AtLeast, Distinct, Found, check_fields
from poseda.config.run import ARMS, TABLE_ARMS, NamedArm, Seed

Pair = Literal["p0", "p1", "p2", "dev", "back"]
PAIRS: tuple[Pair, ...] = get_args(Pair)


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """Options of every queue of `python -m benchmarks.mocap`.

    Raises:
        ConfigError: if a value is out of range; the message names it.
    """

    out: Path
    """Folder for domains, runs and tables. A queue that was stopped continues where it stopped."""
    seeds: Annotated[tuple[Seed, ...], Distinct()] = (0, 1, 2)
    """Seeds of the training."""
    processes: Annotated[int, AtLeast(1)] = 1
    """Runs trained side by side, each on its share of the processor's cores."""
    dry_run: bool = False
    """List the queue and how much of it is finished; train and write nothing."""
    tables: bool = False
    """Train nothing, but print the tables of the finished runs, also while a queue is at work."""
    json: bool = False
    """Print JSON instead of Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class ReproduceBenchmarkConfig(ReproduceConfig):
    """Options of the queues on the motion-capture benchmarks."""

    mocap: Annotated[Path, Found()]
    """Folder with cmu.npz, cmu_retargeted.npz, bandai1.npz, bandai2.npz and cameras.json."""


@dataclass(frozen=True, kw_only=True)
class ReproduceMocapConfig(ReproduceBenchmarkConfig):
    """Every arm on the motion-capture benchmarks, over splits and seeds."""

    pairs: Annotated[tuple[Pair, ...], Distinct()] = ("p1", "p2")
    """Benchmarks: p0 (no gap), p1 (of cameras), p2 (of postures and cameras), dev (for choosing recipes),
    back (dev the other way round)."""
    splits: Annotated[tuple[Annotated[int, AtLeast(0)], ...], Distinct()] = (0, 1, 2)
    """Seeds of the benchmarks: they decide the test clips and where people and cameras stand."""
    arms: Annotated[tuple[NamedArm, ...], Distinct()] = ARMS
    """Arms to compare: source_only, gpa, lpa, gpa_lpa (the method), gpa_lpa_view (ours), random, poseaug,
    oracle."""


@dataclass(frozen=True, kw_only=True)
class ReproduceLiftersConfig(ReproduceMocapConfig):
    """The method with every lifter on the motion-capture benchmarks, over splits and seeds."""

    lifters: Annotated[tuple[str, ...], Distinct(least=0)] = ()
    """Lifters to adapt, by the names that --dry-run lists. Default: all."""
    published: bool = False
    """Build lifters in the sizes of their papers, not in those that a CPU trains in minutes."""
    seeds: Annotated[tuple[Seed, ...], Distinct()] = (0,)
    """Seeds of the training."""
    arms: Annotated[tuple[NamedArm, ...], Distinct()] = TABLE_ARMS
    """Arms to compare: source_only, gpa, lpa, gpa_lpa (the method), gpa_lpa_view (ours, for lifters of one
    frame), random, poseaug, oracle."""


@dataclass(frozen=True, kw_only=True)
class ReproduceVariantsConfig(ReproduceBenchmarkConfig):
    """Variants of the recipe, each compared with the recipe itself by the same seeds, on split 0."""

    pairs: Annotated[tuple[Pair, ...], Distinct(least=0)] = ()
    """Benchmarks to study the recipe on. Default: p2 for ablations of gpa_lpa, otherwise p1 and p2."""
    variants: Annotated[tuple[str, ...], Distinct(least=0)] = ()
    """Variants to run beside the recipe itself, by the names that --dry-run lists. Default: all."""


AblatedArm = Literal["gpa_lpa", "wide", "wide_target"]


@dataclass(frozen=True, kw_only=True)
class ReproduceAblationsConfig(ReproduceVariantsConfig):
    """Variants of an arm, each compared with the arm itself by the same seeds, on split 0."""

    arm: AblatedArm = "gpa_lpa"
    """Arm that is varied: gpa_lpa (its parts, ranges and target data), wide (its views and detector) or
    wide_target (its time and size, and what it draws). Give each a folder of its own."""


@dataclass(frozen=True, kw_only=True)
class ReproduceStabilityConfig(ReproduceConfig):
    """How often the generator of gpa_lpa collapses on the embedded domains; no lifter is adapted."""

    seeds: Annotated[tuple[Seed, ...], Distinct()] = tuple(range(20))
    """Seeds of the generator's training."""
