"""The benchmark of `augment`: ours against the rivals of :mod:`poseda.bench.rivals`, side by side in one run.

Before anything is timed, all contestants must agree. Then they are timed in short slots, one after the other,
in many rounds. So another program on the machine slows all of them alike. A time is the median over rounds, a
ratio the median of the rounds' ratios. The copy bandwidth of the machine is measured in the same rounds. On
CUDA, calls are timed by events over several sets of inputs. There ours and the compiled reference are
replayed from CUDA graphs.

``poseda bench --json FILE`` measures and records, ``--markdown FILE`` prints a record as Markdown.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from operator import truediv
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poseda import ops
from poseda.bench.clock import Call, Clock, CudaClock, clock_of, estimate, timed_rounds
from poseda.bench.record import RIVALS, machine, save_record, stage_table, table
from poseda.bench.rivals import COMPILE_MODES, Augment, Compiled, Problem, poseaug_style
from poseda.ops import reference
from poseda.ops.samples import LEARNED

AGREEMENT = 1e-4
"""Largest error of a pose (or of its gradient), relative to its norm, at which contestants agree."""

AGREEING = 0.999
"""Share of the poses that must agree: where two joints tie for an extreme, rounding picks either."""

COPY_BYTES = 1 << 28
"""Size of the buffer that is copied to measure bandwidth: larger than any cache."""

BANDWIDTH_FROM = 65_536
"""Batches below this live in caches and launch latency; no share of the copy bandwidth is stated for them."""

DIRECTIONS = ("forward", "forward+backward")


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
        json_path: file to write, ``-`` for stdout, or None. A file holds what is measured, also when the rest
            is stopped.
        quick: fewer and shorter rounds and one compile mode, on CUDA one compiled program for all batches:
            for a first look.
        with_pose_gradient: also ask for the gradient of pose_3d, beside that of the learned parameters.

    Returns:
        One record per batch, direction and thread count; see :func:`_measure` for its fields.

    Raises:
        RuntimeError: if contestants disagree; nothing is timed then.
    """
    from rich.console import Console

    to_stdout = str(json_path) == "-"
    console = Console(stderr=to_stdout)
    before, results = torch.get_num_threads(), list[dict[str, Any]]()
    record: dict[str, Any] = {"machine": machine(device), "results": results}
    try:
        for count in threads if torch.device(device).type == "cpu" else threads[:1]:
            torch.set_num_threads(count)
            for batch in batches:
                for direction in DIRECTIONS:
                    with console.status(f"{device}, {count} threads, batch {batch:,}, {direction}"):
                        results.append(_measure(device, count, batch, direction, quick, with_pose_gradient))
                    if json_path is not None and not to_stdout:
                        save_record(json_path, record)
    finally:
        torch.set_num_threads(before)
    console.print(table(results))
    with console.status(f"{device}, stages"):
        record["stages"] = _measure_stages(device, quick)
    console.print(stage_table(record["stages"]))
    save_record(json_path, record)
    return results


def _measure(
    device: str, threads: int, batch: int, direction: str, quick: bool, with_pose_gradient: bool
) -> dict[str, Any]:
    """One record: the medians of all contestants at one batch, direction and thread count.

    Returns:
        Beside the arguments: ``wanted``, the tensors with a gradient. ``seconds`` of a call by contestant,
        None where it did not fit. ``speedup`` of ours by rival. ``compile_mode`` of the compiled reference.
        ``bytes``, the smallest traffic of the call. ``copy_bandwidth`` in bytes a second, and ``copy_share``,
        the part of it that ours reaches. ``empty_call``, seconds of a ``torch.ops`` call without work.
    """
    clock = clock_of(device, quick)
    sets = clock.sets_of_inputs(batch)
    wanted = (*LEARNED, *(("pose_3d",) if with_pose_gradient else ()))
    problems = [Problem.draw(batch, device=device, wanted=wanted, seed=seed) for seed in range(sets)]
    if not (quick and torch.device(device).type == "cuda"):  # where one program serves all batches
        torch._dynamo.reset()
    with torch._inductor.config.patch("cpp.threads", threads):
        contestants, mode = _contestants(problems, direction, clock, quick)
    rounds = timed_rounds({**contestants, **_yardsticks(device, clock)}, clock)
    case = {"device": device, "threads": threads, "batch": batch, "direction": direction}
    case |= {"dtype": "float32", "wanted": list(wanted)}
    return case | _medians(rounds, problems[0], direction, mode)


def _medians(
    rounds: dict[str, list[float]], problem: Problem, direction: str, mode: str | None
) -> dict[str, Any]:
    """The measured fields of a record, from the seconds of each contestant in each round."""
    seconds = {name: statistics.median(times) for name, times in rounds.items()}
    copy_bandwidth = 2 * COPY_BYTES / seconds["copy"]
    traffic = problem.forward_bytes() + (0 if direction == "forward" else problem.backward_bytes())
    share = traffic / seconds["ours"] / copy_bandwidth if problem.batch >= BANDWIDTH_FROM else None
    return {
        "seconds": {name: seconds.get(name) for name in ("ours", *RIVALS)},
        "speedup": {
            name: statistics.median(map(truediv, rounds[name], rounds["ours"]))
            for name in RIVALS
            if name in rounds
        },
        "compile_mode": mode,
        "bytes": traffic,
        "copy_bandwidth": copy_bandwidth,
        "copy_share": share,
        "empty_call": seconds["empty_call"],
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
    clock = clock_of(device, quick)
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
        compiled = calls(Compiled(mode, any_batch=quick and isinstance(clock, CudaClock)))
        check_agreement(f"compiled ({mode})", compiled[0](), expected)
        call = clock.prepare(compiled, graph=True)
        trial[mode] = (estimate(call, clock), call)
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
    tiny = torch.zeros(1, device=device)
    return {"copy": large_copy(device, clock), "empty_call": lambda: torch.ops.aten.alias.default(tiny)}


def large_copy(device: str, clock: Clock) -> Call:
    """A copy of COPY_BYTES, which measures the bandwidth."""
    source = torch.zeros(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return clock.prepare([lambda: target.copy_(source)], graph=True)
