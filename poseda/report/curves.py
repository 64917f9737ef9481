"""Which training curves the page shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Panel(NamedTuple):
    """One chart: values of a phase's journal, the first solid and any other dashed, times a unit."""

    phase: str
    names: tuple[str, ...]
    unit: float


PANELS = {
    "Lifter: loss, mm": Panel("lifter", ("lifter_loss",), 1000.0),
    "Discriminators: loss (solid: 2D, dashed: 3D)": Panel(
        "generator", ("discriminator_2d", "discriminator_3d"), 1.0
    ),
    "Generator: standard deviation of bone rotations, radians": Panel("generator", ("bone_spread",), 1.0),
    "Generator: rotation (solid: bones, 1 \N{MINUS SIGN} cos; dashed: body, radians)": Panel(
        "generator", ("bone_turn", "body_turn"), 1.0
    ),
}
"""By title."""


class Curve(NamedTuple):
    """One arm's values: dashed or not, and points (step, value)."""

    arm: str
    dashed: bool
    points: list[tuple[float, float]]


def curves(journal: Sequence[dict[str, Any]], panel: Panel) -> list[Curve]:
    """The curves of a chart, of the first seed."""
    first = min((entry["seed"] for entry in journal), default=0)
    found = []
    for arm in dict.fromkeys(entry["arm"] for entry in journal):
        rows = [e for e in journal if (e["arm"], e["phase"], e["seed"]) == (arm, panel.phase, first)]
        for number, name in enumerate(panel.names):
            points = [
                (row["step"], panel.unit * row[name])
                for row in rows
                if name in row and math.isfinite(row[name])
            ]
            if points:
                found.append(Curve(arm, number > 0, points))
    return found
