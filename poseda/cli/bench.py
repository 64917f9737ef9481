"""`poseda bench`."""

from __future__ import annotations


def run(arguments: list[str]) -> int:
    """Time the op against its rivals."""
    from poseda import bench

    return bench.main(arguments)
