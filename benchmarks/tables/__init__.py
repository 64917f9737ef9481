"""The tables of the READMEs, drawn from the records in benchmarks/results.

A record is what an experiment wrote with ``--json`` or into its folder. A test compares the READMEs.
"""

from __future__ import annotations

import re

from benchmarks.mocap.tables import markdown_table
from benchmarks.tables import arms, lifters, op, over_time, real, step, variants
from benchmarks.tables.records import Tables
from poseda.config.near import guess

READMES = ("README.md", "benchmarks/README.md")
"""Files that hold tables, from the checkout's root."""

MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n\n)(?:\|.*\n)+")
"""A mark, and the table after it."""

GROUPS = (arms, op, real, variants, lifters, step, over_time)
"""The modules that draw tables."""

TABLES: Tables = {name: drawn for group in GROUPS for name, drawn in group.TABLES.items()}
"""Every table by the name in its mark."""


def draw(name: str) -> str:
    """One table as Markdown.

    Raises:
        ValueError: if no table has that name.
    """
    if name not in TABLES:
        raise ValueError(f"table: expected one of {', '.join(TABLES)}, got {name!r}{guess(name, TABLES)}")
    return markdown_table(*TABLES[name]())


def refreshed(text: str) -> str:
    """A README with every marked table redrawn from its record."""
    return MARKED.sub(lambda found: found[1] + draw(found[2]).rstrip("\n") + "\n", text)
