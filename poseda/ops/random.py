"""Augmentation with parameters that a kernel draws, for use without a generator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton
from poseda.geometry.symbolic import check_size, differs
from poseda.ops import _autograd as autograd
from poseda.ops import _native as native
from poseda.ops._arguments import AugmentedPose, Gpa, check_skeleton
from poseda.ops.augment import augment

native.load()


@dataclass(frozen=True)
class RandomRanges:
    """The ranges of random parameters. All draws are uniform.

    Args:
        bone_angle: largest turn of a bone, radians, about an axis uniform on the sphere.
        bone_scale: largest relative change of a bone's length, below 1.
        body_yaw: largest turn about the camera's vertical axis either way, radians.
        body_tilt: largest lean of the body after that turn, radians, in a uniform direction.

    Raises:
        ValueError: naming the range, what was expected and what came.
    """

    bone_angle: float = 0.3
    bone_scale: float = 0.2
    body_yaw: float = math.pi
    body_tilt: float = 0.2

    def __post_init__(self) -> None:
        limits = {"bone_angle": math.pi, "bone_scale": 1.0, "body_yaw": math.pi, "body_tilt": math.pi}
        for name, limit in limits.items():
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value <= limit or (name == "bone_scale" and value == limit):
                raise ValueError(f"{name}: expected 0 to {limit:.4g}, got {value!r}")


class RandomParameters(NamedTuple):
    """Parameters of :func:`poseda.ops.augment`, as drawn."""

    bone_rotation: Tensor  # (N, K, 3) radians
    bone_scale: Tensor  # (N, G) relative change of length
    body_rotation: Tensor  # (N, 3) radians
    placement_index: Tensor | None  # (N,) int64


def random_state(seed: int, device: torch.device | str = "cpu") -> Tensor:
    """State of the counter-based generator: (2,) int64, seed and offset, on the device.

    Each call that draws advances the offset there. So a replayed CUDA graph draws anew, and nothing waits.

    Raises:
        ValueError: if the seed is no int64.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed: expected a whole number of 64 bits, got {seed!r}")
    return torch.tensor([seed, 0], dtype=torch.int64, device=device)


def random_parameters(
    rng_state: Tensor,
    batch: int,
    skeleton: Skeleton,
    ranges: RandomRanges | None = None,
    *,
    table_rows: int = 0,
    first: int = 0,
    advance: bool = True,
    dtype: torch.dtype = torch.float32,
) -> RandomParameters:
    """Draw parameters for a batch (Philox 4x32-10, Salmon et al. 2011).

    The numbers depend on the seed, the offset and a pose's index only. They depend neither on threads nor on
    how a batch is cut: draw its parts with ``first``, and advance with the last. Integers and uniforms are
    bit-equal on CPU and CUDA.

    Example:
        >>> from poseda import H36M16, ops
        >>> state = ops.random_state(7)
        >>> drawn = ops.random_parameters(state, 8, H36M16, table_rows=50)
        >>> drawn.bone_rotation.shape, drawn.placement_index.dtype, state
        (torch.Size([8, 15, 3]), torch.int64, tensor([7, 1]))

    Args:
        rng_state: (2,) int64 from :func:`random_state`; its offset is advanced in place.
        batch: N.
        skeleton: K bones, G symmetric groups.
        ranges: the ranges of the parameters.
        table_rows: M, to draw rows of a placement table, too; 0: none.
        first: index of the first pose, where a batch is drawn in parts.
        advance: whether to advance the offset.
        dtype: float32 or float64, of the drawn parameters.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_skeleton(skeleton)
    autograd.refuse_vmap("random_parameters")
    check_ranges(ranges)
    good = isinstance(rng_state, Tensor) and rng_state.dtype == torch.int64 and rng_state.shape == (2,)
    if not good or rng_state.layout != torch.strided:
        came = (
            f"{rng_state.dtype} {tuple(rng_state.shape)}"
            if isinstance(rng_state, Tensor)
            else type(rng_state)
        )
        raise TypeError(f"rng_state: expected two int64 numbers, seed and offset, got {came}")
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"dtype: expected float32 or float64, got {dtype}")
    for name, size in (("batch", batch), ("first", first), ("table_rows", table_rows)):
        check_size(name, size)
    if table_rows >= 2**32:
        raise ValueError(f"table_rows: expected fewer than 2^32, got {table_rows}")
    like = torch.empty(0, dtype=dtype, device=rng_state.device)
    return draw(rng_state, like, batch, skeleton, ranges or RandomRanges(), table_rows, first, advance)


def draw(
    rng_state: Tensor,
    like: Tensor,
    batch: int,
    skeleton: Skeleton,
    ranges: RandomRanges,
    table_rows: int,
    first: int = 0,
    advance: bool = True,
) -> RandomParameters:
    """:func:`random_parameters` of arguments that are known to be good, in the dtype of ``like``."""
    rotation, scale, body, index = _random_parameters(
        rng_state,
        like,
        batch,
        first,
        advance,
        skeleton.num_bones,
        skeleton.num_groups,
        table_rows,
        ranges.bone_angle,
        ranges.bone_scale,
        ranges.body_yaw,
        ranges.body_tilt,
    )
    return RandomParameters(rotation, scale, body, index if table_rows else None)


_random_parameters = torch.ops.poseda.random_parameters.default


@torch.library.register_fake("poseda::random_parameters")
def _random_parameters_fake(
    rng_state: Tensor,
    like: Tensor,
    batch: int,
    first: int,
    advance: bool,
    bones: int,
    scales: int,
    table_rows: int,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        like.new_empty((batch, bones, 3)),
        like.new_empty((batch, scales)),
        like.new_empty((batch, 3)),
        rng_state.new_empty((batch if table_rows else 0,)),
    )


def random_augment(
    pose_3d: Tensor,
    rng_state: Tensor,
    *,
    skeleton: Skeleton,
    camera: Camera,
    placement: Tensor | None = None,
    ranges: RandomRanges | None = None,
    root: Tensor | None = None,
    joint_mask: Tensor | None = None,
    propagate: bool = False,
    gpa: Gpa = "closed_form",
    min_depth: float = 0.1,
    require_in_frame: bool = False,
) -> AugmentedPose:
    """Augment with parameters drawn for each pose (for sequences: one draw, constant in time).

    Each call draws anew, also one that ``torch.utils.checkpoint`` repeats; :class:`PoseAugment` draws the
    same again.

    Args:
        pose_3d: (N, J, 3) or (N, T, J, 3) metres, camera frame.
        rng_state: from :func:`random_state`, on the device of the poses.
        skeleton: the tree.
        camera: N cameras or one; with ``placement`` a table of M or one.
        placement: (M, 4) table of targets; each pose takes a random row and that row's camera.
        ranges: the ranges of the parameters.
        root: (N, 3) metres, where the roots shall stand. Default: where the source's stand.
        joint_mask: (M, J) bool, the joints that span the boxes of ``placement``. Default: all.
        propagate, gpa, min_depth, require_in_frame: as for :func:`poseda.ops.augment`.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_table(placement, joint_mask, skeleton)
    check_batch(pose_3d)
    dtype = torch.float64 if pose_3d.dtype == torch.float64 else torch.float32
    rows = 0 if placement is None else placement.shape[0]
    drawn = random_parameters(rng_state, pose_3d.shape[0], skeleton, ranges, table_rows=rows, dtype=dtype)
    if pose_3d.dim() == 4:
        drawn = in_frames(drawn)
    return augment(
        pose_3d,
        skeleton=skeleton,
        camera=camera,
        placement=placement,
        root=root,
        joint_mask=picked(joint_mask, drawn.placement_index),
        propagate=propagate,
        gpa=gpa,
        min_depth=min_depth,
        require_in_frame=require_in_frame,
        **drawn._asdict(),
    )


