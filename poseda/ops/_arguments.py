"""What `augment` takes and returns: the records and the one validator that ops, fakes and reference share."""

from __future__ import annotations

import sys
from typing import NamedTuple

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import MAX_JOINTS, Skeleton

MAX_ROTATION = 1.0e4
"""Longest rotation vector, radians. Beyond it the kernels' range reduction loses digits: the pose is
invalid."""

GPA_MODES = ("closed_form", "exact")


class AugmentedPose(NamedTuple):
    """What :func:`poseda.ops.augment` returns.

    Attributes:
        pose_3d: (N, J, 3) or (N, T, J, 3) metres, camera frame.
        pose_2d: (N, J, 2) or (N, T, J, 2) screen coordinates.
        valid: (N,) bool. Where false, the pose is all zeros and passes no gradient.
    """

    pose_3d: Tensor
    pose_2d: Tensor
    valid: Tensor


class AugmentArguments(NamedTuple):
    """The tensors of one `augment` call, in one floating dtype and on one device.

    Shapes for single frames; sequences carry a T (or 1) after the N. A leading 1 is shared by the batch.
    """

    pose_3d: Tensor  # (N, J, 3) or (N, T, J, 3)
    focal: Tensor  # (N | M | 1, 2)
    center: Tensor  # (N | M | 1, 2)
    distortion: Tensor | None  # (N | M | 1, 5)
    aspect: Tensor | None  # (N | M | 1,)
    bone_rotation: Tensor | None  # (N | 1, K, 3)
    bone_scale: Tensor | None  # (N | 1, K) or (N | 1, G)
    body_rotation: Tensor | None  # (N | 1, 3)
    root: Tensor | None  # (N | 1, 3)
    placement: Tensor | None  # (M | 1, 4)
    placement_index: Tensor | None  # (N,) int64 in 0 .. M-1
    joint_mask: Tensor | None  # (N | 1, J) bool


def check_augment(
    pose_3d: Tensor,
    *,
    skeleton: Skeleton,
    camera: Camera,
    bone_rotation: Tensor | None = None,
    bone_scale: Tensor | None = None,
    body_rotation: Tensor | None = None,
    propagate: bool = False,
    root: Tensor | None = None,
    placement: Tensor | None = None,
    placement_index: Tensor | None = None,
    gpa: str = "closed_form",
    joint_mask: Tensor | None = None,
    min_depth: float = 0.1,
    require_in_frame: bool = False,
) -> AugmentArguments:
    """Check the arguments of `augment` and bring them to one dtype (half precision becomes float32).

    Raises:
        TypeError: for a wrong type, dtype or device.
        ValueError: for a wrong shape or a combination that means nothing.
    """
    check_settings(skeleton, camera, gpa, min_depth, propagate, require_in_frame)
    arguments = gather(
        pose_3d,
        camera,
        bone_rotation,
        bone_scale,
        body_rotation,
        root,
        placement,
        placement_index,
        joint_mask,
    )
    return check_tensors(arguments, skeleton, require_in_frame)


def gather(
    pose_3d: Tensor,
    camera: Camera,
    bone_rotation: Tensor | None,
    bone_scale: Tensor | None,
    body_rotation: Tensor | None,
    root: Tensor | None,
    placement: Tensor | None,
    placement_index: Tensor | None,
    joint_mask: Tensor | None,
) -> AugmentArguments:
    """The tensors of a call in the order of the compiled op."""
    return AugmentArguments(
        pose_3d,
        camera.focal,
        camera.center,
        camera.distortion,
        camera.aspect,
        bone_rotation,
        bone_scale,
        body_rotation,
        root,
        placement,
        placement_index,
        joint_mask,
    )


