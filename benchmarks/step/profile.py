"""Where the time of a whole adaptation goes: ``python -m benchmarks.step.profile [options of adapt]``.

Trains and evaluates as `poseda adapt` would, in a temporary folder. Two tables: seconds of each phase, those
that measure among them, and of everything else; and the operators of PROFILED steps of each phase that
trains, by their own time. It is torch.profiler's time on the device, if there is one. The profiler slows
those steps down, which shows in short phases. ``--json FILE`` records both.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.filesize import decimal
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from poseda import training
from poseda.bench.record import json_alone, machine, rich_table, save_record, show_seconds
from poseda.cli import attempt
from poseda.cli.measuring import check_record_path
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.recipe import open_chosen, resolve
from poseda.config import RunConfig
from poseda.config.limits import Bare
from poseda.device import peak_memory
from poseda.training.stage import Phase, Silent, Stage

NAME = "benchmarks.step.profile"
"""What the program calls itself."""

FIRST, PROFILED = 10, 20
"""The step at which profiling begins, and how many steps it lasts."""

SHOWN = 8
"""Operators shown of each phase."""


class Profiled:
    """A phase of whose steps some are profiled."""

    def __init__(self, phase: Phase, device: torch.device) -> None:
        self.phase, self.device = phase, device
        self.profile: profile | None = None
        self.done = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.phase, name)

    def step(self, step: int) -> dict[str, Tensor]:
        """As the phase's."""
        if step == FIRST:
            activities = [ProfilerActivity.CPU]
            if self.device.type == "cuda":
                activities.append(ProfilerActivity.CUDA)
            self.profile = profile(activities=activities)
            self.profile.start()
        values = self.phase.step(step)
        if self.profile is not None and FIRST <= step < FIRST + PROFILED:
            self.done += 1
            if self.done == PROFILED or step + 1 == self.phase.steps:
                self.profile.stop()
        return values

    def operators(self) -> dict[str, float]:
        """Seconds a step spent in each operator alone, largest first."""
        if self.profile is None or not self.done:
            return {}
        time_of = "self_device_time_total" if self.device.type == "cuda" else "self_cpu_time_total"
        found = {event.key: getattr(event, time_of) * 1e-6 for event in self.profile.key_averages()}
        return {
            name: seconds / self.done
            for name, seconds in sorted(found.items(), key=lambda entry: -entry[1])
            if seconds > 0
        }


class Times(Silent):
    """Seconds and steps of each phase, as an observer of the run."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, Any]] = {}
        self._began = 0.0

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self.phases[title] = {"steps": steps - done}
        self._began = time.perf_counter()

    def phase_finished(self, title: str) -> None:
        self.phases[title]["seconds"] = time.perf_counter() - self._began


@contextmanager
def watched(phases: dict[str, Profiled], device: torch.device) -> Iterator[None]:
    """Within, phases that train are profiled."""
    make = Stage._make

    def profiled(stage: Stage, start: str) -> Any:
        phases[stage.title] = Profiled(make(stage, start), device)
        return phases[stage.title]

    with patch.object(Stage, "_make", profiled):
        yield


def measure(config: RunConfig) -> dict[str, Any]:
    """Adapt once. Fields: machine; seconds of all; phases, each with steps, seconds and operators."""
    domains, times = open_chosen(config), Times()
    phases: dict[str, Profiled] = {}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = training.prepare(replace(config, out=Path(folder) / "run"), domains, times)
        device = run.fabric.device
        with watched(phases, device):
            run.train()
        total = time.perf_counter() - began
    rows = [
        {"phase": title, **entry, "operators": phases[title].operators() if title in phases else {}}
        for title, entry in times.phases.items()
    ]
    rest = total - sum(row["seconds"] for row in rows)
    rows.append({"phase": "everything else", "steps": 0, "seconds": rest, "operators": {}})
    record = {"machine": machine(str(device)), "threads": torch.get_num_threads(), "seconds": total}
    record["peak_bytes"] = peak_memory(device)
    options = {"lifter": config.lifter, "width": config.network.width, "batch": config.training.batch}
    return {**record, "preset": config.preset, **options, "phases": rows}


def show(record: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    rows = [
        (
            row["phase"],
            f"{row['steps']:,}" if row["steps"] else "-",
            show_seconds(row["seconds"]),
            f"{row['seconds'] / record['seconds']:.1%}",
            show_seconds(row["seconds"] / row["steps"]) if row["steps"] else "-",
        )
        for row in record["phases"]
    ]
    title = f"an adaptation: {record['lifter']}, width {record['width']}, {show_seconds(record['seconds'])}"
    if record["peak_bytes"] is not None:
        title += f", at most {decimal(record['peak_bytes'])} on the device"
    console.print(rich_table(title, ("part", "steps", "time", "share", "a step"), rows))
    operators = [
        (row["phase"], name, show_seconds(seconds), f"{seconds / sum(row['operators'].values()):.1%}")
        for row in record["phases"]
        for name, seconds in list(row["operators"].items())[:SHOWN]
    ]
    console.print(
        rich_table("operators, by time in them alone", ("phase", "operator", "a step", "share"), operators)
    )


@dataclass(frozen=True)
class ProfileOptions:
    """Where the time of a whole adaptation goes."""

    json: Annotated[Path | None, Bare("-")] = None
    """Record the profile in this file. Without a file, it goes to stdout and the table to stderr."""


PROGRAM = Program(
    f"python -m {NAME}",
    "Show where the time of a whole adaptation goes. It takes the options of `poseda adapt`.",
    (ProfileOptions, RunConfig),
    common=("json", "preset", "arms", "gate", "lifter", "device"),
    sets=frozenset({"out", "resume"}),
)


def _make(given: Given) -> tuple[ProfileOptions, RunConfig]:
    return given.build(ProfileOptions), resolve(given.without(ProfileOptions))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), NAME)


def _main(arguments: list[str]) -> int:
    options, config = read(PROGRAM, arguments, _make)
    check_record_path(options.json)
    try:
        record = measure(config)
    except ValueError as error:
        raise UsageError(str(error)) from error
    with json_alone(options.json):
        show(record, Console())
    save_record(options.json, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
