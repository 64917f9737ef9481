"""A step of the arm wide, in every way that a device has: ``python -m benchmarks.step.wide [--json FILE]``.

The ways are the loop without more, ``--compile on``, ``--precision bf16-mixed``, and on CUDA graphs without
and with the compiler. All begin with the same weights and draw the same views, so their losses must agree
before they are timed. They take turns, in many short rounds. Times are medians over rounds, ratios medians of
the rounds' ratios.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from operator import truediv
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from rich.console import Console

from poseda.bench.clock import clock_of, timed_rounds
from poseda.bench.record import (
    about,
    json_alone,
    machine,
    markdown_table,
    rich_table,
    save_record,
    show_seconds,
)
from poseda.cli import attempt
from poseda.cli.measuring import device_to_measure
from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.config import RunConfig, preset
from poseda.config.limits import Above, Bare, Distinct, Found, check_fields
from poseda.datasets import AdaptationData, open_domains
from poseda.lifters.sizes import build_wide, count_parameters
from poseda.training.fabric import layer_precision, start_fabric
from poseda.training.meters import Meters
from poseda.training.pairs import TrainingData
from poseda.training.wide import ViewSource, WidePhase, options_of

NAME = "benchmarks.step.wide"
"""What the program calls itself."""

WAYS: dict[str, dict[str, Any]] = {
    "eager": {},
    "compiled": {"compile": "on"},
    "bf16": {"precision": "bf16-mixed"},
    "graphs": {"graphs": "on"},
    "graphs, compiled": {"graphs": "on", "compile": "on"},
}
"""What differs in the configuration."""

CHECKED = 5
"""Steps before the clock, with which graphs are captured and losses compared."""

AGREE = 0.02
"""Relative difference of losses that rounding may make, in bf16 too."""

Size = Literal["tiny", "demo", "default", "full"]


@dataclass(frozen=True)
class WideStepOptions:
    """A step of the arm wide, in every way that a device has."""

    device: str = "cpu"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    presets: Annotated[tuple[Size, ...], Distinct()] = ("default", "full")
    """Recipes of adapt, which decide the size of the lifter and of a batch."""
    threads: Annotated[int, Above(0)] = 1
    """CPU threads."""
    quick: bool = False
    """Take short rounds."""
    json: Annotated[Path | None, Bare("-")] = None
    """Record the results in this file. Without a file, they go to stdout and the table to stderr."""
    markdown: Annotated[Path | None, Found()] = None
    """Measure nothing, but print this record as Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)


PROGRAM = Program(
    f"python -m {NAME}", "Time a step of the arm wide, in every way that a device has.", (WideStepOptions,)
)


class Contestant:
    """One way of taking steps.

    Args:
        config: of the run.
        given: to learn from.
    """

    def __init__(self, config: RunConfig, given: AdaptationData) -> None:
        self._config, self._fabric, self._at = config, start_fabric(config), 0
        self.device = self._fabric.device
        self._meters = Meters()
        self._phase = wide_phase(config, TrainingData.load(given, self.device), self._fabric)
        self.parameters = count_parameters(self._phase.average)

    def precision(self) -> AbstractContextManager[None]:
        """Within, layers compute as the configuration says."""
        return layer_precision(self._config, self.device)

    def step(self) -> float | None:
        """The next step; in the first ones, its loss."""
        with self.precision():
            values = self._phase.step(self._at)
        self._meters.add(self._at, values)
        self._at += 1
        return float(values["lifter_loss"].detach()) if self._at <= CHECKED else None


def wide_phase(config: RunConfig, data: TrainingData, fabric: Any) -> WidePhase:
    """The training of the arm wide from the start. Nothing is done at its end."""
    torch.manual_seed(0)
    rng, options = torch.Generator(fabric.device).manual_seed(0), options_of(config)
    return WidePhase(
        build_wide(config, data.skeleton),
        ViewSource(data, config, 0, rng),
        data.skeleton,
        options,
        config.wide.steps,
        fabric,
        config.compile == "on",
        config.graphs == "on",
        wide=config.wide,
        finish=None,
    )


def measure(size: Size, given: AdaptationData, device: str, quick: bool) -> dict[str, Any]:
    """One record of a recipe.

    Returns:
        ``preset``, ``width``, ``blocks``, ``batch``, ``parameters``, ``device``, ``seconds`` a step by way,
        and the ``speedup`` of each way over the first.

    Raises:
        RuntimeError: if the losses of two ways differ by more than rounding.
    """
    on_cuda = device.startswith("cuda")
    base = replace(
        preset(size),
        arms=("wide",),
        device=device,
        graphs="off",
        compile="off",
        precision="auto" if on_cuda else "32-true",
    )
    ways = {name: changes for name, changes in WAYS.items() if on_cuda or "graphs" not in changes}
    contestants = {name: Contestant(replace(base, **changes), given) for name, changes in ways.items()}
    losses = {name: [one.step() for _ in range(CHECKED)] for name, one in contestants.items()}
    check_losses(losses)
    calls: dict[str, Callable[[], Any]] = {name: one.step for name, one in contestants.items()}
    rounds = timed_rounds(calls, clock_of(contestants["eager"].device, quick))
    eager = rounds["eager"]
    return {
        "preset": size,
        "width": base.wide.width,
        "blocks": base.wide.blocks,
        "batch": base.wide.batch,
        "parameters": contestants["eager"].parameters,
        "device": device,
        "seconds": {name: statistics.median(times) for name, times in rounds.items()},
        "speedup": {
            name: statistics.median(map(truediv, eager, times))
            for name, times in rounds.items()
            if name != "eager"
        },
    }


def check_losses(losses: dict[str, list[float | None]]) -> None:
    """See that all ways have the losses of the first.

    Raises:
        RuntimeError: if not.
    """
    first = torch.tensor(losses["eager"])
    for name, found in losses.items():
        off = (torch.tensor(found) / first - 1).abs().max()
        if not off < AGREE:
            raise RuntimeError(f"{name}: expected the losses of eager steps, {losses['eager']}, got {found}")


def table(record: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Headings, and a row a recipe."""
    results = record["results"]
    names = [name for name in WAYS if any(name in row["seconds"] for row in results)]
    cells = [
        (
            row["preset"],
            f"{row['blocks']} x {row['width']}",
            f"{row['batch']:,}",
            *(show_seconds(row["seconds"].get(name)) for name in names),
            *(f"{row['speedup'][name]:.2f}x" for name in names[1:]),
        )
        for row in results
    ]
    return ("preset", "blocks", "batch", *names, *(f"{name}: faster" for name in names[1:])), cells


def to_markdown(record: dict[str, Any]) -> str:
    """A recorded run as Markdown: a line on the machine and the table."""
    threads = f", {record['results'][0]['threads']} threads"
    return "\n".join([about(record["machine"], threads), "", *markdown_table(*table(record))])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), NAME)


def _main(arguments: list[str]) -> int:
    options = read(PROGRAM, arguments, lambda given: given.build(WideStepOptions))
    device = device_to_measure(options, to_markdown)
    if device is None:
        return 0
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        given = open_domains(None).adaptation()
        results = [
            measure(size, given, device, options.quick) | {"threads": options.threads}
            for size in options.presets
        ]
    finally:
        torch.set_num_threads(before)
    record = {"machine": machine(device), "results": results}
    with json_alone(options.json):
        Console().print(rich_table("a step of the arm wide", *table(record)))
    save_record(options.json, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
