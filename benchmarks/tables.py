"""The tables of the READMEs, drawn from the records in benchmarks/results.

    python -m benchmarks.tables            # print every table under its name
    python -m benchmarks.tables --write    # put them where the READMEs have <!-- table: NAME -->

A record is what an experiment wrote with ``--json`` or into its folder. A test compares the READMEs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.mocap.tables import markdown_table
from poseda.bench.record import HEADINGS, STAGE_HEADINGS, rows, show_seconds, stage_rows
from poseda.config import WIDE_ARMS, arm_name
from poseda.config.near import guess

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

READMES = ("README.md", "benchmarks/README.md")
"""Files that hold tables, from the checkout's root."""

MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n\n)(?:\|.*\n)+")
"""A mark, and the table after it."""

OURS = ("gpa_lpa", "gpa_lpa_view")
"""Arms whose rows stand out."""

DOOR_ARMS = ("source_only", "gpa_lpa", "gpa_lpa_view", "oracle", "wide", "wide_target")
"""Arms that the first README shows."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings and rows."""


def read(name: str) -> dict[str, Any]:
    """A record of benchmarks/results."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def spread(line: dict[str, Any], metric: str) -> str:
    """Mean and standard deviation over runs; of one run, the number alone."""
    mean, deviation = line["mean"][metric], line["deviation"][metric]
    return f"{mean:.1f} ± {deviation:.1f}" if line["runs"] > 1 else f"{mean:.1f}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def arms(pair: str) -> Table:
    """Every arm of a benchmark."""
    metrics = {"mpjpe": "MPJPE mm", "pa_mpjpe": "PA-MPJPE mm", "pck": "PCK %", "auc": "AUC %"}
    cells = []
    for line in read("mocap")["pairs"][pair]["lines"]:
        name = arm_name(line["name"])
        row = [
            name,
            *(spread(line, metric) for metric in metrics),
            f"{line['seed_deviation']:.1f}",
            percent(line["gap_closed"]),
        ]
        if name in OURS:
            row[0], row[1], row[-1] = (f"**{row[at]}**" for at in (0, 1, -1))
        cells.append(row)
    return ("arm", *metrics.values(), "seed sd mm", "gap closed"), cells


def door_results() -> Table:
    """MPJPE of the arms people use: on both benchmarks, and of the package's lifter on real views."""
    from benchmarks.real.tables import BEST, TOGETHER, over_views

    others, own, real = read("mocap")["pairs"], read("wide")["pairs"], read("real_packaged")
    lines = {
        pair: {arm_name(line["name"]): line for line in [*others[pair]["lines"], *own[pair]["lines"]]}
        for pair in ("p1", "p2")
    }
    cells = [
        [
            name,
            *(spread(lines[pair][name], "mpjpe") for pair in lines),
            over_views(real, (name, BEST[1])) if name in WIDE_ARMS else "",
        ]
        for name in DOOR_ARMS
    ]
    rig = ["wide_target of calibrated cameras", "", "", over_views(read("real_rig"), TOGETHER)]
    cells.append(rig)
    return ("arm", "p1: MPJPE mm", "p2: MPJPE mm", "21 real views: MPJPE mm"), cells


def wide_pairs() -> Table:
    """The wide arms on the pairs, beside the best of the other arms and the oracle."""
    others = read("mocap")["pairs"]
    cells = []
    for pair, result in read("wide")["pairs"].items():
        lines = {arm_name(line["name"]): line for line in others[pair]["lines"]}
        own = {line["name"]: line for line in result["lines"]}
        cells.append(
            [pair]
            + [spread(own[arm], metric) for arm in WIDE_ARMS for metric in ("mpjpe", "pa_mpjpe")]
            + [spread(lines[name], "mpjpe") for name in ("source_only", "gpa_lpa_view", "oracle")]
        )
    ours = [heading for arm in WIDE_ARMS for heading in (f"{arm}: MPJPE mm", "PA-MPJPE mm")]
    return ("pair", *ours, "source_only", "gpa_lpa_view", "oracle"), cells


def wide_real(record: str) -> Table:
    """The wide arms on real detections."""
    from benchmarks.real.tables import by_view

    return by_view(read(record))


def wide_summary() -> Table:
    """Every lifter on real detections, in a line each."""
    from benchmarks.real.tables import summary

    return summary(
        {
            "package": read("real_packaged"),
            "package, rig": read("real_rig"),
            "of motion capture": read("real"),
        }
    )


def detections(name: str) -> Table:
    """What real detectors miss."""
    from benchmarks import detections

    drawn: Table = getattr(detections, name)(read("detections"))
    return drawn


def verdict() -> Table:
    """The recommendation against labels."""
    from benchmarks.verdict import by_group

    return by_group(read("verdict")["scenes"])


def rivals(arm: str) -> Table:
    """One arm against others, run by run."""
    cells = []
    for pair, result in read("mocap")["pairs"].items():
        for found in result["against"]:
            if arm_name(found["ours"]) == arm:
                lower, wins = f"{found['lower']:.1f} %", f"{found['wins']} of {found['runs']}"
                cells.append((pair, arm_name(found["other"]), lower, wins))
    return ("pair", f"{arm} against", "MPJPE lower by", "runs in which it is lower"), cells


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


