"""The report of a run, from its folder alone: a table of its arms and a page that works offline."""

from __future__ import annotations

from pathlib import Path

from poseda.datasets.account_words import account_lines
from poseda.report.alignment import describe_alignment
from poseda.report.summary import (
    COLUMNS,
    MOTION,
    SPLIT_TITLES,
    Summary,
    by_labels,
    cells,
    columns_of,
    headings,
    markdown,
    ranked,
    shown_split,
    summarise,
)
from poseda.report.tables import Table
from poseda.runs.record import RunRecord

TERMINAL_COLUMNS = {
    "reprojection_px": ("reprojection px", 1),
    "asymmetry_percent": ("asymmetry %", 1),
    "inconstancy_percent": ("inconstancy %", 1),
    "implausible_percent": ("implausible %", 1),
    "disagreement_mm": ("cameras apart mm", 0),
}
"""Short headings and decimals of the label-free numbers that are good where they are low; they fit 80
columns."""

__all__ = [
    "COLUMNS",
    "MOTION",
    "SPLIT_TITLES",
    "RunRecord",
    "Summary",
    "by_labels",
    "cells",
    "columns_of",
    "describe_alignment",
    "estimates_at_limit",
    "headings",
    "labelfree_table",
    "markdown",
    "ranked",
    "shown_split",
    "summarise",
    "write_report",
]


def write_report(out: Path) -> list[Path]:
    """Write report.md, a summary in text, and report.html, the whole report; return their paths.

    Raises:
        ValueError: if a file of the run folder is damaged.
        OSError: if a file is missing, or the folder cannot be written.
    """
    from poseda.report.page import build_page
    from poseda.runs import RunFolder
    from poseda.runs.atomic import write_atomically

    folder, record = RunFolder(out), RunRecord.read(out)
    contents = {folder.summary_path: summary_text(record), folder.report_path: build_page(record)}
    for path, text in contents.items():
        write_atomically(path, text.encode())
    return list(contents)


def labelfree_table(record: RunRecord) -> Table | None:
    """The label-free numbers of a run's models, for a terminal; None in runs older than they are."""
    from poseda.report.headline import Models
    from poseda.report.sections import labelfree

    shown = labelfree(record, Models.of(record), TERMINAL_COLUMNS)
    return None if shown is None else shown["table"]


def estimates_at_limit(record: RunRecord) -> list[str]:
    """What says that estimates stand at a limit, see :func:`poseda.report.sections.at_limits`."""
    from poseda.report.headline import Models
    from poseda.report.sections import at_limits

    return at_limits(record, Models.of(record))


def summary_text(record: RunRecord) -> str:
    """The table of arms, the verdict and the protocol card as Markdown."""
    from poseda.report.headline import Models
    from poseda.report.sections import protocol

    split = shown_split(record.results)
    lines = [
        "# poseda run\n",
        markdown(ranked(summarise(record.results, split))),
        f"\nOn {SPLIT_TITLES[split]}.\n",
    ]
    if record.gate is not None:
        evidence = record.gate.get("evidence")
        lines.append(f"{record.gate['sentence']}\n")
        lines += [f"{evidence['sentence']}.\n"] if evidence else []
    card = protocol(record, Models.of(record))["card"]
    lines += [f"- {name}: {value}" for name, value in card.items()]
    lines += [f"- footage: {line}" for line in account_lines(record.accounts)]
    return "\n".join(lines) + "\n"
