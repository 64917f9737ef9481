"""Kalman's filter of poses: past frames alone, steadier and no later than needed, gaps bridged as guesses."""

from __future__ import annotations

import numpy as np
import pytest

from poseda.inference.kalman import MotionFilter, PersonFilter

RATE = 20.0


def filtered(values: np.ndarray, sigma: float, rate: float = RATE) -> np.ndarray:
    step, error = MotionFilter(rate, depth=1.0), np.full(values.shape[1], sigma)
    return np.stack([step(value, error) for value in values])


def test_one_step_is_that_of_the_equations() -> None:
    """Variances of a constant acceleration's noise, by hand: an eighth of a second, no speed yet."""
    step = MotionFilter(8.0, depth=1.0)
    first, sigma = np.zeros((1, 3)), np.array([0.1])
    assert step(first, sigma) is first
    reach, change, time = 0.3 * (1 - np.exp(-0.125 / 0.3)), 0.5**2, 0.125
    variance = 0.1**2 + reach**2 * 0.3**2 + change * time**3 / 3
    expected = variance / (variance + 0.1**2)
    assert step(np.array([[1.0, 0, 0]]), sigma)[0].tolist() == pytest.approx([expected, 0, 0])


def test_trembling_of_a_still_person_is_stilled() -> None:
    tremble = np.random.default_rng(0).normal(0, 0.02, (200, 4, 3))
    still = filtered(tremble, 0.05)[20:]  # lifters err more than they tremble
    assert still.std() < 0.6 * tremble.std()
    assert np.diff(still, 2, axis=0).std() < 0.3 * np.diff(tremble, 2, axis=0).std()


def test_a_fast_joint_is_followed() -> None:
    steady = np.arange(60)[:, None, None] / RATE * np.array([2.0, 0, 0])
    late = steady - filtered(steady, 0.03)
    assert np.abs(late[20:]).max() < 0.05, "half a frame"


def test_depth_counts_less_than_what_is_seen_across() -> None:
    step = MotionFilter(RATE)
    for _ in range(20):
        step(np.zeros((1, 3)), np.array([0.05]))
    across, _, along = step(np.ones((1, 3)), np.array([0.05]))[0]
    assert across > 1.5 * along > 0


def test_time_counts_in_seconds_not_in_frames() -> None:
    at = np.sin(np.arange(0, 4, 1 / 40))[:, None, None] * np.ones(3)
    fine, coarse = filtered(at, 1e-3, 40.0), filtered(at[::2], 1e-3, 20.0)
    np.testing.assert_allclose(fine[::2][5:], coarse[5:], atol=0.02)
    every, alone = MotionFilter(40.0), MotionFilter(20.0)
    for value in at[::2]:
        twice, once = every(value, np.array([0.02]), 2), alone(value, np.array([0.02]))
    np.testing.assert_allclose(twice, once, atol=1e-9)


def test_an_unseen_joint_moves_on_and_its_error_grows() -> None:
    person, walk = PersonFilter(RATE, 5), np.arange(40)[:, None, None] / RATE * np.array([0.3, 0, 0])
    poses = np.repeat(walk, 2, 1)
    seen, errors = np.array([True, True]), np.full(2, 0.09)
    for pose in poses[:30]:
        person(pose, errors, seen)
    guess, grown = poses[30:].copy(), []
    guess[:, 1] = poses[29, 1] - 0.5  # what the lifter makes of it
    for pose in guess[:4]:
        result = person(pose, np.array([0.09, 0.3]), np.array([True, False]))
        assert result is not None and result.measured
        grown.append(result.error[1])
        assert result.error[0] == 0.09
    assert np.all(np.diff([0.09, *grown]) > 0) and grown[-1] < 0.3
    at = result.pose_3d[1, 0]
    assert abs(at - poses[33, 1, 0]) < abs(at - guess[3, 1, 0]), "nearer to where motion leads"


def test_a_joint_that_was_never_seen_is_as_uncertain_as_the_lifter_says() -> None:
    person, seen = PersonFilter(RATE, 5), np.array([True, False])
    for error in (0.2, 0.3, 0.25):
        result = person(np.zeros((2, 3)), np.array([0.05, error]), seen)
        assert result is not None and result.error.tolist() == [0.05, error]


def test_short_gaps_are_bridged_as_guesses_and_long_ones_are_not() -> None:
    person, pose = PersonFilter(RATE, 3), np.zeros((2, 3))
    assert person(None) is None, "nothing is known yet"
    first = person(pose, np.full(2, 0.03), root=np.array([0.0, 0, 4]))
    assert first is not None and first.measured
    bridge = [person(None) for _ in range(4)]
    assert [step is not None for step in bridge] == [True, True, True, False]
    known = [step for step in bridge if step is not None]
    assert not any(step.measured for step in known)
    assert np.all(np.diff([step.error[1] for step in known]) > 0)
    assert all(step.root is not None and step.root[2] == 4 for step in known)
    again = person(pose + 7)
    assert again is not None and np.array_equal(again.pose_3d, pose + 7), "it begins anew"


def test_frames_are_counted_by_their_own_step() -> None:
    person, pose = PersonFilter(30.0, 0), np.zeros((1, 3))
    for _ in range(3):
        person(pose, frames=3)
    moved = person(pose + 1, frames=3)
    assert moved is not None and moved.pose_3d[0, 0] < 0.9, "still filtered: no frame is missing"
    anew = person(pose + 2, frames=6)
    assert anew is not None and anew.pose_3d[0, 0] == 2, "one is missing"


def test_an_unknown_root_moves_on_for_a_while() -> None:
    person, pose, nowhere = PersonFilter(RATE, 2), np.zeros((1, 3)), np.full(3, np.nan)
    roots = [person(pose, root=root) for root in (np.array([0.0, 0, 4]), nowhere, nowhere, nowhere)]
    assert [step is not None and step.root is not None for step in roots] == [True, True, True, False]
