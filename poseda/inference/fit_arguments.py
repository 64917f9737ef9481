"""The arguments of :func:`poseda.inference.fit.fit`, and their checks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from poseda.geometry.skeleton import Skeleton
from poseda.inference.proportions import standing_height


class Frames(NamedTuple):
    """Frames; the fields are the arguments of :func:`poseda.inference.fit.fit`."""

    pose_3d: Tensor
    sigma: Tensor
    rays: Tensor
    seen: Tensor
    track: Tensor
    time: Tensor
    noise: Tensor

    def rows(self, index: Tensor | slice) -> Frames:
        """Pick rows."""
        return Frames(*(value[index] for value in self))


def check(
    pose_3d: Tensor,
    sigma: Tensor,
    rays: Tensor,
    seen: Tensor,
    track: Tensor,
    time: Tensor,
    skeleton: Skeleton,
    noise: Tensor,
) -> None:
    """Check types and shapes."""
    count, joints = len(pose_3d), skeleton.num_joints
    wanted = {
        "pose_3d": (pose_3d, torch.float32, (count, joints, 3)),
        "sigma": (sigma, torch.float32, (count, joints)),
        "rays": (rays, torch.float32, (count, joints, 2)),
        "seen": (seen, torch.bool, (count, joints)),
        "track": (track, torch.int64, (count,)),
        "time": (time, torch.int64, (count,)),
    }
    for name, (value, dtype, shape) in wanted.items():
        if value.dtype != dtype:
            raise TypeError(f"{name}: expected {dtype}, got {value.dtype}")
        if value.shape != shape:
            raise ValueError(
                f"{name}: expected shape {shape} for {skeleton.name!r}, got {tuple(value.shape)}"
            )
    if noise.dim() > 2 or torch.broadcast_shapes(noise.shape, (1, 1)) not in {
        (rows, columns) for rows in (1, count) for columns in (1, joints)
    }:
        raise ValueError(f"noise: expected a number or shape ({count}, {joints}), got {tuple(noise.shape)}")
    if not bool((noise > 0).all()):
        raise ValueError(f"noise: expected numbers above 0, got {noise[~(noise > 0)][0]}")


def check_values(frames: Frames) -> None:
    """Check the numbers of frames in order of track and time."""
    bad = int((~(frames.sigma >= 0) | frames.sigma.isinf()).sum())
    if bad:
        raise ValueError(f"sigma: expected finite numbers from 0 on, got others for {bad} joints")
    bad = int((~frames.rays.isfinite().all(-1) & frames.seen).sum())
    if bad:
        raise ValueError(
            f"rays: expected finite numbers where joints are seen, got NaN or Inf for {bad} joints"
        )
    twice = (frames.track.diff() == 0) & (frames.time.diff() == 0)
    if bool(twice.any()):
        number = int(frames.time[1:][twice][0])
        raise ValueError(f"time: expected each frame once in a track, got frame {number} twice")


def statures(stature: Tensor | float | None, tracks: int, skeleton: Skeleton) -> Tensor:
    """(N,) metres, NaN where unknown."""
    if stature is None:
        return torch.full((tracks,), torch.nan)
    height = torch.as_tensor(stature, dtype=torch.float32).cpu()
    if height.dim() == 0:
        height = height.expand(tracks)
    if height.shape != (tracks,) or bool((height <= 0).any()) or bool(height.isinf().any()):
        came = (
            f"shape {tuple(height.shape)}"
            if height.shape != (tracks,)
            else f"{height[~(height > 0) | height.isinf()][0]}"
        )
        raise ValueError(f"stature: expected metres above 0, one number or {tracks}, one a track, got {came}")
    standing_height(torch.ones(1, max(skeleton.bone_groups) + 1), skeleton)  # names missing joints
    return height