def check_ranges(ranges: RandomRanges | None) -> None:
    """Check that ranges, where given, are :class:`RandomRanges`."""
    if ranges is not None and not isinstance(ranges, RandomRanges):
        raise TypeError(f"ranges: expected a poseda.ops.RandomRanges, got {type(ranges).__name__}")


def check_batch(pose_3d: Tensor) -> None:
    """Check that poses have a batch and joints. All else is left to :func:`poseda.ops.augment`."""
    if not isinstance(pose_3d, Tensor):
        came = type(pose_3d).__name__
        raise TypeError(f"pose_3d: expected a tensor (N, J, 3) or (N, T, J, 3), got {came}")
    if pose_3d.dim() not in (3, 4):
        raise ValueError(f"pose_3d: expected shape (N, J, 3) or (N, T, J, 3), got {tuple(pose_3d.shape)}")


def check_table(placement: Tensor | None, joint_mask: Tensor | None, skeleton: Skeleton) -> None:
    """Check the shapes of a table to draw rows of. All else is left to :func:`poseda.ops.augment`.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_skeleton(skeleton)
    for name, table, width in (("placement", placement, 4), ("joint_mask", joint_mask, skeleton.num_joints)):
        if table is None:
            continue
        if not isinstance(table, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(table).__name__}")
        if table.dim() != 2 or differs(table.shape[1], width) or not differs(table.shape[0], 0, True):
            raise ValueError(
                f"{name}: expected shape (M, {width}) with at least one row, got {tuple(table.shape)}"
            )
    if placement is not None and joint_mask is not None:
        rows = placement.shape[0]
        if differs(joint_mask.shape[0], rows) and differs(joint_mask.shape[0], 1):
            raise ValueError(f"joint_mask: expected {rows} rows as placement or 1, got {joint_mask.shape[0]}")


def picked(joint_mask: Tensor | None, index: Tensor | None) -> Tensor | None:
    """The mask of each pose from a mask of each row of the table; a single row is shared."""
    if joint_mask is None or index is None or not differs(joint_mask.shape[0], 1, True):
        return joint_mask
    return joint_mask[index]


def in_frames(drawn: RandomParameters) -> RandomParameters:
    """The same for sequences (N, T, J, 3), constant in time."""
    rotation, scale, body, index = drawn
    return RandomParameters(rotation.unsqueeze(1), scale.unsqueeze(1), body.unsqueeze(1), index)
