"""Losses: pure functions of tensors, each a mean over valid poses.

Valid poses have weights, as boolean indexing would make the host wait for the device. Squares come from
torch's fused loss. It is one kernel, and one in the backward pass, where a difference and its square are six.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import mse_loss, softshrink

from poseda.config import Loss
from poseda.geometry.device_table import device_table


def weights_of(valid: Tensor) -> Tensor:
    """Weights (N,) that make a sum the mean over the valid poses (N,); zeros if no pose is valid."""
    return valid / valid.sum().clamp_min(1)


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of values (N, ...) over the valid poses (N,); zero if no pose is valid."""
    return _weighted(values, weights_of(valid))


def _weighted(values: Tensor, weight: Tensor) -> Tensor:
    per_pose = values if values.dim() == 1 else _mean_of_last(values.flatten(1))
    return torch.dot(per_pose, weight.to(per_pose.dtype))


def _mean_of_last(values: Tensor) -> Tensor:
    """Mean over the last dimension; of one value, a view of it."""
    return values.squeeze(-1) if values.shape[-1] == 1 else values.mean(-1)


def squared_distance(values: Tensor, target: float = 0.0) -> Tensor:
    """Square of the difference of each value from a number."""
    return mse_loss(
        values, _constant(target, values.dtype, values.device).expand_as(values), reduction="none"
    )


def mean_square(values: Tensor) -> Tensor:
    """Mean of the squares of all values."""
    return mse_loss(values, _constant(0.0, values.dtype, values.device).expand_as(values))


@device_table
def _constant(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number on the device: filling one costs a kernel at every step."""
    return torch.full((), value, dtype=dtype, device=device)


def pose_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean distance over the joints of each pose: two tensors (..., J, 3) to (...), metres."""
    return joint_distance(prediction, target).mean(-1)


def joint_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Distance of each joint from its true place: two tensors (..., J, 3) to (..., J), metres."""
    # The constant makes the square root smooth at zero error. 1e-12 m^2 is far below any label's precision.
    return (mse_loss(prediction, target, reduction="none").sum(-1) + 1e-12).sqrt()


def lifter_loss(prediction: Tensor, target: Tensor, valid: Tensor, kind: Loss = "distance") -> Tensor:
    """Mean error over joints and valid poses.

    Args:
        prediction, target: (N, ..., J, 3) metres, poses or windows of them.
        valid: (N,) bool.
        kind: ``distance`` in metres, ``squared`` distance, or the sum of ``absolute`` differences of x, y, z.
    """
    if kind == "distance":
        return masked_mean(joint_distance(prediction, target), valid)
    if kind == "squared":
        return masked_mean(mse_loss(prediction, target, reduction="none").sum(-1), valid)
    return masked_mean((prediction - target).abs().sum(-1), valid)


def discriminator_pair_loss(scores: Tensor, weight: Tensor) -> Tensor:
    """Relativistic pair loss of the discriminator: an anchor should score one more than its own fake.

    Args:
        scores: (2, N, P) of anchors and fakes.
        weight: (N,) of :func:`weights_of`.
    """
    real, fake = scores.unbind(0)
    return _weighted(squared_distance(real - fake, 1.0), weight)


def generator_pair_loss(real: Tensor, fake: Tensor, weight: Tensor) -> Tensor:
    """Relativistic pair loss of the generator: a fake should score one more than its own anchor.

    Args:
        real, fake: (N, P) scores.
        weight: (N,) of :func:`weights_of`.
    """
    return _weighted(squared_distance(fake - real, 1.0), weight)


def discriminator_least_squares(scores: Tensor, weight: Tensor) -> Tensor:
    """LSGAN loss of the discriminator, unpaired: anchors should score one, fakes zero.

    Args:
        scores: (2, N, P) of anchors and fakes.
        weight: (N,) of :func:`weights_of`, of the fakes.
    """
    wanted = _real_and_fake(scores.dtype, scores.device).expand_as(scores)
    real, fake = _mean_of_last(mse_loss(scores, wanted, reduction="none")).unbind(0)
    return real.mean() + torch.dot(fake, weight)


@device_table
def _real_and_fake(dtype: torch.dtype, device: torch.device) -> Tensor:
    """(2, 1, 1) wanted scores."""
    return torch.tensor([1.0, 0.0], dtype=dtype, device=device)[:, None, None]


def generator_least_squares(fake: Tensor, weight: Tensor) -> Tensor:
    """LSGAN loss of the generator, unpaired: fakes should score one.

    Args:
        fake: (N, P) scores.
        weight: (N,) of :func:`weights_of`.
    """
    return _weighted(squared_distance(fake, 1.0), weight)


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
    return mean_square(softshrink(distance - mean, width))


def scale_limit_loss(bone_scale: Tensor, limit: float) -> Tensor:
    """Penalise relative length changes beyond the soft limit: (N, G) to a scalar."""
    return mean_square(softshrink(bone_scale, limit))


def body_rotation_loss(body_rotation: Tensor) -> Tensor:
    """Mean squared angle of the body's rotation: (N, 3) radians to a scalar.

    A tilt towards or away from the camera hardly shows in 2D. Without a penalty it drifts to its bound for
    the whole batch, and the lifter learns that every person leans.
    """
    return body_rotation.shape[-1] * mean_square(body_rotation)


def hard_ratio_loss(error_augmented: Tensor, error_source: Tensor, ratio: float, weight: Tensor) -> Tensor:
    """PoseAug's feedback: augmentation should multiply the lifter's error by ``ratio``.

    Args:
        error_augmented: (N,) metres, the lifter's error on augmented poses.
        error_source: (N,) metres, its error on the source poses that they came from.
        ratio: wanted quotient of the two errors.
        weight: (N,) of :func:`weights_of`.
    """
    quotient = error_augmented / error_source.detach().clamp_min(1e-4)
    return _weighted(squared_distance((quotient - ratio).tanh()), weight)
