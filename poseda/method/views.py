"""Random views of source poses, drawn by one call of the fused op.

The pictures of a source show a few cameras, most of them level. A view here may come from any direction and
distance, of a person of any build. The lifter that learns from such views is made for no camera, so for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from poseda import ops
from poseda.config import ViewsConfig
from poseda.geometry.camera import Camera, tilted_up
from poseda.geometry.rotation import composed, shortest_rotation
from poseda.geometry.skeleton import Skeleton
from poseda.ops import AugmentedPose

NEAR = 0.1
"""Least depth of a joint, metres. A view with a nearer one is invalid."""


@dataclass(frozen=True)
class View:
    """N people, each seen from a camera of its own.

    Args:
        up: (N, 3) upward unit vectors in camera axes.
        body_rotation: (N, 3) rotation vectors that turn a source pose into the camera, radians.
        bone_rotation: (N, K, 3) rotation vectors of bones, radians.
        bone_scale: (N, G) relative change of the length of each symmetric bone group.
        root: (N, 3) metres, camera axes.
    """

    up: Tensor
    body_rotation: Tensor
    bone_rotation: Tensor
    bone_scale: Tensor
    root: Tensor

    def of(self, pose_3d: Tensor, skeleton: Skeleton) -> AugmentedPose:
        """See poses (N, J, 3), or windows of them (N, T, J, 3), so: 3D in camera axes, 2D as rays."""
        given: dict[str, Any] = {
            "body_rotation": self.body_rotation,
            "bone_rotation": self.bone_rotation,
            "bone_scale": self.bone_scale,
        }
        if pose_3d.dim() == 4:
            given = {name: value[:, None] for name, value in given.items()}
        # Of this camera screen coordinates are rays: x/z, y/z.
        camera = Camera(focal=pose_3d.new_ones(1, 2), center=pose_3d.new_zeros(1, 2))
        return ops.augment(pose_3d, skeleton=skeleton, camera=camera, root=self.root, min_depth=NEAR, **given)


def draw_views(
    up: Tensor,
    skeleton: Skeleton,
    options: ViewsConfig,
    rng: torch.Generator | None = None,
    physique: Tensor | None = None,
    seen_up: Tensor | None = None,
) -> View:
    """Draw a view for each of N source poses.

    Args:
        up: (N, 3) upward unit vectors, in the axes of the source poses.
        skeleton: of the poses.
        options: ranges.
        rng: of the draws.
        physique: (G,) or (N, G) factors of lengths towards which people's proportions are drawn; None
            keeps the source's.
        seen_up: (N, 3) upward unit vectors in camera axes, where the cameras are known; None draws them.
    """
    draw = _Draws(up, rng)
    if seen_up is None:
        seen_up = tilted_up(torch.cat([_pitch(draw, options), _roll(draw, options)], 1))
    # The heading is uniform about the vertical, so any rotation that brings upward into the camera will do.
    heading = up * draw.between(-math.pi, math.pi, 1)
    distance = draw.between(math.log(options.nearest), math.log(options.farthest), 1).exp()
    aside = distance * options.aside * draw.normal(2)
    build = options.build * draw.normal(skeleton.num_groups)
    if physique is not None:
        build = (1 + build) * (1 + draw.between(0, options.anatomical, 1) * (physique - 1)) - 1
    wide = draw.between(0, options.hips, 1) * (draw.between(0, 1, 1) < 0.5)
    build = (1 + build) * (1 + wide * _hip_groups(skeleton, up.dtype, up.device)) - 1
    stature = options.stature * draw.normal(1)
    angle = options.turn * draw.between(0, 1, 1)[..., None]
    return View(
        seen_up,
        composed(shortest_rotation(up, seen_up), heading),
        angle * draw.normal(skeleton.num_bones, 3),
        ((1 + build) * (1 + stature) - 1).clamp(-0.6, 0.6),
        torch.cat([aside, distance], 1),
    )


@lru_cache(maxsize=32)
def _hip_groups(skeleton: Skeleton, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(G,) 1 for the group of the hips and 0 for others, on the device: a copy would make the host wait."""
    hips = {f"{side}_hip" for side in ("left", "right")}
    members = [
        group
        for joint, group in zip(skeleton.joint_names[1:], skeleton.bone_groups, strict=True)
        if joint in hips
    ]
    return (
        torch.zeros(skeleton.num_groups)
        .index_fill_(0, torch.tensor(members, dtype=torch.int64), 1.0)
        .to(device, dtype)
    )


class _Draws:
    """Random numbers for N rows, of the device and type of a tensor."""

    def __init__(self, like: Tensor, rng: torch.Generator | None) -> None:
        self._like, self._rng = like, rng

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        size = (len(self._like), *shape)
        draw = torch.rand(size, generator=self._rng, device=self._like.device, dtype=self._like.dtype)
        return low + (high - low) * draw

    def normal(self, *shape: int) -> Tensor:
        size = (len(self._like), *shape)
        return torch.randn(size, generator=self._rng, device=self._like.device, dtype=self._like.dtype)


def _pitch(draw: _Draws, options: ViewsConfig) -> Tensor:
    """(N, 1) radians: uniform over the range, and near level in a share of the rows."""
    low, high = math.radians(options.lowest), math.radians(options.highest)
    level = draw.between(0, 1, 1) < options.level_share
    return torch.where(level, 0.15 * draw.normal(1), draw.between(low, high, 1))


def _roll(draw: _Draws, options: ViewsConfig) -> Tensor:
    """(N, 1) radians: uniform over the range in half of the rows, small in the others."""
    most = math.radians(options.roll)
    small = draw.between(0, 1, 1) < 0.5
    return torch.where(small, (0.14 * draw.normal(1)).clamp(-most, most), draw.between(-most, most, 1))
