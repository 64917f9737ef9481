"""Exact placement where rounding and strong lenses are against it: flat bodies, sticks, several solutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.ops import reference
from poseda.ops.samples import augment_arguments

STICK = Skeleton.declare("stick", {"root": None, "tip": "root"})
POSES = 4000


def two_joints(
    kind: str,
    device: torch.device,
    dtype: torch.dtype,
    size: tuple[float, float] = (0.2, 0.5),
    aside: float = 0.25,
) -> tuple[dict[str, Any], Tensor]:
    """Bodies whose box two joints or a plane span, and the depth by hand: NaN where there is none."""
    generator = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return (low + (high - low) * drawn).to(dtype)

    skeleton = STICK if kind == "stick" else H36M16
    pose = torch.cumsum(uniform(-0.15, 0.15, POSES, skeleton.num_joints, 3), 1)
    if kind == "flat":
        pose[..., 2] = 0
    pose -= pose[:, :1].clone()
    placement = torch.cat([uniform(-aside, aside, POSES, 2), uniform(*size, POSES, 2)], -1)
    camera = Camera(uniform(2.2, 2.4, POSES, 2), uniform(-0.05, 0.05, POSES, 2))
    mask = torch.ones(POSES, skeleton.num_joints, dtype=torch.bool)
    every = torch.arange(POSES)
    tip = torch.randint(1, skeleton.num_joints, (POSES,), generator=generator)
    if kind == "root and one":
        mask = (torch.arange(skeleton.num_joints) == tip[:, None]) | (torch.arange(skeleton.num_joints) == 0)

    local, focal, target = pose.double(), camera.focal.double(), placement[:, 2:].double().sum(-1)
    if kind == "flat":
        depth = (focal * (local.amax(1) - local.amin(1))[:, :2]).sum(-1) / target
    else:
        # The tip's offset from the ray through the root, seen at the tip's depth, is the whole box.
        ray = (placement[:, :2].double() - camera.center.double()) / focal
        end = local[every, tip]
        depth = (focal * (end[:, :2] - end[:, 2:] * ray).abs()).sum(-1) / target - end[:, 2]
    depth[(depth + local[..., 2].amin(1)) <= 0.1] = torch.nan  # nearer than min_depth, or no solution
    arguments = {"pose_3d": pose, "skeleton": skeleton, "placement": placement, "joint_mask": mask}
    arguments = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in arguments.items()}
    return {**arguments, "camera": camera.to(device), "gpa": "exact"}, depth.to(device)


@pytest.mark.parametrize("kind", ["flat", "stick", "root and one"])
@pytest.mark.parametrize("augment", [ops.augment, reference.augment], ids=["op", "reference"])
def test_flat_bodies_sticks_and_masks_of_two_joints_are_all_solved(
    augment: Callable[..., Any], kind: str, device: torch.device, dtype: torch.dtype
) -> None:
    arguments, depth = two_joints(kind, device, dtype)
    result = augment(**arguments)
    solvable = ~depth.isnan()
    assert solvable.sum() > 0.9 * POSES
    # At the very edge of min_depth rounding decides.
    assert (result.valid != solvable).sum() <= 1
    error = result.pose_3d[:, 0, 2].double() / depth - 1
    # A stick that points at the camera has a box of small differences, which rounding reaches first.
    assert error[solvable & result.valid].abs().max() < (2e-5 if dtype == torch.float32 else 1e-13)


def strong_lenses(device: torch.device) -> dict[str, Any]:
    """Lenses of up to four times the usual strength, either way, and boxes of up to four times the size."""
    give = ("bone_rotation", "body_rotation", "placement", "distortion")
    arguments = augment_arguments(POSES, give=give, dtype=torch.float64, device=device)
    generator = torch.Generator().manual_seed(0)
    strength = torch.rand(POSES, 5, generator=generator, dtype=torch.float64).to(device) * 4 - 2
    size = 1 + 3 * torch.rand(POSES, 2, generator=generator, dtype=torch.float64).to(device)
    camera = arguments["camera"]
    arguments["camera"] = Camera(camera.focal, camera.center, camera.distortion * strength)
    arguments["placement"][:, 2:] *= size
    return {**arguments, "gpa": "exact"}


def test_where_a_strong_lens_allows_several_depths_op_and_reference_choose_the_same(
    device: torch.device,
) -> None:
    arguments = strong_lenses(device)
    actual, expected = ops.augment(**arguments), reference.augment(**arguments)
    assert torch.equal(actual.valid, expected.valid) and actual.valid.float().mean() > 0.99
    torch.testing.assert_close(actual.pose_3d[:, 0, 2], expected.pose_3d[:, 0, 2], rtol=1e-12, atol=0)
    single = {k: v.float() if isinstance(v, Tensor) else v for k, v in arguments.items()}
    rounded = ops.augment(**{**single, "camera": arguments["camera"].to(torch.float32)})
    assert torch.equal(rounded.valid, expected.valid)
    torch.testing.assert_close(rounded.pose_3d[:, 0, 2], expected.pose_3d[:, 0, 2].float(), rtol=1e-4, atol=0)


def test_a_lens_with_several_depths_is_among_them(device: torch.device) -> None:
    """Else the test above would show nothing: some of its poses have another solution in the bracket."""
    arguments = strong_lenses(device)
    result = reference.augment(**arguments)
    local = result.pose_3d - result.pose_3d[:, :1]
    target = arguments["placement"][:, 2:].sum(-1)

    def larger(share: float) -> Tensor:
        at = share * result.pose_3d[:, :1] + local
        screen = reference.project(at, arguments["camera"])
        return (screen.amax(1) - screen.amin(1)).sum(-1) > target

    signs = torch.stack([larger(share) for share in torch.linspace(0.4, 2.5, 43).tolist()])
    crossings = (signs[1:] != signs[:-1]).sum(0)[result.valid]
    assert (crossings > 1).sum() >= 1


@pytest.mark.parametrize("batch", [1, 3, 17, 100])
def test_a_pose_keeps_its_bits_beside_neighbours_that_take_longer(batch: int, dtype: torch.dtype) -> None:
    """Lanes of a vector stop by themselves."""
    give = ("bone_rotation", "placement", "distortion")
    arguments = augment_arguments(batch, give=give, dtype=dtype, seed=batch)
    arguments["placement"][::2, 2:] *= 3  # far from the closed form
    together = ops.augment(**arguments, gpa="exact")
    camera = arguments["camera"]
    for row in range(batch):
        alone = {k: v[row : row + 1] if isinstance(v, Tensor) else v for k, v in arguments.items()}
        result = ops.augment(**{**alone, "camera": camera[row : row + 1]}, gpa="exact")
        assert torch.equal(result.pose_3d[0], together.pose_3d[row])


@pytest.mark.parametrize("kind", ["flat", "stick"])
@pytest.mark.parametrize("augment", [ops.augment, reference.augment], ids=["op", "reference"])
def test_people_far_away_at_the_edge_of_the_picture_are_solved(
    augment: Callable[..., Any], kind: str, device: torch.device, dtype: torch.dtype
) -> None:
    """Boxes of 5 to 50 thousandths: the rounding of places is large beside them."""
    arguments, depth = two_joints(kind, device, dtype, size=(0.005, 0.05), aside=0.9)
    done = augment(**arguments)
    solvable = depth.isfinite()
    if dtype == torch.float32:  # a stick that points at the camera has no width beyond rounding
        solvable &= arguments["placement"][:, 2:].sum(-1) > 0.02
    assert solvable.sum() > POSES / 4
    assert not (solvable & ~done.valid).any()
    error = (done.pose_3d[:, 0, 2].double() - depth)[solvable] / depth[solvable]
    assert error.abs().max() < (2e-3 if dtype == torch.float32 else 1e-7)


def test_op_and_reference_agree_on_small_boxes(device: torch.device, dtype: torch.dtype) -> None:
    arguments, _ = two_joints("flat", device, dtype, size=(0.005, 0.05), aside=0.9)
    assert torch.equal(ops.augment(**arguments).valid, reference.augment(**arguments).valid)
