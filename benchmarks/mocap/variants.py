"""Variants of a recipe, each compared with the recipe itself by the same seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from statistics import mean
from typing import Any

from benchmarks.mocap.config import Pair, ReproduceVariantsConfig
from benchmarks.mocap.domains import Benchmark
from benchmarks.mocap.queue import ArmsJob
from benchmarks.mocap.tables import Row, describe, deviation, listed, markdown_table, matched, summarise
from poseda.config import Arm, RunConfig

BASE = "base"
"""Name of the unchanged recipe."""


@dataclass(frozen=True)
class Variant:
    """A change of the recipe.

    Args:
        name: in tables and of the run folder.
        arms: to train.
        changes: options by dotted name, as ``generator.propagate``, to their values.
    """

    name: str
    arms: tuple[Arm, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """Variants, the benchmarks they run on, and the split that scores them.

    Args:
        variants: the first is the unchanged recipe.
        pairs: benchmarks, unless the user names others; on split 0, the development split.
        split: of the rows that are read.
        shares_pretraining: no variant changes the lifter before adaptation, so its weights serve all.
    """

    variants: tuple[Variant, ...]
    pairs: tuple[Pair, ...]
    split: str
    shares_pretraining: bool


DEVELOPMENT_SPLIT = 0
"""Split of the benchmarks on which recipes are studied."""


def change(recipe: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """The recipe with options by dotted name set to other values.

    Raises:
        ValueError: if the values do not fit; an unknown option is a TypeError.
    """
    sections: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        section, _, option = name.rpartition(".")
        sections.setdefault(section, {})[option] = value
    values = sections.pop("", {})
    for section, options in sections.items():
        record = getattr(recipe, section)
        assert is_dataclass(record)
        values[section] = replace(record, **options)  # type: ignore[type-var]
    return replace(recipe, **values)


def plan(study: Study, options: ReproduceVariantsConfig, recipe: RunConfig) -> list[ArmsJob]:
    """The jobs, breadth first: every variant with one seed before any has a second one.

    Raises:
        ValueError: if a variant that is asked for does not exist, or the recipe's lifter sees several frames.
    """
    names = [variant.name for variant in study.variants]
    for name in options.variants:
        if name not in names:
            raise ValueError(f"--variants: expected some of {', '.join(names)}, got {name!r}")
    chosen = [v for v in study.variants if not options.variants or v.name in (BASE, *options.variants)]
    return [
        _job(study, variant, pair, options, recipe, seed)
        for seed in options.seeds
        for variant in chosen
        for pair in options.pairs or study.pairs
    ]


def _job(
    study: Study,
    variant: Variant,
    pair: Pair,
    options: ReproduceVariantsConfig,
    recipe: RunConfig,
    seed: int,
) -> ArmsJob:
    benchmark = Benchmark.of(options, pair, DEVELOPMENT_SPLIT, recipe.frames)
    runs = options.out / "runs" / benchmark.name
    config = replace(
        change(recipe, variant.changes),
        data=benchmark.path,
        out=runs / variant.name,
        arms=variant.arms,
        seeds=(seed,),
    )
    donor = runs / BASE if study.shares_pretraining and variant.name != BASE else None
    return ArmsJob(f"{benchmark.name} {variant.name}", config, benchmark, variant=variant.name, donor=donor)


def collect(study: Study, jobs: Sequence[ArmsJob]) -> list[Row]:
    """The finished rows of the split that is read, with ``pair``; ``name`` is the variant's."""
    return [
        {"run": job.benchmark.name, "name": job.variant, "pair": job.benchmark.pair} | row
        for job in jobs
        for row in job.results()
        if row["split"] == study.split
    ]


@dataclass(frozen=True)
class Effect:
    """What a variant does to an arm's MPJPE.

    Args:
        runs: seeds that have both the variant and the recipe itself.
        mean, deviation: of the differences, millimetres; above 0 the variant is worse.
    """

    runs: int
    mean: float
    deviation: float


def effect(rows: Sequence[Row], name: str) -> Effect | None:
    """Compare a variant with the recipe over the seeds that have both; None where there is none."""
    differences = [own - base for base, own in matched(rows, BASE, name)]
    return Effect(len(differences), mean(differences), deviation(differences)) if differences else None


def report(study: Study, options: ReproduceVariantsConfig, jobs: Sequence[ArmsJob]) -> dict[str, Any]:
    """All numbers of the finished runs, ready for JSON."""
    rows = collect(study, jobs)
    tables = [
        {
            "pair": pair,
            "arm": arm,
            "variants": [
                asdict(line) | {"against_base": asdict(found) if (found := effect(own, line.name)) else None}
                for line in summarise(own)
            ],
        }
        for pair, arm, own in _by_pair_and_arm(rows)
    ]
    changes = {variant.name: dict(variant.changes) for variant in study.variants}
    return {"split": study.split, "seeds": options.seeds, "changes": changes, "tables": tables, "rows": rows}


def markdown(study: Study, options: ReproduceVariantsConfig, jobs: Sequence[ArmsJob]) -> str:
    """For each pair the recipe's arms; then, arm by arm, every variant and how it differs from the recipe."""
    metrics = ("runs", "MPJPE mm", "PA-MPJPE mm", "PCK %", "AUC %")
    rows, text = collect(study, jobs), []
    for pair in options.pairs or study.pairs:
        base = [row | {"name": row["arm"]} for row in rows if (row["pair"], row["name"]) == (pair, BASE)]
        lines = [[line.name, *describe(line)] for line in summarise(base)]
        text += [f"## {pair}, {BASE}, on {study.split}\n", markdown_table(("arm", *metrics), lines)]
    for of_pair, arm, own in _by_pair_and_arm(rows):
        lines = [[line.name, *describe(line), _difference(own, line.name)] for line in summarise(own)]
        if len(lines) > 1:
            text.append(f"## {of_pair}, {arm}, on {study.split}\n")
            text.append(markdown_table(("variant", *metrics, "against base mm"), lines))
    text.append(
        f"Split {DEVELOPMENT_SPLIT} of the benchmarks, mean ± sample standard deviation over seeds "
        f"{listed(options.seeds)}; against base: the difference in MPJPE from the unchanged recipe, seed by "
        f"seed, above 0 where the variant is worse.\n"
    )
    return "\n".join(text)


def _by_pair_and_arm(rows: Sequence[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    for pair, arm in dict.fromkeys((row["pair"], row["arm"]) for row in rows):
        yield pair, arm, [row for row in rows if (row["pair"], row["arm"]) == (pair, arm)]


def _difference(rows: Sequence[Row], name: str) -> str:
    found = effect(rows, name)
    if found is None or name == BASE:
        return ""
    return f"{found.mean:+.1f}" + (f" ± {found.deviation:.1f}" if found.runs > 1 else "")
