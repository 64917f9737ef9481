"""Clocks that time calls of several contestants in alternating rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import torch

BUDGET = 12.0
"""Seconds that one contestant may take in one record. A slower one gets fewer rounds."""

MEMORY_PER_POSE = 48 * 1024
"""What the eager rivals need in the backward pass, bytes a pose; where it does not fit they are left out."""

Call = Callable[[], Any]


def timed_rounds(contestants: dict[str, Call], clock: Clock) -> dict[str, list[float]]:
    """Seconds a call of every contestant in every round, in slots of equal length, in rotating order.

    A contestant that takes seconds a call leaves after the rounds that BUDGET allows, at least three.
    """
    names = list(contestants)
    once = {name: estimate(contestants[name], clock) for name in names}
    calls = {name: max(1, round(clock.slot / once[name])) for name in names}
    rounds = {name: max(3, min(clock.rounds, int(BUDGET / once[name]))) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(clock.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if number < rounds[name]:
                times[name].append(clock.seconds(contestants[name], calls[name]))
    return times


def estimate(call: Call, clock: Clock) -> float:
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
        self.kept: list[Any] = []

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
            self.kept.append((captured, calls))  # a graph does not keep what it reads
        self.kept.append(prepared)  # or another call might get its id
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


def clock_of(device: str | torch.device, quick: bool) -> Clock:
    """The clock of a device. A quick one takes fewer and shorter rounds."""
    return CudaClock(quick) if torch.device(device).type == "cuda" else HostClock(quick)
