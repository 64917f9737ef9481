"""All that commands show in the terminal: sentences, progress bars, the protocol card, tables, or JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

PATIENCE = 2.0
"""Seconds of work after which a progress bar appears."""


def open_console(json_wanted: bool) -> Any:
    """Where to show what people read: stdout, or stderr where stdout is for JSON."""
    from rich.console import Console

    return Console(stderr=json_wanted)


def say(text: str) -> None:
    """Lines on stdout."""
    print(text, flush=True)


def complain(sentence: str, program: str = "poseda") -> None:
    """One line on stderr: what went wrong, or what there is to say while stdout is for machines."""
    print(f"{program}: {' '.join(sentence.split())}", file=sys.stderr, flush=True)


def print_json(content: Any) -> None:
    """The result of a command, for machines, on stdout."""
    print(json.dumps(content, indent=2), flush=True)


class ProgressBars:
    """Shows a run's phases as progress bars: a :class:`poseda.training.Observer`."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
        )
        self._task: Any = None

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self._task = self._progress.add_task(title, total=steps, completed=done)

    def advanced(self, step: int) -> None:
        self._progress.update(self._task, completed=step)

    def phase_restarted(self, title: str, step: int, reason: str) -> None:
        self._progress.console.print(
            f"{title}: collapsed ({reason}); starts again from step {step} with another seed", highlight=False
        )
        self._progress.update(self._task, completed=step)

    def phase_finished(self, title: str) -> None:
        self._progress.stop_task(self._task)


class LateBar:
    """A progress bar on stderr for work that takes longer than :data:`PATIENCE`."""

    def __init__(self, title: str) -> None:
        self._title, self._began = title, time.perf_counter()
        self._progress: Any = None

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` are done."""
        if self._progress is None:
            if time.perf_counter() - self._began < PATIENCE or done == total:
                return
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(console=Console(stderr=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task(self._title, total=total)
        self._progress.update(self._task, completed=done)
        if done == total:
            self._progress.stop()


def print_account(console: Any, account: Any) -> None:
    """What was read of the footage, in a few lines."""
    for line in account.lines():
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def print_card(console: Any, card: dict[str, str]) -> None:
    """The protocol card: what a reader must know to compare the numbers with others'."""
    from rich.panel import Panel

    width = max(map(len, card))
    lines = "\n".join(f"{name:<{width}}  {value}" for name, value in card.items())
    console.print(Panel(lines, title="protocol", title_align="left", border_style="dim", expand=False))


def print_table(console: Any, summaries: Sequence[Any], title: str) -> None:
    from rich.table import Table

    from poseda.report import cells, headings

    table = Table(title=title, title_justify="left", header_style="bold")
    for at, heading in enumerate(headings(summaries)):
        table.add_column(heading, justify="right" if at else "left")
    for summary in summaries:
        style = "bold" if summary.arm == "gpa_lpa" else ""
        table.add_row(summary.arm, *cells(summary), style=style)
    console.print(table)
