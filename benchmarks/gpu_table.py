"""The table at the end of gpu_check.sh: ``python benchmarks/gpu_table.py STEPS RECORDS RUN``.

STEPS is the file of the steps and their outcomes, RECORDS what the names of the records begin with, RUN
the folder of the adaptation. A record that a failed step has not written is left out; its step stands in the
table as failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

SHOWN = (1024, 1_048_576)
"""Batches whose kernels are shown."""


def main() -> None:
    """Print the table as Markdown."""
    steps, records, run = sys.argv[1:]
    print("| what | outcome | seconds |\n| --- | --- | --: |")
    for line in Path(steps).read_text().splitlines():
        print("| " + " | ".join(line.split("\t")) + " |")
    print("\n| measured | |\n| --- | --- |")
    found = (
        *_kernels(_read(Path(f"{records}_kernels.json"))),
        *_speeds(_read(Path(f"{records}.json"))),
        *_ratios(_read(Path(f"{records}_host_path.json"))),
        *_steps(_read(Path(f"{records}_training_step.json"))),
        *_ways(_read(Path(f"{records}_wide_step.json"))),
        *_phases(Path(run) / "metrics.jsonl"),
        *_errors(_read(Path(run) / "results.json")),
    )
    for name, value in found:
        print(f"| {name} | {value} |")


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def _kernels(record: Any) -> Iterator[tuple[str, str]]:
    for row in record["rows"] if record else ():
        if row["poses"] in SHOWN:
            share = row["copy_share"]
            found = f"{1e6 * row['seconds']:.4g} us" + ("" if share is None else f", {share:.0%} of the copy")
            yield f"kernel: {row['variant']}, {row['direction']}, {row['poses']:,} poses", found


def _speeds(record: Any) -> Iterator[tuple[str, str]]:
    for row in record["results"] if record else ():
        found = [f"{1e6 * row['seconds']['ours']:.4g} us"]
        found += [f"{ratio:.3g} times as fast as {rival}" for rival, ratio in row["speedup"].items()]
        if row["copy_share"] is not None:
            found.append(f"{row['copy_share']:.0%} of the copy bandwidth")
        yield f"{row['direction']}, {row['batch']:,} poses", ", ".join(found)


def _ratios(record: Any) -> Iterator[tuple[str, str]]:
    for row in record["results"] if record else ():
        for name, ratio in row["ratio"].items():
            yield f"host: {name}, {row['batch']:,} poses", f"{ratio:.3g} times its yardstick"


def _steps(record: Any) -> Iterator[tuple[str, str]]:
    for row in record["results"] if record else ():
        for half in ("generator", "lifter"):
            times = row[half]["seconds"].items()
            found = ", ".join(f"{name} {1000 * seconds:.3g} ms" for name, seconds in times)
            yield f"step of the {half}, {row['name']}, {row['batch']:,} poses", found


def _ways(record: Any) -> Iterator[tuple[str, str]]:
    for row in record["results"] if record else ():
        found = ", ".join(f"{name} {1000 * seconds:.3g} ms" for name, seconds in row["seconds"].items())
        yield f"step of wide, preset {row['preset']}, {row['batch']:,} views", found


def _phases(log: Path) -> Iterator[tuple[str, str]]:
    """Time of a step in the second half of each phase, where steps are replayed."""
    logged = [line for line in _lines(log) if {"step", "seconds", "phase", "arm", "seed"} <= line.keys()]
    for (arm, phase, seed), group in groupby(
        logged, key=lambda line: (line["arm"], line["phase"], line["seed"])
    ):
        half = list(group)
        half = half[len(half) // 2 :]
        steps, seconds = (half[-1][name] - half[0][name] for name in ("step", "seconds"))
        if steps > 0 and seconds > 0:  # a phase that began anew has another clock
            yield f"{arm}, {phase}, seed {seed}", f"{1000 * seconds / steps:.3g} ms a step"


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log. A step that was stopped may leave half a line at its end."""
    for line in log.read_text().splitlines() if log.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _errors(rows: Any) -> Iterator[tuple[str, str]]:
    for row in rows or ():
        yield f"{row['arm']}, {row['split']}", f"MPJPE {row['mpjpe']:.1f} mm"


if __name__ == "__main__":
    main()
