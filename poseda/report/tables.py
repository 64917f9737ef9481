"""What the templates draw as a table or a legend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from poseda.report.arms import ARMS, tone_of

MINUS = "\N{MINUS SIGN}"


class Key(NamedTuple):
    """An entry of a legend: its text and the class that colours it."""

    text: str
    tone: str


class Change(NamedTuple):
    """The difference of two numbers: its class ``better``, ``worse`` or ``even``, and its text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Args:
        name: of the row.
        cells: texts and changes.
        kind: class of the row: ``chosen``, ``reference`` or nothing.
        tone: class of the swatch beside the name; empty for none.
    """

    name: str
    cells: tuple[str | Change, ...]
    kind: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """Headings, of which the first stands over the names, and rows."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]


def arm_row(arm: str, cells: Iterable[str | Change], chosen: str | None) -> Row:
    """The row of an arm, marked if it is the chosen one."""
    return Row(arm, tuple(cells), "chosen" if arm == chosen else "", tone_of(arm) if arm in ARMS else "")


def arm_keys(arms: Iterable[str]) -> list[Key]:
    """The legend of some arms, each once."""
    return [Key(arm, tone_of(arm)) for arm in dict.fromkeys(arms)]


def change_of(before: float, after: float, unit: str = "") -> Change:
    """How an error changes between two numbers as they are shown, with one decimal: less is better."""
    change = round(round(after, 1) - round(before, 1), 1)
    if not change:
        return Change("even", "no change")
    kind, sign = ("better", MINUS) if change < 0 else ("worse", "+")
    return Change(kind, f"{sign}{abs(change):.1f} {unit}".rstrip() + f", {kind}")
