"""Several processes that train one lifter: each takes its part of every batch, and all get the same weights.

Every process draws the whole batch from the same random state and keeps its own rows, so that a run does
not depend on how many there are, but for rounding: sums over the batch are taken in another order. What
couples the poses of a batch is made whole again: the loss's mean over valid poses, batch norms, and dropout's
draws. Generators are trained by each process alike, on the whole batch: they are small and need no
communication.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

from poseda.lifters.dropout import Dropout, drop_part
from poseda.training.pairs import Pairs


def local_processes() -> int:
    """How many processes torchrun started on this machine; 1 without it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def machines() -> int:
    """How many machines torchrun runs on."""
    return int(os.environ.get("WORLD_SIZE", "1")) // local_processes()


def follows() -> bool:
    """Whether this process leaves writing and talking to another, the one of rank 0."""
    return int(os.environ.get("RANK", "0")) > 0


def check_batch(batch: int, fabric: Fabric) -> None:
    """Check that every process gets as many poses of each batch.

    Raises:
        ValueError: if not.
    """
    if batch % fabric.world_size:
        raise ValueError(
            f"training.batch: expected a multiple of the {fabric.world_size} processes, got {batch}"
        )


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of what the processes have, without gradient."""
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class _Normalise(torch.autograd.Function):
    """Batch norm by mean and variance over all processes, with one exchange each way."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C) or (N, C, L), (C,), (C,); returns the same, mean (C,) and variance (C,)."""
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        over, shape = _other_dimensions(features)
        # In passes of its own several times as fast as by torch.var_mean.
        mean = wide.mean(over)
        variance = (wide - mean.view(shape)).square_().mean(over)
        # As sums over the batch, which add up; in double precision, as the variance is their difference.
        moments = torch.stack([mean.double(), variance.double() + mean.double().square()])
        mean, square = mean_over_processes(moments)
        variance = (square - mean.square()).clamp_min(0)
        reciprocal = (variance + eps).rsqrt()
        scale = weight * reciprocal
        shift = bias - mean * scale
        out = torch.addcmul(shift.to(wide).view(shape), wide, scale.to(wide).view(shape))
        ctx.save_for_backward(features, mean, reciprocal, weight)
        mean, variance = mean.to(wide), variance.to(wide)
        ctx.mark_non_differentiable(mean, variance)
        return out.to(features.dtype), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        features, mean, reciprocal, weight = ctx.saved_tensors
        wide = torch.promote_types(features.dtype, torch.float32)
        over, shape = _other_dimensions(features)
        gradient = gradient.to(wide)
        centred = features.to(wide) - mean.to(wide).view(shape)
        along_bias = gradient.sum(over).double()
        along_weight = (gradient * centred).sum(over).double() * reciprocal
        bias_mean, weight_mean = mean_over_processes(torch.stack([along_bias, along_weight]))
        size = features.numel() // features.shape[1]
        scale = weight * reciprocal
        flat = -scale * bias_mean / size
        sloped = -scale * reciprocal * weight_mean / size
        back = torch.addcmul(flat.to(wide).view(shape), gradient, scale.to(wide).view(shape))
        back.addcmul_(centred, sloped.to(wide).view(shape))
        return back.to(features.dtype), along_weight.to(weight.dtype), along_bias.to(weight.dtype), None


def _other_dimensions(features: Tensor) -> tuple[list[int], tuple[int, ...]]:
    """All but that of the channels, and the shape of a value a channel beside the features."""
    return ([0], (1, -1)) if features.dim() == 2 else ([0, 2], (1, -1, 1))


class WholeBatchNorm(nn.BatchNorm1d):
    """Batch norm over the batches of all processes, on any device (torch's own needs CUDA)."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, C) or (N, C, L); as `torch.nn.BatchNorm1d` on the whole batch."""
        if not self.training:
            return super().forward(features)
        normalised, mean, variance = _Normalise.apply(features, self.weight, self.bias, self.eps)
        size = features.numel() // features.shape[1] * distributed.get_world_size()
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (size / (size - 1)), self.momentum)
        result: Tensor = normalised
        return result


class WholeBatchDropout(nn.Module):
    """A dropout that draws for the whole batch and applies the rows of this process."""

    def __init__(self, dropout: nn.Dropout) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, features: Tensor) -> Tensor:
        """As the dropout on the whole batch, whose rows are in the order of the processes."""
        if not self.training or self.dropout.p == 0:
            return features
        where = (distributed.get_world_size(), distributed.get_rank())
        if isinstance(self.dropout, Dropout):
            return self.dropout.part(features, *where)
        return drop_part(self.dropout, features, *where)


def use_global_batch(module: nn.Module) -> None:
    """Make batch norms and dropouts of a module see the whole batch, in place; weights keep their names."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.Dropout):
                setattr(part, name, WholeBatchDropout(child))
        if isinstance(part, nn.BatchNorm1d):
            kind = type(part)
            # A norm of its own class keeps what it does around the norm.
            part.__class__ = (
                WholeBatchNorm if kind is nn.BatchNorm1d else type(kind.__name__, (kind, WholeBatchNorm), {})
            )


def own_part(pairs: Pairs, fabric: Fabric) -> tuple[Pairs, Tensor]:
    """This process's rows of a whole batch, and the weight of their loss in the mean over processes.

    With it, that mean is the loss of the whole batch, whatever the shares of valid poses.
    """
    own = Pairs(*(value.chunk(fabric.world_size)[fabric.global_rank] for value in pairs))
    share = own.valid.sum().clamp_min(1) / pairs.valid.sum().clamp_min(1)
    return own, fabric.world_size * share
