"""The benchmark of `augment`: ours against the rivals of :mod:`poseda.bench.rivals`, side by side in one run.

Before anything is timed, all contestants must agree. Then each gets short slots in turn, round after round,
so that a noisy neighbour hits all alike; a time is the median over rounds, a ratio the median of the rounds'
ratios. The copy bandwidth of the machine is measured in the same rounds. On CUDA, calls are timed by events
over several sets of inputs; ours and the compiled reference are replayed from CUDA graphs.

``python -m poseda.bench --json FILE`` measures and records, ``python -m poseda.bench --markdown FILE`` turns
a record into the README's table.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from operator import truediv
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poseda import ops
from poseda.bench.record import RIVALS, machine, stage_table, table
from poseda.bench.rivals import COMPILE_MODES, Augment, Compiled, Problem, poseaug_style
from poseda.ops import reference
from poseda.ops.samples import LEARNED

AGREEMENT = 1e-4
"""Largest error of a pose (or of its gradient), relative to its norm, at which contestants agree."""

AGREEING = 0.999
"""Share of the poses that must agree: where two joints tie for an extreme, rounding picks either."""

COPY_BYTES = 1 << 28
"""Size of the buffer whose copy is the yardstick for bandwidth: larger than any cache in reach."""

BANDWIDTH_FROM = 65_536
"""Batches below this live in caches and launch latency; no share of the copy bandwidth is stated for them."""

MEMORY_PER_POSE = 48 * 1024
"""What the eager rivals need in the backward pass, bytes a pose; they are left out where it does not fit."""

BUDGET = 12.0
"""Seconds that one contestant may take in one record before rounds are saved on it."""

DIRECTIONS = ("forward", "forward+backward")

Call = Callable[[], Any]


def run(
    *,
    device: str = "cpu",
    batches: Sequence[int] = (1, 1024, 262_144),
    threads: Sequence[int] = (1, 2),
    json_path: str | Path | None = None,
    quick: bool = False,
    with_pose_gradient: bool = False,
) -> list[dict[str, Any]]:
    """Measure `augment` against its rivals, print a table, and record it.

    Args:
        device: "cpu", "cuda" or "cuda:1".
        batches: numbers of poses a call.
        threads: numbers of CPU threads (one entry is used on CUDA).
        json_path: file to write, ``-`` for stdout, or None.
        quick: fewer and shorter rounds and one compile mode: for a first look.
        with_pose_gradient: also ask for the gradient of pose_3d, beside that of the learned parameters.

    Returns:
        One record per batch, direction and thread count; see :func:`_measure` for its fields.

    Raises:
        RuntimeError: if contestants disagree; nothing is timed then.
    """
    from rich.console import Console

    to_stdout = str(json_path) == "-"
    console = Console(stderr=to_stdout)
    before, results = torch.get_num_threads(), []
    try:
        for count in threads if torch.device(device).type == "cpu" else threads[:1]:
            torch.set_num_threads(count)
            for batch in batches:
                for direction in DIRECTIONS:
                    with console.status(f"{device}, {count} threads, batch {batch:,}, {direction}"):
                        results.append(_measure(device, count, batch, direction, quick, with_pose_gradient))
    finally:
        torch.set_num_threads(before)
    console.print(table(results))
    with console.status(f"{device}, stages"):
        stages = _measure_stages(device, quick)
    console.print(stage_table(stages))
    if json_path is not None:
        record = (
            json.dumps({"machine": machine(device), "results": results, "stages": stages}, indent=1) + "\n"
        )
        if to_stdout:
            print(record, end="")
        else:
            Path(json_path).parent.mkdir(parents=True, exist_ok=True)
            Path(json_path).write_text(record)
    return results


def _measure(
    device: str, threads: int, batch: int, direction: str, quick: bool, with_pose_gradient: bool
) -> dict[str, Any]:
    """One record: the medians of all contestants at one batch, direction and thread count.

    Fields: device, threads, batch, direction, dtype, wanted (tensors with a gradient); seconds a call by
    contestant (None where it did not fit); speedup of ours by rival; compile_mode of the compiled reference;
    bytes, the smallest traffic the call can have; copy_bandwidth, bytes a second; copy_share, what ours
    reaches of it; empty_call, seconds of a ``torch.ops`` call that does nothing.
    """
    clock = CudaClock(quick) if torch.device(device).type == "cuda" else HostClock(quick)
    sets = clock.sets_of_inputs(batch)
    wanted = (*LEARNED, *(("pose_3d",) if with_pose_gradient else ()))
    problems = [Problem.draw(batch, device=device, wanted=wanted, seed=seed) for seed in range(sets)]
    torch._dynamo.reset()
    with torch._inductor.config.patch("cpp.threads", threads):
        contestants, mode = _contestants(problems, direction, clock, quick)
    rounds = timed_rounds({**contestants, **_yardsticks(device, clock)}, clock)
    seconds = {name: statistics.median(times) for name, times in rounds.items()}
    copy_bandwidth = 2 * COPY_BYTES / seconds.pop("copy")
    empty_call = seconds.pop("empty_call")
    traffic = problems[0].forward_bytes()
    if direction != "forward":
        traffic += problems[0].backward_bytes()
    return {
        "device": device,
        "threads": threads,
        "batch": batch,
        "direction": direction,
        "dtype": "float32",
        "wanted": list(wanted),
        "seconds": {name: seconds.get(name) for name in ("ours", *RIVALS)},
        "speedup": {
            name: statistics.median(map(truediv, rounds[name], rounds["ours"]))
            for name in RIVALS
            if name in rounds
        },
        "compile_mode": mode,
        "bytes": traffic,
        "copy_bandwidth": copy_bandwidth,
        "copy_share": traffic / seconds["ours"] / copy_bandwidth if batch >= BANDWIDTH_FROM else None,
        "empty_call": empty_call,
    }


STAGE_BATCH = 1024
"""Poses a call for the breakdown by stages."""

STAGES = {
    "bones, kinematics, projection": (),
    "+ bone rotations": ("bone_rotation",),
    "+ bone lengths": ("group_scale",),
    "+ body rotation": ("body_rotation",),
    "+ GPA from a table": ("placement", "placement_index"),
    "+ lens": ("distortion",),
}
"""What each stage adds to a call, from the least it can do to what the method asks for."""


def _measure_stages(device: str, quick: bool) -> list[dict[str, Any]]:
    """Where the time goes: the call by itself (one pose), then a batch with one stage more at a time.

    Fields: stage; batch; seconds a call, forward and forward+backward (gradients of the pose and of every
    learned parameter given), on the threads torch uses.
    """
    clock = CudaClock(quick) if torch.device(device).type == "cuda" else HostClock(quick)
    calls: dict[tuple[str, int, str], Call] = {}
    given: tuple[str, ...] = ()
    for stage, more in {"the call by itself": (), **STAGES}.items():
        given += more
        batch = STAGE_BATCH if stage in STAGES else 1
        learned = {"bone_rotation", "group_scale", "body_rotation"} & set(given)
        wanted = ("pose_3d", *(name.replace("group", "bone") for name in sorted(learned)))
        problem = Problem.draw(batch, device=device, give=given, wanted=wanted)
        calls[stage, batch, "forward"] = clock.prepare([problem.forward(ops.augment)], graph=True)
        calls[stage, batch, "forward+backward"] = clock.prepare(
            [problem.forward_backward(ops.augment)], graph=True
        )
    names = {" ".join(map(str, key)): key for key in calls}
    rounds = timed_rounds({name: calls[key] for name, key in names.items()}, clock)
    found: dict[str, dict[str, Any]] = {}
    for name, (stage, batch, direction) in names.items():
        row = found.setdefault(stage, {"stage": stage, "batch": batch, "seconds": {}})
        row["seconds"][direction] = statistics.median(rounds[name])
    return list(found.values())


def _contestants(
    problems: list[Problem], direction: str, clock: Clock, quick: bool
) -> tuple[dict[str, Call], str | None]:
    """The timed calls by name, all seen to agree, and the compile mode chosen."""
    bind = Problem.forward if direction == "forward" else Problem.forward_backward

    def calls(augment: Augment) -> list[Call]:
        return [bind(problem, augment) for problem in problems]

    small = problems[0].head(1024)
    check_agreement("ours", bind(small, ops.augment)(), bind(small, reference.augment)())
    ours = {"ours": clock.prepare(calls(ops.augment), graph=True)}
    if not clock.fits(problems[0].batch):
        return ours, None
    expected = calls(reference.augment)[0]()
    check_agreement("ours", calls(ops.augment)[0](), expected)
    rivals: dict[str, Augment] = {"reference": reference.augment, "poseaug_style": poseaug_style}
    prepared = {name: clock.prepare(calls(rival), graph=False) for name, rival in rivals.items()}
    check_agreement("poseaug_style", calls(poseaug_style)[0](), expected)
    trial = {}
    for mode in COMPILE_MODES[: 1 if quick else None]:
        compiled = calls(Compiled(mode))
        check_agreement(f"compiled ({mode})", compiled[0](), expected)
        call = clock.prepare(compiled, graph=True)
        trial[mode] = (_estimate(call, clock), call)
    best = min(trial, key=lambda mode: trial[mode][0])
    return {**ours, **prepared, "compiled": trial[best][1]}, best


def check_agreement(name: str, actual: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """Compare a contestant's results (N, …) with the reference's, pose by pose.

    Raises:
        RuntimeError: if fewer than AGREEING of the poses are within AGREEMENT.
    """
    for which, (a, e) in enumerate(zip(actual, expected, strict=True)):
        a, e = a.flatten(1).double(), e.flatten(1).double()
        error = (a - e).norm(dim=1) / e.norm(dim=1).clamp_min(1e-6)
        share = (error <= AGREEMENT).double().mean().item()
        if share < AGREEING:
            raise RuntimeError(
                f"{name}: result {which} agrees with the reference to {AGREEMENT} on {share:.2%} of the "
                f"poses, expected {AGREEING:.1%}; nothing is timed"
            )


def _yardsticks(device: str, clock: Clock) -> dict[str, Call]:
    """A copy of COPY_BYTES and a call that does nothing."""
    source = torch.zeros(COPY_BYTES // 4, device=device)
    target, tiny = torch.empty_like(source), source[:1]
    copy, nothing = (lambda: target.copy_(source)), (lambda: torch.ops.aten.alias.default(tiny))
    return {"copy": clock.prepare([copy], graph=True), "empty_call": nothing}


def timed_rounds(contestants: dict[str, Call], clock: Clock) -> dict[str, list[float]]:
    """Seconds a call of every contestant in every round, in slots of equal length, in rotating order.

    A contestant that takes seconds a call leaves after the rounds that BUDGET allows, at least three.
    """
    names = list(contestants)
    once = {name: _estimate(contestants[name], clock) for name in names}
    calls = {name: max(1, round(clock.slot / once[name])) for name in names}
    rounds = {name: max(3, min(clock.rounds, int(BUDGET / once[name]))) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(clock.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if turn < rounds[name]:
                times[name].append(clock.seconds(contestants[name], calls[name]))
    return times


def _estimate(call: Call, clock: Clock) -> float:
    """A first idea of the seconds a call."""
    once = clock.seconds(call, 1)
    return max(1e-7, once if once > clock.slot else min(once, clock.seconds(call, 3)))


class HostClock:
    """Times calls on the CPU."""

    def __init__(self, quick: bool) -> None:
        self.rounds, self.slot = (5, 0.01) if quick else (11, 0.05)

    def sets_of_inputs(self, batch: int) -> int:
        """One: a training step augments what the generator has just written, so it lies in cache."""
        return 1

    def fits(self, batch: int) -> bool:
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return batch * MEMORY_PER_POSE < available

    def prepare(self, calls: list[Call], graph: bool) -> Call:
        calls[0]()
        return calls[0]

    def seconds(self, call: Call, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls


class CudaClock:
    """Times calls on the current CUDA device by events."""

    def __init__(self, quick: bool) -> None:
        self.rounds, self.slot = (5, 0.01) if quick else (11, 0.03)
        self.sizes: dict[int, int] = {}

    def sets_of_inputs(self, batch: int) -> int:
        """Enough that small inputs do not sit in the L1 cache of the previous replay."""
        return 8 if batch <= 16_384 else 1

    def fits(self, batch: int) -> bool:
        return batch * MEMORY_PER_POSE < torch.cuda.mem_get_info()[0]

    def prepare(self, calls: list[Call], graph: bool) -> Call:
        """One callable that makes all calls; ``seconds`` divides by their number."""

        def every() -> None:
            for call in calls:
                call()

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                every()
        torch.cuda.current_stream().wait_stream(side)
        prepared: Call = every
        if graph:
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured):
                every()
            prepared = captured.replay
        self.sizes[id(prepared)] = len(calls)
        return prepared

    def seconds(self, call: Call, calls: int) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1e-3 / calls / self.sizes.get(id(call), 1)


Clock = HostClock | CudaClock
