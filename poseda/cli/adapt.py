"""`poseda adapt`."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from poseda.cli.adapt_screen import AdaptScreen, show_data, show_run
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.progress import ProgressLines, TimeLeft
from poseda.cli.recipe import (
    open_chosen,
    recorded_arms,
    recorded_options,
    resolve,
)
from poseda.cli.screen import (
    ProgressBars,
    complain,
    open_console,
    print_json,
    print_plain_table,
    print_table,
    print_text,
)
from poseda.cli.threads import busy_cores
from poseda.config import RunConfig
from poseda.config.limits import for_each

if TYPE_CHECKING:
    from rich.console import Console

    from poseda.datasets import Domains
    from poseda.report import RunRecord, Summary
    from poseda.training.run import Run

PROGRAM = Program(
    "poseda adapt",
    "Adapt a lifter to footage without labels and compare the arms of the method. Without options, it adapts "
    "between two embedded domains.",
    (RunConfig, AdaptScreen),
    common=(
        *("data", "target", "source", "image_size", "fov", "arms", "lifter", "frames", "seeds"),
        *("preset", "out", "resume", "device", "json"),
    ),
    follows=frozenset({"arms"}),
)


MOST_LIMITS = 5
"""Most sentences on estimates at a limit; the report has all."""


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
    config, screen, arms_named = _asked(arguments)
    from poseda import training
    from poseda.device import choose
    from poseda.runs import RunFolder

    if int(os.environ.get("RANK", "0")) == 0:  # the others may come after the first has begun it
        try:
            RunFolder(config.out).check(config, choose(config.device).type)
        except ValueError as error:
            raise PROGRAM.refusal(error) from error
    console = open_console(config.json)
    if (sentence := busy_cores()) is not None:
        print_text(console, sentence)
    domains = open_chosen(config)
    try:
        show_data(console, domains, screen.verbose)
        if not arms_named:
            config, left_out = training.without_small_target(config, domains)
            if left_out is not None:
                print_text(console, left_out)
        left = TimeLeft()
        observer = ProgressBars(console, left) if console.is_terminal else ProgressLines(console, left)
        prepared = training.prepare(config, domains, observer)
        left.phases = training.plan(prepared.config, training.Sizes.of(prepared.data))
    except ValueError as error:
        raise PROGRAM.refusal(error) from error
    show_run(console, prepared, domains, left.phases, screen.verbose)
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
    """Print the table of arms, what `gpa_lpa_view` found, where the files are, and what lifts the footage."""
    from rich.filesize import decimal

    from poseda import report
    from poseda.datasets.account import accounts_as_json
    from poseda.device import peak_memory
    from poseda.method.at_limit import said
    from poseda.runs.view_alignment import FoundAlignment

    config = prepared.config
    split = report.shown_split(outcome.results)
    if config.target:
        _show_footage(console, config, domains.name)
    else:
        title = f"{domains.name}: {report.SPLIT_TITLES[split]}"
        _show_labelled(console, config, report.summarise(outcome.results, split), title)
    found = FoundAlignment.read(prepared.folder, config.seeds)
    if found is not None:
        print_text(console, report.describe_alignment(found))
    for sentence in said(report.estimates_at_limit(report.RunRecord.read(config.out)), MOST_LIMITS):
        print_text(console, sentence)
    peak = peak_memory(prepared.fabric.device)
    if peak is not None:
        print_text(console, f"device memory: {decimal(peak)} at most")
    print_text(console, f"run folder: {config.out}\nreport: {outcome.report}", whole=True)
    if config.target:
        # Alone in their lines, so that they can be copied.
        look = shlex.join(["poseda", "view", str(config.out)])
        print_text(console, f"To see the report, type:\n{look}", whole=True)
        commands = "\n".join(lift_commands(config, report.RunRecord.read(config.out)))
        print_text(console, f"To lift the footage, type:\n{commands}", whole=True)
    if config.json:
        summary: dict[str, Any] = {"run": str(config.out), "report": str(outcome.report)}
        if accounts := getattr(domains, "accounts", {}):
            summary["account"] = accounts_as_json(accounts)
        if (weak := getattr(domains, "weak", None)) is not None:
            summary["weak_labels"] = list(weak.account)
        print_json(summary | {"gate": prepared.folder.verdict.read(), "results": outcome.results})


def _show_labelled(console: Console, config: RunConfig, summaries: list[Summary], title: str) -> None:
    """Print the errors of the arms, the best first; the recommended one and why; what labels say of it."""
    from poseda.report import RunRecord, by_labels, ranked
    from poseda.runs.verdict import why

    gate = RunRecord.read(config.out).gate
    print_table(console, ranked(summaries), title, None if gate is None else gate["recommended"])
    if gate is not None:
        print_text(console, why(gate["recommended"], gate["finding"], gate.get("evidence")))
        if labelled := by_labels(summaries, gate["recommended"]):
            print_text(console, labelled)


def _show_footage(console: Console, config: RunConfig, name: str) -> None:
    """Print what can be known without labels, and which model to take and why.

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
        print_text(console, reason)


def lift_commands(config: RunConfig, record: RunRecord) -> list[str]:
    """The command that lifts each path of the footage of a run; what else it needs, the run knows.

    It also draws people over the pictures, where there are videos and the libraries that this needs.

    A single path does not show what the cameras of a rig found together, so the tilt is given.
    """
    from poseda.datasets.rig import names_of
    from poseda.export import can_write_movie
    from poseda.video import holds_videos

    arm = None if record.gate is None else record.gate["recommended"]
    numbers = {} if record.labelfree is None else record.labelfree["models"].get(arm, {})
    together = numbers.get("tilt", []) if "disagreement_mm" in numbers else []
    if config.camera_pitch:
        given = (config.camera_pitch, config.camera_roll or (0.0,))
        each = zip(*(for_each("tilt", values, len(config.target)) for values in given), strict=True)
        together = [{"pitch": pitch, "roll": roll} for pitch, roll in each]
    commands = []
    for path, name, tilt in zip_longest(config.target, names_of(config.target), together):
        motion = config.out / f"{name.replace('/', '_')}.bvh"
        words = ["poseda", "lift", "--model", config.out, "--input", path, "--output", motion]
        if tilt is not None:
            words += ["--camera-pitch", tilt["pitch"], "--camera-roll", tilt["roll"]]
        movie = motion.with_suffix(".mp4")
        if holds_videos(path) and can_write_movie(movie):
            words += ["--overlay", movie]
        commands.append(shlex.join(map(str, words)))
    return commands


def parse_run(arguments: list[str]) -> RunConfig:
    """The run that arguments ask for.

    Raises:
        UsageError: if they are not understood or do not fit.
    """
    return _asked(arguments)[0]


def _asked(arguments: list[str]) -> tuple[RunConfig, AdaptScreen, bool]:
    """The run that arguments ask for, how much it prints, and whether they, or the run to resume, name its
    arms."""
    named = False

    def make(given: Given) -> tuple[RunConfig, AdaptScreen]:
        nonlocal named
        options = given.without(AdaptScreen)
        named = "arms" in recorded_arms(recorded_options(options)) | options
        return resolve(options, demo=True), given.build(AdaptScreen)

    return *read(PROGRAM, arguments, make), named
