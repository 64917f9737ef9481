"""The arguments of `augment`, once for Python: the public signature, the op's own arguments, their checks.

The op, its fake, its gradient and the reference all take the one record. csrc/augment_arguments.h has the
same arguments for C++. The checks of the small ops are at the end.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, ParamSpec, get_args, get_type_hints

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import MAX_JOINTS, Skeleton
from poseda.geometry.symbolic import differs

MAX_ROTATION = 1.0e4
"""Longest rotation vector, radians. Beyond it the kernels' range reduction loses digits: the pose is
invalid."""

Gpa = Literal["closed_form", "exact"]
"""How the root's depth is found: see :func:`poseda.ops.augment`."""

GPA_MODES: tuple[str, ...] = get_args(Gpa)

EACH_BONE = [tuple(range(bones)) for bones in range(MAX_JOINTS)]
"""``groups`` where each bone has a scale of its own, by the number of bones."""

HALF = (torch.float16, torch.bfloat16)


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


class Shape(NamedTuple):
    """What a tensor argument must be.

    Attributes:
        dimensions: a letter or a number each. N poses, M rows of a table, T frames (of sequences only), J
            joints, K bones, S scales. N, M and T may be 1, which is then shared.
        dtype: None for the floating dtype of the call.
        differentiable: whether the argument has a gradient.
    """

    dimensions: str
    dtype: torch.dtype | None = None
    differentiable: bool = True


class AugmentArguments(NamedTuple):
    """The arguments of the compiled op, in the order of its schema: first the tensors, then the settings."""

    pose_3d: Annotated[Tensor, Shape("NTJ3")]
    focal: Annotated[Tensor, Shape("M2")]
    center: Annotated[Tensor, Shape("M2")]
    distortion: Annotated[Tensor | None, Shape("M5")]
    aspect: Annotated[Tensor | None, Shape("M", differentiable=False)]
    bone_rotation: Annotated[Tensor | None, Shape("NTK3")]
    bone_scale: Annotated[Tensor | None, Shape("NTS")]
    body_rotation: Annotated[Tensor | None, Shape("NT3")]
    root: Annotated[Tensor | None, Shape("N3")]
    placement: Annotated[Tensor | None, Shape("M4")]
    placement_index: Annotated[Tensor | None, Shape("N", torch.int64, differentiable=False)]
    joint_mask: Annotated[Tensor | None, Shape("NJ", torch.bool, differentiable=False)]
    parents: tuple[int, ...]
    groups: tuple[int, ...]  # the scale of each bone; AOTInductor cannot pass an empty list
    propagate: bool
    exact: bool
    min_depth: float
    require_in_frame: bool

    @property
    def tensors(self) -> tuple[Any, ...]:
        """The tensors alone, None where absent."""
        return self[: len(SHAPES)]

    @property
    def settings(self) -> tuple[Any, ...]:
        """All but the tensors."""
        return self[len(SHAPES) :]


