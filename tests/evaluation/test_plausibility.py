"""Joint angles read back from positions, and that impossible bodies are outside their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from poseda.datasets import open_domains
from poseda.evaluation.plausibility import BENT, LIMITS, joint_angles, outside
from poseda.geometry import anatomy as body
from poseda.geometry.skeleton import COCO17, H36M16, Skeleton

# Degree of freedom of the embedded body that each angle is.
SAME = {
    "hip": "thigh",
    "knee": "knee",
    "knee direction": "thigh_twist",
    "elbow": "elbow",
    "elbow direction": "arm_twist",
}


def upright(count: int, **angles: np.ndarray | float) -> torch.Tensor:
    """Bodies with a straight trunk and the given angles, degrees, facing anywhere: (N, 16, 3)."""
    rng = np.random.default_rng(0)
    table = np.zeros((count, len(body.DEGREES)))
    for name, value in angles.items():
        table[:, body.column(name)] = value
    return torch.from_numpy(body.posed(table, np.full((count, 15), 0.3), rng.uniform(0, 360, count)))


def test_the_angles_of_the_embedded_body_are_read_back() -> None:
    rng = np.random.default_rng(1)
    given = {
        f"{side}_{name}": rng.uniform(*limits, 300)
        for side in body.SIDES
        for name, limits in body.SIDED_RANGES.items()
    }
    found = joint_angles(upright(300, **given), H36M16)
    for name, degree in SAME.items():
        for column, side in enumerate(body.SIDES):
            error = found[name][:, column].numpy() - given[f"{side}_{degree}"]
            known = ~np.isnan(error)
            assert known.mean() > 0.7
            assert np.abs((error[known] + 180) % 360 - 180).max() < 1e-6, (name, side)


@pytest.mark.parametrize(
    ("angles", "limit"),
    [
        ({"left_knee": -40.0}, "knee direction"),
        ({"right_knee": -40.0}, "knee direction"),
        ({"right_knee": 170.0}, "knee"),
        ({"left_elbow": -60.0}, "elbow direction"),
        ({"right_elbow": 170.0}, "elbow"),
        ({"left_thigh": -80.0}, "hip"),
        ({"neck_flex": 80.0}, "neck"),
    ],
)
def test_what_no_body_can_do_is_outside_exactly_one_limit(angles: dict[str, float], limit: str) -> None:
    bad = outside(joint_angles(upright(20, **angles), H36M16))
    assert {name for name, value in bad.items() if value.any()} == {limit}
    assert bool(bad[limit].all())


def test_labels_stand_within_their_limits_and_depth_reversed_ones_do_not() -> None:
    poses = open_domains(None, size=0.1).evaluation().root_relative
    for frame in (torch.eye(3), torch.linalg.qr(torch.randn(3, 3)).Q):
        frame = frame * torch.linalg.det(frame)
        bad = outside(joint_angles(poses @ frame, H36M16))
        assert not any(bool(value.any()) for value in bad.values())
    reversed_depth = outside(joint_angles(poses * torch.tensor([1.0, 1.0, -1.0]), H36M16))
    assert float(reversed_depth["knee direction"].float().mean()) > 0.4
    assert float(reversed_depth["elbow direction"].float().mean()) > 0.4


def test_straight_limbs_and_unseen_joints_determine_no_direction() -> None:
    pose = upright(3, left_knee=BENT + 5, right_knee=BENT - 5)
    angles = joint_angles(pose, H36M16)["knee direction"]
    assert angles[:, 0].isfinite().all() and angles[:, 1].isnan().all()
    pose[0, H36M16.joint("left_ankle")] = torch.nan
    angles = joint_angles(pose, H36M16)
    assert angles["knee"][:, 0].isnan().tolist() == [True, False, False]
    assert not outside(angles)["knee"].any()


def test_other_skeletons_are_measured_by_the_joints_they_have() -> None:
    pose = upright(2, left_knee=-40.0)
    coco = torch.zeros(2, 17, 3, dtype=torch.float64)
    for index, name in enumerate(COCO17.joint_names):
        if name in H36M16.joint_names:
            coco[:, index] = pose[:, H36M16.joint(name)]
    angles = joint_angles(coco, COCO17)
    assert set(angles) == set(LIMITS) - {"neck"}
    assert outside(angles)["knee direction"].all()
    dog = Skeleton.declare("dog", {"hip": None, "chest": "hip", "nose": "chest"})
    assert joint_angles(torch.randn(2, 3, 3), dog) == {}
