"""Marks of the page's charts lie where the values are."""

from __future__ import annotations

import re

import numpy as np
import pytest

from poseda.report.charts import density_map, dots, histogram, lines
from poseda.report.curves import PANELS, curves
from poseda.report.samples import draw_body, root_and_size


def test_roots_in_one_quarter_of_the_screen_shade_one_cell_of_it() -> None:
    drawn = density_map(np.full((10, 2), 0.5), (1.0, 1.0), "tone", "roots")
    ((opacity, cells),) = drawn.shades
    found = re.fullmatch(r"M([\d.]+) ([\d.]+)h.*z", cells)
    assert found is not None and opacity == 1.0 and drawn.height == pytest.approx(100)
    assert [float(value) for value in found.groups()] == pytest.approx([75, 75], abs=4)


def test_a_flat_distribution_has_one_height() -> None:
    (mark,) = histogram({"even": (np.linspace(0, 1, 4801), "tone")}, "size").marks
    heights = {round(float(v)) for v in re.findall(r"V([\d.]+)H", mark.path)}
    assert mark.style == "filled" and len(heights) <= 3 and min(heights) == 4


def test_a_signed_histogram_has_zero_in_its_middle() -> None:
    drawn = histogram({"x": (np.array([-4.0, -4.0, 1.0]), "tone")}, "change", signed=True)
    at = {float(tick.text.replace("\N{MINUS SIGN}", "-")): tick.at for tick in drawn.ticks}
    assert at[0.0] == 50 and at[-2.0] == pytest.approx(100 - at[2.0]) and at[-2.0] < 50
    # Two of three values lie at the left end, none at the right one.
    heights = [float(v) for v in re.findall(r"V([\d.]+)H", drawn.marks[0].path)]
    assert heights[0] == min(heights) and heights[-1] == 100


def test_dots_stand_in_proportion_to_their_values() -> None:
    drawn = dots({"knee": {"gpa": 50.0, "stranger": 100.0}}, "error")
    near, far = drawn.rows[0].dots
    assert far.at == pytest.approx(2 * near.at) and (near.tone, far.tone) == ("arm-gpa", "arm-other")
    assert {float(tick.text): tick.at for tick in drawn.ticks}[100.0] == pytest.approx(far.at)


def test_curves_are_drawn_for_the_arms_that_have_them() -> None:
    journal = [
        {"step": step, "phase": "lifter", "seed": 0, "arm": arm, "lifter_loss": loss}
        for arm in ("gpa", "oracle")
        for step, loss in ((1, 0.1), (2, 0.05), (3, float("nan")))
    ]
    series = {title: curves(journal, panel) for title, panel in PANELS.items()}
    assert [len(drawn) for drawn in series.values()] == [2, 0, 0, 0]
    loss = series["Lifter: loss, mm"]
    assert loss[0].points == [(1, pytest.approx(100.0)), (2, pytest.approx(50.0))], "finite, in millimetres"
    drawn = lines(loss, "loss")
    ((first, last),) = [re.findall(r"([\d.]+) ([\d.]+)", mark.path) for mark in drawn.marks[:1]]
    assert float(first[0]) == 50 and float(last[0]) == 100
    level = {tick.text: tick.at for tick in drawn.levels}
    assert float(first[1]) == pytest.approx(level["100"], abs=0.01)
    assert float(last[1]) == pytest.approx(level["50"], abs=0.01)


def test_unseen_joints_neither_span_a_box_nor_are_drawn() -> None:
    # The third joint is unseen and lies far off.
    pose, seen = np.array([[[0.0, 0.0], [0.2, 0.4], [9.0, 9.0]]]), np.array([[True, True, False]])
    place, size = root_and_size(pose, 0, seen)
    assert place.tolist() == [[0, 0]] and size == pytest.approx([0.6])
    drawn = draw_body(pose[0], [-1, 0, 1], "tone", seen[0])
    assert drawn.bones == "M50.0 50.0L60.0 70.0" and drawn.joints == "M50.0 50.0h0M60.0 70.0h0"
