"""How the lifter's steps scale over processes: ``python -m benchmarks.step.processes [--processes 1 2]``.

In each round torchrun starts each number of processes once, on the same batches, with one CPU thread a
process. Every process trains on its part of a batch, and gradients are averaged. Losses must agree after
WARM_UP steps, before rounding has changed the weights. A time is the median over rounds, a speedup the median
of the rounds' ratios to the first number of processes. ``--json FILE`` records it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from operator import truediv
from pathlib import Path
from typing import Annotated, Any

from poseda.bench.record import json_alone, machine, save_record, show_seconds
from poseda.cli import attempt
from poseda.cli.measuring import check_record_path
from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.cli.screen import complain, say
from poseda.config import ConfigError
from poseda.config.limits import Above, Bare, Distinct, check_fields

NAME = "benchmarks.step.processes"
"""What the program calls itself."""

CHECKOUT = Path(__file__).parents[2]
WARM_UP = 5
AGREEMENT = 1e-4
"""By which share losses may differ after WARM_UP steps: sums over a batch are rounded in another order."""


@dataclass(frozen=True)
class ProcessOptions:
    """How the lifter's steps scale over processes."""

    processes: Annotated[tuple[Annotated[int, Above(0)], ...], Distinct()] = (1, 2)
    """Numbers of processes."""
    lifter: str = "simple_baseline"
    """Lifter to train."""
    width: Annotated[int, Above(0)] = 512
    """Features of the lifter."""
    batches: Annotated[tuple[Annotated[int, Above(0)], ...], Distinct()] = (1024, 4096)
    """Poses per step, of all processes together."""
    steps: Annotated[int, Above(0)] = 50
    """Steps of a round."""
    rounds: Annotated[int, Above(0)] = 5
    """Rounds."""
    json: Annotated[Path | None, Bare("-")] = None
    """Record the results in this file. Without a file, they go to stdout and the table to stderr."""
    worker: bool = False
    """Train as one of several processes. The program starts them itself."""

    def __post_init__(self) -> None:
        check_fields(self)
        for processes in () if self.worker else self.processes:
            for batch in self.batches:
                if batch % processes:
                    wanted = f"expected divisors of <batches> {batch}, got {processes}"
                    raise ConfigError("processes", wanted, "batches")


PROGRAM = Program(
    f"python -m {NAME}",
    "Time how the lifter's steps scale over processes.",
    (ProcessOptions,),
    common=("processes", "lifter", "width", "batches", "steps", "rounds", "json"),
)


def work(given: ProcessOptions) -> None:
    """As one of several processes: train; the first prints seconds a step and the loss after WARM_UP."""
    import torch

    from benchmarks.step.step import StepBench, step_config
    from poseda.datasets import open_domains

    torch.set_num_threads(1)
    data = open_domains(None, size=0.5).adaptation()
    (batch,) = given.batches  # :func:`train` gives one
    bench = StepBench(step_config(given.lifter, batch, "cpu", given.width), data, given.steps)
    phase = bench.lifter_phase()
    loss = [phase.step(step)["lifter_loss"] for step in range(WARM_UP)][-1].item()
    bench.fabric.barrier()
    began = time.perf_counter()
    for step in range(WARM_UP, WARM_UP + given.steps):
        phase.step(step)
    bench.fabric.barrier()
    seconds = (time.perf_counter() - began) / given.steps
    if bench.fabric.global_rank == 0:
        say(json.dumps({"seconds": seconds, "loss": loss}))


def train(processes: int, batch: int, given: ProcessOptions) -> dict[str, float]:
    """Start that many processes; returns what the first prints.

    Raises:
        RuntimeError: if they fail.
    """
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    command += ["-m", "benchmarks.step.processes", "--worker", "--lifter", given.lifter]
    command += ["--width", str(given.width), "--batches", str(batch), "--steps", str(given.steps)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONSAFEPATH", None)  # workers find this package in the folder that they start in
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=CHECKOUT)
    if done.returncode:
        raise RuntimeError(
            f"{processes} processes ended with status {done.returncode}:\n{own_words(done.stderr)}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def own_words(errors: str, most: int = 2000) -> str:
    """What the processes said before torchrun's own report; the end of all if they said nothing."""
    said = errors.split("torch/distributed/elastic", 1)[0].rsplit("\n", 1)[0].strip()
    return (said or errors)[-most:]


def measure(batch: int, given: ProcessOptions) -> list[dict[str, Any]]:
    """One record a number of processes, for one batch size.

    Raises:
        RuntimeError: if losses disagree.
    """
    rounds: dict[int, list[float]] = {processes: [] for processes in given.processes}
    first, losses = given.processes[0], {}
    for _ in range(given.rounds):
        for processes in given.processes:
            found = train(processes, batch, given)
            rounds[processes].append(found["seconds"])
            loss = losses[processes] = found["loss"]
            if not abs(loss / losses[first] - 1) <= AGREEMENT:
                raise RuntimeError(
                    f"{processes} processes end at a loss of {loss}, {first} at {losses[first]}"
                )
    return [
        {
            "processes": processes,
            "lifter": given.lifter,
            "width": given.width,
            "batch": batch,
            "seconds": statistics.median(times),
            "speedup": statistics.median(map(truediv, rounds[first], times)),
            "loss": losses[processes],
        }
        for processes, times in rounds.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record; returns 2 for bad input, 1 for processes that fail."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), NAME)


def _main(arguments: list[str]) -> int:
    options = read(PROGRAM, arguments, lambda given: given.build(ProcessOptions))
    if options.worker:
        work(options)
        return 0
    check_record_path(options.json)
    try:
        results = [row for batch in options.batches for row in measure(batch, options)]
    except RuntimeError as error:
        complain(str(error), NAME)
        return 1
    with json_alone(options.json):
        for row in results:
            say(
                f"{row['lifter']}, width {row['width']}, batch {row['batch']:,}: {row['processes']} processes"
                f": {show_seconds(row['seconds'])} a step, {row['speedup']:.2f}x; loss {row['loss']:.5f}"
            )
    save_record(options.json, {"machine": machine("cpu"), "results": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
