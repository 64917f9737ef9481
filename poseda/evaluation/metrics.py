"""Pose errors, per sample, and the one place where they are averaged.

Poses are compared root-relative by subtraction, over all J joints, the root included (it always agrees; the
``root_free`` variant leaves it out). Lengths go in as metres and come out as millimetres, shares as percent.
Sums are taken in float64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from poseda.geometry.skeleton import Skeleton
from poseda.ops import procrustes_align

MILLIMETRES = 1000.0

PCK_THRESHOLD = 150.0
"""Millimetres; a joint counts when it is strictly nearer (Mehta et al. 2017, MPI-INF-3DHP)."""

AUC_THRESHOLDS = tuple(range(0, 151, 5))
"""Millimetres; the 31 thresholds over which MPI-INF-3DHP averages PCK."""


def joint_errors(prediction: Tensor, target: Tensor) -> Tensor:
    """Distance of each joint from its label after both roots are put at the origin.

    Args:
        prediction, target: (..., J, 3) metres, root first.

    Returns:
        (..., J) float64 millimetres.

    Raises:
        ValueError: if the shapes differ, are not poses, or a value is not finite.
    """
    prediction, target = _checked(prediction, target)
    return (prediction - target).norm(dim=-1) * MILLIMETRES


def mpjpe(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint position error of each pose, protocol 1: (..., J, 3) metres to (...) millimetres."""
    return joint_errors(prediction, target).mean(-1)


def mpjpe_root_free(prediction: Tensor, target: Tensor) -> Tensor:
    """MPJPE over the J - 1 joints other than the root: (..., J, 3) metres to (...) millimetres."""
    return joint_errors(prediction, target)[..., 1:].mean(-1)


def pa_mpjpe(prediction: Tensor, target: Tensor) -> Tensor:
    """MPJPE after the best rotation, translation and scale of each pose, protocol 2.

    A mirrored pose stays misaligned: the rotation may not mirror. See :func:`poseda.ops.procrustes_align`.

    Args:
        prediction, target: (..., J, 3) metres.

    Returns:
        (...) millimetres.
    """
    prediction, target = _checked(prediction, target)
    return (procrustes_align(prediction, target) - target).norm(dim=-1).mean(-1) * MILLIMETRES


def n_mpjpe(prediction: Tensor, target: Tensor) -> Tensor:
    """MPJPE after the best scale of each pose about its root (Rhodin et al. 2018), protocol 3.

    A prediction without size keeps its size zero.

    Args:
        prediction, target: (..., J, 3) metres.

    Returns:
        (...) millimetres.
    """
    prediction, target = _checked(prediction, target)
    size = (prediction * prediction).sum((-2, -1))
    scale = (prediction * target).sum((-2, -1)) / torch.where(size > 0, size, torch.ones_like(size))
    return (scale[..., None, None] * prediction - target).norm(dim=-1).mean(-1) * MILLIMETRES


def pck(prediction: Tensor, target: Tensor, threshold: float = PCK_THRESHOLD) -> Tensor:
    """Share of joints strictly nearer than ``threshold`` millimetres: (..., J, 3) metres to (...) percent."""
    return share_within(joint_errors(prediction, target), threshold)


