"""All that commands show in the terminal: sentences, progress bars, the protocol card, tables, or JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from poseda.cli.progress import PERIOD, TimeLeft, duration

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
    """Shows a run's phases as progress bars: a :class:`poseda.training.Observer`.

    Args:
        console: of a terminal.
        left: guesses the rest of the run.
    """

    def __init__(self, console: Any, left: TimeLeft) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[rest]}"),
            console=console,
        )
        self._task: Any = None
        self._left = left

    def __enter__(self) -> ProgressBars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self._left.begins(title, done)
        self._task = self._progress.add_task(title, total=steps, completed=done, rest=self._rest())

    def advanced(self, step: int) -> None:
        self._left.advanced(step)
        self._progress.update(self._task, completed=step, rest=self._rest())

    def _rest(self) -> str:
        seconds = self._left.seconds()
        return "" if seconds is None else f"run: {duration(seconds)}"

    def phase_restarted(self, title: str, step: int, reason: str) -> None:
        self._progress.console.print(
            f"{title}: collapsed ({reason}); starts again from step {step} with another seed",
            highlight=False,
            markup=False,
        )
        self._left.begins(title, step)
        self._progress.update(self._task, completed=step)

    def phase_finished(self, title: str) -> None:
        self._progress.stop_task(self._task)
        self._progress.update(self._task, rest="")


class LateBar:
    """A progress bar on stderr for work that takes longer than :data:`PATIENCE`; lines without a terminal."""

    def __init__(self, title: str) -> None:
        self._title, self._began = title, time.perf_counter()
        self._said = self._began
        self._progress: Any = None

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` are done."""
        if not sys.stderr.isatty():
            self._line(done, total)
            return
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

    def _line(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if now - self._said >= PERIOD and 0 < done < total:
            self._said = now
            rest = duration((now - self._began) * (total - done) / done)
            complain(f"{self._title}: {done} of {total}, about {rest} left")


def print_text(console: Any, text: str, whole: bool = False) -> None:
    """Sentences for people, broken between words; whole lines are left for the terminal to break."""
    console.print(text, highlight=False, markup=False, soft_wrap=whole)


def print_account(console: Any, accounts: Mapping[str, Any], brief: bool = False) -> None:
    """What was read of the footage, in a few lines for each path; ``brief``: in no more than eight."""
    from poseda.datasets.account_words import account_lines

    for line in account_lines(accounts, brief):
        print_text(console, line)


def print_card(console: Any, card: dict[str, str]) -> None:
    """The protocol card: what a reader must know to compare the numbers with others'."""
    from rich.panel import Panel
    from rich.text import Text

    width = max(map(len, card))
    lines = "\n".join(f"{name:<{width}}  {value}" for name, value in card.items())
    console.print(Panel(Text(lines), title="protocol", title_align="left", border_style="dim", expand=False))


def print_plain_table(console: Any, title: str, table: Any) -> None:
    """A table of the report in the terminal; the chosen row is bold."""
    styles = {"chosen": "bold", "reference": "dim"}
    rows = [([row.name, *map(str, row.cells)], styles.get(row.kind, "")) for row in table.rows]
    _print_rows(console, title, list(table.headings), rows)


def print_table(console: Any, summaries: Sequence[Any], title: str, chosen: str | None = None) -> None:
    """The errors of a run's arms; the row of the chosen one is bold."""
    from poseda.report import cells, headings

    # Where the row is too long, mean and deviation stand below each other.
    rows = [
        ([one.arm, *(cell.replace("± ", "±") for cell in cells(one))], "bold" * (one.arm == chosen))
        for one in summaries
    ]
    _print_rows(console, title, headings(summaries), rows)


def _print_rows(
    console: Any, title: str, headings: Sequence[str], rows: Sequence[tuple[list[str], str]]
) -> None:
    """A table whose cells break between words alone, so that it fits 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title),
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    for at, heading in enumerate(headings):
        words = " ".join([heading, *(cells[at] for cells, _ in rows)]).split()
        table.add_column(heading, justify="right" if at else "left", min_width=max(map(len, words)))
    for cells, style in rows:
        table.add_row(*cells, style=style)
    console.print(table)