SHAPES: dict[str, Shape] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(AugmentArguments, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
"""The shape of each tensor argument."""

DIFFERENTIABLE = {
    name: position for position, (name, shape) in enumerate(SHAPES.items()) if shape.differentiable
}
"""Arguments with a gradient, in the order of augment_backward's results, and their positions."""

TABLES = frozenset(name for name, shape in SHAPES.items() if shape.dimensions.startswith("M"))
"""Arguments of which placement_index picks rows."""

PUBLIC_NAMES = {name: f"camera.{name}" for name in ("focal", "center", "distortion", "aspect")}
"""What users call an argument, where that differs."""


def augment(
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
    gpa: Gpa = "closed_form",
    joint_mask: Tensor | None = None,
    min_depth: float = 0.1,
    require_in_frame: bool = False,
) -> AugmentArguments:
    """The signature of :func:`poseda.ops.augment`, to the record; half precision becomes float32.

    Raises:
        TypeError, ValueError: if a setting is wrong. Tensors are not checked.
    """
    _check_settings(skeleton, camera, gpa, min_depth, propagate, require_in_frame)
    # A setting without what it acts on would do nothing, and hide that something was forgotten.
    if placement is None and gpa == "exact":
        raise ValueError("gpa: exact solves for the depth of placement, which was not given")
    if placement is None and joint_mask is not None:
        raise ValueError("joint_mask: has the joints that span placement's box, which was not given")
    if propagate and bone_rotation is None:
        raise ValueError("propagate: hands on the rotations of bone_rotation, which was not given")
    per_bone = isinstance(bone_scale, Tensor) and bone_scale.shape[-1:] == (skeleton.num_bones,)
    given = AugmentArguments(
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
        skeleton.parents,
        EACH_BONE[skeleton.num_bones] if per_bone else skeleton.bone_groups,
        propagate,
        gpa == "exact",
        min_depth,
        require_in_frame,
    )
    return single(given)


def single(given: AugmentArguments) -> AugmentArguments:
    """The same arguments, half precision as float32."""
    for value in given.tensors:
        if getattr(value, "dtype", None) in HALF:
            return AugmentArguments(*map(_single, given.tensors), *given.settings)
    return given


def _single(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


P = ParamSpec("P")


def _with_signature(
    signature: Callable[P, AugmentArguments],
) -> Callable[[Callable[[AugmentArguments], AugmentedPose]], Callable[P, AugmentedPose]]:
    def decorate(compute: Callable[[AugmentArguments], AugmentedPose]) -> Callable[P, AugmentedPose]:
        @functools.wraps(compute)
        def call(*args: P.args, **kwargs: P.kwargs) -> AugmentedPose:
            return compute(signature(*args, **kwargs))

        shown = inspect.signature(signature).replace(return_annotation="AugmentedPose")
        call.__signature__ = shown  # type: ignore[attr-defined]
        call.__annotations__ = signature.__annotations__ | {"return": "AugmentedPose"}
        return call

    return decorate


takes_augment_arguments = _with_signature(augment)
"""Makes a function of the record a function with the public signature of `augment`."""


def _check_settings(
    skeleton: Skeleton, camera: Camera, gpa: str, min_depth: float, propagate: bool, require_in_frame: bool
) -> None:
    check_skeleton(skeleton)
    if not isinstance(camera, Camera):
        raise TypeError(f"camera: expected a poseda.geometry.camera.Camera, got {type(camera).__name__}")
    if gpa not in GPA_MODES:
        raise ValueError(f"gpa: expected one of {', '.join(GPA_MODES)}, got {gpa!r}")
    number = isinstance(min_depth, (int, float)) and not isinstance(min_depth, bool)
    if not number or not 0 <= min_depth <= sys.float_info.max:
        raise ValueError(f"min_depth: expected at least 0 metres, got {min_depth!r}")
    if not isinstance(propagate, bool) or not isinstance(require_in_frame, bool):
        name, flag = "propagate", propagate
        if isinstance(propagate, bool):
            name, flag = "require_in_frame", require_in_frame
        raise TypeError(f"{name}: expected True or False, got {flag!r}")


def check_augment(given: AugmentArguments) -> None:
    """Check the tensors of a call.

    Raises:
        TypeError: if a type, dtype or device is wrong.
        ValueError: if a shape or a combination is wrong.
    """
    pose_3d, joints = given.pose_3d, len(given.parents)
    if not isinstance(pose_3d, Tensor):
        raise TypeError(f"pose_3d: expected a tensor, got {type(pose_3d).__name__}")
    shape = pose_3d.shape
    if len(shape) not in (3, 4) or differs(shape[-2], joints) or differs(shape[-1], 3):
        raise ValueError(
            f"pose_3d: expected shape (N, {joints}, 3) or (N, T, {joints}, 3), got {tuple(shape)}"
        )
    if len(shape) == 4 and not differs(shape[1], 0, unknown=True):
        raise ValueError("pose_3d: expected at least one frame, got T = 0")
    if given.root is not None and given.placement is not None:
        raise ValueError("root: cannot be given together with placement; GPA computes the root")
    _check_index(given)
    for name, value in zip(SHAPES, given.tensors, strict=True):
        if value is not None:
            _check_kind(given, name, value)
            _check_shape(given, name, value)
    if given.require_in_frame and given.aspect is None:
        raise ValueError("require_in_frame: needs camera.aspect to know where the screen ends")


def _check_index(given: AugmentArguments) -> None:
    index, placement, batch = given.placement_index, given.placement, given.pose_3d.shape[0]
    if index is None:
        return
    if placement is None:
        raise ValueError("placement_index: picks rows of placement, which was not given")
    _check_kind(given, "placement_index", index)
    if index.dim() != 1 or differs(index.shape[0], batch):
        raise ValueError(f"placement_index: expected shape ({batch},), got {tuple(index.shape)}")
    empty = (
        isinstance(placement, Tensor) and placement.dim() == 2 and not differs(placement.shape[0], 0, True)
    )
    if not isinstance(placement, Tensor) or placement.dim() != 2 or (empty and differs(batch, 0)):
        shape = tuple(placement.shape) if isinstance(placement, Tensor) else type(placement).__name__
        raise ValueError(f"placement: expected shape (M, 4) with at least one row to pick from, got {shape}")


def _check_kind(given: AugmentArguments, field: str, value: Any) -> None:
    """Check type, dtype, layout and device."""
    pose_3d, dtype, name = given.pose_3d, SHAPES[field].dtype, PUBLIC_NAMES.get(field, field)
    kind = "floating-point" if dtype is None else _name_of(dtype)
    good = isinstance(value, Tensor) and value.layout == torch.strided
    if not good or (not value.is_floating_point() if dtype is None else value.dtype != dtype):
        raise TypeError(f"{name}: expected a dense {kind} tensor, got {_describe(value)}")
    if value.device != pose_3d.device:
        raise TypeError(f"{name}: expected device {pose_3d.device} as pose_3d, got {value.device}")
    if dtype is not None:
        return
    if pose_3d.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"pose_3d: expected float32 or float64, got {_name_of(pose_3d.dtype)}")
    if value.dtype != pose_3d.dtype:
        raise TypeError(f"{name}: expected {_name_of(pose_3d.dtype)} as pose_3d, got {_name_of(value.dtype)}")


def _check_shape(given: AugmentArguments, field: str, value: Tensor) -> None:
    pose_3d, bones = given.pose_3d, len(given.parents) - 1
    sizes = {"N": pose_3d.shape[0], "T": pose_3d.shape[1], "J": bones + 1, "K": bones, "S": bones}
    sizes["M"] = pose_3d.shape[0]
    if given.placement_index is not None and given.placement is not None:
        sizes["M"] = given.placement.shape[0]
    if given.groups:
        sizes["S"] = max(given.groups) + 1
    dimensions = SHAPES[field].dimensions
    if pose_3d.dim() == 3:
        dimensions = dimensions.replace("T", "")
    wanted = [int(letter) if letter.isdigit() else sizes[letter] for letter in dimensions]
    good = value.dim() == len(wanted)
    for letter, size, want in zip(dimensions, value.shape, wanted, strict=False):
        # The shared 1 comes second: while compiling, each comparison becomes a condition of the program.
        good = good and not (differs(size, want) and (letter not in "NMT" or differs(size, 1)))
    if not good:
        told = [
            f"{want} or 1" if letter == "T" else f"{want}"
            for letter, want in zip(dimensions, wanted, strict=True)
        ]
        choices = [[*told[:-1], f"{bones}"], told] if dimensions.endswith("S") else [told]
        expected = " or ".join(dict.fromkeys(_tuple(choice) for choice in choices))
        name = PUBLIC_NAMES.get(field, field)
        raise ValueError(
            f"{name}: expected shape {expected} (a leading 1 is shared), got {tuple(value.shape)}"
        )


def _tuple(sizes: list[str]) -> str:
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


# ---- The small ops


def check_skeleton(value: object) -> None:
    """Check that a tree is a Skeleton."""
    if not isinstance(value, Skeleton):
        raise TypeError(f"skeleton: expected a poseda.geometry.skeleton.Skeleton, got {type(value).__name__}")


def check_poses(name: str, value: Tensor, points: int | None = None) -> Tensor:
    """Check (..., J, 3) poses, J at most 64 (exactly `points` if given); half precision becomes float32."""
    value = check_points(name, value)
    size = value.shape[-2]
    if not 1 <= size <= MAX_JOINTS if points is None else differs(size, points):
        expected = f"1 to {MAX_JOINTS}" if points is None else str(points)
        raise ValueError(f"{name}: expected shape (..., P, 3) with P = {expected}, got {tuple(value.shape)}")
    return value


def check_points(name: str, value: Tensor) -> Tensor:
    """Check (..., P, 3) points; half precision becomes float32."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense floating-point tensor, got {_describe(value)}")
    if value.dim() < 2 or differs(value.shape[-1], 3):
        raise ValueError(f"{name}: expected shape (..., P, 3), got {tuple(value.shape)}")
    return value.float() if value.dtype in HALF else value


def _describe(value: object) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return str(value.dtype) if value.layout == torch.strided else f"{value.dtype}, {value.layout}"


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
