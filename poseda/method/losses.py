"""Losses: pure functions of tensors. Each is a mean over valid poses and none of them logs.

``valid`` weights instead of selecting: boolean indexing would make the host wait for the device.
"""

from __future__ import annotations

from torch import Tensor

from poseda.config import Loss


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of values (N, ...) over the poses where valid (N,); zero if there is none."""
    per_pose = values.flatten(1).mean(1) if values.dim() > 1 else values
    weight = valid.to(per_pose.dtype)
    return (per_pose * weight).sum() / weight.sum().clamp_min(1.0)


def pose_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean distance of joints, one number a pose: (..., J, 3) twice to (...), metres."""
    # The square root is smooth at zero error; 1e-12 m^2 is far below any label's precision.
    return ((prediction - target).square().sum(-1) + 1e-12).sqrt().mean(-1)


def lifter_loss(prediction: Tensor, target: Tensor, valid: Tensor, kind: Loss = "distance") -> Tensor:
    """Mean over joints and valid poses of what separates a joint from its truth.

    Args:
        prediction, target: (N, ..., J, 3) metres, poses or windows of them.
        valid: (N,) bool.
        kind: ``distance`` in metres, ``squared`` distance, or the sum of ``absolute`` differences of x, y, z.
    """
    if kind == "distance":
        return masked_mean(pose_error(prediction, target), valid)
    difference = prediction - target
    return masked_mean((difference.square() if kind == "squared" else difference.abs()).sum(-1), valid)


def discriminator_pair_loss(real: Tensor, fake: Tensor, valid: Tensor) -> Tensor:
    """Relativistic pair loss of the discriminator: the anchor should score one more than its own fake."""
    return masked_mean((real - fake - 1).square(), valid)


def generator_pair_loss(real: Tensor, fake: Tensor, valid: Tensor) -> Tensor:
    """Relativistic pair loss of the generator: the fake should score one more than its anchor."""
    return masked_mean((fake - real - 1).square(), valid)


def discriminator_least_squares(real: Tensor, fake: Tensor, valid: Tensor) -> Tensor:
    """LSGAN, unpaired: real scores to one, fake scores to zero."""
    return (real - 1).square().mean() + masked_mean(fake.square(), valid)


def generator_least_squares(fake: Tensor, valid: Tensor) -> Tensor:
    """LSGAN, unpaired: fake scores to one."""
    return masked_mean((fake - 1).square(), valid)


def bone_turn(direction: Tensor, bone_rotation: Tensor) -> Tensor:
    """How far each bone turns: 1 - cos of the angle between before and after, (N, K).

    With unit axis n and angle t, Rodrigues' formula gives cos = cos t + (1 - cos t) (n . d)^2: what turns
    about the bone itself does not move it.

    Args:
        direction: (N, K, 3) unit bones before.
        bone_rotation: (N, K, 3) rotation vectors, radians.
    """
    squared = bone_rotation.square().sum(-1) + 1e-12
    along = (bone_rotation * direction).sum(-1).square() / squared
    return (1 - squared.sqrt().cos()) * (1 - along)


def angle_range_loss(turn: Tensor, mean: float, width: float) -> Tensor:
    """Keep each bone's turn 1 - cos (N, K) within mean ± width.

    Too small a turn is no augmentation, too large a one no human pose.
    """
    return ((turn - mean).abs() - width).clamp_min(0).square().mean()


def scale_limit_loss(bone_scale: Tensor, limit: float) -> Tensor:
    """Penalise relative length changes beyond the soft limit: (N, G) to a scalar."""
    return (bone_scale.abs() - limit).clamp_min(0).square().mean()


def body_turn_loss(body_rotation: Tensor) -> Tensor:
    """Mean squared turn of the body: (N, 3) radians to a scalar.

    A tilt towards or away from the camera hardly shows in 2D. Unpenalised, it drifts to its bound for the
    whole batch, and the lifter learns that everybody leans.
    """
    return body_rotation.square().sum(-1).mean()


def hard_ratio_loss(error_augmented: Tensor, error_source: Tensor, ratio: float, valid: Tensor) -> Tensor:
    """PoseAug's feedback: augmented poses should be ``ratio`` times as hard for the lifter as source poses.

    Args:
        error_augmented: (N,) metres, the lifter's error on augmented poses.
        error_source: (N,) metres, its error on the poses they came from.
        ratio: wanted quotient of the two.
        valid: (N,) bool.
    """
    quotient = error_augmented / error_source.detach().clamp_min(1e-4)
    return masked_mean((quotient - ratio).tanh().square(), valid)
