"""Bones and joint positions: by hand on a small tree, there and back on every skeleton, against the op."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from poseda import ops
from poseda.geometry.kinematics import bones_of, chain_rotations, forward_kinematics, root_relative
from poseda.geometry.rotation import about_axis
from poseda.geometry.skeleton import BUILT_IN, Skeleton

PARENTS = (-1, 0, 1, 0)


def test_joints_stand_at_the_sum_of_the_bones_above_them() -> None:
    bones = np.array([[[1.0, 0, 0], [0, 2, 0], [0, 0, 3]]])
    pose = forward_kinematics(np.array([[10.0, 20, 30]]), bones, PARENTS)
    assert pose.tolist() == [[[10, 20, 30], [11, 20, 30], [11, 22, 30], [10, 20, 33]]]
    assert np.array_equal(bones_of(pose, PARENTS), bones)


@pytest.mark.parametrize("skeleton", BUILT_IN.values(), ids=lambda skeleton: skeleton.name)
def test_bones_there_and_back_agree_with_the_op(skeleton: Skeleton) -> None:
    pose = np.random.default_rng(0).normal(size=(20, skeleton.num_joints, 3))
    bones = bones_of(pose, skeleton.parents)
    assert np.array_equal(bones, ops.bones(torch.from_numpy(pose), skeleton).numpy())
    np.testing.assert_allclose(forward_kinematics(pose[:, 0], bones, skeleton.parents), pose, atol=1e-14)


def test_a_rotation_turns_all_that_hangs_below_it() -> None:
    right = np.pi / 2
    local = np.tile(np.eye(3), (1, 4, 1, 1))
    local[0, 0] = about_axis("z", np.array(right))
    local[0, 1] = about_axis("x", np.array(right))
    world = chain_rotations(local, PARENTS)
    # z goes to -y about x, and -y to x about z; the fourth joint hangs from the root alone.
    np.testing.assert_allclose(world[0, 2] @ [0, 0, 1], [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(world[0, 3] @ [0, 0, 1], [0, 0, 1], atol=1e-15)


def test_the_root_lies_at_the_origin() -> None:
    pose = torch.tensor([[[1.0, 2, 3], [2, 2, 2]]])
    assert root_relative(pose).tolist() == [[[0, 0, 0], [1, 0, -1]]]
