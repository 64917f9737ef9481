"""Losses: pure functions of tensors, each a mean over valid poses.

``valid`` serves as a weight, as boolean indexing would make the host wait for the device.
"""

from __future__ import annotations

from torch import Tensor

from poseda.config import Loss


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of values (N, ...) over the valid poses (N,); zero if no pose is valid."""
    per_pose = values.flatten(1).mean(1) if values.dim() > 1 else values
    weight = valid.to(per_pose.dtype)
    return (per_pose * weight).sum() / weight.sum().clamp_min(1.0)


def pose_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean distance over the joints of each pose: two tensors (..., J, 3) to (...), metres."""
    # The constant makes the square root smooth at zero error. 1e-12 m^2 is far below any label's precision.
    return ((prediction - target).square().sum(-1) + 1e-12).sqrt().mean(-1)


def lifter_loss(prediction: Tensor, target: Tensor, valid: Tensor, kind: Loss = "distance") -> Tensor:
    """Mean error over joints and valid poses.

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
    """Relativistic pair loss of the discriminator: an anchor should score one more than its own fake."""
    return masked_mean((real - fake - 1).square(), valid)


def generator_pair_loss(real: Tensor, fake: Tensor, valid: Tensor) -> Tensor:
    """Relativistic pair loss of the generator: a fake should score one more than its own anchor."""
    return masked_mean((fake - real - 1).square(), valid)


def discriminator_least_squares(real: Tensor, fake: Tensor, valid: Tensor) -> Tensor:
    """LSGAN loss of the discriminator, unpaired: anchors should score one, fakes zero."""
    return (real - 1).square().mean() + masked_mean(fake.square(), valid)


def generator_least_squares(fake: Tensor, valid: Tensor) -> Tensor:
    """LSGAN loss of the generator, unpaired: fakes should score one."""
    return masked_mean((fake - 1).square(), valid)


def bone_cosine_distance(direction: Tensor, bone_rotation: Tensor) -> Tensor:
    """Cosine distance of each bone from itself before its rotation: 1 - cos of the angle between them.

    With unit axis n, angle t and bone d, Rodrigues' formula gives cos = cos t + (1 - cos t) (n . d)^2. A
    rotation about the bone itself does not move it.

    Args:
        direction: (N, K, 3) unit bones before the rotation.
        bone_rotation: (N, K, 3) rotation vectors, radians.

    Returns:
        (N, K), from 0 to 2.
    """
    squared = bone_rotation.square().sum(-1) + 1e-12
    along = (bone_rotation * direction).sum(-1).square() / squared
    return (1 - squared.sqrt().cos()) * (1 - along)


def angle_range_loss(distance: Tensor, mean: float, width: float) -> Tensor:
    """Penalise cosine distances of bones (N, K) outside mean ± width.

    Smaller rotations hardly change a pose; larger ones leave the range of human poses.
    """
    return ((distance - mean).abs() - width).clamp_min(0).square().mean()


def scale_limit_loss(bone_scale: Tensor, limit: float) -> Tensor:
    """Penalise relative length changes beyond the soft limit: (N, G) to a scalar."""
    return (bone_scale.abs() - limit).clamp_min(0).square().mean()


def body_rotation_loss(body_rotation: Tensor) -> Tensor:
    """Mean squared angle of the body's rotation: (N, 3) radians to a scalar.

    A tilt towards or away from the camera hardly shows in 2D. Without a penalty it drifts to its bound for
    the whole batch, and the lifter learns that every person leans.
    """
    return body_rotation.square().sum(-1).mean()


def hard_ratio_loss(error_augmented: Tensor, error_source: Tensor, ratio: float, valid: Tensor) -> Tensor:
    """PoseAug's feedback: augmentation should multiply the lifter's error by ``ratio``.

    Args:
        error_augmented: (N,) metres, the lifter's error on augmented poses.
        error_source: (N,) metres, its error on the source poses that they came from.
        ratio: wanted quotient of the two errors.
        valid: (N,) bool.
    """
    quotient = error_augmented / error_source.detach().clamp_min(1e-4)
    return masked_mean((quotient - ratio).tanh().square(), valid)
