"""Threads of a command on cores that others use, too.

OpenMP's threads wait for each other in a busy loop. Where a core is taken by another program, that loop takes
the time in which the late thread could have run: with two threads on two busy cores a training step took 15
times as long as with threads that sleep. Threads that sleep at once, though, wake too late for the short
operators of a step: two are no faster than one. So they loop for a moment and then sleep, or sleep at once
where cores are busy when the command starts. A user may say otherwise.

A step of an earlier network of width 256 took, with two threads on two cores, 36 to 49 ms asleep, 29 to 34 ms
with this loop and 24 to 26 ms with torch's own; with one core busy 39, 52 and 64 ms.
"""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from pathlib import Path

WAIT, LOOPS = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"

MOMENT = "1000"
"""Turns of the loop before a thread sleeps: a few microseconds."""

ASKED = (WAIT, LOOPS, "KMP_BLOCKTIME")
"""Variables of the environment by which users say how threads wait."""

BUSY = 0.5
"""Share of the cores that others must take before it is said."""

COUNTS = Path("/proc/stat")
"""Where Linux counts the time of its cores."""

GLANCE = 0.1
"""Seconds for which the cores are watched."""


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait, at the latest after a moment.

    This must come before torch is imported.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in ASKED):
        os.environ[WAIT] = "PASSIVE"
        if not _busy():
            os.environ[LOOPS] = MOMENT


def _cores() -> int:
    # macOS has no such sets of cores.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _taken() -> float:
    """Share of the cores that programs use at this moment, while this one sleeps.

    Linux counts the time of each core. Elsewhere it is the load of the last minute, in which programs that
    have ended still count.
    """
    before = _spent()
    time.sleep(GLANCE)
    after = _spent()
    if before is None or after is None or after[1] <= before[1]:
        return os.getloadavg()[0] / _cores() if hasattr(os, "getloadavg") else 0.0
    return (after[0] - before[0]) / (after[1] - before[1])


def _spent() -> tuple[int, int] | None:
    """Time of all cores so far, in ticks: with work, and in all; None where the system does not say."""
    try:
        ticks = [int(word) for word in COUNTS.read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    if len(ticks) < 5:
        return None
    idle = ticks[3] + ticks[4]  # waiting for a disk is idle, too
    return sum(ticks) - idle, sum(ticks)


def _busy() -> bool:
    return _taken() >= BUSY


def busy_cores() -> str | None:
    """A sentence on cores that other programs use, and what helps; None where most are free."""
    if "OMP_NUM_THREADS" in os.environ:
        return None
    cores = _cores()
    if cores == 1 or not _busy():
        return None
    return (
        f"other programs use {100 * _taken():.0f} % of the {cores} cores; with OMP_NUM_THREADS=1 before the "
        f"command this run may be faster"
    )
