"""Tables of variants of the recipes."""

from __future__ import annotations

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
    tables = {table["pair"]: table["variants"] for table in read("ablations_wide")["tables"]}
    found: dict[str, list[str]] = {}
    for entries in tables.values():
        for entry in entries:
            base = entry["name"] == "base"
            found.setdefault(entry["name"], []).append(
                f"{entry['mean']['mpjpe']:.1f}" if base else f"{entry['against_base']['mean']:+.1f}"
            )
    return ("variant", *(f"{pair}: mm" for pair in tables)), [[name, *cells] for name, cells in found.items()]


TABLES: Tables = {
    "ablations": lambda: variants("ablations", 3, change=True),
    "ablations-wide": ablations_of_wide,
    "baseline": lambda: variants("baseline", 4, change=False),
}
"""Those of this module by the name in their mark."""
