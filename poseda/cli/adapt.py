"""`poseda adapt`."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from poseda.cli.options import UsageError, open_chosen, parse
from poseda.cli.screen import ProgressBars, open_console, print_card, print_json, print_table

if TYPE_CHECKING:
    from poseda.config import Arm, RunConfig


def run(arguments: list[str]) -> int:
    """Train, compare, report."""
    if int(os.environ.get("RANK", "0")) == 0:
        return _lead(arguments)
    # One of several processes that torchrun started: the first says everything that is to be said.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            return _lead(arguments)
        except UsageError:
            return 2


def _lead(arguments: list[str]) -> int:
    config = parse_run(arguments)
    from rich.filesize import decimal

    from poseda import report, training
    from poseda.datasets import DataError
    from poseda.device import peak_memory
    from poseda.runs.card import protocol_card
    from poseda.runs.checkpoint import CheckpointError
    from poseda.runs.view_alignment import FoundAlignment

    console = open_console(config.json)
    domains = open_chosen(config)
    observer = ProgressBars(console)
    try:
        prepared = training.prepare(config, domains, observer)
    except ValueError as error:
        raise UsageError(str(error)) from error
    print_card(console, protocol_card(prepared.config, domains, prepared.splits))
    if prepared.verdict is not None:
        console.print(prepared.verdict.sentence, highlight=False)
    try:
        with prepared.folder.locked():
            with observer:
                results = prepared.train()
            if not prepared.fabric.is_global_zero:
                return 0
            written = report.write_report(config.out)
    except (training.TrainingError, CheckpointError, DataError) as error:
        print(f"poseda: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"interrupted; the same command with --resume continues from the last checkpoint in {config.out}"
        ) from stop
    except RuntimeError as error:
        if prepared.fabric.world_size == 1:
            raise
        print(
            f"poseda: a process of the run was lost ({str(error)[:80]}); --resume continues it",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        print(
            f"poseda: {config.out}: expected a folder with room that can be written, got "
            f"{error.strerror or error}; what was saved is whole, and --resume continues the run",
            file=sys.stderr,
        )
        return 1
    split = report.shown_split(results)
    title = f"{domains.name}: {report.SPLIT_TITLES[split]}"
    summaries = report.summarise(results, split)
    print_table(console, summaries, title)
    found = FoundAlignment.read(prepared.folder, config.seeds)
    if found is not None:
        console.print(report.describe_alignment(found), highlight=False)
    taken = peak_memory(prepared.fabric.device)
    if taken is not None:
        console.print(f"device memory: {decimal(taken)} at most", highlight=False)
    console.print(f"run folder: {config.out}   report: {written[-1]}", highlight=False)
    if config.json:
        verdict = prepared.folder.verdict.read()
        print_json({"run": str(config.out), "report": str(written[-1]), "gate": verdict, "results": results})
    return 0


def parse_run(arguments: list[str], command: str = "poseda adapt") -> RunConfig:
    """Options over the defaults of the preset they name."""
    from poseda.config import RunConfig, preset

    try:
        defaults = preset(_value_of(arguments, "--preset") or "default")  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(str(error)) from error
    if _value_of(arguments, "--target") is not None:
        arms: tuple[Arm, ...] = ("source_only", "gpa", "gpa_lpa", "gpa_lpa_view")
        single = _value_of(arguments, "--frames") in (None, "1")
        defaults = replace(defaults, arms=arms if single else arms[:-1])  # gpa_lpa_view aligns single frames
    config = parse(
        RunConfig,
        arguments,
        prog=command,
        description="Adapt a lifter to footage without labels and compare the arms of the method.",
        default=defaults,
    )
    return _with_usual_size(config, arguments)


def _with_usual_size(config: RunConfig, arguments: list[str]) -> RunConfig:
    """The size of the network by lifter and device, but for what the arguments say of it."""
    from poseda.lifters.sizes import usual_size

    try:
        size = usual_size(config)
    except ValueError as error:
        raise UsageError(str(error)) from error
    chosen = {
        name: getattr(config.network, name)
        for name in ("width", "blocks")
        if _value_of(arguments, f"--network.{name}") is not None
    }
    return replace(config, network=replace(size, **chosen))


def _value_of(arguments: list[str], flag: str) -> str | None:
    """What a flag is given, read before all others because their defaults depend on it; None if nothing."""
    for at, argument in enumerate(arguments):
        if argument == flag and at + 1 < len(arguments):
            return arguments[at + 1]
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return None
