"""`python -m benchmarks.mocap`: a queue of runs by name."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from poseda.cli import attempt
from poseda.cli.adapt import parse_run
from poseda.cli.options import UsageError, parse

if TYPE_CHECKING:
    from types import ModuleType

    from benchmarks.mocap.config import ReproduceConfig
    from benchmarks.mocap.queue import Job
    from poseda.config import RunConfig

QUEUES = {
    "arms": "every arm on the motion-capture benchmarks, over splits and seeds",
    "lifters": "the method with every lifter, of single frames and of sequences, on p1 and p2",
    "ablations": "what each part of the method, its ranges and its target data are worth, on p2",
    "baseline": "recipes of the source-only lifter, judged on source_val alone",
    "stability": "the generator's training alone over many seeds on the embedded domains",
}
"""What each queue does; the module of :mod:`benchmarks.mocap` has the same name."""

SET_BY_QUEUE = ("data", "target", "source", "resume", "domain_size", "gate")
"""Options of a run that a queue gives itself; so are those it has under the same name, and those of `SETS` in
its module."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one queue and return its exit code, as :func:`poseda.cli.main` does."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: run(given))


def run(arguments: list[str]) -> int:
    """Work a queue off and print its tables."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage(), end="")
        return 0 if arguments else 2
    if arguments[0] not in QUEUES:
        raise UsageError(f"queue: expected one of {', '.join(QUEUES)}, got {arguments[0]!r}")
    from importlib import import_module

    experiment = import_module(f"benchmarks.mocap.{arguments[0]}")
    options, recipe = _parse(arguments[0], experiment, arguments[1:])
    try:
        jobs: list[Job] = experiment.plan(options, recipe)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if options.dry_run:
        _list(jobs)
        return 0
    failures = [] if options.tables else _train(options, jobs)
    text, record = _tables(experiment, options, jobs), _record(experiment, options, recipe, jobs)
    if not options.tables:
        from poseda.runs.atomic import write_atomically, write_json

        write_json(options.out / f"{arguments[0]}.json", record)
        write_atomically(options.out / f"{arguments[0]}.md", text.encode())
    print(json.dumps(record, indent=2) if options.json else text)
    for failure in failures:
        print(f"poseda: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _usage() -> str:
    lines = [f"  {name:<11}{does}" for name, does in QUEUES.items()]
    last = (
        "stability needs no --mocap.",
        "python -m benchmarks.mocap QUEUE --help lists the options; those of `poseda adapt` make the recipe.",
    )
    return "\n".join(
        [
            "usage: python -m benchmarks.mocap QUEUE --mocap FOLDER --out DIR [options]",
            "",
            *lines,
            "",
            *last,
            "",
        ]
    )


def _parse(name: str, experiment: ModuleType, arguments: list[str]) -> tuple[ReproduceConfig, RunConfig]:
    """The queue's own options; what is left are options of the runs, over the preset they name."""
    parsed: Any = parse(
        experiment.OPTIONS,
        arguments,
        prog=f"python -m benchmarks.mocap {name}",
        description=f"Run {QUEUES[name]}. Options of `poseda adapt` that make a recipe may follow: --preset, "
        f"--training.adapt-steps and so on.",
        return_unknown_args=True,
    )
    options, left = parsed
    for argument in left:
        section = re.split(r"[.=]", argument.removeprefix("--").replace("-", "_"))[0]
        if argument.startswith("--") and section in (*SET_BY_QUEUE, *_sets(experiment)):
            raise UsageError(
                f"{argument}: expected options of the recipe, got one that the queue sets itself"
            )
    # Which arms to compare is the experiment, not the gate's choice.
    return options, replace(parse_run(left, f"python -m benchmarks.mocap {name}"), gate="off")


def _sets(experiment: ModuleType) -> tuple[str, ...]:
    return getattr(experiment, "SETS", ())


def _list(jobs: list[Job]) -> None:
    for at, job in enumerate(jobs, 1):
        missing = job.missing()
        done = len(job.config.arms) - len(missing)
        left = f", to do: {', '.join(missing)}" if missing else ""
        print(f"{at:>3}  {job.title}: {done} of {len(job.config.arms)} arms{left}")


def _train(options: ReproduceConfig, jobs: list[Job]) -> list[str]:
    from benchmarks.mocap import domains, queue
    from benchmarks.mocap.config import ReproduceBenchmarkConfig

    try:
        hashes = {}
        if isinstance(options, ReproduceBenchmarkConfig):
            hashes = domains.check_sources(options.mocap, options.out)
        queue.check_jobs(jobs)
        with queue.sole_worker(options.out):
            if hashes:
                domains.record_sources(hashes, options.out)
            return queue.work_off(jobs, options.processes)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        return ["stopped; the same command goes on where it was"]


def _tables(experiment: ModuleType, options: ReproduceConfig, jobs: list[Job]) -> str:
    """The tables, with the protocol they were measured by after them."""
    from benchmarks.mocap.queue import read_protocol

    card = [f"- {name}: {value}" for name, value in read_protocol(jobs).items()]
    return "\n".join([experiment.markdown(options, jobs), *card, ""])


def _record(
    experiment: ModuleType, options: ReproduceConfig, recipe: RunConfig, jobs: list[Job]
) -> dict[str, Any]:
    """The report, with what it depends on before it."""
    from benchmarks.mocap.domains import recorded_sources
    from benchmarks.mocap.queue import read_protocol
    from poseda.config import to_json
    from poseda.runs.origin import versions

    own = ("data", "out", "arms", "seeds", "resume", *_sets(experiment))
    return {
        "sources": recorded_sources(options.out),
        "versions": versions(),
        "protocol": read_protocol(jobs),
        "recipe": {name: value for name, value in to_json(recipe).items() if name not in own},
        **experiment.report(options, jobs),
    }
