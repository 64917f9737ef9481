"""Cameras that move: votes by window, a smooth path, gaps on a line with errors that grow."""

from __future__ import annotations

import numpy as np
import pytest

from poseda.datasets.timeline import Timeline
from poseda.inference.bridging import filled, short_gaps, widened
from poseda.inference.moving import smooth_path


def upward(degrees: np.ndarray) -> np.ndarray:
    """(N, 3) upward in cameras that look down by so much."""
    angle = np.radians(degrees)
    return np.stack([0 * angle, -np.cos(angle), -np.sin(angle)], 1)


def degrees(path: np.ndarray) -> np.ndarray:
    return np.asarray(np.degrees(np.arcsin(-path[:, 2])))


def test_the_path_follows_a_camera_that_tilts_steadily() -> None:
    middles, seconds = np.arange(10) + 0.5, np.linspace(0, 10, 101)
    path, spread = smooth_path(seconds, middles, upward(3 * middles), np.full(10, 0.1))
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1, atol=1e-9)
    assert np.abs(degrees(path) - 3 * seconds).max() < 1.5
    assert (spread < 0.11).all()


def test_uncertain_votes_and_windows_that_do_not_tell_weigh_little_or_nothing() -> None:
    middles, pitch = np.arange(10) + 0.5, np.full(10, 10.0)
    pitch[4] = 60
    error = np.full(10, 0.1)
    error[4] = 2.0
    path, _ = smooth_path(middles, middles, upward(pitch), error)
    assert np.abs(degrees(path) - 10).max() < 2
    up = upward(pitch)
    up[4] = np.nan
    path, _ = smooth_path(middles, middles, up, error)
    np.testing.assert_allclose(degrees(path), 10, atol=1e-6)


def test_without_a_vote_nothing_is_told() -> None:
    path, spread = smooth_path(np.arange(3.0), np.zeros(1), np.full((1, 3), np.nan), np.zeros(1))
    assert np.isnan(path).all() and np.isnan(spread).all() and path.shape == (3, 3)


@pytest.fixture
def timeline() -> Timeline:
    """Two tracks of six frames, and one of three single pictures."""
    track = np.repeat([0, 1, 2], [6, 6, 3])
    frame = np.concatenate([np.arange(6), np.arange(6), [0, 100, 900]])
    step = np.where(track == 2, 0, 1)
    return Timeline(np.arange(15), frame, track, np.zeros(15, np.int64), track, step)


def test_gaps_within_a_track_are_short_or_stay(timeline: Timeline) -> None:
    valid = np.ones(15, bool)
    valid[[1, 3, 4]] = False  # a frame, and two
    valid[[5, 6]] = False  # the end of one track, the beginning of the next
    valid[13] = False
    assert np.flatnonzero(short_gaps(timeline, valid, 5)).tolist() == [1]
    valid[5] = True
    assert np.flatnonzero(short_gaps(timeline, valid, 2)).tolist() == [1, 3, 4]
    assert np.flatnonzero(short_gaps(timeline, valid, 1)).tolist() == [1]
    assert not short_gaps(timeline, valid, 0).any()


def test_gaps_lie_on_the_line_and_errors_grow_with_the_time_to_both_ends() -> None:
    gap, values = np.array([False, True, True, True, False]), np.array([0.0, np.nan, np.nan, np.nan, 4.0])
    np.testing.assert_allclose(filled(values, gap), [0, 1, 2, 3, 4])
    error = np.array([[0.1], [np.nan], [np.nan], [np.nan], [0.1]])
    grown = widened(error, gap, np.arange(5) / 10, 6.0)[:, 0]
    assert grown[0] == grown[4] == 0.1 and grown[1] == pytest.approx(grown[3])
    assert grown[2] == pytest.approx(np.hypot(0.1, 3 * 0.2 * 0.2)) and grown[2] > grown[1] > 0.1
