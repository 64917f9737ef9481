"""Charts of the page as SVG text: colours come from its style sheet, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import get_args

import numpy as np

from poseda.config import Arm
from poseda.report.curves import Curve

KNOWN = get_args(Arm)

CELLS = 30
"""Cells of a map along each axis."""

LEVELS = 7
"""Shades of a map."""


def colour_class(arm: str) -> str:
    """The class that colours an arm's marks; arms of unknown name share one."""
    return f"arm-{arm}" if arm in KNOWN else "arm-other"


def density_map(root: np.ndarray, reach: tuple[float, float], tone: str, title: str) -> str:
    """Where roots lie on the screen.

    Args:
        root: (N, 2) screen coordinates.
        reach: the map shows from minus these to these, u and v.
        tone: class that colours it.
        title: read out in its place.
    """
    width = 240.0
    step = width / CELLS
    rows = max(2, round(CELLS * reach[1] / reach[0]))
    height = rows * step
    down = rows / CELLS * reach[0]
    counts, _, _ = np.histogram2d(
        root[:, 1],
        root[:, 0],
        bins=(np.linspace(-down, down, rows + 1), np.linspace(-reach[0], reach[0], CELLS + 1)),
    )
    level = np.ceil(LEVELS * np.sqrt(counts / max(counts.max(), 1))).astype(int)
    shades = []
    for shade in range(1, LEVELS + 1):
        cells = "".join(
            f"M{column * step:.1f} {row * step:.1f}h{step:.1f}v{step:.1f}h-{step:.1f}z"
            for row, column in np.argwhere(level == shade)
        )
        if cells:
            shades.append(f'<path d="{cells}" opacity="{0.12 + 0.88 * shade / LEVELS:.2f}"/>')
    middle = f"M{width / 2} 0V{height:.1f}M0 {height / 2:.1f}H{width}"
    return (
        f'<svg class="map" viewBox="0 0 {width} {height:.1f}" role="img" aria-label="{escape(title)}">'
        f'<path class="grid" d="{middle}"/><g class="{tone}">{"".join(shades)}</g></svg>'
    )


def histogram(
    series: Mapping[str, tuple[np.ndarray, str]],
    label: str,
    *,
    width: int = 1032,
    filled: int = 2,
    signed: bool = False,
) -> str:
    """Outlines of several distributions over one axis from 0.

    Args:
        series: name to values (N,) and the class that colours them.
        label: of the axis.
        width: of the chart, in its own units, which are about pixels.
        filled: so many of the first are filled.
        signed: values may be negative; 0 is in the middle of the axis.
    """
    height, bottom = 210, 36
    reach = max(float(np.quantile(np.abs(values), 0.995)) for values, _ in series.values())
    last = max(reach, 1e-6)
    first = -last if signed else 0.0
    edges = np.linspace(first, last, 49)
    densities = {name: np.histogram(values, edges, density=True)[0] for name, (values, _) in series.items()}
    top = max(float(density.max()) for density in densities.values()) or 1.0
    plot = height - bottom
    x = (edges - first) / (last - first) * width
    marks = []
    for number, (name, (_, tone)) in enumerate(series.items()):
        y = plot - densities[name] / top * (plot - 8)
        steps = "".join(f"H{a:.1f}V{v:.1f}H{b:.1f}" for a, b, v in zip(x[:-1], x[1:], y, strict=True))
        style = "filled" if number < filled else "outline"
        marks.append(f'<path class="{tone} {style}" d="M0 {plot}{steps}V{plot}"/>')
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f'{"".join(marks)}<path class="axis" d="M0 {plot}H{width}"/>'
        f"{_ticks(first, last, width, plot)}"
        f'<text class="label" x="{width}" y="{height - 2}" text-anchor="end">{escape(label)}</text></svg>'
    )


def dots(rows: Mapping[str, Mapping[str, float]], label: str) -> str:
    """One line a row, one dot an arm.

    Args:
        rows: name to values by arm, in one unit.
        label: of the axis.
    """
    left, width, line, bottom = 128, 1032, 26, 40
    height = line * len(rows) + bottom
    largest = max((value for values in rows.values() for value in values.values()), default=1.0) * 1.04 or 1.0
    plot = width - left - 8
    marks = []
    for number, (name, values) in enumerate(rows.items()):
        y = line * number + line / 2
        ends = [left + value / largest * plot for value in (min(values.values()), max(values.values()))]
        marks.append(
            f'<text class="name" x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            f'<path class="span" d="M{ends[0]:.1f} {y}H{ends[1]:.1f}"/>'
        )
        marks += [
            f'<circle class="{colour_class(arm)}" cx="{left + value / largest * plot:.1f}" cy="{y}" r="5.5">'
            f"<title>{escape(arm)} {value:.1f}</title></circle>"
            for arm, value in values.items()
        ]
    base = line * len(rows)
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f'{"".join(marks)}<path class="axis" d="M{left} {base}H{width - 8}"/>'
        f'<g transform="translate({left} 0)">{_ticks(0, largest, plot, base)}</g>'
        f'<text class="label" x="{width - 8}" y="{height - 4}" text-anchor="end">{escape(label)}</text></svg>'
    )


def lines(series: Sequence[Curve], title: str) -> str:
    """Curves over training steps, from 0."""
    width, height, left, bottom = 420, 200, 44, 24
    steps = max((step for _, _, points in series for step, _ in points), default=1.0)
    largest = max((value for _, _, points in series for _, value in points), default=1.0) * 1.06 or 1.0
    plot_width, plot = width - left - 8, height - bottom
    marks = []
    for value in _nice(largest, 4):
        y = plot - value / largest * (plot - 8)
        marks.append(
            f'<path class="grid" d="M{left} {y:.1f}H{width - 8}"/>'
            f'<text class="tick" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for arm, dashed, points in series:
        way = "L".join(
            f"{left + step / steps * plot_width:.1f} {plot - value / largest * (plot - 8):.1f}"
            for step, value in points
        )
        style = "curve dashed" if dashed else "curve"
        marks.append(
            f'<path class="{colour_class(arm)} {style}" d="M{way}"><title>{escape(arm)}</title></path>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f'{"".join(marks)}<path class="axis" d="M{left} {plot}H{width - 8}"/>'
        f'<g transform="translate({left} 0)">{_ticks(0, steps, plot_width, plot)}</g></svg>'
    )


def _ticks(first: float, last: float, width: float, y: float) -> str:
    """Numbers along a horizontal axis that begins at 0 or has it in its middle."""
    upward = _nice(last, 3 if first < 0 or width < 400 else 6)
    values = [-value for value in upward[:0:-1] if first < 0] + upward
    return "".join(
        f'<text class="tick" x="{(value - first) / (last - first) * width:.1f}" y="{y + 16}" '
        f'text-anchor="middle">{value:g}</text>'
        for value in values
    )


def _nice(largest: float, count: int) -> list[float]:
    """Round values from 0 to at most ``largest``, about ``count`` of them."""
    rough = largest / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(float(step * number), 10) for number in range(int(largest / step + 1e-9) + 1)]
