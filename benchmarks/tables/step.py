"""Tables of the time of a training step."""

from __future__ import annotations

from benchmarks.tables.records import Table, Tables, read
from poseda.bench.record import show_seconds


def training_step(record: str = "training_step") -> Table:
    from benchmarks.step.step import tables

    _, headings, cells = next(iter(tables(read(record))))
    return headings, cells


def gpu_step() -> Table:
    return training_step("NVIDIA_H200_training_step")


def wide_step() -> Table:
    """A step of the arm wide in every way."""
    from benchmarks.step.wide import table

    return table(read("wide_step"))


def launches() -> Table:
    """Kernels of a training step by part."""
    from benchmarks.step.launches import table

    return table(read("launches"))


def processes() -> Table:
    cells = [
        (str(row["processes"]), f"{row['batch']:,}", show_seconds(row["seconds"]), f"{row['speedup']:.2f}x")
        for row in read("processes")["results"]
    ]
    return ("processes", "batch", "a step", "against one process"), cells


def profile() -> Table:
    record = read("profile")
    cells = [
        (phase["phase"], f"{phase['steps']:,}", f"{phase['seconds']:.1f} s") for phase in record["phases"]
    ]
    return ("phase", "steps", "time"), cells


TABLES: Tables = {
    "training-step": training_step,
    "gpu-step": gpu_step,
    "launches": launches,
    "wide-step": wide_step,
    "processes": processes,
    "profile": profile,
}
"""Those of this module by the name in their mark."""
