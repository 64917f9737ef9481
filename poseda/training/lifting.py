"""The lifter's phase, before and after adaptation: the same step on different pairs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import LifterTrainingConfig
from poseda.geometry.skeleton import Skeleton
from poseda.lifters import mirror
from poseda.lifters.predict import lift_windows
from poseda.method import losses
from poseda.runs import checkpoint
from poseda.training import compilation, parallel
from poseda.training.average import Average
from poseda.training.fabric import pack_scaler
from poseda.training.graphs import Graphs
from poseda.training.health import NonFiniteWatch
from poseda.training.pairs import Pairs


def learning_rate(config: LifterTrainingConfig, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine that ends at zero."""
    rising = min(1.0, (step + 1) / max(config.warmup * steps, 1.0))
    return config.learning_rate * rising * 0.5 * (1 + math.cos(math.pi * step / steps))


class PairDraw(Protocol):
    """Where training pairs come from."""

    rng: torch.Generator

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """Which poses a step trains on, of one set or of several."""

    def draw(self, *indices: Tensor) -> Pairs:
        """Pairs of these poses."""


class LifterPhase:
    """Trains one lifter on one source of pairs; the averaged weights are the result.

    Args:
        lifter: starting weights; it is trained in place.
        pairs: what it trains on.
        skeleton: of the poses.
        config: how.
        steps: how long.
        fabric: device and precision.
        compiled: run lifter and loss as compiled graphs.
        captured: replay the step as a CUDA graph.
    """

    can_collapse = False

    def __init__(
        self,
        lifter: nn.Module,
        pairs: PairDraw,
        skeleton: Skeleton,
        config: LifterTrainingConfig,
        steps: int,
        fabric: Fabric,
        compiled: bool = False,
        captured: bool = False,
    ) -> None:
        self.rng = pairs.rng
        self.pairs, self.skeleton, self.config, self.steps, self.fabric = (
            pairs,
            skeleton,
            config,
            steps,
            fabric,
        )
        # A fused step unscales the gradients itself, too late for them to be clipped.
        self._scaled = bool(pack_scaler(fabric))
        optimizer = torch.optim.AdamW(
            lifter.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=not self._scaled,
            capturable=captured,
        )
        self.average = copy.deepcopy(lifter).eval().to(fabric.device)
        if fabric.world_size > 1:
            parallel.spread(lifter)
        self.lifter, self.optimizer = fabric.setup(lifter, optimizer)
        self.lifter.train()
        self._follower = Average(self.average, lifter, config.ema)
        self.watch = NonFiniteWatch({"lifter": lifter, "average": self.average})
        self._graphs = Graphs(captured, fabric, self.rng, {"lifter": lifter})
        self._loss: Callable[..., Tensor] = losses.lifter_loss
        self._compiling: Callable[[], AbstractContextManager[None]] = nullcontext
        if compiled:
            self._loss = compilation.compiled(lifter, losses.lifter_loss)
            self._compiling = partial(compilation.named_failure, lifter)

    def step(self, step: int) -> dict[str, Tensor]:
        """One step of the lifter, which its averaged weights follow."""
        rate = learning_rate(self.config, step, self.steps)
        values = self._graphs.run("lifter", self._train, step, rate, *self.pairs.indices(step))
        self._follower.update(step)
        return values

    def _train(self, step: float | Tensor, rate: float | Tensor, *indices: Tensor) -> dict[str, Tensor]:
        """Minimise the mean joint distance between lifted and true poses, over the lifter's weights."""
        pairs = self._add_noise(self._mirror_half(self.pairs.draw(*indices)))
        valid_share = pairs.valid.float().mean()
        if self.fabric.world_size > 1:
            pairs, weight = parallel.own_part(pairs, self.fabric)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self._compiling():
            lifted, truth = lift_windows(self.lifter, pairs.pose_2d, pairs.pose_3d)
            loss = self._loss(lifted, truth, pairs.valid, self.config.loss)
        if self.fabric.world_size > 1:
            loss = weight * loss
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if self._scaled:  # a scaler tries larger scales and skips those that make gradients infinite
            self.fabric.clip_gradients(
                self.lifter, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
            )
        else:
            self.watch.clip(step, "lifter", self.config.clip)
        self.optimizer.step()
        if self.fabric.world_size > 1:
            loss = parallel.mean_over_processes(loss)
        return {"lifter_loss": loss, "valid_share": valid_share}

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on."""
        return {
            **checkpoint.pack_module("lifter", self.lifter),
            **checkpoint.pack_module("average", self.average),
            **checkpoint.pack_optimizer("optimizer", self.optimizer),
            "rng": self.pairs.rng.get_state(),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Put back what :meth:`state` gave."""
        checkpoint.unpack_module("lifter", self.lifter, state)
        checkpoint.unpack_module("average", self.average, state)
        checkpoint.unpack_optimizer("optimizer", self.optimizer, state)
        self.pairs.rng.set_state(state["rng"])
        self._graphs.drop()

    def result(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return checkpoint.pack_module("lifter", self.average)

    def _mirror_half(self, pairs: Pairs) -> Pairs:
        if not self.config.flip:
            return pairs
        draw = torch.rand(len(pairs.valid), generator=self.pairs.rng, device=pairs.valid.device)
        mirrored = (draw < 0.5)[:, None, None, None]
        return Pairs(
            torch.where(mirrored, mirror(pairs.pose_3d, self.skeleton), pairs.pose_3d),
            torch.where(mirrored, mirror(pairs.pose_2d, self.skeleton), pairs.pose_2d),
            pairs.valid,
        )

    def _add_noise(self, pairs: Pairs) -> Pairs:
        if not self.config.noise_2d:
            return pairs
        shape, device = pairs.pose_2d.shape, pairs.pose_2d.device
        noise = torch.randn(shape, generator=self.pairs.rng, device=device, dtype=pairs.pose_2d.dtype)
        return pairs._replace(pose_2d=pairs.pose_2d + self.config.noise_2d * noise)
