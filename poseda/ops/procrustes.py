"""Procrustes alignment, for metrics."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.ops import _autograd as autograd
from poseda.ops import _native as native
from poseda.ops._arguments import check_poses

native.load()


def procrustes_align(prediction: Tensor, target: Tensor) -> Tensor:
    """Move, turn (never mirror) and scale each predicted pose to lie nearest to its target.

    Closed form by the largest eigenvector of Horn's 4 x 4 matrix (Horn, "Closed-form solution of absolute
    orientation using unit quaternions", 1987); stands in for a batched singular value decomposition. It is
    for measuring: it has no gradient, and refuses poses that want one.

    Args:
        prediction: (..., J, 3) metres, J at most 64.
        target: the same shape.

    Returns:
        (..., J, 3) metres: the aligned prediction. A prediction without extent becomes the target's mean.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also if a pose requires a
            gradient, outside of ``torch.no_grad()``.
    """
    prediction, target = check_poses("prediction", prediction), check_poses("target", target)
    if prediction.shape != target.shape:
        raise ValueError(f"target: expected shape {tuple(prediction.shape)}, got {tuple(target.shape)}")
    if prediction.dtype != target.dtype or prediction.device != target.device:
        raise TypeError(
            f"target: expected {prediction.dtype} on {prediction.device} as prediction, "
            f"got {target.dtype} on {target.device}"
        )
    for name, pose in (("prediction", prediction), ("target", target)):
        if pose.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"{name}: requires a gradient, which procrustes_align does not have; pass {name}.detach()"
            )
        autograd.refuse_forward_mode("procrustes_align", pose)
    joints = prediction.shape[-2]
    aligned = torch.ops.poseda.procrustes_align(
        prediction.detach().reshape(-1, joints, 3), target.detach().reshape(-1, joints, 3)
    )
    return aligned.view(prediction.shape)


@torch.library.register_fake("poseda::procrustes_align")
def _procrustes_align_fake(prediction: Tensor, target: Tensor) -> Tensor:
    return prediction.new_empty(prediction.shape)