def substitutions() -> Table:
    """Errors that are left where the truth takes the place of what a lift has to find."""
    from benchmarks.substitutions.tables import by_substitution

    return by_substitution(read("substitutions"))


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


def op_speed() -> Table:
    return HEADINGS, list(rows(read("cpu")["results"]))


def op_stages() -> Table:
    return STAGE_HEADINGS, list(stage_rows(read("cpu")["stages"]))


def door_speed() -> Table:
    """One thread, beside the two rivals that people could use instead."""
    cells = []
    for result in read("cpu")["results"]:
        if result["threads"] != 1 or result["batch"] == 1:
            continue
        seconds, speedup = result["seconds"], result["speedup"]
        direction = {"forward": "forward", "both": "forward + backward"}.get(
            result["direction"], result["direction"]
        )
        rivals_ = [name for name in speedup if name in seconds]
        cells.append(
            [f"{result['batch']:,}", direction, show_seconds(seconds["ours"])]
            + [f"{speedup[name]:.0f}x" for name in rivals_]
        )
    return ("poses", "pass", "fused op", *(f"faster than {name}" for name in rivals_)), cells


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


def training_step() -> Table:
    from benchmarks.step.step import tables

    _, headings, cells = next(iter(tables(read("training_step"))))
    return headings, cells


def lifter_speed(name: str) -> Table:
    from benchmarks.step.lifters import cells

    return cells(read(name)["results"])


def launches() -> Table:
    """Kernels of a training step by part."""
    from benchmarks.step.launches import table

    return table(read("launches"))


def processes() -> Table:
    cells = [
        (str(row["processes"]), f"{row['batch']:,}", show_seconds(row["seconds"]), f"{row['speedup']:.2f}x")
        for row in read("processes")["results"]
    ]
    return ("processes", "batch", "a step", "against one process"), cells


def profile() -> Table:
    record = read("profile")
    cells = [
        (phase["phase"], f"{phase['steps']:,}", f"{phase['seconds']:.1f} s") for phase in record["phases"]
    ]
    return ("phase", "steps", "time"), cells


def bf16() -> Table:
    """The same arms in two number formats; p1, split 0."""
    half = {line["name"]: line for line in read("mocap_bf16")["pairs"]["p1"]["lines"]}
    full = [
        row for row in read("mocap")["rows"] if (row["run"], row["split"]) == ("p1_split0", "target_test")
    ]
    cells = []
    for name, line in half.items():
        own = [row["mpjpe"] for row in full if row["arm"] == name]
        cells.append((name, f"{sum(own) / len(own):.1f}", f"{line['mean']['mpjpe']:.1f}"))
    return ("arm", "float32 mm", "bf16-mixed mm"), cells


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


TABLES: dict[str, Callable[[], Table]] = {
    "door-results": door_results,
    "door-speed": door_speed,
    "arms-p1": lambda: arms("p1"),
    "arms-p2": lambda: arms("p2"),
    "rivals-gpa_lpa": lambda: rivals("gpa_lpa"),
    "rivals-gpa_lpa_view": lambda: rivals("gpa_lpa_view"),
    "wide-pairs": wide_pairs,
    "wide-real": lambda: wide_real("real"),
    "wide-packaged": lambda: wide_real("real_packaged"),
    "wide-rig": lambda: wide_real("real_rig"),
    "wide-summary": wide_summary,
    "substitutions": substitutions,
    "detections-views": lambda: detections("by_view"),
    "detections-runs": lambda: detections("by_joint"),
    "detections-windows": lambda: detections("by_window"),
    "verdict": verdict,
    "ablations": lambda: variants("ablations", 3, change=True),
    "ablations-wide": ablations_of_wide,
    "baseline": lambda: variants("baseline", 4, change=False),
    "lifters-p1": lambda: lifters("p1"),
    "lifters-p2": lambda: lifters("p2"),
    "lifters-seeds": lifters_seeds,
    "motion-p1": lambda: motion("p1"),
    "op-speed": op_speed,
    "op-stages": op_stages,
    "training-step": training_step,
    "lifter-speed": lambda: lifter_speed("lifters"),
    "lifter-latency": lambda: lifter_speed("lifters_published"),
    "launches": launches,
    "processes": processes,
    "profile": profile,
    "bf16": bf16,
    "fit": lambda: fits("fit"),
    "fit-lifter": lambda: fits("fit_lifter"),
    "steady-p1": lambda: over_time("steady_p1"),
    "steady-p2": lambda: over_time("steady_p2"),
    "steady-package": lambda: over_time("steady_package"),
    "moving": moving_cameras,
}
"""Every table by the name in its mark."""


def draw(name: str) -> str:
    """One table as Markdown.

    Raises:
        ValueError: if no table has that name.
    """
    if name not in TABLES:
        raise ValueError(f"table: expected one of {', '.join(TABLES)}, got {name!r}{guess(name, TABLES)}")
    return markdown_table(*TABLES[name]())


def refreshed(text: str) -> str:
    """A README with every marked table redrawn from its record."""
    return MARKED.sub(lambda found: found[1] + draw(found[2]).rstrip("\n") + "\n", text)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the tables into the READMEs")
    if parser.parse_args(arguments).write:
        for name in READMES:
            path = ROOT / name
            path.write_text(refreshed(path.read_text()))
        return 0
    for name in TABLES:
        print(f"<!-- table: {name} -->\n\n{draw(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
