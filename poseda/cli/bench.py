"""`poseda bench`."""

from __future__ import annotations


def run(arguments: list[str]) -> int:
    """Time the op against its rivals."""
    from poseda.bench import op as bench

    return bench.main(arguments)
