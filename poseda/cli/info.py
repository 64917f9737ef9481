"""`poseda info`."""

from __future__ import annotations

from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.cli.screen import print_json, say
from poseda.config import InfoConfig

PROGRAM = Program(
    "poseda info",
    "Show versions, instruction set, CUDA library, threads and the package's lifter.",
    (InfoConfig,),
)


def run(arguments: list[str]) -> int:
    """Print versions, instruction set, CUDA library, threads and what the package's lifter is."""
    options = read(PROGRAM, arguments, lambda given: given.build(InfoConfig))

    from poseda import pretrained
    from poseda.ops._native import build_info

    info = build_info()
    if options.json:
        print_json(info | {"pretrained": pretrained.card()})
        return 0
    info |= pretrained.described()
    width = max(map(len, info))
    for name, value in info.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        say(f"{name:<{width}}  {'none' if shown in (None, '') else shown}")
    return 0
