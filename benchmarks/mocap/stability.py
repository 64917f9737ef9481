"""How steady the adversarial training is: the generator of the method alone, over many seeds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import Any

from benchmarks.mocap.config import ReproduceStabilityConfig
from benchmarks.mocap.queue import Job, recorded_data, say
from benchmarks.mocap.tables import deviation, markdown_table
from poseda import training
from poseda.config import Arm, RunConfig
from poseda.runs.atomic import JsonFile
from poseda.training.health import CollapseWatch

OPTIONS = ReproduceStabilityConfig

METHOD: Arm = "gpa_lpa"
"""The arm whose generator is trained."""

OUTCOME = "generator.json"
"""The file in an arm's folder that says how its generator's training went."""

TITLES = {
    "bone_spread": "bone spread rad",
    "valid_share": "valid share",
    "discriminator_2d": "2D discriminator",
    "discriminator_3d": "3D discriminator",
}
"""Headings of the values that show a collapse."""


@dataclass(frozen=True)
class Outcome:
    """How the training of a generator went.

    Args:
        seed: of the training.
        restarts: how often training restarted after a collapse.
        reasons: the step of each collapse, and what showed it.
        given_up: whether training collapsed after the last restart that was allowed.
        lines: log lines that count: those since the last restart, and those before its first step.
        faulty: how many of them have a value below its bound.
        final: values of the last of them: bone spread in radians, shares 0 to 1, losses.
        lowest: the smallest of each value that has a bound.
    """

    seed: int
    restarts: int
    reasons: tuple[str, ...]
    given_up: bool
    lines: int
    faulty: int
    final: dict[str, float]
    lowest: dict[str, float]

    @property
    def collapsed(self) -> bool:
        """Whether training ever collapsed."""
        return bool(self.reasons)


def read_outcome(
    journal: Sequence[dict[str, Any]],
    seed: int,
    watch: CollapseWatch,
    end: training.CollapseError | None = None,
) -> Outcome:
    """How the generator's training went, from the journal.

    Args:
        journal: its lines.
        seed: of the training.
        watch: knows the bounds of each value.
        end: the collapse that ended the training, if one did.
    """
    own = [
        entry
        for entry in journal
        if (entry["phase"], entry["arm"], entry["seed"]) == ("generator", METHOD, seed)
    ]
    starts = [entry for entry in own if "restart" in entry]
    lines = [entry for entry in own if "restart" not in entry]
    faulty = sum(bool(watch.faults(line)) for line in lines)
    watched = [name for name in TITLES if name in lines[-1]]
    final = {
        name: value for name, value in lines[-1].items() if isinstance(value, float) and name != "seconds"
    }
    lowest = {name: min(line[name] for line in lines) for name in watched}
    collapses = [(entry["collapsed_at"], entry["reason"]) for entry in starts]
    collapses += [(end.step, end.reason)] if end else []
    reasons = tuple(f"step {step}: {reason}" for step, reason in collapses)
    return Outcome(seed, len(starts), reasons, end is not None, len(lines), faulty, final, lowest)


class GeneratorJob(Job):
    """The generator of the method on the embedded domains."""

    @property
    def outcome_file(self) -> JsonFile:
        return JsonFile(self.folder.arm_path(self.seed, METHOD) / OUTCOME)

    def missing(self) -> list[Arm]:
        """The method, until its generator is trained or given up."""
        return [] if self.outcome_file.exists() else [METHOD]

    def outcome(self) -> Outcome:
        """How the finished training went."""
        record = self.outcome_file.read()
        return Outcome(**record | {"reasons": tuple(record["reasons"])})

    def perform(self) -> list[str]:
        """Train the generator and write down how it went; a collapse is a result, not a failure."""
        began, end = time.monotonic(), None
        try:
            _, run = self.open_run(None)
        except ValueError as error:
            return [say(f"{self.title}: {error}")]
        try:
            run.train_generator(self.seed, METHOD)
        except training.CollapseError as error:
            end = error
        except training.TrainingError as error:
            return [say(f"{self.name}: {error}")]
        found = read_outcome(run.folder.journal.read(), self.seed, CollapseWatch.of(self.config), end)
        self.outcome_file.write(asdict(found))
        say(f"{self.title}: {_sentence(found)} ({time.monotonic() - began:.0f} s)")
        return []


def _sentence(found: Outcome) -> str:
    if found.given_up:
        return f"collapsed, given up after {found.restarts} new starts"
    if found.collapsed:
        return f"collapsed, sound after {found.restarts} new starts"
    return f"sound, {found.faulty} of {found.lines} log lines with a fault"


def plan(options: ReproduceStabilityConfig, recipe: RunConfig) -> list[GeneratorJob]:
    """A job a seed, each in a run folder of its own.

    Raises:
        ValueError: if the recipe does not look for collapses.
    """
    if not recipe.health.windows:
        raise ValueError("--health.windows: expected at least 1, so that collapses are looked for, got 0")
    runs = options.out / "runs"
    return [
        GeneratorJob("generator", replace(recipe, out=runs / f"seed{seed}", arms=(METHOD,), seeds=(seed,)))
        for seed in options.seeds
    ]


def collect(jobs: Sequence[GeneratorJob]) -> list[Outcome]:
    """The outcomes of the finished jobs."""
    return [job.outcome() for job in jobs if job.finished()]


def report(options: ReproduceStabilityConfig, jobs: Sequence[GeneratorJob]) -> dict[str, Any]:
    """All numbers of the finished runs, ready for JSON."""
    found = collect(jobs)
    watched = list(found[0].lowest) if found else []
    finals = {name: [outcome.final[name] for outcome in found] for name in watched}
    return {
        "asked": {"seeds": options.seeds},
        "data": next(iter(recorded_data(jobs).values()), None),
        "finished": len(found),
        "collapsed": sum(outcome.collapsed for outcome in found),
        "given_up": sum(outcome.given_up for outcome in found),
        "restarts": sum(outcome.restarts for outcome in found),
        "mean": {name: mean(values) for name, values in finals.items()},
        "deviation": {name: deviation(values) for name, values in finals.items()},
        "lowest": {name: min(outcome.lowest[name] for outcome in found) for name in watched},
        "rows": [asdict(outcome) | {"collapsed": outcome.collapsed} for outcome in found],
    }


def markdown(options: ReproduceStabilityConfig, jobs: Sequence[GeneratorJob]) -> str:
    """A line a seed, their mean and the bounds; then each collapse, and how to read the table."""
    record, found = report(options, jobs), collect(jobs)
    text = [f"## generator of {METHOD}, embedded domains: {len(found)} of {len(jobs)} seeds\n"]
    if found:
        config = jobs[0].config
        names = list(record["mean"])
        watch = CollapseWatch.of(config)

        def row(title: str, values: dict[str, Any]) -> list[str]:
            return [title, "", "", "", *(f"{values[name]:.3g}" for name in names)]

        lines = [
            [
                str(outcome.seed),
                "yes" if outcome.collapsed else "no",
                str(outcome.restarts),
                f"{outcome.faulty} of {outcome.lines}",
                *(f"{outcome.final[name]:.3g}" for name in names),
            ]
            for outcome in found
        ]
        lines += [row("mean", record["mean"])]
        lines += [row("sd", record["deviation"])] if len(found) > 1 else []
        lines += [row("lowest of any line", record["lowest"])]
        lines += [row("bound", {name: watch.bound(name) for name in names})]
        headings = ("seed", "collapsed", "restarts", "faulty lines", *(TITLES[name] for name in names))
        text.append(markdown_table(headings, lines))
        text += [f"- seed {outcome.seed}, {reason}" for outcome in found for reason in outcome.reasons]
        text.append(
            f"{record['collapsed']} of {len(found)} seeds collapsed; {record['given_up']} were given up. "
            f"Values are of the last log line, each a mean over {config.log_every} steps. A value below its "
            f"bound is a fault; {config.health.windows} log lines in a row with the same fault are a "
            f"collapse. Then training restarts, at most {config.health.restarts} times.\n"
        )
    return "\n".join(text)
