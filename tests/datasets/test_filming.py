"""Cameras in a world: hand-made views, who is seen by which, and poses put before the assumed rig."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from poseda.datasets import DataError
from poseda.datasets.filming import (
    NEAREST,
    RIG_CAMERAS,
    FixedCamera,
    assumed_rig,
    film,
    film_world,
    look_at,
    pitch_of,
)
from poseda.geometry.camera import Camera

AHEAD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""World to camera: looks along the world's y, with up up."""


def camera(position: list[float], aspect: float | None = 1.0) -> FixedCamera:
    lens = Camera(
        torch.full((1, 2), 2.0, dtype=torch.float64),
        torch.zeros(1, 2, dtype=torch.float64),
        aspect=None if aspect is None else torch.tensor([aspect], dtype=torch.float64),
    )
    return FixedCamera(AHEAD, np.array(position), lens, pitch_of(AHEAD))


def test_a_camera_sees_a_point_where_a_ruler_puts_it() -> None:
    shot = film(np.array([[[1.0, 4.0, 2.0]]]), camera([0.0, 0.0, 1.0]))
    assert shot.pose_3d.tolist() == [[[1.0, -1.0, 4.0]]]  # right, up (y points down), away
    assert shot.pose_2d.tolist() == [[[0.5, -0.5]]]  # 2 x 1 / 4 to the right, as much up
    assert shot.in_front.tolist() == [True] and shot.on_screen.tolist() == [True]


def test_one_joint_too_near_or_beyond_the_edge_marks_the_whole_pose() -> None:
    joint = np.array([0.0, 4.0, 0.0])
    pose = np.stack([joint, joint])[None].repeat(4, 0)
    pose[1, 1, 1] = NEAREST  # not farther than the nearest
    pose[2, 1, 0] = 2.1  # 2 x 2.1 / 4 > 1
    pose[3, 1, 2] = 1.1  # 2 x 1.1 / 4 > 0.5
    shot = film(pose, camera([0.0, 0.0, 0.0], aspect=0.5))
    assert shot.in_front.tolist() == [True, False, True, True]
    assert shot.on_screen.tolist() == [True, True, False, False]
    assert film(pose, camera([0.0, 0.0, 0.0], aspect=None)).on_screen.tolist() == [True, True, False, True]


def test_poses_with_cameras_of_their_own_are_seen_as_by_each_alone() -> None:
    rng = np.random.default_rng(0)
    pose, rig = rng.normal([0, 0, 1], 0.3, (6, 16, 3)), assumed_rig()
    view = np.array([0, 3, 1, 1, 2, 0])
    table = FixedCamera(
        np.stack([one.rotation for one in rig]),
        np.stack([one.position for one in rig]),
        Camera(
            rig[0].lens.focal.expand(4, 2), rig[0].lens.center.expand(4, 2), aspect=torch.ones(4).double()
        ),
        np.stack([one.pitch for one in rig]),
    )
    together = film(pose, table.rows(view))
    for row, number in enumerate(view):
        alone = film(pose[row : row + 1], rig[number])
        np.testing.assert_allclose(together.pose_3d[row], alone.pose_3d[0], atol=1e-14)
        np.testing.assert_allclose(together.pose_2d[row], alone.pose_2d[0], atol=1e-14)


def test_a_camera_that_looks_at_a_point_sees_it_in_the_middle_with_up_up() -> None:
    position, aim = np.array([[3.0, 4.0, 2.0]]), np.array([[0.0, 1.0, 1.0]])
    rotation = look_at(position, aim, np.zeros(1))
    np.testing.assert_allclose(rotation[0] @ rotation[0].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation[0]) == pytest.approx(1)
    np.testing.assert_allclose(rotation[0] @ (aim - position)[0], [0, 0, np.sqrt(19)], atol=1e-12)
    above = rotation[0] @ (aim[0] + [0, 0, 1] - position[0])
    assert above[0] == pytest.approx(0) and above[1] < 0
    assert pitch_of(rotation)[0] == pytest.approx(np.degrees(np.arcsin(1 / np.sqrt(19))))


def test_every_camera_of_a_rig_gives_rows_and_clips_of_its_own() -> None:
    pose = np.array([[[0.0, 4.0, 0.0], [0.1, 4.0, 0.5]]] * 3)
    pose[2, :, 1] = 0.2  # the last frame is too near for the first camera, but not for the second
    rig = [camera([0.0, 0.0, 0.0]), camera([0.0, -1.0, 0.0])]
    columns = {"subject": np.array(["a", "b", "c"])}
    poses = film_world(pose, np.array([5, 5, 6]), columns, rig)
    assert poses.clip.tolist() == [10, 10, 11, 11, 13]
    assert poses.columns["camera"].tolist() == [0, 0, 1, 1, 1]
    assert poses.columns["frame"].tolist() == [0, 1, 0, 1, 2]
    assert poses.columns["subject"].tolist() == ["a", "b", "a", "b", "c"]
    assert poses.pose_3d[:, 0, 2].tolist() == pytest.approx([4, 4, 5, 5, 1.2])
    with pytest.raises(DataError, match="source: expected poses before a camera, found none"):
        film_world(pose - [0, 9, 0], np.zeros(3, int), {}, rig)


def test_clips_without_cameras_are_put_into_the_middle_of_the_assumed_rig() -> None:
    rng = np.random.default_rng(0)
    body = rng.uniform([-0.3, -0.3, 0], [0.3, 0.3, 1.7], (16, 3))
    walk = np.linspace([100.0, -50, 3], [101.0, -50, 3], 11)[:, None]
    poses = film_world(body + walk, np.zeros(11, int), {})
    assert len(poses) == 11 * RIG_CAMERAS
    straight = poses.columns["frame"] == 5
    # Half way, the root is above the origin: all cameras see it at one distance.
    distance = poses.pose_3d[torch.from_numpy(straight), 0].norm(dim=-1)
    assert distance.max() - distance.min() < 1e-4
    assert (poses.pose_2d.abs() < 1).all()
