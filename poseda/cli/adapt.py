"""`poseda adapt`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.recipe import open_chosen, resolve
from poseda.cli.screen import ProgressBars, complain, open_console, print_card, print_json, print_table
from poseda.config import RunConfig

PROGRAM = Program(
    "poseda adapt",
    "Adapt a lifter to footage without labels and compare the arms of the method. Without options, it adapts "
    "between two embedded domains.",
    (RunConfig,),
    common=(
        *("data", "target", "source", "image_size", "fov", "arms", "lifter", "frames", "seeds"),
        *("preset", "out", "resume", "device", "json"),
    ),
)


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
        raise PROGRAM.refusal(error) from error
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
        complain(str(error))
        return 1
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"interrupted; the same command with --resume continues from the last checkpoint in {config.out}"
        ) from stop
    except RuntimeError as error:
        if prepared.fabric.world_size == 1:
            raise
        complain(f"a process of the run was lost ({str(error)[:80]}); --resume continues it")
        return 1
    except OSError as error:
        complain(
            f"{config.out}: expected a folder with room that can be written, got {error.strerror or error}; "
            f"all saved files are complete, and --resume continues the run"
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


def parse_run(arguments: list[str]) -> RunConfig:
    """The run that arguments ask for.

    Raises:
        UsageError: if they are not understood or do not fit.
    """
    return read(PROGRAM, arguments, lambda given: resolve(given.values))
