"""What a run shows of itself, from its folder alone: a table, four pictures, a page that needs no network."""

from __future__ import annotations

import io
from pathlib import Path

from poseda.report.alignment import describe_alignment
from poseda.report.summary import (
    COLUMNS,
    MOTION,
    SPLIT_TITLES,
    Summary,
    cells,
    columns_of,
    headings,
    markdown,
    shown_split,
    summarise,
)
from poseda.runs.record import RunRecord

__all__ = [
    "COLUMNS",
    "MOTION",
    "SPLIT_TITLES",
    "RunRecord",
    "Summary",
    "cells",
    "columns_of",
    "describe_alignment",
    "headings",
    "markdown",
    "shown_split",
    "summarise",
    "write_report",
]


def write_report(out: Path) -> list[Path]:
    """Draw every picture of a run folder and write report.md and report.html; return what was written."""
    from poseda.report.page import build_page
    from poseda.report.pictures import draw_joints, draw_placements, draw_poses, draw_training
    from poseda.runs import RunFolder
    from poseda.runs.atomic import write_atomically

    folder, record = RunFolder(out), RunRecord.read(out)
    split = shown_split(record.results)
    pictures = {
        "placements.png": (
            "Where people stand on the screen, and how large",
            draw_placements(record.gallery),
        ),
        "poses.png": (
            "Poses on their way through the method",
            draw_poses(record.gallery, record.gallery_notes["parents"]),
        ),
        "joints.png": (f"Error of each joint on {SPLIT_TITLES[split]}", draw_joints(record.results, split)),
        "training.png": ("Training", draw_training(record.journal)),
    }
    written = []
    text = ["# poseda run\n", markdown(summarise(record.results, split)), f"\nOn {SPLIT_TITLES[split]}.\n"]
    if record.gate is not None:
        text.append(f"{record.gate['sentence']}\n")
    text += [f"- {name}: {value}" for name, value in record.card.items()]
    for name, (title, figure) in pictures.items():
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=130)
        path = folder.plots_path / name
        write_atomically(path, picture.getvalue())
        written.append(path)
        text.append(f"\n![{title}]({path.relative_to(folder.path)})")
    write_atomically(folder.summary_path, ("\n".join(text) + "\n").encode())
    write_atomically(folder.report_path, build_page(record).encode())
    return [*written, folder.summary_path, folder.report_path]
