"""Options of the queues of `python -m benchmarks.mocap`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from poseda.config.checks import check_lists
from poseda.config.run import ARMS, TABLE_ARMS, Arm

Pair = Literal["p0", "p1", "p2", "dev"]
PAIRS: tuple[Pair, ...] = get_args(Pair)


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """What every queue of `python -m benchmarks.mocap` is told.

    Raises:
        ValueError: if a value is out of range; the message names it.
    """

    out: Path
    """Folder for domains, runs and tables. A queue that was stopped goes on where it stopped."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the training."""
    processes: int = 1
    """Runs trained side by side, each on its share of the processor's cores."""
    dry_run: bool = False
    """List the queue and how much of it is finished; train and write nothing."""
    tables: bool = False
    """Train nothing; print the tables of what is finished, also while a queue is at work."""
    json: bool = False
    """Print JSON instead of Markdown."""

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ValueError(f"processes: expected at least 1, got {self.processes}")
        check_lists(self, "seeds")


@dataclass(frozen=True, kw_only=True)
class ReproduceBenchmarkConfig(ReproduceConfig):
    """What the queues on the motion-capture benchmarks are told, too."""

    mocap: Path
    """Folder with cmu.npz, cmu_retargeted.npz, bandai1.npz, bandai2.npz and cameras.json."""


@dataclass(frozen=True, kw_only=True)
class ReproduceMocapConfig(ReproduceBenchmarkConfig):
    """Every arm on the motion-capture benchmarks, over splits and seeds."""

    pairs: tuple[Pair, ...] = ("p1", "p2")
    """Benchmarks: p0 (no gap), p1 (of cameras), p2 (of postures and cameras), dev (for choosing recipes)."""
    splits: tuple[int, ...] = (0, 1, 2)
    """Seeds of the benchmarks' construction: which clips are tested on, where people and cameras stand."""
    arms: tuple[Arm, ...] = ARMS
    """What to compare: source_only, gpa, lpa, gpa_lpa (the method), gpa_lpa_view (ours), random, poseaug,
    oracle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lists(self, "pairs", "splits", "arms")
        if min(self.splits) < 0:
            raise ValueError(f"splits: expected numbers of at least 0, got {self.splits}")


@dataclass(frozen=True, kw_only=True)
class ReproduceLiftersConfig(ReproduceMocapConfig):
    """The method with every lifter on the motion-capture benchmarks, over splits and seeds."""

    lifters: tuple[str, ...] = ()
    """Names of the lifters to adapt, as --dry-run lists them. Default: all."""
    published: bool = False
    """Build lifters in the sizes of their papers, instead of sizes that a CPU trains in minutes."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the training."""
    arms: tuple[Arm, ...] = TABLE_ARMS
    """What to compare: source_only, gpa, lpa, gpa_lpa (the method), gpa_lpa_view (ours, for lifters of one
    frame), random, poseaug, oracle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.lifters)) != len(self.lifters):
            raise ValueError(f"lifters: expected none twice, got {self.lifters}")


@dataclass(frozen=True, kw_only=True)
class ReproduceVariantsConfig(ReproduceBenchmarkConfig):
    """Variants of the recipe, each compared with the recipe itself by the same seeds, on split 0."""

    pairs: tuple[Pair, ...] = ()
    """Benchmarks to study the recipe on. Default: p2 for ablations, p1 and p2 for baseline."""
    variants: tuple[str, ...] = ()
    """Names of the variants to run beside the recipe itself, as --dry-run lists them. Default: all."""


@dataclass(frozen=True, kw_only=True)
class ReproduceStabilityConfig(ReproduceConfig):
    """How often the generator of gpa_lpa collapses on the embedded domains; no lifter is adapted."""

    seeds: tuple[int, ...] = tuple(range(20))
    """Seeds of the generator's training."""
