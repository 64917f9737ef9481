"""The reference, proved by numbers worked by hand (style: exactly representable where the maths allows)."""

import math

import pytest
import torch

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton
from poseda.ops import reference

CHAIN = Skeleton.declare("chain", {"a": None, "b": "a", "c": "b"})
PINHOLE = Camera(torch.tensor([[2.0, 4.0]]).double(), torch.tensor([[0.25, -0.5]]).double())
QUARTER = math.pi / 2


def pose(*joints: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor([joints], dtype=torch.float64)


def vectors(*rows: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor([rows], dtype=torch.float64)


# a at (0, 0, 4); b one metre to the right of it; c one metre below b.
STANDING = pose((0, 0, 4), (1, 0, 4), (1, 1, 4))


def augmented(**given: object) -> reference.AugmentedPose:
    return reference.augment(STANDING, skeleton=CHAIN, camera=PINHOLE, **given)


def test_without_parameters_the_source_pose_is_projected() -> None:
    result = augmented()
    torch.testing.assert_close(result.pose_3d, STANDING, rtol=0, atol=0)
    # u = 2 X/Z + 0.25, v = 4 Y/Z - 0.5
    expected = torch.tensor([[[0.25, -0.5], [0.75, -0.5], [0.75, 0.5]]], dtype=torch.float64)
    torch.testing.assert_close(result.pose_2d, expected, rtol=0, atol=0)
    assert result.valid.tolist() == [True]


def test_a_bone_alone_turns_about_z_and_carries_what_hangs_from_it_without_turning_it() -> None:
    # A quarter turn about +z takes x to y (down the screen): b moves below a, c stays one metre below b.
    result = augmented(bone_rotation=vectors((0, 0, QUARTER), (0, 0, 0)))
    torch.testing.assert_close(result.pose_3d, pose((0, 0, 4), (0, 1, 4), (0, 2, 4)))


def test_propagating_turns_the_chain_below_too() -> None:
    # The same turn takes c's bone from +y to -x.
    result = augmented(bone_rotation=vectors((0, 0, QUARTER), (0, 0, 0)), propagate=True)
    torch.testing.assert_close(result.pose_3d, pose((0, 0, 4), (0, 1, 4), (-1, 1, 4)))


def test_propagated_rotations_compose_parent_first() -> None:
    # b: z quarter turn. c: x quarter turn in the turned frame: R_z R_x y = R_z z = z, so c stands behind b.
    result = augmented(bone_rotation=vectors((0, 0, QUARTER), (QUARTER, 0, 0)), propagate=True)
    torch.testing.assert_close(result.pose_3d, pose((0, 0, 4), (0, 1, 4), (0, 1, 5)))


def test_a_scale_is_the_relative_change_of_length() -> None:
    result = augmented(bone_scale=torch.tensor([[0.5, -0.25]], dtype=torch.float64))
    torch.testing.assert_close(result.pose_3d, pose((0, 0, 4), (1.5, 0, 4), (1.5, 0.75, 4)), rtol=0, atol=0)


def test_scales_of_symmetric_groups_reach_both_sides() -> None:
    fork = Skeleton.declare("fork", {"root": None, "l": "root", "r": "root"}, [("l", "r")])
    source = pose((0, 0, 4), (1, 0, 4), (-1, 0, 4))
    scale = torch.tensor([[0.5]], dtype=torch.float64)
    result = reference.augment(source, skeleton=fork, camera=PINHOLE, bone_scale=scale)
    torch.testing.assert_close(result.pose_3d, pose((0, 0, 4), (1.5, 0, 4), (-1.5, 0, 4)), rtol=0, atol=0)


def test_the_body_turns_about_its_root() -> None:
    # A half turn about the vertical axis y: x to -x.
    result = augmented(body_rotation=torch.tensor([[0, math.pi, 0]], dtype=torch.float64))
    torch.testing.assert_close(result.pose_3d, pose((0, 0, 4), (-1, 0, 4), (-1, 1, 4)))


def test_a_given_root_moves_the_body() -> None:
    result = augmented(root=torch.tensor([[1.0, 2.0, 8.0]], dtype=torch.float64))
    torch.testing.assert_close(result.pose_3d, pose((1, 2, 8), (2, 2, 8), (2, 3, 8)), rtol=0, atol=0)


def test_closed_form_placement_takes_depth_from_the_ratio_of_boxes() -> None:
    # Extents 1 m by 1 m, focal lengths 2 and 4, box 0.25 + 0.5: z = (2 + 4) / 0.75 = 8 m.
    # Root at u = 1.25, v = 0.5: x0 = (1.25 - 0.25) / 2 = 0.5, y0 = (0.5 + 0.5) / 4 = 0.25: root (4, 2, 8).
    placement = torch.tensor([[1.25, 0.5, 0.25, 0.5]], dtype=torch.float64)
    result = augmented(placement=placement)
    torch.testing.assert_close(result.pose_3d, pose((4, 2, 8), (5, 2, 8), (5, 3, 8)), rtol=0, atol=0)
    torch.testing.assert_close(result.pose_2d[0, 0], placement[0, :2], rtol=0, atol=0)


def test_each_pose_has_its_own_camera_in_placement() -> None:
    """The published snippet sets the depth of a whole batch with the first camera's focal length."""
    cameras = Camera(torch.tensor([[2.0, 4.0], [1.0, 2.0]]).double(), torch.zeros(2, 2).double())
    placement = torch.tensor([[0.0, 0.0, 0.25, 0.5]], dtype=torch.float64).expand(2, 4)
    result = reference.augment(STANDING.expand(2, 3, 3), skeleton=CHAIN, camera=cameras, placement=placement)
    assert result.pose_3d[:, 0, 2].tolist() == [8.0, 4.0]


def test_placement_index_gathers_placement_and_camera_together() -> None:
    cameras = Camera(
        torch.tensor([[2.0, 4.0], [1.0, 2.0]]).double(), torch.tensor([[0.0, 0.0], [0.5, 0.5]]).double()
    )
    placement = torch.tensor([[0, 0, 0.25, 0.5], [0.5, 0.5, 0.5, 1.0]], dtype=torch.float64)
    index = torch.tensor([1, 0, 1])
    result = reference.augment(
        STANDING.expand(3, 3, 3), skeleton=CHAIN, camera=cameras, placement=placement, placement_index=index
    )
    assert result.pose_3d[:, 0].tolist() == [[0, 0, 2], [0, 0, 8], [0, 0, 2]]


def test_a_shared_camera_stays_shared_beside_a_placement_table() -> None:
    placement = torch.tensor([[0, 0, 0.25, 0.5], [0.5, 0.5, 0.5, 1.0]], dtype=torch.float64)
    index = torch.tensor([1, 0, 1])
    given = {"skeleton": CHAIN, "camera": PINHOLE, "placement": placement, "placement_index": index}
    result = reference.augment(STANDING.expand(3, 3, 3), **given)
    assert result.pose_2d[:, 0].tolist() == [[0.5, 0.5], [0, 0], [0.5, 0.5]]


def test_an_index_outside_the_table_makes_a_pose_invalid_and_never_wraps() -> None:
    placement = torch.tensor([[0, 0, 0.25, 0.5], [0.5, 0.5, 0.5, 1.0]], dtype=torch.float64)
    index = torch.tensor([-1, 0, 2])
    given = {"skeleton": CHAIN, "camera": PINHOLE, "placement": placement, "placement_index": index}
    for function in (reference.augment, ops.augment):
        result = function(STANDING.expand(3, 3, 3), **given)
        assert result.valid.tolist() == [False, True, False]
        assert not result.pose_3d[[0, 2]].any()


def test_only_masked_joints_span_the_box() -> None:
    # Without c the extent is 1 m by 0: z = 2 / 0.25 = 8 m.
    placement = torch.tensor([[0.25, -0.5, 0.125, 0.125]], dtype=torch.float64)
    result = augmented(placement=placement, joint_mask=torch.tensor([[True, True, False]]))
    assert result.pose_3d[0, 0].tolist() == [0, 0, 8]


def test_exact_placement_fills_the_projected_box_where_the_closed_form_misses() -> None:
    # b one metre right and two nearer: seen at depth z - 2. Camera f = 1: width 1/(z-2) = 0.5 gives z = 4,
    # where the closed form says z = 1 / 0.5 = 2.
    near = pose((0, 0, 4), (1, 0, 2), (0, 0, 4))
    camera = Camera(torch.ones(1, 2).double(), torch.zeros(1, 2).double())
    placement = torch.tensor([[0, 0, 0.5, 0.0]], dtype=torch.float64)
    result = reference.augment(near, skeleton=CHAIN, camera=camera, placement=placement, gpa="exact")
    torch.testing.assert_close(result.pose_3d[0, 0, 2].item(), 4.0, rtol=1e-12, atol=0)


def test_distortion_is_the_simplified_model() -> None:
    # x = 0.5, y = 0, r2 = 0.25. Radial 1 + 1*0.25 + 4*0.0625 + 16*0.015625 = 1.75, + p1 x = 1 * 0.5: 2.25.
    # u = 0.5 * 2.25 + 1 * 0.25 = 1.375, v = 0 + 2 * 0.25 = 0.5.
    lens = torch.tensor([[1.0, 4.0, 16.0, 1.0, 2.0]]).double()
    camera = Camera(torch.ones(1, 2).double(), torch.zeros(1, 2).double(), lens)
    result = reference.augment(pose((2, 0, 4), (2, 0, 4), (2, 0, 4)), skeleton=CHAIN, camera=camera)
    assert result.pose_2d[0, 0].tolist() == [1.375, 0.5]


def test_sequences_keep_the_displacement_from_the_centre_frame_turned_with_it() -> None:
    frames = torch.stack([STANDING[0], STANDING[0] + torch.tensor([1.0, 0, 0])])[None]  # centre frame: 1
    turn = torch.tensor([[[0, 0, math.pi]]], dtype=torch.float64)
    root = torch.tensor([[0.0, 0.0, 8.0]], dtype=torch.float64)
    result = reference.augment(frames, skeleton=CHAIN, camera=PINHOLE, body_rotation=turn, root=root)
    torch.testing.assert_close(result.pose_3d[0, 1], pose((0, 0, 8), (-1, 0, 8), (-1, -1, 8))[0])
    # Frame 0 stood one metre to the left; turned by half, it stands one metre to the right.
    torch.testing.assert_close(result.pose_3d[0, 0, 0], torch.tensor([1.0, 0, 8]).double())


def test_zero_rotation_has_the_exact_gradient_of_the_cross_product() -> None:
    w = torch.zeros(1, 2, 3, dtype=torch.float64, requires_grad=True)
    result = augmented(bone_rotation=w)
    # d(w x b)/dw for b = (1, 0, 0), summed over y of joint b: y = w_z.
    (gradient,) = torch.autograd.grad(result.pose_3d[0, 1, 1], w)
    assert gradient.tolist() == [[[0, 0, 1], [0, 0, 0]]]


def test_first_joint_carries_the_gradient_of_a_tied_extent() -> None:
    source = pose((0, 0, 4), (1, 0, 4), (1, 0, 4)).requires_grad_()
    placement = torch.tensor([[0.25, -0.5, 0.5, 0.0]], dtype=torch.float64)
    result = reference.augment(source, skeleton=CHAIN, camera=PINHOLE, placement=placement)
    (gradient,) = torch.autograd.grad(result.pose_3d[0, 0, 2], source)
    # z = 2 (X_b - X_a) / 0.5: the root's own x is the smallest, b the first of the two largest.
    assert gradient[0, :, 0].tolist() == [-4, 4, 0]


@pytest.mark.parametrize(
    "given",
    [
        {"bone_scale": torch.tensor([[-1.0, 0.0]]).double()},
        {"root": torch.tensor([[0.0, 0.0, 0.05]]).double()},
        {"placement": torch.tensor([[0.0, 0.0, 0.0, 0.0]]).double()},
        {"placement": torch.tensor([[0.0, 0.0, -0.1, 0.5]]).double()},
        {"body_rotation": torch.tensor([[math.nan, 0.0, 0.0]]).double()},
        {"bone_rotation": torch.full((1, 2, 3), 1e4).double()},
    ],
    ids=["no length", "too near", "empty box", "negative box", "nan", "too long a rotation"],
)
def test_an_invalid_pose_is_all_zeros(given: dict[str, torch.Tensor]) -> None:
    result = augmented(**given)
    assert result.valid.tolist() == [False]
    assert not result.pose_3d.any() and not result.pose_2d.any()
