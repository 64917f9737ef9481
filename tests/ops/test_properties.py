"""Laws that hold for every input, on inputs that hypothesis makes up."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import BUILT_IN, Skeleton
from poseda.ops.samples import augment_arguments

# The random state that a fixture restores per function is no concern: hypothesis seeds every draw below.
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def trees(draw: st.DrawFn) -> Skeleton:
    """Any tree of 2 to 64 joints, some of them in pairs."""
    joints = draw(st.integers(2, 64))
    parents = [draw(st.integers(0, j - 1)) for j in range(1, joints)]
    names = [f"j{j}" for j in range(joints)]
    tree = {names[0]: None} | {names[j]: names[parents[j - 1]] for j in range(1, joints)}
    return Skeleton.declare("drawn", tree)


skeletons = st.one_of(trees(), st.sampled_from(list(BUILT_IN.values())))
seeds = st.integers(0, 2**31)


def drawn(seed: int, skeleton: Skeleton, *give: str, **more: Any) -> dict[str, Any]:
    return augment_arguments(5, skeleton, give=give, dtype=torch.float64, seed=seed, **more)


def lengths(pose: Tensor, skeleton: Skeleton) -> Tensor:
    return ops.bones(pose, skeleton).norm(dim=-1)


@law
@given(seeds, skeletons)
def test_forward_kinematics_inverts_bones(seed: int, skeleton: Skeleton) -> None:
    pose = drawn(seed, skeleton)["pose_3d"]
    back = ops.forward_kinematics(pose[:, 0], ops.bones(pose, skeleton), skeleton)
    torch.testing.assert_close(back, pose, rtol=0, atol=1e-12)


@law
@given(seeds, skeletons, st.booleans())
def test_zero_parameters_give_the_source_pose(seed: int, skeleton: Skeleton, propagate: bool) -> None:
    arguments = drawn(seed, skeleton, "bone_rotation", "bone_scale", "body_rotation")
    for name in ("bone_rotation", "bone_scale", "body_rotation"):
        arguments[name].zero_()
    result = ops.augment(**arguments, propagate=propagate)
    torch.testing.assert_close(result.pose_3d, arguments["pose_3d"], rtol=0, atol=1e-12)


@law
@given(seeds, skeletons, st.booleans())
def test_rotations_keep_lengths_and_scales_scale_them(seed: int, skeleton: Skeleton, propagate: bool) -> None:
    arguments = drawn(seed, skeleton, "bone_rotation", "bone_scale", "body_rotation", "root")
    result = ops.augment(**arguments, propagate=propagate)
    expected = lengths(arguments["pose_3d"], skeleton) * (1 + arguments["bone_scale"])
    actual = lengths(result.pose_3d, skeleton)[result.valid]
    torch.testing.assert_close(actual, expected[result.valid], rtol=1e-11, atol=1e-12)


@law
@given(seeds, skeletons, st.booleans())
def test_placement_reproduces_place_and_exact_placement_the_box(
    seed: int, skeleton: Skeleton, lens: bool
) -> None:
    give = ("bone_rotation", "placement", *(("distortion",) if lens else ()))
    arguments = drawn(seed, skeleton, *give)
    for gpa in ("closed_form", "exact"):
        result = ops.augment(**arguments, gpa=gpa)
        place = arguments["placement"][result.valid]
        screen = result.pose_2d[result.valid]
        torch.testing.assert_close(screen[:, 0], place[:, :2], rtol=0, atol=1e-10)
        if gpa == "exact":
            size = (screen.amax(1) - screen.amin(1)).sum(-1)
            torch.testing.assert_close(size, place[:, 2:].sum(-1), rtol=1e-8, atol=0)
            # A single bone may point at the camera, where its box says next to nothing of the depth.
            if not lens and skeleton.num_joints > 2:
                assert result.valid.float().mean() >= 0.8


@law
@given(
    seeds, st.sampled_from(list(BUILT_IN.values())), st.booleans(), st.sampled_from(["closed_form", "exact"])
)
def test_augmenting_a_mirrored_pose_is_mirroring_the_augmented_one(
    seed: int, skeleton: Skeleton, propagate: bool, gpa: str
) -> None:
    """Rotation vectors mirror as (x, -y, -z), centres and p1 change sign, sides swap."""
    arguments = drawn(
        seed, skeleton, "bone_rotation", "bone_scale", "body_rotation", "placement", "distortion"
    )
    flip = {size: torch.tensor([-1.0] + [1.0] * (size - 1)).double() for size in (2, 3, 4)}
    turn = torch.tensor([1.0, -1.0, -1.0]).double()
    joints, bones = list(skeleton.mirror), list(skeleton.mirror_bones)
    camera: Camera = arguments["camera"]
    mirrored = {
        **arguments,
        "pose_3d": (arguments["pose_3d"] * flip[3])[:, joints],
        "bone_rotation": (arguments["bone_rotation"] * turn)[:, bones],
        "bone_scale": arguments["bone_scale"][:, bones],
        "body_rotation": arguments["body_rotation"] * turn,
        "placement": arguments["placement"] * flip[4],
        "camera": camera.mirrored(),
    }
    result = ops.augment(**arguments, propagate=propagate, gpa=gpa)
    twin = ops.augment(**mirrored, propagate=propagate, gpa=gpa)
    assert torch.equal(result.valid, twin.valid)
    torch.testing.assert_close(twin.pose_3d, (result.pose_3d * flip[3])[:, joints], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(twin.pose_2d, (result.pose_2d * flip[2])[:, joints], rtol=1e-9, atol=1e-9)


@law
@given(seeds, skeletons)
def test_a_pose_does_not_depend_on_its_batch(seed: int, skeleton: Skeleton) -> None:
    arguments = drawn(seed, skeleton, "bone_rotation", "bone_scale", "body_rotation", "placement")
    whole = ops.augment(**arguments)
    camera: Camera = arguments["camera"]
    for row in range(5):
        one = {k: v[row : row + 1] if isinstance(v, Tensor) else v for k, v in arguments.items()}
        alone = ops.augment(**{**one, "camera": camera.rows(torch.tensor([row]))})
        assert torch.equal(alone.pose_2d[0], whole.pose_2d[row])
