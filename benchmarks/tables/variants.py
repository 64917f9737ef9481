"""Tables of variants of the recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.tables.records import Table, Tables, read


def variants(name: str, columns: int, change: bool) -> Table:
    """Variants of a recipe side by side: the increase of the error, or the error."""
    arm = "gpa_lpa" if change else "source_only"
    table = next(found for found in read(name)["tables"] if found["arm"] == arm)
    shown = [
        (
            entry["name"],
            f"{entry['against_base']['mean']:+.1f}" if change else f"{entry['mean']['mpjpe']:.1f}",
        )
        for entry in table["variants"]
        if not (change and entry["name"] == "base")
    ]
    length = -(-len(shown) // columns)
    shown += [("", "")] * (length * columns - len(shown))
    cells = [
        [cell for column in range(columns) for cell in shown[column * length + row]] for row in range(length)
    ]
    return ("variant", "mm") * columns, cells


def ablations_of_wide() -> Table:
    """Variants of the arm wide: the error of the recipe itself, and changes from it, on each pair."""

    def cell(entry: dict[str, Any]) -> str:
        base = entry["name"] == "base"
        return f"{entry['mean']['mpjpe']:.1f}" if base else f"{entry['against_base']['mean']:+.1f}"

    return _columns(read("ablations_wide"), cell, lambda table: f"{table['pair']}: mm")


def ablations_of_wide_target() -> Table:
    """Variants of the wide arms: the error of each arm on each pair. Some variants leave wide as it is."""
    return _columns(
        read("ablations_wide_target"),
        lambda entry: f"{entry['mean']['mpjpe']:.1f}",
        lambda table: f"{table['pair']}: {table['arm']}",
    )


def _columns(
    record: dict[str, Any], cell: Callable[[dict[str, Any]], str], heading: Callable[[dict[str, Any]], str]
) -> Table:
    """A row for each variant, a column for each pair and arm."""
    tables = record["tables"]
    found = [{entry["name"]: cell(entry) for entry in table["variants"]} for table in tables]
    names = dict.fromkeys(name for column in found for name in column)
    rows = [[name, *(column.get(name, "") for column in found)] for name in names]
    return ("variant", *map(heading, tables)), rows


TABLES: Tables = {
    "ablations": lambda: variants("ablations", 3, change=True),
    "ablations-wide": ablations_of_wide,
    "ablations-wide-target": ablations_of_wide_target,
    "baseline": lambda: variants("baseline", 4, change=False),
}
"""Those of this module by the name in their mark."""
