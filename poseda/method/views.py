"""Random views of source poses, drawn by one call of the fused op.

The pictures of a source show a few cameras, most of them level. A view here may come from any direction and
distance, of a person of any build. The lifter that learns from such views is made for no camera, so for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from poseda import ops
from poseda.config import ViewsConfig
from poseda.geometry.camera import Camera, tilted_up
from poseda.geometry.device_table import device_table
from poseda.geometry.placements import REFINEMENTS, locate
from poseda.geometry.rotation import composed, turned_onto
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.observation import Observation
from poseda.method.bodies import anatomical_scale
from poseda.method.draws import Chance, Column, Normal, Uniform
from poseda.method.posture import bent
from poseda.ops import AugmentedPose

DISTANCE = 4.0
"""Metres at which poses without a place are kept; views are drawn at distances of their own."""

NEAR = 0.1
"""Least depth of a joint, metres. A view with a nearer one is invalid."""

NEAR_LEVEL, SLIGHT_ROLL = 0.15, 0.14
"""Standard deviations of the pitch of cameras near level, and of the roll of most cameras, radians."""

VARIED = 1 / 3
"""How much :attr:`ViewsConfig.anatomical` varies from person to person, relative to itself."""

MOST_CHANGE = 0.6
"""Largest relative change of a bone's length."""


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
        return ops.augment(
            pose_3d,
            skeleton=skeleton,
            camera=ray_camera(pose_3d.dtype, pose_3d.device),
            root=self.root,
            min_depth=NEAR,
            **given,
        )


@dataclass(frozen=True)
class Places:
    """Where M people of a target stand before its cameras.

    Args:
        up: (M, 3) upward unit vectors in camera axes.
        root: (M, 3) metres, camera axes.
    """

    up: Tensor
    root: Tensor

    @classmethod
    def of(cls, pose_3d: Tensor, frames: Observation, up: Tensor) -> Places | None:
        """Those of lifted poses (N, J, 3) whose direction upward (N, 3) is known; None without any.

        Poses stand where they fit their pictures best.
        """
        rays, seen = frames.rays[:, 0], frames.seen[:, 0]
        root = locate(pose_3d, rays, ray_camera(rays.dtype, rays.device), seen, REFINEMENTS)
        known = up.isfinite().all(1) & root.isfinite().all(1)
        return cls(up[known], root[known]) if bool(known.any()) else None


def ray_camera(dtype: torch.dtype, device: torch.device) -> Camera:
    """The camera whose screen coordinates are rays: x/z, y/z."""
    return Camera(*_plane_of_rays(dtype, device))


