"""How fast lifters train and lift: ``python -m benchmarks.step.lifters [--quick]``.

Two numbers a lifter, eager and compiled. One is a training step of 1 024 windows (forward, backward, AdamW).
The other is one window of a stream, in evaluation mode on the CPU. Prints a table, and records it with
``--json``. Lifters have 0.06 to 1 million parameters, so that a CPU is done in minutes. ``--published`` takes
the sizes of the papers. ``--latency`` leaves out the training steps, which at those sizes need a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from benchmarks.step.program import Network
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
from poseda.cli.program import Program, UsageError
from poseda.config import RunConfig
from poseda.config.limits import Above, Bare, Distinct, Found, check_fields
from poseda.geometry.skeleton import H36M16
from poseda.lifters.sizes import SMALL, build_lifter, count_parameters, published_size

NAME = "benchmarks.step.lifters"
"""What the program calls itself."""

BATCH, QUICK_BATCH = 1024, 64
SECONDS, QUICK_SECONDS = 3.0, 0.05
"""How long each call is repeated."""
Mode = Literal["eager", "compiled"]
MODES: tuple[Mode, ...] = ("eager", "compiled")
FRAMES = {
    "simple_baseline": (1,),
    "videopose3d": (1, 9, 27, 81, 243),
    "residual": (1,),
    "semgcn": (1,),
    "stgcn": (1, 9),
    "mixste": (1, 9),
    "dstformer": (1, 9),
}
"""Windows in which each lifter is measured; more frames of all joints are more than a CPU trains."""


@dataclass(frozen=True)
class LifterOptions:
    """How fast lifters train and lift."""

    quick: bool = False
    """Measure eager lifters only, in short rounds of small batches."""
    lifters: Annotated[tuple[Network, ...], Distinct()] = get_args(Network)
    """Lifters to measure."""
    frames: Annotated[tuple[Annotated[int, Above(0)], ...], Distinct(least=0)] = ()
    """Frames of a window, for lifters that see as many. Default: by lifter."""
    modes: Annotated[tuple[Mode, ...], Distinct(least=0)] = ()
    """How lifters run. Default: eager and compiled, or eager alone with --quick."""
    device: str = "cpu"
    """Where to train: auto, cpu, cuda or cuda:INDEX."""
    threads: Annotated[int, Above(0)] = 1
    """CPU threads."""
    published: bool = False
    """Take the sizes of the papers, with their dropout."""
    latency: bool = False
    """Time one window only, without training steps."""
    json: Annotated[Path | None, Bare("-")] = None
    """Record the results in this file. Without a file, they go to stdout and the table to stderr."""
    markdown: Annotated[Path | None, Found()] = None
    """Measure nothing, but print this record as Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)


PROGRAM = Program(f"python -m {NAME}", "Time how fast lifters train and lift.", (LifterOptions,))


