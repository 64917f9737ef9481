"""The table at the end of gpu_check.sh: ``python benchmarks/gpu_table.py STEPS OP_RECORD RUN_RESULTS``.

A record that a failed step has not written is left out; its step stands in the table as failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    """Print the table as Markdown."""
    steps, op, results = map(Path, sys.argv[1:])
    print("| what | outcome | seconds |\n| --- | --- | --: |")
    for line in steps.read_text().splitlines():
        print("| " + " | ".join(line.split("\t")) + " |")
    print("\n| measured | |\n| --- | --- |")
    for name, found in (*_speeds(_read(op)), *_errors(_read(results))):
        print(f"| {name} | {found} |")


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def _speeds(record: Any) -> Iterator[tuple[str, str]]:
    for row in record["results"] if record else ():
        found = [f"{1e6 * row['seconds']['ours']:.4g} us"]
        found += [f"{ratio:.3g} times as fast as {rival}" for rival, ratio in row["speedup"].items()]
        if row["copy_share"] is not None:
            found.append(f"{row['copy_share']:.0%} of the copy bandwidth")
        yield f"{row['direction']}, {row['batch']:,} poses", ", ".join(found)


def _errors(rows: Any) -> Iterator[tuple[str, str]]:
    for row in rows or ():
        yield f"{row['arm']}, {row['split']}", f"MPJPE {row['mpjpe']:.1f} mm"


if __name__ == "__main__":
    main()
