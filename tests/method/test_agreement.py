"""Poses that several cameras agree on: better than each, and as they were where one camera is alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from poseda.datasets.rig import Rig
from poseda.geometry.rotation import rotation_matrix
from poseda.lifters.observation import Observation
from poseda.method.agreement import agreed_poses

CAMERAS, FRAMES, JOINTS = 4, 50, 16


def filmed(along: float, across: float) -> tuple[Tensor, Tensor, Observation, Rig]:
    """True poses (C * F, J, 3) in the axes of four cameras around a person, and lifted ones that err."""
    rng = torch.Generator().manual_seed(0)
    world = 0.4 * torch.randn(FRAMES, JOINTS, 3, generator=rng)
    world = world - world[:, :1]
    turn = rotation_matrix(torch.tensor([[0.0, math.tau * at / CAMERAS + 0.3, 0.0] for at in range(CAMERAS)]))
    true = torch.einsum("cxw,fjw->cfjx", turn, world).flatten(0, 1)
    error = torch.tensor([across, across, along]) * torch.randn(true.shape, generator=rng)
    error[:, 0] = 0
    placed = true + torch.tensor([0.0, 0.0, 5.0])
    rays = (placed[..., :2] / placed[..., 2:])[:, None]
    count = len(true)
    none = torch.zeros(count, dtype=torch.bool)
    whole = torch.ones(rays.shape[:3], dtype=torch.bool)
    frames = Observation(rays, whole, torch.zeros(count, 3), none, torch.zeros(count, 9), none)
    camera = torch.arange(CAMERAS).repeat_interleave(FRAMES)
    moment = torch.arange(FRAMES).repeat(CAMERAS)
    rig = Rig(camera, moment, torch.zeros_like(camera), ("",), CAMERAS, turn)
    return true, true + error, frames, rig


def mean_error(pose: Tensor, true: Tensor) -> float:
    return float((pose - true).norm(dim=-1)[:, 1:].mean())


def test_cameras_from_several_sides_take_each_others_errors_of_depth_away() -> None:
    true, lifted, frames, rig = filmed(along=0.15, across=0.02)
    together = agreed_poses(lifted, torch.full(lifted.shape[:2], 0.08), frames, rig)
    assert bool(together.agreed.all())
    assert mean_error(together.pose_3d, true) < 0.35 * mean_error(lifted, true)
    plain = lifted.reshape(CAMERAS, FRAMES, JOINTS, 3)  # a plain mean believes errors of depth, too
    world = torch.einsum("cxw,cfjx->cfjw", rig.rotation, plain).mean(0)
    assert rig.rotation is not None
    mean = torch.einsum("cxw,fjw->cfjx", rig.rotation, world).flatten(0, 1)
    assert mean_error(together.pose_3d, true) < 0.7 * mean_error(mean, true)


def test_all_cameras_get_one_pose_in_their_own_axes() -> None:
    _, lifted, frames, rig = filmed(along=0.15, across=0.02)
    pose = agreed_poses(lifted, torch.full(lifted.shape[:2], 0.08), frames, rig).pose_3d
    world = torch.einsum("cxw,cfjx->cfjw", rig.rotation, pose.reshape(CAMERAS, FRAMES, JOINTS, 3))
    torch.testing.assert_close(world, world[:1].expand_as(world), atol=1e-5, rtol=0)


def test_a_camera_that_follows_somebody_else_counts_little() -> None:
    true, lifted, frames, rig = filmed(along=0.05, across=0.02)
    lifted = torch.where((rig.camera == 2)[:, None, None], lifted.roll(7, 0), lifted)
    pose = agreed_poses(lifted, torch.full(lifted.shape[:2], 0.08), frames, rig).pose_3d
    others = rig.camera != 2
    assert mean_error(pose[others], true[others]) < 0.05
    assert mean_error(pose[~others], true[~others]) < 0.05 < mean_error(lifted[~others], true[~others])


@pytest.mark.parametrize("alone", ["no moment", "one camera", "not a number"])
def test_what_one_camera_sees_alone_stays(alone: str) -> None:
    true, lifted, frames, rig = filmed(along=0.1, across=0.02)
    single = torch.zeros(len(true), dtype=torch.bool)
    if alone == "no moment":
        single[:3] = True
        rig.moment[single] = -1
    elif alone == "one camera":
        single[3] = True
        rig.moment[single] = FRAMES + 5
    else:
        others = rig.moment == 4
        single = others & (rig.camera == 0)
        lifted[others & (rig.camera > 0)] = torch.nan
    together = agreed_poses(lifted, torch.full(lifted.shape[:2], 0.08), frames, rig)
    assert not together.agreed[single].any()
    assert torch.equal(together.pose_3d[single], lifted[single])
    assert int(together.agreed.sum()) >= len(true) - CAMERAS
