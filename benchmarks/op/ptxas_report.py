"""Registers, shared memory and spills of the CUDA kernels, from a build's log; fails if a kernel spills.

It also fails if a kernel keeps variables in local memory: nvcc 13.0 gave two of them the same place there.

pip wheel . -v -C cmake.define.POSEDA_CUDA=ON > build.log 2>&1
python benchmarks/op/ptxas_report.py build.log [--json FILE]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from poseda.cli import attempt
from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.screen import complain, say
from poseda.config.limits import Found, check_fields

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


@dataclass(frozen=True)
class ReportOptions:
    """Registers, shared memory and spills of the CUDA kernels."""

    log: Annotated[Path, Found()]
    """Output of a verbose build with POSEDA_CUDA=ON."""
    json: Path | None = None
    """Record the table in this file."""

    def __post_init__(self) -> None:
        check_fields(self)


PROGRAM = Program(
    "python benchmarks/op/ptxas_report.py",
    "Show registers, spills and local memory of the CUDA kernels. If a kernel has either, end with 1.",
    (ReportOptions,),
    positional="log",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and write it; returns 1 if a kernel spills or uses local memory."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), "ptxas_report")


def _main(arguments: list[str]) -> int:
    options = read(PROGRAM, arguments, lambda given: given.build(ReportOptions))
    records = parse(options.log.read_text())
    if not records:
        raise UsageError(f"LOG: expected a report of ptxas, as -v and -Xptxas=-v make, got {options.log}")
    for record in records:
        spilled = record["spill_stores"] + record["spill_loads"]
        local = f"{spilled:4} B spilled {record['stack']:5} B of local memory"
        say(f"{record['arch']:7} {record['registers']:4} registers {local}  {record['kernel']}")
    if options.json is not None:
        options.json.write_text(json.dumps(records, indent=1) + "\n")
    bad = [record for record in records if record["spill_stores"] or record["spill_loads"] or record["stack"]]
    if bad:
        names = ", ".join(f"{record['kernel']} ({record['arch']})" for record in bad)
        complain(f"spilling, or with variables in local memory: {names}", "ptxas_report")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
