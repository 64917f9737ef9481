"""Tables of lifters: their errors, those of motion, and their speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.tables.records import Table, Tables, percent, read, spread


def lifters(pair: str) -> Table:
    """Every lifter, one seed."""
    results = read("lifters_mocap")["pairs"][pair]
    return _lifters([(result["lifter"], result) for result in results])


def lifters_seeds() -> Table:
    """The lifters that were trained with several seeds."""
    found = []
    for name in ("lifters_seeds", "lifters_seeds_semgcn"):
        record = read(name)
        for pair, results in record["pairs"].items():
            seeds = len(record["asked"]["seeds"])
            found += [(f"{pair}: {result['lifter']}, {seeds} seeds", result) for result in results]
    return _lifters(sorted(found, key=lambda entry: entry[0][:2]))


def _lifters(results: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    names = [line["name"] for line in results[0][1]["lines"]]
    cells = []
    for title, result in results:
        lines = {line["name"]: line for line in result["lines"]}
        closed = percent(lines["gpa_lpa"]["gap_closed"])
        errors = [spread(lines[name], "mpjpe") for name in names]
        cells.append([title, str(result["frames"]), f"{result['parameters']:,}", *errors, closed])
    return ("lifter", "frames", "parameters", *names, "gap closed by gpa_lpa"), cells


def motion(pair: str) -> Table:
    """Errors of motion, of lifters that see several frames."""
    titles = {"mpjve": "MPJVE mm", "acceleration_error": "accel. mm"}
    results = [result for result in read("lifters_mocap")["pairs"][pair] if result["frames"] > 1]
    cells = [
        [result["lifter"], title, *(f"{line['mean'][metric]:.1f}" for line in result["lines"])]
        for result in results
        for metric, title in titles.items()
    ]
    return ("lifter", "error", *(line["name"] for line in results[0]["lines"])), cells


def lifter_speed(name: str) -> Table:
    from benchmarks.step.lifters import cells

    return cells(read(name)["results"])


TABLES: Tables = {
    "lifters-p1": lambda: lifters("p1"),
    "lifters-p2": lambda: lifters("p2"),
    "lifters-seeds": lifters_seeds,
    "motion-p1": lambda: motion("p1"),
    "lifter-speed": lambda: lifter_speed("lifters"),
    "lifter-latency": lambda: lifter_speed("lifters_published"),
}
"""Those of this module by the name in their mark."""
