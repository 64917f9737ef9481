"""Measures of a lifter on footage without labels, from its predictions and the 2D poses it lifted.

These numbers are not errors. A lifter may fit the picture, keep bone lengths equal and bend no knee
backwards, and still be wrong in depth. But a lifter with bad numbers here is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from poseda.datasets import UnlabelledPoses
from poseda.evaluation.distance import inhomogeneity, screen_features
from poseda.evaluation.metrics import MILLIMETRES
from poseda.evaluation.plausibility import joint_angles, outside
from poseda.geometry.camera import project
from poseda.geometry.placements import REFINEMENTS, locate, measure_seen
from poseda.geometry.skeleton import Skeleton

WIDTH = 1000
"""Pixels: the picture width at which reprojection errors are given."""


def seen_joints(target: UnlabelledPoses) -> Tensor:
    """(N, J) bool: finite and, where the target says so, visible."""
    seen = target.pose_2d.isfinite().all(-1)
    return seen if target.visible is None else seen & target.visible


def hidden_on_root(target: UnlabelledPoses, skeleton: Skeleton) -> Tensor:
    """(N, J, 2) as lifters are trained to see them: unseen joints lie on the root, an unseen root at 0."""
    seen = seen_joints(target)[..., None]
    root = skeleton.parents.index(-1)
    pose = target.pose_2d.where(seen, torch.zeros_like(target.pose_2d))
    return pose.where(seen, pose[:, root : root + 1])


def describe(pose_3d: Tensor, target: UnlabelledPoses, skeleton: Skeleton) -> dict[str, Any]:
    """Every label-free number of a set of predictions, over the joints that were seen.

    Args:
        pose_3d: (N, J, 3) metres, relative to the root.
        target: the N poses they were lifted from.
        skeleton: of the poses.

    Returns:
        Numbers ready for JSON, None where nothing determines one. ``reprojection_px``: error after the best
        placement of the root, in pixels at a picture width of 1000. ``reprojection_percent``: the same, of
        the person's mean box side. ``asymmetry_percent`` and ``inconstancy_percent``: of bone lengths.
        ``implausible_percent``: of poses outside a limit of the joints. ``limits``: the same for each limit.
        ``poses``: how many.
    """
    seen, pose = seen_joints(target), pose_3d.double()
    pixels, percent = reprojection(pose, target, skeleton)
    out_of = plausibility(pose, skeleton, seen)
    return {
        "poses": len(pose),
        "reprojection_px": _mean(pixels),
        "reprojection_percent": _mean(percent),
        "asymmetry_percent": _mean(asymmetry(pose, skeleton, seen)),
        "inconstancy_percent": _mean(inconstancy(pose, skeleton, target.clip, seen)),
        "implausible_percent": out_of.pop("any", None),
        "limits": out_of,
    }


def reprojection(pose_3d: Tensor, target: UnlabelledPoses, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Misfit of each pose in the picture after the best placement of its root.

    Args:
        pose_3d: (N, J, 3) metres, relative to the root, float64.
        target: the N poses they were lifted from.
        skeleton: of the poses.

    Returns:
        (N,) mean over seen joints in pixels at :data:`WIDTH`; (N,) percent of the mean of box width and
        height. NaN where no placement or no box is determined.
    """
    seen, screen, camera = seen_joints(target), target.pose_2d.double(), target.camera.to(torch.float64)
    root = locate(pose_3d, screen, camera, seen, REFINEMENTS)
    error = (project(pose_3d + root[:, None], camera) - screen).norm(dim=-1)
    error = error.where(seen, torch.zeros_like(error)).sum(1) / seen.sum(1)
    box, usable = measure_seen(screen, seen, skeleton.parents.index(-1))
    size = box[:, 2:].mean(1).where(usable, torch.full_like(error, torch.nan))
    return error * WIDTH / 2, 100 * error / size


def asymmetry(pose_3d: Tensor, skeleton: Skeleton, seen: Tensor | None = None) -> Tensor:
    """Difference of left and right bones over their mean length, percent: (N,) means over pairs."""
    pairs = [(bone, twin) for bone, twin in enumerate(skeleton.mirror_bones) if bone < twin]
    if not pairs:
        return torch.full((len(pose_3d),), torch.nan)
    length = _bone_lengths(pose_3d, skeleton, seen)
    one, other = (length[:, list(side)] for side in zip(*pairs, strict=True))
    return (200 * (one - other).abs() / (one + other)).nanmean(1)


