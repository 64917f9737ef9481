"""Which training curves are shown, whoever draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Panel(NamedTuple):
    """One chart: values of a phase's journal, the first solid and any other dashed, times a unit."""

    phase: str
    names: tuple[str, ...]
    unit: float


PANELS = {
    "lifter loss, mm": Panel("lifter", ("lifter_loss",), 1000.0),
    "discriminator losses: 2D solid, 3D dashed": Panel(
        "generator", ("discriminator_2d", "discriminator_3d"), 1.0
    ),
    "spread of bone rotations over the batch, rad": Panel("generator", ("bone_spread",), 1.0),
    "turns: bones, 1 - cos, solid; body, radians, dashed": Panel(
        "generator", ("bone_turn", "body_turn"), 1.0
    ),
}


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
            points = [(row["step"], panel.unit * row[name]) for row in rows if name in row]
            if points:
                found.append(Curve(arm, number > 0, points))
    return found