def check_settings(
    skeleton: Skeleton,
    camera: Camera,
    gpa: str,
    min_depth: float,
    propagate: bool,
    require_in_frame: bool,
) -> None:
    """Check what is no tensor.

    Raises:
        TypeError: for a wrong type.
        ValueError: for a value that means nothing.
    """
    check_skeleton(skeleton)
    if not isinstance(camera, Camera):
        raise TypeError(f"camera: expected a poseda.geometry.camera.Camera, got {type(camera).__name__}")
    if gpa not in GPA_MODES:
        raise ValueError(f"gpa: expected one of {', '.join(GPA_MODES)}, got {gpa!r}")
    number = isinstance(min_depth, (int, float)) and not isinstance(min_depth, bool)
    if not number or not 0 <= min_depth <= sys.float_info.max:
        raise ValueError(f"min_depth: expected at least 0 metres, got {min_depth!r}")
    for name, flag in (("propagate", propagate), ("require_in_frame", require_in_frame)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name}: expected True or False, got {flag!r}")


def check_tensors(given: AugmentArguments, skeleton: Skeleton, require_in_frame: bool) -> AugmentArguments:
    """Check the tensors of a call and bring them to one dtype (half precision becomes float32).

    Raises:
        TypeError: for a wrong type, dtype or device.
        ValueError: for a wrong shape or a combination that means nothing.
    """
    check_shapes(given, skeleton.num_joints, (skeleton.num_bones, skeleton.num_groups), require_in_frame)
    return _one_dtype(given)


def check_shapes(
    given: AugmentArguments, joints: int, scales: tuple[int, ...], require_in_frame: bool
) -> None:
    """Check types, devices and shapes: the validator that the public function and the fake kernel share.

    Args:
        given: the tensors of the call.
        joints: J of the skeleton.
        scales: admissible sizes of `bone_scale`, K and G.
        require_in_frame: whether `camera.aspect` is needed.
    """
    pose_3d = given.pose_3d
    if not isinstance(pose_3d, Tensor):
        raise TypeError(f"pose_3d: expected a tensor, got {type(pose_3d).__name__}")
    shape = pose_3d.shape
    if len(shape) not in (3, 4) or shape[-2] != joints or shape[-1] != 3:
        raise ValueError(
            f"pose_3d: expected shape (N, {joints}, 3) or (N, T, {joints}, 3), got {tuple(shape)}"
        )
    batch, frames = shape[0], tuple(shape[1:-2])
    if frames == (0,):
        raise ValueError("pose_3d: expected at least one frame, got T = 0")
    if given.root is not None and given.placement is not None:
        raise ValueError("root: cannot be given together with placement; GPA computes the root")
    rows = _table_rows(given, batch)
    _check(pose_3d, "pose_3d", pose_3d, batch, frames, ((joints, 3),))
    _check(pose_3d, "bone_rotation", given.bone_rotation, batch, frames, ((joints - 1, 3),))
    _check(pose_3d, "bone_scale", given.bone_scale, batch, frames, tuple((size,) for size in scales))
    _check(pose_3d, "body_rotation", given.body_rotation, batch, frames, ((3,),))
    _check(pose_3d, "root", given.root, batch, (), ((3,),))
    _check(pose_3d, "placement", given.placement, rows, (), ((4,),))
    _check(pose_3d, "camera.focal", given.focal, rows, (), ((2,),))
    _check(pose_3d, "camera.center", given.center, rows, (), ((2,),))
    _check(pose_3d, "camera.distortion", given.distortion, rows, (), ((5,),))
    _check(pose_3d, "camera.aspect", given.aspect, rows, (), ((),))
    mask = given.joint_mask
    if mask is not None:
        _check_kind(pose_3d, "joint_mask", mask, torch.bool)
        if mask.dim() != 2 or mask.shape[1] != joints or (mask.shape[0] != batch and mask.shape[0] != 1):
            raise ValueError(
                f"joint_mask: expected shape ({batch}, {joints}) or (1, {joints}), got {tuple(mask.shape)}"
            )
    if require_in_frame and given.aspect is None:
        raise ValueError("require_in_frame: needs camera.aspect to know where the screen ends")


