"""`poseda adapt`."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.progress import ProgressLines, TimeLeft
from poseda.cli.recipe import open_chosen, resolve
from poseda.cli.screen import (
    ProgressBars,
    complain,
    open_console,
    print_account,
    print_card,
    print_json,
    print_plain_table,
    print_table,
)
from poseda.cli.threads import busy_cores
from poseda.config import RunConfig

if TYPE_CHECKING:
    from rich.console import Console

    from poseda.datasets import Domains
    from poseda.training.run import Run

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
    # torchrun starts several processes; only the first writes to the terminal.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            return _lead(arguments)
        except UsageError:
            return 2


def _lead(arguments: list[str]) -> int:
    """The command in the process that speaks to the user."""
    config = parse_run(arguments)
    from poseda import training
    from poseda.runs.card import protocol_card

    console = open_console(config.json)
    if (sentence := busy_cores()) is not None:
        console.print(sentence, highlight=False)
    domains = open_chosen(config)
    for line in getattr(domains, "source_account", ()):
        console.print(line, highlight=False)
    phases = training.plan(config)
    observer = (
        ProgressBars(console, TimeLeft(phases)) if console.is_terminal else ProgressLines(console, phases)
    )
    try:
        prepared = training.prepare(config, domains, observer)
    except ValueError as error:
        raise PROGRAM.refusal(error) from error
    account = getattr(domains, "account", None)
    if account is not None:
        print_account(console, account)
    print_card(console, protocol_card(prepared.config, domains, prepared.splits))
    if prepared.verdict is not None:
        console.print(prepared.verdict.sentence, highlight=False)
    try:
        with _failures_in_words(prepared), prepared.folder.locked():
            outcome = _train(prepared, observer)
    except RunFailed as failure:
        complain(str(failure))
        return 1
    if outcome is not None:
        _show(console, prepared, outcome, domains)
    return 0


class RunFailed(Exception):
    """A run that stopped early; the message is one sentence for the user."""


class Outcome(NamedTuple):
    """What a finished run leaves: a row for each arm, seed and split, and the file of the report."""

    results: list[dict[str, Any]]
    report: Path


def _train(prepared: Run, observer: ProgressBars | ProgressLines) -> Outcome | None:
    """Train and write the report; None in the processes that only help."""
    from poseda import report

    with observer:
        results = prepared.train()
    if not prepared.fabric.is_global_zero:
        return None
    return Outcome(results, report.write_report(prepared.config.out)[-1])


@contextlib.contextmanager
def _failures_in_words(prepared: Run) -> Iterator[None]:
    """Failures of a run as sentences that say how to continue it.

    Raises:
        RunFailed: for all that can stop a run.
        KeyboardInterrupt: for Ctrl-C, with a sentence.
    """
    from poseda.datasets import DataError
    from poseda.runs.checkpoint import CheckpointError
    from poseda.training import TrainingError

    out = prepared.config.out
    try:
        yield
    except (TrainingError, CheckpointError, DataError) as error:
        raise RunFailed(str(error)) from error
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"interrupted; the same command with --resume continues from the last checkpoint in {out}"
        ) from stop
    except RuntimeError as error:
        if prepared.fabric.world_size == 1:
            raise
        raise RunFailed(
            f"a process of the run was lost ({str(error)[:80]}); --resume continues it"
        ) from error
    except OSError as error:
        raise RunFailed(
            f"{out}: expected a folder with room that can be written, got {error.strerror or error}; "
            f"all saved files are complete, and --resume continues the run"
        ) from error


def _show(console: Console, prepared: Run, outcome: Outcome, domains: Domains) -> None:
    """Print the table of arms, what `gpa_lpa_view` found, and where the files are."""
    from rich.filesize import decimal

    from poseda import report
    from poseda.device import peak_memory
    from poseda.runs.view_alignment import FoundAlignment

    config = prepared.config
    split = report.shown_split(outcome.results)
    if config.target is None:
        title = f"{domains.name}: {report.SPLIT_TITLES[split]}"
        print_table(console, report.summarise(outcome.results, split), title)
    found = FoundAlignment.read(prepared.folder, config.seeds)
    if found is not None:
        console.print(report.describe_alignment(found), highlight=False)
    peak = peak_memory(prepared.fabric.device)
    if peak is not None:
        console.print(f"device memory: {decimal(peak)} at most", highlight=False)
    console.print(f"run folder: {config.out}   report: {outcome.report}", highlight=False, soft_wrap=True)
    if config.target is not None:
        _show_footage(console, config, domains.name)
    if config.json:
        summary: dict[str, Any] = {"run": str(config.out), "report": str(outcome.report)}
        if (account := getattr(domains, "account", None)) is not None:
            summary["account"] = account.as_json()
        print_json(summary | {"gate": prepared.folder.verdict.read(), "results": outcome.results})


def _show_footage(console: Console, config: RunConfig, name: str) -> None:
    """Print what can be known without labels, which model to take and why, and how to lift with it.

    Errors on the source's own clips say nothing about footage: they stand in the report alone.
    """
    from poseda.report import RunRecord, labelfree_table
    from poseda.runs.verdict import why

    record = RunRecord.read(config.out)
    table = labelfree_table(record)
    if table is not None:
        print_plain_table(console, f"{name}: the lifted poses, without labels; low is good", table)
    if record.gate is not None:
        reason = why(record.gate["recommended"], record.gate["finding"], record.gate.get("evidence"))
        console.print(reason, highlight=False)
    # Alone in its line, so that it can be copied.
    console.print(f"To lift the footage, type:\n{lift_command(config)}", highlight=False, soft_wrap=True)


def lift_command(config: RunConfig) -> str:
    """The command that lifts the footage of a run; what else it needs, the run knows."""
    assert config.target is not None
    motion = config.out / f"{config.target.resolve().stem}.bvh"
    words = ["poseda", "lift", "--model", config.out, "--input", config.target, "--output", motion]
    return shlex.join(map(str, words))


def parse_run(arguments: list[str]) -> RunConfig:
    """The run that arguments ask for.

    Raises:
        UsageError: if they are not understood or do not fit.
    """
    return read(PROGRAM, arguments, lambda given: resolve(given.values))
