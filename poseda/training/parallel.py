"""Several processes that train one lifter: each takes a part of every batch, and all get the same weights.

Every process draws the whole batch from the same random state and keeps its own rows. A run thus does not
depend on the number of processes, except for rounding, as sums over a batch have another order. The loss's
mean over valid poses, batch norms and dropout act on the global batch. Every process trains the generator on
the whole batch: the generator is small, and so needs no communication.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

from poseda.lifters.dropout import Dropout, drop_part
from poseda.training.pairs import Pairs


def local_processes() -> int:
    """Number of processes that torchrun started on this machine; 1 without torchrun."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def machines() -> int:
    """Number of machines that torchrun runs on."""
    return int(os.environ.get("WORLD_SIZE", "1")) // local_processes()


def follows() -> bool:
    """Whether another process, that of rank 0, writes the files and the messages."""
    return int(os.environ.get("RANK", "0")) > 0


def leave_at_exit() -> None:
    """Let this process leave its group before the interpreter ends.

    Gloo's threads outlive the interpreter otherwise, and now and then they abort a process that is done.
    """
    if distributed.is_available() and distributed.is_initialized():
        atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def check_batch(batch: int, fabric: Fabric) -> None:
    """Check that all processes get equal parts of a batch.

    Raises:
        ValueError: if they do not.
    """
    if batch % fabric.world_size:
        raise ValueError(
            f"training.batch: expected a multiple of the {fabric.world_size} processes, got {batch}"
        )


class Processes:
    """A single process: it trains on whole batches, so each method returns its argument as it is."""

    @staticmethod
    def of(fabric: Fabric) -> Processes:
        """The processes that a Fabric has started."""
        return SeveralProcesses(fabric) if fabric.world_size > 1 else Processes()

    def use_global_batch(self, module: nn.Module) -> None:
        """Let batch norms and dropouts of a module act on the batch of all processes, in place."""

    def own_part(self, pairs: Pairs) -> Pairs:
        """The rows of a batch that this process trains on."""
        return pairs

    def weigh_loss(self, loss: Tensor, own: Pairs, whole: Pairs) -> Tensor:
        """Weigh the loss of a part of a batch so that its mean over processes is the loss of the batch.

        Args:
            loss: mean over the valid poses of this process's part.
            own: this process's part.
            whole: the batch.
        """
        return loss

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a value over processes, for the log."""
        return value


class SeveralProcesses(Processes):
    """Processes that share each batch; see :class:`Processes`."""

    def __init__(self, fabric: Fabric) -> None:
        self._size, self._rank = fabric.world_size, fabric.global_rank

    def use_global_batch(self, module: nn.Module) -> None:
        use_global_batch(module)

    def own_part(self, pairs: Pairs) -> Pairs:
        return Pairs(*(value.chunk(self._size)[self._rank] for value in pairs))

    def weigh_loss(self, loss: Tensor, own: Pairs, whole: Pairs) -> Tensor:
        share = own.valid.sum().clamp_min(1) / whole.valid.sum().clamp_min(1)
        return self._size * share * loss

    def mean(self, value: Tensor) -> Tensor:
        return mean_over_processes(value)


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a value over processes, without gradient."""
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class _Normalise(torch.autograd.Function):
    """Batch norm with mean and variance over all processes: one exchange forward and one backward."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, C) or (N, C, L), weight and bias (C,), to features, mean (C,) and variance (C,)."""
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        over, shape = _other_dimensions(features)
        # Two separate passes are several times as fast as torch.var_mean.
        mean = wide.mean(over)
        variance = (wide - mean.view(shape)).square_().mean(over)
        # Moments about zero can be averaged over processes. The variance is a difference of them, and needs
        # double precision.
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
    """All dimensions except the channels', and the shape that lines up one value per channel."""
    return ([0], (1, -1)) if features.dim() == 2 else ([0, 2], (1, -1, 1))


class GlobalBatchNorm(nn.BatchNorm1d):
    """Batch norm over the batch of all processes, on any device; torch's own needs CUDA."""

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (N, C) or (N, C, L), as `torch.nn.BatchNorm1d` does on the global batch."""
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


class GlobalBatchDropout(nn.Module):
    """A dropout that draws for the global batch and applies the rows of this process."""

    def __init__(self, dropout: nn.Dropout) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, features: Tensor) -> Tensor:
        """Drop features as on the global batch. Its rows are in the order of the processes."""
        if not self.training or self.dropout.p == 0:
            return features
        where = (distributed.get_world_size(), distributed.get_rank())
        if isinstance(self.dropout, Dropout):
            return self.dropout.part(features, *where)
        return drop_part(self.dropout, features, *where)


def use_global_batch(module: nn.Module) -> None:
    """Let batch norms and dropouts act on the batch of all processes, in place; weights keep their names."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.Dropout):
                setattr(part, name, GlobalBatchDropout(child))
        if isinstance(part, nn.BatchNorm1d):
            kind = type(part)
            # A subclass of batch norm keeps its own forward around the norm.
            part.__class__ = (
                GlobalBatchNorm
                if kind is nn.BatchNorm1d
                else type(kind.__name__, (kind, GlobalBatchNorm), {})
            )
