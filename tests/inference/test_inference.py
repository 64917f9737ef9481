"""What happens around the lifter: frames laid out in time, joints filled in, filters, roots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from poseda.config import SmoothingConfig
from poseda.datasets.detections import Detections2D
from poseda.datasets.layouts import Layout
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.datasets.timeline import MOST_FRAMES, Timeline, fill_in
from poseda.geometry.skeleton import H36M16
from poseda.inference.smoothing import OneEuro, savgol, smoothed
from poseda.inference.trajectory import root_position


def detections(
    frame: list[int], person: list[int] | None = None, clip: list[int] | None = None
) -> Detections2D:
    rows = len(frame)
    zeros = [0] * rows
    return Detections2D(
        pose_2d=np.zeros((rows, 2, 2)),
        confidence=np.arange(2.0 * rows).reshape(rows, 2) + 1,
        frame=np.array(frame),
        person=np.array(person or zeros),
        clip=np.array(clip or zeros),
        layout=Layout("two", ("a", "b")),
        image_size=None,
        format="test",
        path=Path("test"),
    )


def test_missing_frames_are_put_between_detections() -> None:
    timeline = Timeline.of(detections([4, 6, 12, 6], [0, 0, 0, 1]))
    assert timeline.frame.tolist() == [4, 6, 8, 10, 12, 6]  # every second frame of the clip was looked at
    assert timeline.row.tolist() == [0, 1, -1, -1, 2, 3]
    assert timeline.track.tolist() == [0] * 5 + [1] and timeline.person.tolist() == [0] * 5 + [1]
    assert set(timeline.step.tolist()) == {2}


def test_single_pictures_stay_single() -> None:
    timeline = Timeline.of(detections([7, 1000, 5001]))
    assert timeline.frame.tolist() == [7, 1000, 5001] and not timeline.step.any()
    assert len(list(timeline.stretches(np.ones(3, bool)))) == 3


def test_who_leaves_a_film_for_long_is_in_the_film_again() -> None:
    timeline = Timeline.of(detections([*range(10), *range(1500, 1510)]))
    assert len(timeline) == 1510 and timeline.step.all()
    assert timeline.frame.tolist() == list(range(1510))
    assert (timeline.row >= 0).sum() == 20
    stray = Timeline.of(detections([*range(59), 5000]))
    assert len(stray) == 5001 and stray.step.all()


def test_pictures_that_are_usually_far_apart_are_no_film() -> None:
    assert not Timeline.of(detections([0, 5, 10, 15, 16])).step.any()  # in a clip of every frame
    assert Timeline.of(detections([0, 5, 10, 15])).step.all()  # of every fifth frame
    beyond = Timeline.of(detections([0, 1, 2, MOST_FRAMES]))
    assert len(beyond) == 4 and not beyond.step.any()
    assert Timeline.of(detections([*range(MOST_FRAMES), 2 * MOST_FRAMES])).step.all()  # mostly not empty


def test_the_more_confident_of_two_detections_of_a_person_in_a_frame_stays() -> None:
    assert Timeline.of(detections([0, 1, 1, 2])).row.tolist() == [0, 2, 3]


def test_clips_and_persons_are_kept_apart() -> None:
    timeline = Timeline.of(detections([0, 1, 0, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]))
    assert timeline.track.tolist() == [0, 0, 1, 1, 2]
    runs = [(run.start, run.stop) for run in timeline.stretches(np.ones(5, bool))]
    assert runs == [(0, 2), (2, 4), (4, 5)]
    valid = np.array([True, True, False, True, True])
    assert [(p.start, p.stop) for p in timeline.stretches(valid)] == [(0, 2), (3, 4), (4, 5)]


def test_short_holes_of_a_joint_are_filled_and_long_ones_are_gaps() -> None:
    timeline = Timeline.of(detections(list(range(10))))
    pose = np.zeros((10, 2, 2))
    pose[:, 0, 0] = np.arange(10)
    pose[:, 1, 1] = 2 * np.arange(10)
    seen = np.ones((10, 2), bool)
    seen[0, 1] = seen[2:4, 1] = seen[5:8, 1] = False  # at the begin; two; three
    hidden = np.where(seen[..., None], pose, 0)
    filled, valid = fill_in(hidden, seen, timeline, max_gap=2)
    assert valid.tolist() == [False, True, True, True, True, False, False, False, True, True]
    assert np.allclose(filled[valid], pose[valid])
    assert not fill_in(hidden, seen, timeline, max_gap=0)[1][2:4].any()


def test_frames_with_less_than_half_of_the_joints_are_gaps() -> None:
    timeline = Timeline.of(detections([0, 1, 2]))
    seen = np.array([[True, True], [False, False], [True, True]])
    _, valid = fill_in(np.zeros((3, 2, 2)), seen, timeline, max_gap=5)
    assert valid.tolist() == [True, False, True]


def test_neighbours_do_not_fill_each_other() -> None:
    timeline = Timeline.of(detections([0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1]))
    seen = np.ones((6, 2), bool)
    seen[2, 0] = seen[3, 0] = False  # last frame of one, first of the other
    assert fill_in(np.zeros((6, 2, 2)), seen, timeline, 5)[1].tolist() == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("frames", [5, 8, 9, 40])
def test_savgol_keeps_cubics_and_halves_noise(frames: int) -> None:
    at = np.linspace(-1, 1, frames)
    cubic = np.stack([at**3 - at, 2 * at**2 + 1, at], -1)[:, None]
    assert np.allclose(savgol(cubic, 9), cubic, atol=1e-12)
    noise = np.random.default_rng(0).normal(size=(400, 2, 3))
    assert savgol(noise, 9).std() < 0.6 * noise.std()
    assert np.array_equal(savgol(cubic[:4], 9), cubic[:4])


def test_one_euro_follows_its_authors_equations() -> None:
    """Two steps by hand: rate 10, cut-off 1, slope 1, a point that jumps by 1 m."""
    step = OneEuro(SmoothingConfig(filter="one_euro", cutoff=1, beta=1), rate=10)
    assert step(np.zeros((1, 3))).tolist() == [[0, 0, 0]]
    share = 1 / (1 + 10 / (2 * np.pi))  # of 1 Hz
    speed = share * 10
    expected = 1 / (1 + 10 / (2 * np.pi * (1 + speed)))
    assert step(np.array([[1.0, 0, 0]]))[0, 0] == pytest.approx(expected)


def test_one_euro_takes_missing_frames_for_time() -> None:
    config, points = SmoothingConfig(filter="one_euro"), np.random.default_rng(0).normal(size=(9, 1, 3))
    slow, fast = OneEuro(config, rate=10), OneEuro(config, rate=30)
    for value in points:
        np.testing.assert_allclose(slow(value), fast(value, frames=3))


def test_one_euro_comes_to_rest_and_stills_noise() -> None:
    config = SmoothingConfig(filter="one_euro")
    still = np.random.default_rng(0).normal(0, 0.01, (200, 1, 3))
    assert smoothed(still, config, 30)[50:].std() < 0.6 * still.std()
    jump = np.concatenate([np.zeros((1, 1, 3)), np.ones((90, 1, 3))])
    assert np.abs(smoothed(jump, config, 30)[-1] - 1).max() < 0.01
    assert smoothed(jump, SmoothingConfig(), 30) is jump


def test_the_exact_root_is_where_the_pose_stood() -> None:
    poses = EmbeddedDomains(size=0.05).evaluation()
    root = root_position(poses.root_relative, poses.pose_2d, poses.camera, H36M16, "exact")
    assert torch.allclose(root, poses.pose_3d[:, 0], atol=2e-3)
    closed = root_position(poses.root_relative, poses.pose_2d, poses.camera, H36M16, "closed_form")
    off = (closed - poses.pose_3d[:, 0]).norm(dim=-1) / poses.pose_3d[:, 0, 2]
    assert 0.01 < off.median() < 0.2  # the paper's form takes bodies for flat


def test_the_root_of_an_empty_box_is_unknown() -> None:
    poses = EmbeddedDomains(size=0.05).evaluation().rows(torch.arange(3))
    flat = poses.pose_2d.clone()
    flat[1] = flat[1, :1]
    root = root_position(poses.root_relative, flat, poses.camera, H36M16, "exact")
    assert root.isfinite().all(-1).tolist() == [True, False, True]
