"""Estimates at a limit are said, with camera or person, value, limit and remedy; others are not."""

from __future__ import annotations

import math

import pytest
import torch

from poseda.config import RunConfig, ViewsConfig
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.method.at_limit import Range, lengths_at_limit, said, tilt_at_limit, trained_views
from poseda.method.draws import Draws
from poseda.method.views import draw_views, drawn_lengths, view_columns


def test_an_estimate_stands_at_an_end_that_is_near_or_behind_it() -> None:
    limits = Range(-10, 50, near=2)
    assert [limits.end(value) for value in (-90, -8, -7.9, 0, 47.9, 48, 60)] == [
        -10,
        -10,
        None,
        None,
        None,
        50,
        50,
    ]
    assert limits.end(math.nan) is None
    assert Range(0, 0, near=1).end(0) is None, "a range of zero is a wish"


def test_a_tilt_at_the_edge_of_the_trained_views_names_camera_value_limit_and_remedy() -> None:
    views = ViewsConfig(lowest=-10, highest=40, roll=20)
    assert list(tilt_at_limit("cam1", 39.2, 0, views)) == [
        "cam1: the pitch that was found, 39 degrees, stands at the limit of 40. "
        "Give it by --camera-pitch, or train on a wider range (--views.highest)."
    ]
    low, rolled = tilt_at_limit("cam1", -12, -20, views)
    assert "-12 degrees" in low and "--views.lowest" in low
    assert "the roll" in rolled and "limit of -20" in rolled and "--camera-roll" in rolled
    assert not list(tilt_at_limit("cam1", 20, 5, views)) and not list(
        tilt_at_limit("cam1", math.nan, math.nan, views)
    )
    (without,) = tilt_at_limit("camera 1", 41, 0, views, can_be_given=False)
    assert "Give it" not in without and "Train on a wider range" in without


def test_no_vote_can_leave_its_own_range_unsaid() -> None:
    wide = ViewsConfig(lowest=-85, highest=85, roll=180)
    assert "limit of -28" in next(tilt_at_limit("a", -27.5, 0, wide))
    assert "limit of 46" in next(tilt_at_limit("a", 0, 45, wide))


@pytest.mark.parametrize("views", [ViewsConfig(), ViewsConfig(anatomical=0.9, hips=0.45)])
def test_training_draws_few_lengths_beyond_the_range_and_some_near_its_ends(views: ViewsConfig) -> None:
    usual = AdaptedLifter.load().lifter.usual_lengths
    low, high = drawn_lengths(usual, H36M16, views)
    columns, rng = view_columns(H36M16, views), torch.Generator().manual_seed(0)
    pose, up = torch.randn(4000, 16, 3, generator=rng), torch.tensor([[0.0, -1.0, 0.0]]).expand(4000, 3)
    from poseda.method.bodies import anatomical_scale

    physique = anatomical_scale(usual, H36M16)
    view = draw_views(pose, up, H36M16, views, Draws(columns)(4000, rng), physique)
    lengths = usual * (1 + view.bone_scale)
    outside = ((lengths < low) | (lengths > high)).float().mean(0)
    assert outside.max() < 0.02
    assert (lengths.amax(0) > 0.85 * high).all() and (lengths.amin(0) < 1.15 * low).all()


def test_a_bone_beyond_what_training_drew_is_named_with_its_person() -> None:
    usual = torch.full((H36M16.num_groups,), 0.3)
    limits = drawn_lengths(usual, H36M16, ViewsConfig())
    sure, unknown = torch.full_like(usual, 0.001), torch.full_like(usual, torch.nan)
    assert lengths_at_limit("person 1", usual, sure, limits, H36M16) is None
    assert lengths_at_limit("person 1", unknown, unknown, limits, H36M16) is None
    long = usual.clone()
    long[H36M16.group_names.index("knee")] = 0.6
    long[H36M16.group_names.index("wrist")] = 0.4
    sentence = lengths_at_limit("person 1", long, sure, limits, H36M16)
    assert sentence is not None
    assert sentence.startswith(
        "person 1: the bone to the knee, 0.60 m, stands at the limit of 0.38 m that training"
    )
    assert "(so do 1 other)" in sentence and "--views.build" in sentence
    # Few frames do not tell whether a length is beyond a limit.
    assert lengths_at_limit("person 1", long, 200 * sure, limits, H36M16) is None


def test_many_sentences_are_counted() -> None:
    assert said(["a", "b", "c"], 3) == ["a", "b", "c"]
    assert said(["a", "b", "c"], 1) == ["a", "and 2 more estimates at a limit"]


def test_the_packages_lifter_was_trained_on_its_own_views() -> None:
    mine = RunConfig(views=ViewsConfig(highest=30))
    assert trained_views(mine).highest == 30
    footage = RunConfig(target=("footage.json",), views=ViewsConfig(highest=30))  # type: ignore[arg-type]
    assert footage.packaged and trained_views(footage).highest == 82
