"""Threads of a command on cores that others use, too.

OpenMP's threads wait for each other in a busy loop. Where a core is taken by another program, that loop takes
the time in which the late thread could have run: with two threads on two busy cores a training step took 15
times as long as with threads that sleep. So they sleep, unless the user says otherwise.
"""

from __future__ import annotations

import os
import sys

WAIT = "OMP_WAIT_POLICY"

ASKED = (WAIT, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables of the environment by which users say how threads wait."""

BUSY = 0.5
"""Share of the cores that others must take before it is said."""


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait. This must come before torch is imported."""
    if "torch" not in sys.modules and not any(name in os.environ for name in ASKED):
        os.environ[WAIT] = "PASSIVE"


def busy_cores() -> str | None:
    """A sentence on cores that other programs use, and what helps; None where most are free."""
    if "OMP_NUM_THREADS" in os.environ:
        return None
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    if cores == 1 or load < BUSY * cores:
        return None
    return (
        f"other programs use the {cores} cores (load {load:.1f}); with OMP_NUM_THREADS=1 before the command "
        f"this run may be faster"
    )
