"""Tables of poses over time: the fit of bone lengths, the ways to steady poses, moving cameras."""

from __future__ import annotations

from benchmarks.tables.records import Table, Tables, read


def fits(name: str) -> Table:
    """Lifted sequences before and after the fit of bone lengths."""
    from benchmarks.fit import table

    return table(read(name))


def over_time(name: str) -> Table:
    """Poses over time by every way."""
    from benchmarks.steady import table

    return table(read(name))


def moving_cameras() -> Table:
    """Errors from cameras that pan and tilt."""
    from benchmarks.steady import moving_table

    titles = {"p1": "p1", "p2": "p2", "package": "p1, the package's lifter"}
    return moving_table({title: read(f"steady_{name}") for name, title in titles.items()})


TABLES: Tables = {
    "fit": lambda: fits("fit"),
    "fit-lifter": lambda: fits("fit_lifter"),
    "steady-p1": lambda: over_time("steady_p1"),
    "steady-p2": lambda: over_time("steady_p2"),
    "steady-package": lambda: over_time("steady_package"),
    "moving": moving_cameras,
}
"""Those of this module by the name in their mark."""
