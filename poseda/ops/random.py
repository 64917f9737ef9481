"""Augmentation with parameters that a kernel draws, for use without a generator."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton
from poseda.ops import _native as native
from poseda.ops._arguments import AugmentedPose, check_skeleton
from poseda.ops.augment import augment

native.load()


@dataclass(frozen=True)
class RandomRanges:
    """The ranges of random parameters. All draws are uniform.

    Args:
        bone_angle: largest turn of a bone, radians, about an axis uniform on the sphere.
        bone_scale: largest relative change of a bone's length, below 1.
        body_yaw: largest turn about the camera's vertical axis either way, radians.
        body_tilt: largest lean of the body, radians, in a uniform direction.

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
            if not 0 <= value <= limit or (name == "bone_scale" and value == limit):
                raise ValueError(f"{name}: expected 0 to {limit:.4g}, got {value}")


class RandomParameters(NamedTuple):
    """Parameters of :func:`poseda.ops.augment`, as drawn."""

    bone_rotation: Tensor  # (N, K, 3) radians
    bone_scale: Tensor  # (N, G) relative change of length
    body_rotation: Tensor  # (N, 3) radians
    placement_index: Tensor | None  # (N,) int64


OPTIONS = tuple(
    name
    for name in inspect.signature(augment).parameters
    if name not in ("pose_3d", "skeleton", "camera", "placement", *RandomParameters._fields)
)
"""Arguments of :func:`poseda.ops.augment` that are neither drawn nor arguments of :func:`random_augment`."""


def random_state(seed: int, device: torch.device | str = "cpu") -> Tensor:
    """State of the counter-based generator: (2,) int64, seed and offset, on the device.

    Each call that draws advances the offset there. So a replayed CUDA graph draws anew, and nothing waits.
    """
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
    if batch < 0 or first < 0 or table_rows < 0:
        raise ValueError(f"batch, first, table_rows: expected at least 0, got {batch}, {first}, {table_rows}")
    ranges = ranges or RandomRanges()
    rotation, scale, body, index = torch.ops.poseda.random_parameters(
        rng_state,
        torch.empty(0, dtype=dtype, device=rng_state.device),
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
    **options: Any,
) -> AugmentedPose:
    """Augment with parameters drawn for each pose (for sequences: one draw, constant in time).

    Args:
        pose_3d: (N, J, 3) or (N, T, J, 3) metres, camera frame.
        rng_state: from :func:`random_state`, on the device of the poses.
        skeleton: the tree.
        camera: N cameras or one; with ``placement`` a table of M or one.
        placement: (M, 4) table of targets; each pose takes a random row and that row's camera.
        ranges: the ranges of the parameters.
        options: further arguments of :func:`poseda.ops.augment`.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    dtype = torch.float64 if pose_3d.dtype == torch.float64 else torch.float32
    rows = 0 if placement is None else placement.shape[0]
    drawn = random_parameters(rng_state, pose_3d.shape[0], skeleton, ranges, table_rows=rows, dtype=dtype)

    def per_pose(value: Tensor) -> Tensor:
        return value.unsqueeze(1) if pose_3d.dim() == 4 else value

    return augment(
        pose_3d,
        skeleton=skeleton,
        camera=camera,
        bone_rotation=per_pose(drawn.bone_rotation),
        bone_scale=per_pose(drawn.bone_scale),
        body_rotation=per_pose(drawn.body_rotation),
        placement=placement,
        placement_index=drawn.placement_index,
        **options,
    )


class PoseAugment(nn.Module):
    """:func:`random_augment` as a module, for a training step or a DataLoader's collate function.

    The camera and placement tables and the generator's state are buffers: they move with the module and are
    saved with it, so that a resumed run draws on where it stopped. Give each DataLoader worker its own seed.

    Args:
        skeleton: the tree.
        camera: table of M cameras, or one.
        placement: (M, 4) targets, or None to leave poses where they stand.
        ranges: the ranges of the parameters.
        seed: of the draws.
        options: further arguments of :func:`poseda.ops.augment`.

    Raises:
        TypeError: if an option is unknown, naming it.
    """

    rng_state: Tensor
    placement: Tensor | None

    def __init__(
        self,
        skeleton: Skeleton,
        camera: Camera,
        placement: Tensor | None = None,
        *,
        ranges: RandomRanges | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        if unknown := options.keys() - OPTIONS:
            names = ", ".join(sorted(unknown))
            raise TypeError(f"PoseAugment: expected options out of {', '.join(OPTIONS)}; got {names}")
        self.skeleton, self.ranges, self.options = skeleton, ranges or RandomRanges(), options
        self.register_buffer("rng_state", random_state(seed))
        self.register_buffer("placement", placement)
        for name in ("focal", "center", "distortion", "aspect"):
            self.register_buffer(name, getattr(camera, name))

    @property
    def camera(self) -> Camera:
        """The camera table."""
        return Camera(self.focal, self.center, self.distortion, self.aspect)  # type: ignore[arg-type]

    def forward(self, pose_3d: Tensor) -> AugmentedPose:
        """Augment (N, J, 3) or (N, T, J, 3) poses."""
        return random_augment(
            pose_3d,
            self.rng_state,
            skeleton=self.skeleton,
            camera=self.camera,
            placement=self.placement,
            ranges=self.ranges,
            **self.options,
        )
