"""The command line of ``python -m benchmarks.step``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from poseda.cli import attempt
from poseda.cli.measuring import device_to_measure
from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.config.limits import Above, Bare, Distinct, Found, check_fields

NAME = "benchmarks.step"
"""What the program calls itself."""

Network = Literal["simple_baseline", "residual", "videopose3d", "semgcn", "stgcn", "mixste", "dstformer"]


@dataclass(frozen=True)
class StepOptions:
    """A training step of ours beside the classic loop."""

    device: str = "cpu"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    lifters: Annotated[tuple[Network, ...], Distinct()] = get_args(Network)
    """Lifters to train."""
    width: Annotated[int, Above(0)] | None = None
    """Features of every lifter. Default: by lifter."""
    batch: Annotated[int, Above(0)] = 1024
    """Poses per step."""
    steps: Annotated[int, Above(0)] = 8
    """Steps of a slot."""
    threads: Annotated[int, Above(0)] = 1
    """CPU threads."""
    extras: Annotated[tuple[Literal["compiled", "bf16", "graphs"], ...], Distinct(least=0)] = ()
    """Measure ours with these options, too: compiled, bf16, graphs."""
    quick: bool = False
    """Take short rounds."""
    json: Annotated[Path | None, Bare("-")] = None
    """Record the results in this file. Without a file, they go to stdout and the table to stderr."""
    markdown: Annotated[Path | None, Found()] = None
    """Measure nothing, but print this record as Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)


PROGRAM = Program(
    f"python -m {NAME}",
    "Time a training step of ours, of ours with the eager reference, and of the classic loop.",
    (StepOptions,),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``benchmarks/step``; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), NAME)


def _main(arguments: list[str]) -> int:
    options = read(PROGRAM, arguments, lambda given: given.build(StepOptions))

    from benchmarks.step import step

    device = device_to_measure(options, step.to_markdown)
    if device is None:
        return 0
    if "graphs" in options.extras and not device.startswith("cuda"):
        raise UsageError(f"--extras: expected a CUDA device for graphs, got {device}")
    step.run(
        device=device,
        lifters=options.lifters,
        batch=options.batch,
        steps=options.steps,
        threads=options.threads,
        width=options.width,
        extras=options.extras,
        quick=options.quick,
        json_path=options.json,
    )
    return 0