def inconstancy(pose_3d: Tensor, skeleton: Skeleton, clip: Tensor, seen: Tensor | None = None) -> Tensor:
    """Standard deviation of bone lengths within each clip over their mean, percent, mean over bones.

    Args:
        pose_3d: (N, J, 3) metres.
        skeleton: of the poses.
        clip: (N,) int64; a clip shows one person.
        seen: (N, J) bool, or None.

    Returns:
        One number for each clip of at least two frames.
    """
    length = _bone_lengths(pose_3d, skeleton, seen)
    clips, member = clip.to(length.device).unique(return_inverse=True)
    known = length.isfinite()
    zero = torch.zeros(len(clips), length.shape[1], dtype=length.dtype, device=length.device)
    count = zero.index_add(0, member, known.to(length.dtype))
    filled = length.where(known, torch.zeros_like(length))
    average = zero.index_add(0, member, filled) / count
    spread = (filled - average[member]).where(known, torch.zeros_like(length)) ** 2
    deviation = (zero.index_add(0, member, spread) / count).sqrt()
    relative = (100 * deviation / average).where(count >= 2, torch.full_like(zero, torch.nan))
    return relative[(count >= 2).any(1)].nanmean(1)


def plausibility(pose_3d: Tensor, skeleton: Skeleton, seen: Tensor | None = None) -> dict[str, float]:
    """Share of poses outside each limit, and outside any, percent; empty if no angle is determined."""
    if seen is not None:
        pose_3d = pose_3d.masked_fill(~seen[..., None], torch.nan)
    angles = joint_angles(pose_3d, skeleton)
    if not angles:
        return {}
    bad = outside(angles)
    known = {name: angle.isfinite().any(1) for name, angle in angles.items()}
    bad["any"] = torch.stack(list(bad.values())).any(0)
    known["any"] = torch.stack(list(known.values())).any(0)
    return {name: 100 * float(bad[name][known[name]].double().mean()) for name in bad if known[name].any()}


def distances_from_target(samples: Mapping[str, Tensor], skeleton: Skeleton) -> dict[str, dict[str, float]]:
    """Distance of 2D poses from the target's: the source as captured, after GPA, after GPA and LPA.

    Args:
        samples: matching rows, as a run keeps them.
        skeleton: of the poses.

    Returns:
        For ``source``, ``aligned`` (after GPA) and perhaps ``augmented``: coefficients of inhomogeneity, 0 to
        1. They compare ``root`` (place), ``size`` (box) and ``posture``, in the target's standard deviations.
    """
    target = samples["target_2d"]
    seen = samples.get("target_seen", torch.ones(target.shape[:2])).bool()
    wanted, _ = screen_features(target, seen, skeleton)
    scale = {name: values.std(0).clamp(min=1e-6) for name, values in wanted.items()}

    def distances(pose: Tensor, mask: Tensor) -> dict[str, float]:
        found, _ = screen_features(pose, mask, skeleton)
        one, other = ({name: part[name] / scale[name] for name in part} for part in (found, wanted))
        parts = {"root": ("placement", slice(0, 2)), "size": ("placement", slice(2, 4))}
        parts["posture"] = ("posture", slice(None))
        return {
            part: inhomogeneity(one[name][:, at], other[name][:, at]) for part, (name, at) in parts.items()
        }

    table = {"source": distances(samples["source_2d"], seen)}
    for name in ("aligned", "augmented"):
        if f"{name}_2d" in samples:
            valid = samples[f"{name}_valid"].bool()
            if valid.any():
                table[name] = distances(samples[f"{name}_2d"][valid], seen[valid])
    return table


def moved(pose_3d: Tensor, other: Tensor, seen: Tensor) -> float:
    """Mean distance of two sets of root-relative poses (N, J, 3) over seen joints, millimetres."""
    return float((pose_3d - other).double().norm(dim=-1)[seen].mean()) * MILLIMETRES


def _bone_lengths(pose_3d: Tensor, skeleton: Skeleton, seen: Tensor | None) -> Tensor:
    """(N, K) metres, NaN where an end of the bone was unseen."""
    parents = list(skeleton.parents[1:])
    length = (pose_3d[:, 1:] - pose_3d[:, parents]).norm(dim=-1)
    if seen is None:
        return length
    return length.masked_fill(~(seen[:, 1:] & seen[:, parents]), torch.nan)


def _mean(values: Tensor) -> float | None:
    """Mean of the finite values, or None."""
    known = values[values.isfinite()]
    return float(known.mean()) if len(known) else None
