"""`python -m benchmarks.mocap`: a queue of runs by name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from poseda.cli import attempt, check_command, command_list
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.recipe import resolve
from poseda.cli.screen import complain, print_json, say
from poseda.config import RunConfig
from poseda.config.fields import fields_of

if TYPE_CHECKING:
    from types import ModuleType

    from benchmarks.mocap.config import ReproduceConfig
    from benchmarks.mocap.queue import Job

QUEUES = {
    "arms": "every arm on the motion-capture benchmarks, over splits and seeds",
    "lifters": "the method with every lifter, of single frames and of sequences, on p1 and p2",
    "ablations": "effect of each part and range of gpa_lpa, on p2, or of wide or wide_target, on p1 and p2",
    "baseline": "recipes of the source-only lifter, scored on source_val alone",
    "stability": "the generator's training alone over many seeds on the embedded domains",
}
"""What each queue does; the module of :mod:`benchmarks.mocap` has the same name."""

SET_BY_QUEUE = ("data", "target", "source", "resume", "domain_size", "gate")
"""Options of a run that a queue sets itself. So are those of `SETS` in its module."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one queue and return its exit code, as :func:`poseda.cli.main` does."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: run(given))


def run(arguments: list[str]) -> int:
    """Perform a queue and print its tables."""
    if not arguments or arguments[0] in ("-h", "--help"):
        usage = "python -m benchmarks.mocap QUEUE"
        say(command_list(usage, QUEUES, "All need --out DIR, and all but stability --mocap FOLDER."))
        return 0 if arguments else 2
    check_command(arguments[0], QUEUES, "a queue")
    experiment = import_module(f"benchmarks.mocap.{arguments[0]}")
    program = program_of(arguments[0], experiment)

    def make(given: Given) -> tuple[ReproduceConfig, RunConfig]:
        # Which arms to compare is the experiment, not the gate's choice.
        recipe = replace(resolve(given.without(experiment.OPTIONS)), gate="off")
        return given.build(experiment.OPTIONS), recipe

    options, recipe = read(program, arguments[1:], make)
    try:
        jobs: list[Job] = experiment.plan(options, recipe)
    except ValueError as error:
        raise program.refusal(error) from error
    if options.dry_run:
        _list(jobs)
        return 0
    failures = [] if options.tables else _train(options, jobs)
    text, record = _tables(experiment, options, jobs), _record(experiment, options, recipe, jobs)
    if not options.tables:
        from poseda.runs.atomic import write_atomically, write_json

        write_json(options.out / f"{arguments[0]}.json", record)
        write_atomically(options.out / f"{arguments[0]}.md", text.encode())
    if options.json:
        print_json(record)
    else:
        say(text)
    for failure in failures:
        complain(failure)
    return 1 if failures else 0


def program_of(name: str, experiment: ModuleType) -> Program:
    """A queue with its own options, and those of `poseda adapt` that make the recipe of its runs."""
    return Program(
        f"python -m benchmarks.mocap {name}",
        f"Run {QUEUES[name]}. Options of `poseda adapt` make the recipe: --preset, "
        f"--training.adapt-steps and so on.",
        (experiment.OPTIONS, RunConfig),
        common=tuple(entry.name for entry in fields_of(experiment.OPTIONS)),
        sets=frozenset((*SET_BY_QUEUE, *_sets(experiment))),
    )


def _sets(experiment: ModuleType) -> tuple[str, ...]:
    return getattr(experiment, "SETS", ())


def _list(jobs: list[Job]) -> None:
    for at, job in enumerate(jobs, 1):
        missing = job.missing()
        done = len(job.config.arms) - len(missing)
        left = f", to do: {', '.join(missing)}" if missing else ""
        say(f"{at:>3}  {job.title}: {done} of {len(job.config.arms)} arms{left}")


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
            return queue.perform_all(jobs, options.processes)
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
