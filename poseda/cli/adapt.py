"""`poseda adapt`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from poseda.cli.options import UsageError, open_chosen, parse
from poseda.cli.screen import ProgressBars, open_console, print_card, print_json, print_table

if TYPE_CHECKING:
    from poseda.config import RunConfig


def run(arguments: list[str]) -> int:
    """Train, compare, report."""
    config = parse_run(arguments)
    from poseda import gate, report, training

    console = open_console(config.json)
    domains = open_chosen(config)
    observer = ProgressBars(console)
    try:
        prepared = training.prepare(config, domains, observer)
    except ValueError as error:
        raise UsageError(str(error)) from error
    print_card(console, training.protocol_card(prepared.config, domains, prepared.splits))
    if prepared.verdict is not None:
        console.print(prepared.verdict.sentence, highlight=False)
    try:
        with observer:
            results = prepared.train()
    except training.TrainingError as error:
        print(f"poseda: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"interrupted; the same command with --resume continues from the last checkpoint in {config.out}"
        ) from stop
    written = report.write_report(config.out)
    split = report.shown_split(results)
    title = f"{domains.name}: {report.SPLIT_TITLES[split]}"
    summaries = report.summarise(results, split)
    print_table(console, summaries, title)
    console.print(f"run folder: {config.out}   report: {written[-1]}", highlight=False)
    if config.json:
        verdict = None if prepared.verdict is None else gate.read_verdict(config.out)
        print_json({"run": str(config.out), "report": str(written[-1]), "gate": verdict, "results": results})
    return 0


def parse_run(arguments: list[str], command: str = "poseda adapt") -> RunConfig:
    """Options over the defaults of the preset they name."""
    from poseda.config import RunConfig, preset

    try:
        defaults = preset(_find_preset(arguments))  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(str(error)) from error
    if any(argument == "--target" or argument.startswith("--target=") for argument in arguments):
        defaults = replace(defaults, arms=("source_only", "gpa", "gpa_lpa", "plus"))
    return parse(
        RunConfig,
        arguments,
        prog=command,
        description="Adapt a lifter to footage without labels and compare the arms of the method.",
        default=defaults,
    )


def _find_preset(arguments: list[str]) -> str:
    """The preset decides the defaults, so it is read before the other options are."""
    for at, argument in enumerate(arguments):
        if argument == "--preset" and at + 1 < len(arguments):
            return arguments[at + 1]
        if argument.startswith("--preset="):
            return argument.partition("=")[2]
    return "default"
