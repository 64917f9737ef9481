"""The articulated body: angles move what their names say, both sides alike, within ranges, on the floor."""

from __future__ import annotations

import numpy as np
import pytest

from poseda.geometry import anatomy
from poseda.geometry.skeleton import H36M16


def random_angles(rows: int) -> np.ndarray:
    """(N, D) degrees, some of them beyond their ranges."""
    middle, width = anatomy.RANGES.mean(1), np.ptp(anatomy.RANGES, 1)
    return middle + np.random.default_rng(0).uniform(-0.7, 0.7, (rows, len(width))) * width


AHEAD, LEFT, UP = [1, 0, 0], [0, 1, 0], [0, 0, 1]


@pytest.mark.parametrize(
    ("degrees", "child", "parent", "direction"),
    [
        ({}, "left_wrist", "left_elbow", np.negative(UP)),
        ({"lean": 90}, "spine", "pelvis", AHEAD),
        ({"tilt": 90}, "thorax", "pelvis", LEFT),
        ({"trunk_flex": 90}, "thorax", "spine", AHEAD),
        ({"trunk_side": 90}, "thorax", "spine", LEFT),
        ({"trunk_turn": 90}, "left_shoulder", "right_shoulder", np.negative(AHEAD)),
        ({"neck_side": 90}, "head_top", "thorax", LEFT),
        ({"turn": 90}, "left_hip", "right_hip", np.negative(AHEAD)),
        ({"left_thigh": 90}, "left_knee", "left_hip", AHEAD),
        ({"left_spread": 90}, "left_knee", "left_hip", LEFT),
        ({"right_spread": 90}, "right_knee", "right_hip", np.negative(LEFT)),
        ({"left_knee": 90}, "left_ankle", "left_knee", np.negative(AHEAD)),
        ({"left_knee": 90, "left_thigh_twist": 90}, "left_ankle", "left_knee", np.negative(LEFT)),
        ({"right_knee": 90, "right_thigh_twist": 90}, "right_ankle", "right_knee", LEFT),
        ({"left_raise": 90}, "left_elbow", "left_shoulder", AHEAD),
        ({"left_raise": 90, "left_plane": 90}, "left_elbow", "left_shoulder", LEFT),
        ({"right_raise": 90, "right_plane": 90}, "right_elbow", "right_shoulder", np.negative(LEFT)),
        ({"left_elbow": 90}, "left_wrist", "left_elbow", AHEAD),
        ({"left_raise": 90, "left_elbow": 90}, "left_wrist", "left_elbow", UP),
        ({"left_elbow": 90, "left_arm_twist": 90}, "left_wrist", "left_elbow", np.negative(LEFT)),
        ({"right_elbow": 90, "right_arm_twist": 90}, "right_wrist", "right_elbow", LEFT),
    ],
)
def test_each_degree_of_freedom_moves_the_way_its_name_says(
    degrees: dict[str, float], child: str, parent: str, direction: list[int]
) -> None:
    angles = np.zeros((1, len(anatomy.DEGREES)))
    for name, value in degrees.items():
        angles[:, anatomy.column(name)] = value
    pose = anatomy.posed(angles, np.ones((1, 15)), np.zeros(1))[0]
    bone = pose[H36M16.joint(child)] - pose[H36M16.joint(parent)]
    # The head leans forward by 6 degrees at rest; every other bone is exact.
    assert bone @ direction / np.linalg.norm(bone) > 0.99


def test_mirrored_angles_give_the_mirrored_pose() -> None:
    angles = random_angles(50)
    lengths, ahead = np.full((50, 15), 0.3), np.zeros(50)
    pose = anatomy.posed(angles, lengths, ahead)
    mirrored = anatomy.posed(anatomy.mirrored(angles), lengths, ahead)
    np.testing.assert_allclose(mirrored, pose[:, list(H36M16.mirror)] * [1, -1, 1], atol=1e-12)


def test_angles_beyond_a_range_are_brought_to_its_end_and_others_are_kept() -> None:
    angles = random_angles(200)
    within = anatomy.within_ranges(angles)
    assert (within >= anatomy.RANGES[:, 0] - 1e-9).all() and (within <= anatomy.RANGES[:, 1] + 1e-9).all()
    knee = anatomy.column("left_knee")
    low, high = anatomy.RANGES[knee]
    beyond = (angles[:, knee] < low) | (angles[:, knee] > high)
    assert beyond.any() and np.array_equal(within[~beyond, knee], angles[~beyond, knee])
    assert set(within[beyond, knee]) == {low, high}
    hip = within[:, anatomy.column("left_thigh")] + within[:, anatomy.column("lean")]
    assert hip.min() >= anatomy.HIP_FLEXION[0] and hip.max() <= anatomy.HIP_FLEXION[1] + 1e-9


def test_the_lowest_joint_rests_on_the_floor_and_keeps_its_place() -> None:
    pose = np.zeros((1, 3, 16, 3))
    pose[..., 2] = 1.0
    left, right = H36M16.joint("left_ankle"), H36M16.joint("right_ankle")
    pose[0, :, left] = [[0.0, 0.1, -0.9], [-0.2, 0.1, -0.9], [-0.4, 0.1, -0.7]]
    pose[0, :, right] = [[0.0, -0.1, -0.8], [0.2, -0.1, -0.8], [0.2, -0.1, -0.9]]
    stood = anatomy.on_floor(pose)
    rest = anatomy.CLEARANCE["ankle"]
    np.testing.assert_allclose(stood[0, :, left, 2], [rest, rest, rest + 0.2], atol=1e-12)
    assert stood[0, 0, 0].tolist() == [0, 0, pytest.approx(1.0 + 0.9 + rest)]
    # The left ankle carries until the last frame: it does not slide, so the body moves ahead.
    np.testing.assert_allclose(stood[0, 1, left], stood[0, 0, left], atol=1e-12)
    np.testing.assert_allclose(stood[0, :, 0, 0], [0, 0.2, 0.4], atol=1e-12)