def build(name: str, frames: int, mode: str, device: str, published: bool) -> nn.Module | None:
    """The lifter of that name, compiled if asked for; None if it does not see that many frames."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    size = published_size(name) if published else SMALL[name]
    config = RunConfig(lifter=name, frames=frames, network=size)
    try:
        lifter = build_lifter(config, H36M16).to(device)
    except ValueError as error:
        if frames > 1 and error.__cause__ is None:  # a refusal, not a failure
            return None
        raise
    if mode == "compiled":
        lifter.compile(fullgraph=True)
    return lifter


def training_step(lifter: nn.Module, frames: int, batch: int, device: str) -> Callable[[], Tensor]:
    """Forward, backward and AdamW on fixed windows; returns the loss."""
    lifter.train()
    optimizer = torch.optim.AdamW(lifter.parameters(), fused=True)
    pose_2d = torch.randn(batch, frames, H36M16.num_joints, 2, device=device)
    pose_3d = torch.randn(batch, 1, H36M16.num_joints, 3, device=device)

    def step() -> Tensor:
        loss = (lifter(pose_2d) - pose_3d).norm(dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def one_window(lifter: nn.Module, frames: int) -> Callable[[], Tensor]:
    """Lift a single window, as a stream brings them."""
    lifter.eval()
    pose_2d = torch.randn(1, frames, H36M16.num_joints, 2)

    @torch.inference_mode()
    def lift() -> Tensor:
        return lifter(pose_2d)

    return lift


def measure(call: Callable[[], Tensor], threads: int, seconds: float) -> float:
    """Median seconds a call, after one whose result must be finite."""
    assert call().isfinite().all()
    timer = Timer("call()", globals={"call": call}, num_threads=threads)
    return float(timer.blocked_autorange(min_run_time=seconds).median)


def records(given: LifterOptions) -> Iterator[dict[str, Any]]:
    """One record a lifter, number of frames and mode."""
    batch, seconds = (QUICK_BATCH, QUICK_SECONDS) if given.quick else (BATCH, SECONDS)
    for name in given.lifters:
        for frames in given.frames or FRAMES[name]:
            for mode in given.modes:
                streaming = build(name, frames, mode, "cpu", given.published)
                if streaming is None:
                    continue
                latency = measure(one_window(streaming, frames), given.threads, seconds)
                step = None
                if not given.latency:
                    lifter = build(name, frames, mode, given.device, given.published)
                    assert lifter is not None
                    step = measure(training_step(lifter, frames, batch, given.device), given.threads, seconds)
                yield {
                    "lifter": name,
                    "parameters": count_parameters(streaming),
                    "frames": frames,
                    "mode": mode,
                    "device": given.device,
                    "threads": given.threads,
                    "batch": batch,
                    "training_step": step,
                    "windows_a_second": batch / step if step else None,
                    "cpu_latency": latency,
                }


def cells(results: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each lifter and number of frames."""
    modes = list(dict.fromkeys(row["mode"] for row in results))
    found: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for result in results:
        found.setdefault((result["lifter"], result["frames"]), {})[result["mode"]] = result
    trained = results[0]["training_step"] is not None  # of all, or with --latency of none
    measured = {"step": "training_step", "latency": "cpu_latency"}
    if not trained:
        del measured["step"]
    headings = ["lifter", "weights", "frames", *(["windows/s"] if trained else [])]
    headings += [f"{what} {mode}" for what in measured for mode in modes]
    rows = []
    for (lifter, frames), by_mode in found.items():
        first = next(iter(by_mode.values()))
        row = [lifter, f"{first['parameters']:,}", str(frames)]
        if trained:
            row.append(f"{max(row['windows_a_second'] for row in by_mode.values()):,.0f}")
        times = [
            show_seconds(by_mode[mode][name] if mode in by_mode else None)
            for name in measured.values()
            for mode in modes
        ]
        rows.append([*row, *times])
    return headings, rows


def title(results: list[dict[str, Any]]) -> str:
    """What was measured."""
    first = results[0]
    step = f"training steps of {first['batch']:,} windows on {first['device']}; "
    measured = step if first["training_step"] else ""
    return f"{measured}latency of one window on the CPU; CPU threads: {first['threads']}; medians"


def to_markdown(record: dict[str, Any]) -> str:
    """A record as Markdown: a line on the machine and the table."""
    results = record["results"]
    return "\n".join(
        [about(record["machine"]), "", f"{title(results)}:", "", *markdown_table(*cells(results))]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), NAME)


def _main(arguments: list[str]) -> int:
    options = read(PROGRAM, arguments, lambda given: given.build(LifterOptions))
    device = device_to_measure(options, to_markdown)
    if device is None:
        return 0
    modes = options.modes or MODES[: 1 if options.quick else None]
    options = replace(options, modes=modes, device=device)
    console = Console()
    results: list[dict[str, Any]] = []
    with console.status("") as status:
        for record in records(options):
            status.update(f"{record['lifter']} {record['mode']} done")
            results.append(record)
    if not results:
        asked = f"{', '.join(map(str, options.frames))} with {', '.join(options.lifters)}"
        raise UsageError(f"--frames: expected numbers that one of the lifters sees, got {asked}")
    with json_alone(options.json):
        console.print(rich_table(title(results), *cells(results)))
    save_record(options.json, {"machine": machine(options.device), "results": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
