"""PoseAugment does what its options say, and refuses wrong ones when it is made."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.placements import TargetPlacements
from poseda.geometry.skeleton import H36M16
from poseda.ops import PoseAugment, RandomRanges
from poseda.ops import _streams as streams
from poseda.ops.samples import augment_arguments

BATCH = 16


@pytest.fixture
def module() -> PoseAugment:
    given = augment_arguments(4, give=("placement", "distortion"))
    return PoseAugment(H36M16, given["camera"], given["placement"], seed=5)


@pytest.fixture
def poses() -> Tensor:
    return augment_arguments(BATCH)["pose_3d"]


def test_the_mask_of_a_row_goes_with_its_placement(poses: Tensor) -> None:
    given = augment_arguments(4, give=("placement", "shared_camera"))
    mask = torch.rand(4, 16, generator=torch.Generator().manual_seed(0)) < 0.5
    mask[:, 0] = True
    targets = TargetPlacements(given["placement"], given["camera"], torch.zeros(4, 16, 2), mask, 0)
    module = PoseAugment.of_targets(H36M16, targets, seed=2, gpa="exact")
    drawn = ops.random_parameters(ops.random_state(2), BATCH, H36M16, table_rows=4)
    index = drawn.placement_index
    expected = ops.augment(
        poses,
        skeleton=H36M16,
        camera=given["camera"],
        placement=given["placement"],
        joint_mask=mask[index],
        gpa="exact",
        **drawn._asdict(),
    )
    found = module(poses)
    assert torch.equal(found.pose_3d, expected.pose_3d) and found.valid.any()
    shared = PoseAugment(H36M16, given["camera"], given["placement"], joint_mask=mask[:1], seed=2)
    assert shared(poses).pose_2d.shape == (BATCH, 16, 2)


def test_a_shared_root_is_where_every_root_stands(poses: Tensor) -> None:
    camera = augment_arguments(1, give=())["camera"]
    root = torch.tensor([[0.25, 0.0, 5.0]])
    found = PoseAugment(H36M16, camera, root=root)(poses)
    assert found.valid.all() and torch.equal(found.pose_3d[:, 0], root.expand(BATCH, 3))


def test_its_repr_says_what_it_does(module: PoseAugment, poses: Tensor) -> None:
    module(poses)
    assert repr(module) == (
        "PoseAugment(skeleton=h36m16, bone_angle=0.3, bone_scale=0.2, body_yaw=3.142, body_tilt=0.2, "
        "placement=4 rows, gpa=closed_form, propagate=False, min_depth=0.1, require_in_frame=False, seed=5, "
        "calls=1)"
    )


PINHOLE = Camera(torch.ones(1, 2), torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"min_dept": 0.2}, TypeError, r"PoseAugment.* unexpected keyword argument 'min_dept'"),
        ({"bone_rotation": torch.ones(1)}, TypeError, r"unexpected keyword argument 'bone_rotation'"),
        ({"min_depth": -1.0}, ValueError, r"^min_depth: expected at least 0 metres, got -1\.0$"),
        ({"gpa": "fast"}, ValueError, r"^gpa: expected one of closed_form, exact, got 'fast'$"),
        ({"gpa": "exact", "placement": None}, ValueError, r"^gpa: exact solves for the depth of placement"),
        ({"propagate": 1}, TypeError, r"^propagate: expected True or False, got 1$"),
        ({"require_in_frame": True}, ValueError, r"^require_in_frame: needs camera.aspect"),
        ({"ranges": {"bone_angle": 1}}, TypeError, r"^ranges: expected a poseda.ops.RandomRanges, got dict$"),
        ({"seed": "4"}, ValueError, r"^seed: expected a whole number of 64 bits, got '4'$"),
        (
            {"skeleton": "h36m16"},
            TypeError,
            r"^skeleton: expected a poseda.geometry.skeleton.Skeleton, got str",
        ),
        ({"camera": None}, TypeError, r"^camera: expected a poseda.geometry.camera.Camera, got NoneType$"),
        (
            {"placement": torch.ones(3, 5)},
            ValueError,
            r"^placement: expected shape \(M, 4\) .*, got \(3, 5\)$",
        ),
        (
            {"placement": torch.ones(0, 4)},
            ValueError,
            r"^placement: expected .* at least one row, got \(0, 4\)$",
        ),
        ({"placement": [1.0]}, TypeError, r"^placement: expected a tensor, got list$"),
        (
            {"placement": torch.ones(3, 4).double()},
            TypeError,
            r"^placement: expected float32 as pose_3d, got",
        ),
        (
            {"joint_mask": torch.ones(2, 16).bool()},
            ValueError,
            r"^joint_mask: expected 3 rows as placement or 1",
        ),
        ({"joint_mask": torch.ones(3, 15).bool()}, ValueError, r"^joint_mask: expected shape \(M, 16\)"),
        ({"joint_mask": torch.ones(3, 16)}, TypeError, r"^joint_mask: expected a dense bool tensor"),
        (
            {"joint_mask": torch.ones(1, 16).bool(), "placement": None},
            ValueError,
            r"^joint_mask: has the joints",
        ),
        ({"root": torch.ones(1, 3)}, ValueError, r"^root: cannot be given together with placement"),
        ({"root": torch.ones(4, 3), "placement": None}, ValueError, r"^root: expected shape \(1, 3\)"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_named_when_the_module_is_made(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    options = {"skeleton": H36M16, "camera": PINHOLE, "placement": torch.ones(3, 4), **given}
    with pytest.raises(error, match=message):
        PoseAugment(**options)


def test_wrong_poses_are_named(module: PoseAugment) -> None:
    for pose, error, message in (
        ([1.0], TypeError, r"^pose_3d: expected a tensor \(N, J, 3\) or \(N, T, J, 3\), got list$"),
        (torch.ones(16, 3), ValueError, r"^pose_3d: expected shape .* got \(16, 3\)$"),
        (torch.tensor(1.0), ValueError, r"^pose_3d: expected shape .* got \(\)$"),
        (torch.ones(2, 15, 3), ValueError, r"^pose_3d: expected shape \(N, 16, 3\)"),
        (
            torch.ones(2, 16, 3, device="meta"),
            TypeError,
            r"^pose_3d: expected device cpu as this module, got meta$",
        ),
    ):
        with pytest.raises(error, match=message):
            module(pose)
    assert module(torch.ones(2, 16, 3, dtype=torch.bfloat16)).pose_3d.dtype == torch.float32
    assert module(torch.ones(0, 16, 3)).pose_2d.shape == (0, 16, 2)


def test_ranges_are_those_given(poses: Tensor) -> None:
    still = RandomRanges(bone_angle=0, bone_scale=0, body_yaw=0, body_tilt=0)
    found = PoseAugment(H36M16, augment_arguments(1, give=())["camera"], ranges=still)(poses)
    torch.testing.assert_close(found.pose_3d, poses)
    assert pickle.loads(pickle.dumps(still)) == still


def test_vmap_is_refused_by_its_own_name(module: PoseAugment, poses: Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"^PoseAugment: vmap is not implemented; the op is batched"):
        torch.func.vmap(module, randomness="different")(poses[None])
    with pytest.raises(RuntimeError, match=r"^PoseAugment: vmap is not implemented; the op is batched"):
        torch.func.vmap(torch.func.grad(lambda x: module(x).pose_2d.sum()))(poses[None])
    gradient = torch.func.grad(lambda x: module(x).pose_2d.square().sum())(poses)
    assert gradient.shape == poses.shape and gradient.any()


def test_a_module_that_is_gone_is_not_counted(poses: Tensor) -> None:
    streams._calls.clear()
    for seed in range(3):
        module = PoseAugment(H36M16, PINHOLE, seed=seed)
        module(poses)
        module.reseed(seed + 1)
        module(poses)
        pickle.loads(pickle.dumps(module))(poses)
        assert list(streams._calls) == [module._serial] == list(streams._owners)[-1:]
    del module
    assert not streams._calls
