"""`poseda bench`."""

from __future__ import annotations

from poseda.cli.options import read
from poseda.cli.program import Program, UsageError
from poseda.cli.screen import say
from poseda.config import BenchConfig

PROGRAM = Program("poseda bench", "Time the fused op against its rivals.", (BenchConfig,))


def run(arguments: list[str]) -> int:
    """Time the op against its rivals, or show an earlier record."""
    options = read(PROGRAM, arguments, lambda given: given.build(BenchConfig))

    from poseda.bench import op
    from poseda.bench.record import check_writable, markdown, read_record
    from poseda.device import choose

    try:
        if options.markdown is not None:
            say(read_record(options.markdown, markdown))
            return 0
        device = choose(options.device)
        if options.json is not None and str(options.json) != "-":
            check_writable(options.json)
    except ValueError as error:
        raise UsageError(str(error)) from error
    op.run(
        device=device.type if options.device == "auto" else options.device,
        batches=options.batches,
        threads=options.threads,
        json_path=options.json,
        quick=options.quick,
        with_pose_gradient=options.pose_gradient,
    )
    return 0
