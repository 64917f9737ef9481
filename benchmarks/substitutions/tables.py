"""The table of a record of ``python -m benchmarks.substitutions``."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from benchmarks.real.clips import BYSTANDERS

TITLES = {
    "one_pass": "(nothing, and no upward direction found)",
    "own": "nothing",
    "gravity": "upward direction",
    "lengths": "bone lengths",
    "size": "size of the person",
    "offsets": "constant offsets of joints",
    "limbs": "(limbs alone, as detected)",
    "clean": "limbs alone, at their true places in the picture",
    "complete": "the same, and all twelve seen",
    "place": "distance, and joints on their rays",
    "all": "all together",
}
"""What is put in, in the order of the table's lines."""


def by_substitution(record: dict[str, Any]) -> tuple[Sequence[str], list[list[str]]]:
    """Error in mm by what is put in, where that was measured, and by lifter: mean over views and seeds."""
    groups = list(dict.fromkeys(scene["group"] for scene in record["scenes"]))
    columns = list(dict.fromkeys((scene["group"], scene["arm"]) for scene in record["scenes"]))
    columns.sort(key=lambda column: groups.index(column[0]))  # the arms of a group stand together
    lines = []
    for name, title in TITLES.items():
        errors = [_errors(record, column, name) for column in columns]
        if any(errors):
            lines.append([title, *(f"{mean(found):.1f}" if found else "" for found in errors)])
    return ("the truth of", *(f"{group}: {arm}" for group, arm in columns)), lines


def sentence(record: dict[str, Any]) -> str:
    """How many views the means are of."""
    scored = [(scene, view) for scene in record["scenes"] for view in scene["views"]]
    views = {(scene["group"], view) for scene, view in scored if view not in BYSTANDERS}
    groups = dict.fromkeys(scene["group"] for scene in record["scenes"])
    counts = ", ".join(f"{group} {sum(one == group for one, _ in views)}" for group in groups)
    left = sorted({view for _, view in scored if view in BYSTANDERS})
    without = f" Without {', '.join(left)}, whose detections follow another person." if left else ""
    return f"MPJPE in mm, mean over views ({counts}) and seeds.{without}"


def _errors(record: dict[str, Any], column: tuple[str, str], name: str) -> list[float]:
    return [
        found["errors"][name]
        for scene in record["scenes"]
        if (scene["group"], scene["arm"]) == column
        for view, found in scene["views"].items()
        if view not in BYSTANDERS and name in found["errors"]
    ]
