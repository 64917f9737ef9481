"""How the lifter's steps scale over processes: ``python -m benchmarks.step.processes [--processes 1 2]``.

Each number of processes is started by torchrun in turn, round after round, one CPU thread a process, on the
same batches: every process trains on its part of a batch and gradients are averaged. Losses must agree after
WARM_UP steps, before rounding has grown into other weights. A time is the median over rounds, a speedup the
median of the rounds' ratios to the first number of processes. ``--json FILE`` records it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from operator import truediv
from pathlib import Path
from typing import Any

from poseda.bench.op import check_writable
from poseda.bench.record import machine, show_seconds

CHECKOUT = Path(__file__).parents[2]
WARM_UP = 5
AGREEMENT = 1e-4
"""By which share losses may differ after WARM_UP steps: sums over a batch are rounded in another order."""


def work(given: argparse.Namespace) -> None:
    """As one of several processes: train; the first prints seconds a step and the loss after WARM_UP."""
    import torch

    from benchmarks.step.step import StepBench, step_config
    from poseda.datasets import open_domains

    torch.set_num_threads(1)
    data = open_domains(None, size=0.5).adaptation()
    bench = StepBench(step_config(given.lifter, *given.batches, "cpu", given.width), data, given.steps)
    phase = bench.lifter_phase()
    loss = [phase.step(step)["lifter_loss"] for step in range(WARM_UP)][-1].item()
    bench.fabric.barrier()
    began = time.perf_counter()
    for step in range(WARM_UP, WARM_UP + given.steps):
        phase.step(step)
    bench.fabric.barrier()
    seconds = (time.perf_counter() - began) / given.steps
    if bench.fabric.global_rank == 0:
        print(json.dumps({"seconds": seconds, "loss": loss}))


def train(processes: int, batch: int, given: argparse.Namespace) -> dict[str, float]:
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
            f"{processes} processes ended with status {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(batch: int, given: argparse.Namespace) -> list[dict[str, Any]]:
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


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    parser.add_argument("--lifter", default="simple_baseline", help="(default: simple_baseline)")
    parser.add_argument("--width", type=int, default=512, help="features of the lifter (default: 512)")
    parser.add_argument(
        "--batches",
        type=int,
        nargs="+",
        default=[1024, 4096],
        help="poses a step, of all processes (default: 1024 4096)",
    )
    parser.add_argument("--steps", type=int, default=50, help="steps a round (default: 50)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="record the results here")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for name in ("width", "steps", "rounds"):
        if getattr(given, name) < 1:
            parser.error(f"--{name}: expected a number above 0, got {getattr(given, name)}")
    for processes in () if given.worker else given.processes:
        for batch in given.batches:
            if processes < 1 or batch < 1 or batch % processes:
                parser.error(f"--processes: expected divisors of --batches {batch}, got {processes}")
    return given


def main() -> None:
    given = parse()
    if given.worker:
        work(given)
        return
    try:
        if given.json is not None:
            check_writable(given.json)
        results = [row for batch in given.batches for row in measure(batch, given)]
    except (RuntimeError, ValueError) as error:
        sys.exit(f"bench_processes: {error}")
    for row in results:
        print(
            f"{row['lifter']}, width {row['width']}, batch {row['batch']:,}: {row['processes']} processes: "
            f"{show_seconds(row['seconds'])} a step, {row['speedup']:.2f}x; loss {row['loss']:.5f}"
        )
    if given.json is not None:
        given.json.write_text(json.dumps({"machine": machine("cpu"), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
