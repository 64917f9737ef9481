"""Registers, shared memory and spills of the CUDA kernels, from a build's log; fails if a kernel spills.

pip wheel . -v -C cmake.define.POSEDA_CUDA=ON > build.log 2>&1
python benchmarks/op/ptxas_report.py build.log [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(sm_\d+)'")
SPILL = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")


def parse(log: str) -> list[dict[str, Any]]:
    """One record a kernel and architecture: kernel, arch, registers, stack, spill_stores, spill_loads."""
    records: list[dict[str, Any]] = []
    for line in log.splitlines():
        if entry := ENTRY.search(line):
            records.append({"kernel": entry[1], "arch": entry[2]})
        elif (spill := SPILL.search(line)) and records:
            stack, stores, loads = map(int, spill.groups())
            records[-1] |= {"stack": stack, "spill_stores": stores, "spill_loads": loads}
        elif (used := USED.search(line)) and records:
            records[-1]["registers"] = int(used[1])
    for record, name in zip(records, demangle([record["kernel"] for record in records]), strict=True):
        record["kernel"] = name
    return sorted(records, key=lambda record: (record["arch"], record["kernel"]))


def demangle(names: list[str]) -> list[str]:
    """C++ names without their parameters."""
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    plain = (name.removeprefix("void ").replace("poseda::", "") for name in done.stdout.splitlines())
    return [re.sub(r"\(.*\)$", "", name) for name in plain]


def main() -> None:
    """Print the table, write it, exit with 1 if anything spills."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", type=Path, help="output of a verbose build with POSEDA_CUDA=ON")
    parser.add_argument("--json", type=Path, metavar="FILE", help="record the table here")
    given = parser.parse_args()
    records = parse(given.log.read_text())
    if not records:
        sys.exit(f"{given.log}: no report of ptxas; is the log verbose, and -Xptxas=-v passed?")
    for record in records:
        spilled = record["spill_stores"] + record["spill_loads"]
        print(
            f"{record['arch']:7} {record['registers']:4} registers {spilled:4} B spilled  {record['kernel']}"
        )
    if given.json:
        given.json.write_text(json.dumps(records, indent=1) + "\n")
    spilling = [record for record in records if record["spill_stores"] or record["spill_loads"]]
    if spilling:
        sys.exit("spilling: " + ", ".join(f"{record['kernel']} ({record['arch']})" for record in spilling))


if __name__ == "__main__":
    main()
