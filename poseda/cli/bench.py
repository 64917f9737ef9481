"""`poseda bench`."""

from __future__ import annotations

from poseda.cli.measuring import device_to_measure
from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.config import BenchConfig

PROGRAM = Program("poseda bench", "Time the fused op against its rivals.", (BenchConfig,), of_run=("device",))


def run(arguments: list[str]) -> int:
    """Time the op against its rivals, or show an earlier record."""
    options = read(PROGRAM, arguments, lambda given: given.build(BenchConfig))

    from poseda.bench import op
    from poseda.bench.record import markdown

    device = device_to_measure(options, markdown)
    if device is None:
        return 0
    op.run(
        device=device.partition(":")[0] if options.device == "auto" else options.device,
        batches=options.batches,
        threads=options.threads,
        json_path=options.json,
        quick=options.quick,
        with_pose_gradient=options.pose_gradient,
    )
    return 0
