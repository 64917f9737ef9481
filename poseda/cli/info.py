"""`poseda info`."""

from __future__ import annotations

from poseda.cli.options import UsageError


def run(arguments: list[str]) -> int:
    """Print what was built and what is in use."""
    if arguments:
        if arguments[0] in ("-h", "--help"):
            print("usage: poseda info\n\nversions, instruction set, CUDA library, threads")
            return 0
        raise UsageError(f"info: expected no options, got {' '.join(arguments)}")
    from poseda.native import build_info

    info = build_info()
    width = max(map(len, info))
    for name, value in info.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        print(f"{name:<{width}}  {'none' if shown in (None, '') else shown}")
    return 0
