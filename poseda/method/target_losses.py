"""Losses of the target's own 2D, which need no label: pure functions of lifted poses, (N,) each.

A lifted pose may agree with its picture, keep its lengths, move slowly and look right from elsewhere, and yet
be wrong. But one that does not is wrong. Every loss is 0 for poses without its fault, and about as large as
the error in metres that the fault betrays. Unseen joints are not read.

They follow unsupervised lifters: Kudo et al. 2018 and Chen et al., CVPR 2019 (lift, rotate, project, lift).
"""

from __future__ import annotations

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.device_table import device_table
from poseda.geometry.kinematics import SHORTEST
from poseda.geometry.placements import MIN_BOX, NEAREST, REFINEMENTS, locate, without_outliers
from poseda.geometry.skeleton import Skeleton
from poseda.method.losses import joint_distance
from poseda.method.views import ray_camera

OUTLIER = 0.05
"""A misfit in the picture of this share of the person's size has half of its largest cost."""


def reprojection_loss(pose_3d: Tensor, rays: Tensor, seen: Tensor) -> Tensor:
    """Misfit in the picture at the best placement: a share of the person's size there, robust.

    The root is where :func:`poseda.geometry.placements.locate` puts it without joints that are far off. It
    has no gradient, as there the misfit hardly depends on it. Outliers cost a constant, :data:`OUTLIER`.

    Args:
        pose_3d: (N, J, 3) metres, root-relative, camera axes.
        rays: (N, J, 2) x/z, y/z; those of unseen joints are not read.
        seen: (N, J) bool.

    Returns:
        (N,), 0 where the seen joints give no placement before the camera, or no size.

    Example:
        >>> import torch
        >>> from poseda.method.target_losses import reprojection_loss
        >>> pose = torch.randn(4, 16, 3) * 0.3
        >>> placed = pose + torch.tensor([0.5, 0.2, 4.0])
        >>> rays, seen = placed[..., :2] / placed[..., 2:], torch.ones(4, 16, dtype=torch.bool)
        >>> bool(reprojection_loss(pose, rays, seen).max() < 1e-6)
        True
    """
    hidden = ~seen[..., None]
    with torch.no_grad():
        root = _placed(pose_3d, rays, seen)
        low = rays.masked_fill(hidden, torch.inf).amin(1)
        size = (rays.masked_fill(hidden, -torch.inf).amax(1) - low).mean(1)
        usable = root.isfinite().all(1) & size.isfinite() & (size > MIN_BOX / 2)
        root = root.masked_fill(~usable[:, None], 0.0)
        size = size.masked_fill(~usable, 1.0)
    misfit = ((_shown(pose_3d, root) - rays) / size[:, None, None]).masked_fill(hidden, 0.0)
    squared = (misfit / OUTLIER).square().sum(-1)
    cost = OUTLIER * (squared / (1 + squared)).sum(1) / seen.sum(1).clamp_min(1)
    return cost.masked_fill(~usable, 0.0)


def _placed(pose_3d: Tensor, rays: Tensor, seen: Tensor) -> Tensor:
    """Roots (N, 3) of the best placement, the second time without joints that are far off."""
    camera = ray_camera(rays.dtype, rays.device)
    first = locate(pose_3d, rays, camera, seen, REFINEMENTS)
    near = without_outliers((_shown(pose_3d, first) - rays).norm(dim=-1), seen)
    again = locate(pose_3d, rays, camera, near, REFINEMENTS)
    return again.where(again.isfinite().all(1, keepdim=True), first)


def _shown(pose_3d: Tensor, root: Tensor) -> Tensor:
    """Rays (N, J, 2) of poses at their roots."""
    placed = pose_3d + root[:, None]
    return placed[..., :2] / placed[..., 2:].clamp_min(NEAREST)


def length_loss(pose_3d: Tensor, other: Tensor, skeleton: Skeleton) -> Tensor:
    """Relative difference of the bones of two poses of one person, left and right alike.

    Each bone of the one is compared with the mean of its symmetric group in the other.

    Args:
        pose_3d, other: (N, J, 3) metres, of the same N people.
        skeleton: of the poses.

    Returns:
        (N,) means over bones of the difference of logarithms, without sign.
    """
    one, another = (ops.bones(pose, skeleton=skeleton).norm(dim=-1) for pose in (pose_3d, other))
    mean = another @ _group_means(skeleton.bone_groups, another.dtype, another.device)
    return (one.clamp_min(SHORTEST) / mean.clamp_min(SHORTEST)).log().abs().mean(1)


@device_table
def _group_means(groups: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(K, K) takes lengths of bones to the means of their groups."""
    group = torch.tensor(groups)
    alike = (group[:, None] == group).to(dtype)
    return (alike / alike.sum(0)).to(device)


def speed_loss(pose_3d: Tensor, later: Tensor, seconds: Tensor, fastest: float) -> Tensor:
    """How far joints move about the root beyond what a speed allows, metres.

    Args:
        pose_3d, later: (N, J, 3) metres, root-relative, of neighbouring frames.
        seconds: (N,) between them; infinite where they are no neighbours.
        fastest: metres a second, about the root.

    Returns:
        (N,) means over joints.
    """
    return (joint_distance(pose_3d, later) - fastest * seconds[:, None]).clamp_min(0).mean(1)


def consistency_loss(turned: Tensor, lifted: Tensor) -> Tensor:
    """Distance of poses seen from elsewhere from what is lifted there, metres.

    Args:
        turned: (N, J, 3) poses that were lifted once, root-relative, in the axes of the other camera.
        lifted: (N, J, 3) what is lifted from their projections.

    Returns:
        (N,) means over joints.
    """
    return joint_distance(turned, lifted).mean(1)