def _table_rows(given: AugmentArguments, batch: int) -> int:
    """Rows of the tables that `placement_index` gathers: M with an index, N without."""
    index, placement = given.placement_index, given.placement
    if index is None:
        return batch
    if placement is None:
        raise ValueError("placement_index: picks rows of placement, which was not given")
    _check_kind(given.pose_3d, "placement_index", index, torch.int64)
    if index.dim() != 1 or index.shape[0] != batch:
        raise ValueError(f"placement_index: expected shape ({batch},), got {tuple(index.shape)}")
    if not isinstance(placement, Tensor) or placement.dim() != 2 or (placement.shape[0] == 0 and batch > 0):
        shape = tuple(placement.shape) if isinstance(placement, Tensor) else type(placement).__name__
        raise ValueError(f"placement: expected shape (M, 4) with at least one row to pick from, got {shape}")
    return placement.shape[0]


def check_skeleton(value: object) -> None:
    """Check that a tree is a Skeleton."""
    if not isinstance(value, Skeleton):
        raise TypeError(f"skeleton: expected a poseda.geometry.skeleton.Skeleton, got {type(value).__name__}")


def check_poses(name: str, value: Tensor, points: int | None = None) -> Tensor:
    """Check (..., P, 3) points, P at most 64 (exactly `points` if given); half precision becomes float32."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense floating-point tensor, got {_describe(value)}")
    shape = value.shape
    good = len(shape) >= 2 and shape[-1] == 3 and 1 <= shape[-2] <= MAX_JOINTS
    if not good or (points is not None and shape[-2] != points):
        expected = f"1 to {MAX_JOINTS}" if points is None else str(points)
        raise ValueError(f"{name}: expected shape (..., P, 3) with P = {expected}, got {tuple(shape)}")
    return value.float() if value.dtype in HALF else value


HALF = (torch.float16, torch.bfloat16)


def _one_dtype(given: AugmentArguments) -> AugmentArguments:
    """Promote half precision to float32; anything but a single dtype after that is the caller's mistake."""
    dtype = given.pose_3d.dtype
    floating = given[:10]
    if (dtype == torch.float32 or dtype == torch.float64) and all(
        value is None or value.dtype == dtype for value in floating
    ):
        return given
    promoted = tuple(
        value.float() if value is not None and value.dtype in HALF else value for value in floating
    )
    dtypes = {value.dtype for value in promoted if value is not None}
    if len(dtypes) != 1 or dtypes - {torch.float32, torch.float64}:
        names = ", ".join(sorted(str(dtype) for dtype in dtypes))
        raise TypeError(f"dtypes: expected all floating arguments to be float32 or all float64, got {names}")
    return AugmentArguments._make((*promoted, *given[10:]))


def _check_kind(pose_3d: Tensor, name: str, value: object, dtype: torch.dtype) -> None:
    if not isinstance(value, Tensor) or value.dtype != dtype or value.layout != torch.strided:
        raise TypeError(
            f"{name}: expected a dense {str(dtype).removeprefix('torch.')} tensor, got {_describe(value)}"
        )
    if value.device != pose_3d.device:
        raise TypeError(f"{name}: expected device {pose_3d.device} as pose_3d, got {value.device}")


def _check(
    pose_3d: Tensor,
    name: str,
    value: Tensor | None,
    rows: int,
    frames: tuple[int, ...],
    shapes: tuple[tuple[int, ...], ...],
) -> None:
    """Check one optional floating tensor of shape (rows or 1, frames or 1, one of shapes)."""
    if value is None:
        return
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense floating-point tensor, got {_describe(value)}")
    if value.device != pose_3d.device:
        raise TypeError(f"{name}: expected device {pose_3d.device} as pose_3d, got {value.device}")
    shape = tuple(value.shape)
    lead = 1 + len(frames)
    good = (
        len(shape) >= lead
        and shape[lead:] in shapes
        # One comparison at a time: while compiling, sizes are symbols, which `in` does not compare by value.
        and (shape[0] == rows or shape[0] == 1)
        and (not frames or shape[1] == frames[0] or shape[1] == 1)
    )
    if not good:
        dims = [str(rows), *(f"{frame} or 1" for frame in frames)]
        expected = " or ".join(f"({', '.join([*dims, *map(str, tail)])})" for tail in shapes)
        raise ValueError(f"{name}: expected shape {expected} (a leading 1 is shared), got {shape}")


def _describe(value: object) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return str(value.dtype) if value.layout == torch.strided else f"{value.dtype}, {value.layout}"
