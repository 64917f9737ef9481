"""Tables of the speed of the fused op."""

from __future__ import annotations

from benchmarks.tables.records import Table, Tables, read
from poseda.bench.record import HEADINGS, STAGE_HEADINGS, rows, show_seconds, stage_rows


def op_speed() -> Table:
    return HEADINGS, list(rows(read("cpu")["results"]))


def op_stages() -> Table:
    return STAGE_HEADINGS, list(stage_rows(read("cpu")["stages"]))


def door_speed() -> Table:
    """One thread, beside the two rivals that people could use instead."""
    cells = []
    for result in read("cpu")["results"]:
        if result["threads"] != 1 or result["batch"] == 1:
            continue
        seconds, speedup = result["seconds"], result["speedup"]
        direction = {"forward": "forward", "both": "forward + backward"}.get(
            result["direction"], result["direction"]
        )
        rivals_ = [name for name in speedup if name in seconds]
        cells.append(
            [f"{result['batch']:,}", direction, show_seconds(seconds["ours"])]
            + [f"{speedup[name]:.0f}x" for name in rivals_]
        )
    return ("poses", "pass", "fused op", *(f"faster than {name}" for name in rivals_)), cells


GPU = "NVIDIA_H200"
"""What the names of the records of the GPU begin with."""


def gpu_kernels() -> Table:
    from benchmarks.op.kernels import table

    return table(read(f"{GPU}_kernels"), (1024, 131_072, 1_048_576))


def gpu_plain() -> Table:
    """A million poses by the general kernels, before the plain ones and with them."""
    names = ("in sequences of 27", "mpi_inf_3dhp", "chain of 64")
    seconds = [
        {
            (row["variant"], row["direction"]): row["seconds"]
            for row in read(record)["rows"]
            if row["poses"] == 1 << 20
        }
        for record in (f"{GPU}_kernels_before", f"{GPU}_kernels")
    ]
    cells = [
        [f"{name}, {way}", *(show_seconds(found[name, way]) for found in seconds)]
        for name in names
        for way in ("forward", "adjoint")
    ]
    return ("1,048,576 poses", "before", "plain"), cells


def gpu_host() -> Table:
    from benchmarks.op.host_path import YARDSTICKS

    results = read(f"{GPU}_host_path")["results"]
    cells = [
        [
            name,
            *(f"{show_seconds(row['seconds'][name])}, {row['ratio'][name]:.2f} x" for row in results),
            unit,
        ]
        for name, unit in YARDSTICKS.items()
    ]
    heads = ("one pose" if row["batch"] == 1 else f"{row['batch']:,} poses" for row in results)
    return ("host time of a call", *heads, "yardstick"), cells


TABLES: Tables = {
    "door-speed": door_speed,
    "op-speed": op_speed,
    "op-stages": op_stages,
    "gpu-kernels": gpu_kernels,
    "gpu-plain": gpu_plain,
    "gpu-host": gpu_host,
}
"""Those of this module by the name in their mark."""