def auc(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of PCK over :data:`AUC_THRESHOLDS`: (..., J, 3) metres to (...) percent.

    No joint is strictly nearer than 0 mm, so a perfect pose has 30/31 = 96.8 %, as in the published protocol.
    """
    return area_within(joint_errors(prediction, target))


def share_within(errors: Tensor, threshold: float = PCK_THRESHOLD) -> Tensor:
    """PCK of joint errors: (..., J) millimetres to (...) percent strictly under ``threshold``."""
    return 100 * (errors < threshold).double().mean(-1)


def area_within(errors: Tensor) -> Tensor:
    """AUC of joint errors: (..., J) millimetres to (...) percent."""
    thresholds = torch.tensor(AUC_THRESHOLDS, dtype=errors.dtype, device=errors.device)
    # A joint passes every threshold above its error.
    passed = len(AUC_THRESHOLDS) - torch.searchsorted(thresholds, errors, right=True)
    return 100 * passed.double().mean(-1) / len(AUC_THRESHOLDS)


def mpjve(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint velocity error of sequences (Pavllo et al. 2019).

    Args:
        prediction, target: (N, T, J, 3) metres, T >= 2 frames in order.

    Returns:
        (N,) millimetres a frame.

    Raises:
        ValueError: if there are fewer than two frames.
    """
    return _motion_errors(prediction, target, 1).mean(1)


def acceleration_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint error of the second difference in time (Kanazawa et al. 2019): jitter shows here.

    Args:
        prediction, target: (N, T, J, 3) metres, T >= 3 frames in order.

    Returns:
        (N,) millimetres a frame squared.

    Raises:
        ValueError: if there are fewer than three frames.
    """
    return _motion_errors(prediction, target, 2).mean(1)


def _motion_errors(prediction: Tensor, target: Tensor, order: int) -> Tensor:
    """Mean joint error of differences in time: (N, T, J, 3) metres to (N, T - order) millimetres."""
    prediction, target = _checked(prediction, target)
    if prediction.dim() != 4 or prediction.shape[1] <= order:
        raise ValueError(
            f"prediction: expected shape (N, T, J, 3) with T >= {order + 1}, got {tuple(prediction.shape)}"
        )
    return (prediction - target).diff(n=order, dim=1).norm(dim=-1).mean(-1) * MILLIMETRES


def evaluate_motion(prediction: Tensor, target: Tensor, run_of_row: Tensor) -> dict[str, float]:
    """Average the errors of motion over all frames that have neighbours to compare with.

    Args:
        prediction, target: (N, J, 3) metres.
        run_of_row: (N,) rows of one number are consecutive frames.

    Returns:
        mpjve (millimetres a frame) and acceleration_error (millimetres a frame squared), each only if a run
        is long enough.
    """
    scores = {}
    for order, metric in ((1, mpjve), (2, acceleration_error)):
        joined = run_of_row[order:] == run_of_row[:-order]
        if joined.any():
            errors = _motion_errors(prediction[None], target[None], order)[0]
            scores[metric.__name__] = float(errors[joined.to(errors.device)].mean())
    return scores


def evaluate_poses(
    prediction: Tensor, target: Tensor, skeleton: Skeleton, clip: Tensor | None = None
) -> dict[str, Any]:
    """Average every single-frame metric over a set of poses; see :func:`evaluate_motion` for the others.

    Args:
        prediction, target: (N, J, 3) metres, N > 0; roots need not be at the origin.
        skeleton: names the joints and parts.
        clip: (N,) optional. With it, ``mpjpe_per_clip`` averages within each clip first. So a long
            recording weighs no more than a short one. All other numbers are pooled over frames.

    Returns:
        Numbers ready for JSON: mpjpe, mpjpe_root_free, pa_mpjpe, n_mpjpe (millimetres), pck, auc (percent),
        poses (how many), per_joint and per_part (millimetres by name), mpjpe_per_clip if asked for.

    Raises:
        ValueError: if a shape is wrong, the set is empty, or a value is not finite.
    """
    if prediction.dim() != 3 or len(prediction) == 0:
        raise ValueError(f"prediction: expected shape (N, J, 3) with N > 0, got {tuple(prediction.shape)}")
    if prediction.shape[1] != skeleton.num_joints:
        raise ValueError(
            f"prediction: expected {skeleton.num_joints} joints of {skeleton.name}, got {prediction.shape[1]}"
        )
    functions = (mpjpe, mpjpe_root_free, pa_mpjpe, n_mpjpe, pck, auc)
    scores: dict[str, Any] = {f.__name__: float(f(prediction, target).mean()) for f in functions}
    errors = joint_errors(prediction, target)
    by_joint = errors.mean(0)
    scores["poses"] = len(prediction)
    scores["per_joint"] = dict(zip(skeleton.joint_names, by_joint.tolist(), strict=True))
    scores["per_part"] = {
        part: float(by_joint[[bone + 1 for bone in bones]].mean()) for part, bones in skeleton.parts.items()
    }
    if clip is not None:
        scores["mpjpe_per_clip"] = float(mean_of_clips(errors.mean(-1), clip))
    return scores


def mean_of_clips(values: Tensor, clip: Tensor) -> Tensor:
    """Mean over clips of the mean within each clip.

    Args:
        values: (N,) one number a row.
        clip: (N,) the clip of each row.

    Returns:
        A scalar tensor.
    """
    if clip.shape != values.shape:
        raise ValueError(f"clip: expected shape {tuple(values.shape)}, got {tuple(clip.shape)}")
    _, member, count = clip.to(values.device).unique(return_inverse=True, return_counts=True)
    total = torch.zeros(len(count), dtype=values.dtype, device=values.device).index_add(0, member, values)
    return (total / count).mean()


def _checked(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float64 with the root at the origin."""
    if prediction.dim() < 2 or prediction.shape[-1] != 3 or prediction.shape[-2] < 2:
        raise ValueError(f"prediction: expected shape (..., J, 3), got {tuple(prediction.shape)}")
    if target.shape != prediction.shape:
        raise ValueError(
            f"target: expected shape {tuple(prediction.shape)} as prediction, got {tuple(target.shape)}"
        )
    for name, value in (("prediction", prediction), ("target", target)):
        bad = int((~value.isfinite()).flatten(-2).any(-1).sum())
        if bad:
            raise ValueError(f"{name}: expected finite numbers, got NaN or Inf in {bad} poses")
    prediction, target = prediction.double(), target.double()
    return prediction - prediction[..., :1, :], target - target[..., :1, :]
