"""The lifter's phase, before and after adaptation: sample pairs, lift them, take the loss, step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import LifterTrainingConfig
from poseda.geometry.skeleton import Skeleton
from poseda.lifters import mirror
from poseda.lifters.predict import lift_windows
from poseda.method import losses
from poseda.runs import checkpoint
from poseda.training import compilation
from poseda.training.average import Average
from poseda.training.fabric import pack_scaler
from poseda.training.graphs import Capture, Graphs
from poseda.training.health import NonFiniteWatch
from poseda.training.pairs import Pairs
from poseda.training.parallel import Processes


def learning_rate(config: LifterTrainingConfig, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine that ends at zero."""
    rising = min(1.0, (step + 1) / max(config.warmup * steps, 1.0))
    return config.learning_rate * rising * 0.5 * (1 + math.cos(math.pi * step / steps))


class PairDraw(Protocol):
    """A source of training pairs.

    The host chooses rows by step number; all else is work of the device, so that a CUDA graph can hold it.
    """

    rng: torch.Generator

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """The poses of a step: one tensor of rows for each set of poses."""

    def draw(self, *indices: Tensor) -> Pairs:
        """Pairs of these poses."""


class LifterPhase:
    """Trains one lifter on one source of pairs; its result is the averaged weights.

    Args:
        lifter: trained in place.
        pairs: to train on.
        skeleton: of the poses.
        config: of the training.
        steps: to train.
        fabric: device, precision and processes.
        compiled: run draws, lifter and loss under torch.compile.
        captured: replay the step as a CUDA graph.
    """

    can_collapse = False
    betas = (0.9, 0.999)
    """Decays a step of Adam's two moments."""
    functions: tuple[Callable[..., Any], Callable[..., Any]] = (lift_windows, losses.lifter_loss)
    """How the lifter is called, and its loss; both can be compiled."""

    def __init__(
        self,
        lifter: nn.Module,
        pairs: PairDraw,
        skeleton: Skeleton,
        config: LifterTrainingConfig,
        steps: int,
        fabric: Fabric,
        compiled: bool = False,
        captured: bool | Capture = False,
    ) -> None:
        self.pairs, self.rng, self.skeleton = pairs, pairs.rng, skeleton
        self.config, self.steps, self.fabric = config, steps, fabric
        # Precision 16-mixed has a gradient scaler, which has a state.
        self._scales_gradients = bool(pack_scaler(fabric))
        optimizer = torch.optim.AdamW(
            lifter.parameters(),
            config.learning_rate,
            self.betas,
            weight_decay=config.weight_decay,
            # A fused step unscales the gradients itself, too late for them to be clipped.
            fused=not self._scales_gradients,
            capturable=bool(captured),
        )
        self.average = copy.deepcopy(lifter).eval().to(fabric.device)
        self._processes = Processes.of(fabric)
        self._processes.use_global_batch(lifter)
        self.lifter, self.optimizer = fabric.setup(lifter, optimizer)
        self.lifter.train()
        self._moving_average = Average(self.average, lifter, config.ema)
        self.watch = NonFiniteWatch({"lifter": lifter, "average": self.average})
        self._graphs = Graphs(captured, fabric, self.rng, {"lifter": lifter})
        self._lift, self._loss = compilation.compiled_functions(lifter, compiled, *self.functions)
        if compiled:
            compilation.compile_methods(self, "_sample")

    def step(self, step: int) -> dict[str, Tensor]:
        """One step of the lifter and of its averaged weights."""
        rate = learning_rate(self.config, step, self.steps)
        values = self._graphs.run("lifter", self._train, step, rate, *self.pairs.indices(step))
        self._moving_average.update(step)
        return values

    def _train(self, step: float | Tensor, rate: float | Tensor, *indices: Tensor) -> dict[str, Tensor]:
        """Minimise the error between lifted and true poses, over the lifter's weights."""
        batch: Pairs = self._sample(*indices)
        own = self._processes.own_part(batch)
        lifted, truth = self._lift(self.lifter, own.pose_2d, own.pose_3d)
        loss = self._loss(lifted, truth, own.valid, self.config.loss)
        loss = self._processes.weigh_loss(loss, own, batch)
        self._update_weights(loss, step, rate)
        return {
            "lifter_loss": self._processes.mean(loss),
            "valid_share": batch.valid.mean(dtype=torch.float32),
        }

    def _sample(self, *indices: Tensor) -> Any:
        """What a step learns from."""
        return self._add_noise(self._mirror_half(self.pairs.draw(*indices)))

    def _mirror_half(self, pairs: Pairs) -> Pairs:
        if not self.config.flip:
            return pairs
        draw = torch.rand(len(pairs.valid), generator=self.rng, device=pairs.valid.device)
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
        noise = torch.randn(shape, generator=self.rng, device=device, dtype=pairs.pose_2d.dtype)
        return pairs._replace(pose_2d=torch.add(pairs.pose_2d, noise, alpha=self.config.noise_2d))

    def _update_weights(self, loss: Tensor, step: float | Tensor, rate: float | Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self._clip_gradients(step)
        self.optimizer.step()

    def _clip_gradients(self, step: float | Tensor) -> None:
        if self._scales_gradients:
            # The scaler skips a step with infinite gradients and lowers its scale: they are no failure.
            self.fabric.clip_gradients(
                self.lifter, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
            )
        else:
            self.watch.clip(step, "lifter", self.config.clip)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        return {
            **checkpoint.pack_module("lifter", self.lifter),
            **checkpoint.pack_module("average", self.average),
            **checkpoint.pack_optimizer("optimizer", self.optimizer),
            "rng": self.rng.get_state(),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from what :meth:`state` returned."""
        checkpoint.unpack_module("lifter", self.lifter, state)
        checkpoint.unpack_module("average", self.average, state)
        checkpoint.unpack_optimizer("optimizer", self.optimizer, state)
        self.rng.set_state(state["rng"])
        self._graphs.drop()

    def result(self) -> dict[str, Tensor]:
        """The averaged weights."""
        return checkpoint.pack_module("lifter", self.average)
