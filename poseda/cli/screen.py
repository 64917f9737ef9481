"""What commands show in the terminal: progress bars, the protocol card, the table of arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ProgressBars:
    """Shows a run's phases as progress bars: what :class:`poseda.training.Observer` is told."""

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

    def phase_finished(self, title: str) -> None:
        self._progress.stop_task(self._task)


def print_card(console: Any, card: dict[str, str]) -> None:
    """The protocol card: what a reader must know to compare the numbers with others'."""
    from rich.panel import Panel

    width = max(map(len, card))
    lines = "\n".join(f"{name:<{width}}  {value}" for name, value in card.items())
    console.print(Panel(lines, title="protocol", title_align="left", border_style="dim", expand=False))


def print_table(console: Any, summaries: Sequence[Any], title: str) -> None:
    from rich.table import Table

    from poseda.report import HEADINGS, cells

    table = Table(title=title, title_justify="left", header_style="bold")
    for at, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if at else "left")
    for summary in summaries:
        style = "bold" if summary.arm == "gpa_lpa" else ""
        table.add_row(summary.arm, *cells(summary), style=style)
    console.print(table)
