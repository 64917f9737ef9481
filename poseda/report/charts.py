"""Where the marks of a chart lie: numbers and SVG path data, which the templates draw.

A chart lies in a box of 100 by 100 that the page stretches to its width. Its texts keep their size, so that
they are legible on a narrow screen, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from poseda.report.arms import tone_of
from poseda.report.curves import Curve
from poseda.report.tables import MINUS

CELLS = 30
"""Cells of a map along its horizontal axis."""

SHADES = 7
"""Shades of a map."""

BINS = 48
"""Bins of a histogram."""


class Tick(NamedTuple):
    """A number beside an axis, and where it stands on it, percent."""

    at: float
    text: str


class Mark(NamedTuple):
    """A path in the box of 100 by 100.

    Args:
        tone: class that colours it.
        style: class that says whether it is filled, outlined or dashed.
        name: shown when a pointer rests on it.
        path: SVG path data.
    """

    tone: str
    style: str
    name: str
    path: str


@dataclass(frozen=True)
class Chart:
    """Marks over one horizontal axis.

    Args:
        label: of the axis.
        marks: drawn in this order.
        ticks: along the horizontal axis, from the left.
        levels: along the vertical axis, from the top.
    """

    label: str
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    levels: tuple[Tick, ...] = ()


class Dot(NamedTuple):
    """One value of a row: who it belongs to, the class that colours it, its place in percent, its text."""

    arm: str
    tone: str
    at: float
    text: str


class DotRow(NamedTuple):
    """A row of dots."""

    name: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class DotChart:
    """Rows of dots over one horizontal axis."""

    label: str
    rows: tuple[DotRow, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class DensityMap:
    """Where on the screen things are, as shaded cells.

    Args:
        title: of the map.
        tone: class that colours it.
        height: of the map, which is 100 wide.
        shades: opacity and SVG path data of the cells that have it.
    """

    title: str
    tone: str
    height: float
    shades: tuple[tuple[float, str], ...]


def density_map(root: np.ndarray, reach: tuple[float, float], tone: str, title: str) -> DensityMap:
    """Count roots in square cells of the screen.

    Args:
        root: (N, 2) screen coordinates.
        reach: the map shows from minus these to these, u and v.
        tone: class that colours it.
        title: of the map.
    """
    step = 100 / CELLS
    rows = max(2, round(CELLS * reach[1] / reach[0]))
    down = rows / CELLS * reach[0]
    counts, _, _ = np.histogram2d(
        root[:, 1],
        root[:, 0],
        bins=(np.linspace(-down, down, rows + 1), np.linspace(-reach[0], reach[0], CELLS + 1)),
    )
    level = np.ceil(SHADES * np.sqrt(counts / max(counts.max(), 1))).astype(int)
    shades = []
    for shade in range(1, SHADES + 1):
        cells = "".join(
            f"M{column * step:.2f} {row * step:.2f}h{step:.2f}v{step:.2f}h-{step:.2f}z"
            for row, column in np.argwhere(level == shade)
        )
        if cells:
            shades.append((round(0.12 + 0.88 * shade / SHADES, 2), cells))
    return DensityMap(title, tone, rows * step, tuple(shades))


def histogram(
    series: Mapping[str, tuple[np.ndarray, str]],
    label: str,
    *,
    signed: bool = False,
    ticks: int = 6,
) -> Chart:
    """Several distributions over one axis: the first is filled, the others are outlines.

    Args:
        series: name to values (N,) and the class that colours them.
        label: of the axis.
        signed: values may be negative; 0 is in the middle of the axis, else at its left end.
        ticks: about how many numbers stand beside the axis.
    """
    reach = max(float(np.quantile(np.abs(values), 0.995)) for values, _ in series.values())
    last = max(reach, 1e-6)
    first = -last if signed else 0.0
    edges = np.linspace(first, last, BINS + 1)
    densities = {name: np.histogram(values, edges, density=True)[0] for name, (values, _) in series.items()}
    top = max(float(np.nan_to_num(density).max()) for density in densities.values()) or 1.0
    x = np.linspace(0, 100, BINS + 1)
    marks = []
    for number, (name, (_, tone)) in enumerate(series.items()):
        y = 100 - 96 * np.nan_to_num(densities[name]) / top
        steps = "".join(f"H{a:.2f}V{v:.2f}H{b:.2f}" for a, b, v in zip(x[:-1], x[1:], y, strict=True))
        marks.append(Mark(tone, "outline" if number else "filled", name, f"M0 100{steps}V100"))
    return Chart(label, tuple(marks), _ticks(first, last, ticks))


def dots(rows: Mapping[str, Mapping[str, float]], label: str) -> DotChart:
    """One row for each name, one dot for each arm.

    Args:
        rows: name to values by arm, in one unit.
        label: of the axis.
    """
    largest = max((value for values in rows.values() for value in values.values()), default=1.0) * 1.04 or 1.0
    drawn = tuple(
        DotRow(
            name,
            tuple(
                Dot(arm, tone_of(arm), 100 * value / largest, f"{value:.1f}") for arm, value in values.items()
            ),
        )
        for name, values in rows.items()
    )
    return DotChart(label, drawn, _ticks(0, largest, 6))


def lines(series: Sequence[Curve], label: str) -> Chart:
    """Curves over training steps; both axes begin at 0."""
    last = max((step for curve in series for step, _ in curve.points), default=1.0) or 1.0
    largest = max((value for curve in series for _, value in curve.points), default=1.0) * 1.06 or 1.0
    marks = tuple(
        Mark(
            tone_of(curve.arm),
            "curve dashed" if curve.dashed else "curve",
            curve.arm,
            "M"
            + "L".join(f"{100 * step / last:.2f} {100 - 96 * v / largest:.2f}" for step, v in curve.points),
        )
        for curve in series
    )
    levels = tuple(Tick(100 - 96 * value / largest, f"{value:g}") for value in round_values(largest, 4))
    return Chart(label, marks, _ticks(0, last, 4), levels)


def _ticks(first: float, last: float, count: int) -> tuple[Tick, ...]:
    """Numbers along an axis that begins at 0 or has it in its middle."""
    upward = round_values(last, max(2, count // 2) if first < 0 else count)
    values = [-value for value in upward[:0:-1] if first < 0] + upward
    return tuple(
        Tick(100 * (value - first) / (last - first), f"{value:g}".replace("-", MINUS)) for value in values
    )


def round_values(largest: float, count: int) -> list[float]:
    """Round values from 0 to at most ``largest``, about ``count`` of them."""
    rough = largest / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(float(step * number), 10) for number in range(int(largest / step + 1e-9) + 1)]