@device_table
def _plane_of_rays(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Focal length and centre, (1, 2) each."""
    ones = torch.ones(1, 2, dtype=dtype, device=device)
    return ones, torch.zeros_like(ones)


def view_columns(skeleton: Skeleton, options: ViewsConfig) -> dict[str, Column]:
    """The random numbers of a view, which :func:`draw_views` reads.

    Args:
        skeleton: of the poses.
        options: ranges.
    """
    low, high, roll = (math.radians(angle) for angle in (options.lowest, options.highest, options.roll))
    groups = (skeleton.num_groups,)
    anatomical, wide = options.anatomical, options.hips * _hip_groups(skeleton)
    return {
        # Pitch is uniform over its range, and near level in a share of the views. Roll is uniform over its
        # range in half of them, and small in the others.
        "pitch": Uniform((1,), low, high),
        "near_level": Normal((1,), NEAR_LEVEL),
        "level": Chance((1,), options.level_share),
        "roll": Uniform((1,), -roll, roll),
        "slight_roll": Normal((1,), SLIGHT_ROLL),
        "slight": Chance((1,), 0.5),
        # Uniform about the vertical, so any rotation that brings upward into the camera will do.
        "heading": Uniform((1,), -math.pi, math.pi),
        "log_distance": Uniform((1,), math.log(options.nearest), math.log(options.farthest)),
        "aside": Normal((2,), options.aside),
        "build": Normal(groups, options.build, 1.0),
        "stature": Normal((1,), options.stature, 1.0),
        "anatomical": Uniform((1,), (1 - VARIED) * anatomical, (1 + VARIED) * anatomical),
        "hips": Uniform(groups, 0.0, wide),
        "straight": Uniform((1, 1), 0.0, math.radians(options.knees)),
        "lean_size": Uniform((1, 1), -options.lean / 2, options.lean),  # those below zero bend nothing
        "lean_axis": Normal((1, 3)),
        "turn": Uniform((1, 1), 0.0, options.turn),
        "bones": Normal((skeleton.num_bones, 3)),
    }


OF_PERSON = ("build", "stature", "anatomical", "hips")
OF_CAMERA = ("pitch", "near_level", "level", "roll", "slight_roll", "slight")
"""The columns that stay the same in all frames of a person, and of a camera that rests."""

USUAL = 2.5
"""Standard deviations within which 99 % of normal numbers lie."""


def drawn_lengths(usual: Tensor, skeleton: Skeleton, options: ViewsConfig) -> tuple[Tensor, Tensor]:
    """Least and greatest lengths (G,) of the bones of people that views usually show.

    Args:
        usual: (G,) metres, of the source's people.
        skeleton: of the poses.
        options: ranges.
    """
    towards = torch.tensor([(1 - VARIED) * options.anatomical, (1 + VARIED) * options.anatomical])
    ends = torch.lerp(usual, usual * anatomical_scale(usual, skeleton), towards[:, None].to(usual))
    change = USUAL * math.hypot(options.build, options.stature)
    wide = options.hips * _hip_groups(skeleton).to(usual)
    low = (1 - change) * ends.amin(0)
    return low, (1 + change) * (1 + wide) * ends.amax(0)


def unchanged(options: ViewsConfig) -> ViewsConfig:
    """Views from everywhere of bodies as they are."""
    return replace(options, build=0.0, anatomical=0.0, hips=0.0, knees=0.0, lean=0.0, stature=0.0, turn=0.0)


def draw_views(
    pose_3d: Tensor,
    up: Tensor,
    skeleton: Skeleton,
    options: ViewsConfig,
    drawn: Mapping[str, Tensor],
    physique: Tensor | None = None,
    own: Tensor | None = None,
    seen_up: Tensor | None = None,
    places: Places | None = None,
) -> View:
    """Make a view for each of N source poses.

    Args:
        pose_3d: (N, J, 3) source poses, metres.
        up: (N, 3) upward unit vectors, in the axes of the source poses.
        skeleton: of the poses.
        options: ranges.
        drawn: the numbers of :func:`view_columns`.
        physique: (G,) or (N, G) factors of lengths towards which people's proportions are drawn; None
            keeps the source's.
        own: (N,) bool, whether the legs are as motion capture has them. None: all are.
        seen_up: (N, 3) upward unit vectors in camera axes, where the cameras are known; None draws them.
        places: where people stand in the views of the column ``near``, which ``place`` picks.
    """
    if seen_up is None:
        most = math.radians(options.roll)
        pitch = torch.where(drawn["level"], drawn["near_level"], drawn["pitch"])
        rolled = torch.where(drawn["slight"], drawn["slight_roll"].clamp(-most, most), drawn["roll"])
        seen_up = tilted_up(torch.cat([pitch, rolled], 1))
    distance = drawn["log_distance"].exp()
    root = torch.cat([distance * drawn["aside"], distance], 1)
    if places is not None:
        row, near = (drawn["place"] * len(places.up)).long().clamp_max(len(places.up) - 1), drawn["near"]
        seen_up = torch.where(near[:, None], places.up[row], seen_up)
        root = torch.where(near[:, None], places.root[row], root)
    length = drawn["build"] * drawn["stature"]
    if physique is not None:
        length = torch.lerp(length, length * physique, drawn["anatomical"])
    length = torch.addcmul(length, length, drawn["hips"])
    rotation = drawn["turn"] * drawn["bones"]
    if options.lean or options.knees:
        lean, straight = drawn["lean_size"].clamp_min(0) * drawn["lean_axis"], drawn["straight"]
        straight = straight if own is None else straight * own[:, None, None]
        rotation = composed(rotation, bent(pose_3d, lean, straight, skeleton))
    return View(
        seen_up,
        turned_onto(up, seen_up, drawn["heading"]),
        rotation,
        length.clamp(1 - MOST_CHANGE, 1 + MOST_CHANGE) - 1,
        root,
    )


def _hip_groups(skeleton: Skeleton) -> Tensor:
    """(G,) 1 for the group of the hips and 0 for others."""
    hips = {f"{side}_hip" for side in ("left", "right")}
    members = [
        group
        for joint, group in zip(skeleton.joint_names[1:], skeleton.bone_groups, strict=True)
        if joint in hips
    ]
    return torch.zeros(skeleton.num_groups).index_fill_(0, torch.tensor(members, dtype=torch.int64), 1.0)
