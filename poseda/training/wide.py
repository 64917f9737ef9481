"""The training of the arm wide: source poses in views from everywhere, as a detector would see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from poseda.config import LifterTrainingConfig, RunConfig, WideConfig
from poseda.datasets.sequences import middle, rows_around
from poseda.datasets.upright import find_up
from poseda.geometry.kinematics import root_relative
from poseda.lifters import directions, mirror
from poseda.lifters.flip import negate_first
from poseda.lifters.observation import Observation, where
from poseda.lifters.wide import WideLifter
from poseda.method.bodies import anatomical_scale, group_lengths
from poseda.method.detector import Detector
from poseda.method.views import draw_views
from poseda.training.lifting import LifterPhase
from poseda.training.pairs import Shuffle, TrainingData

PRIOR_STEP = 0.01
"""Share of a step's views in the running mean of upward directions."""

DIMENSIONS = 3.0
"""Of a joint's error. The loss of expected errors is the likelihood of a Laplace distribution in space."""


def options_of(config: RunConfig) -> LifterTrainingConfig:
    """The lifter's training with the steps and rates of the arm."""
    own = config.wide
    return replace(
        config.training,
        batch=own.batch,
        learning_rate=own.learning_rate,
        weight_decay=own.weight_decay,
        ema=own.ema,
    )


class Views(NamedTuple):
    """Observations with the truth about them.

    Attributes:
        observation: N windows.
        pose_3d: (N, T, J, 3) root-relative metres, camera axes.
        up: (N, 3) upward, camera axes.
        valid: (N,) bool, whether every joint is before the camera.
        true: (N,) bool, whether the pose is a source's, and not one that was found.
    """

    observation: Observation
    pose_3d: Tensor
    up: Tensor
    valid: Tensor
    true: Tensor


class ViewSource:
    """Draws views of source poses, new ones for every step.

    Args:
        data: source poses. Of the target, only which joints its detections show.
        config: ranges and rates.
        seed: of the order of poses.
        rng: of all other random numbers; its state belongs in the checkpoint.
        up: (S, 3) upward in the axes of each source pose, where it is known.
        own: how many of the first poses are of the source's people, whose proportions are drawn towards those
            of anatomy. Default: all.
    """

    def __init__(
        self,
        data: TrainingData,
        config: RunConfig,
        seed: int,
        rng: torch.Generator,
        up: Tensor | None = None,
        own: int | None = None,
    ) -> None:
        self.data, self.config, self.rng = data, config, rng
        self.up = find_up(data.source, data.skeleton).up if up is None else up
        self.own = len(data.source) if own is None else own
        lengths = group_lengths(data.source.pose_3d[: self.own], data.skeleton).median(0).values
        self.physique = anatomical_scale(lengths, data.skeleton)
        self._unchanged = torch.ones_like(self.physique)
        self._order = Shuffle(len(data.source), config.wide.batch, seed, data.source.pose_2d.device)
        self.detector = Detector(
            data.skeleton, config.detector, data.patterns, rng, data.source.pose_2d.device
        )

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """Rows of the source for a step."""
        return (self._order.at(step),)

    @torch.no_grad()
    def draw(self, index: Tensor) -> Views:
        """Views of these rows."""
        rows, skeleton = rows_around(index, self.data.windows), self.data.skeleton
        centre = middle(rows)
        physique = torch.where((centre < self.own)[:, None], self.physique, self._unchanged)
        view = draw_views(self.up[centre], skeleton, self.config.views, self.rng, physique)
        seen = view.of(self.data.source.pose_3d[rows], skeleton)
        rays = self.detector.disturb(seen.pose_2d)
        observation = self._told(rays, self.detector.seen(rays), root_relative(seen.pose_3d), view.up)
        views = Views(observation, root_relative(seen.pose_3d), view.up, seen.valid, centre < self.own)
        return self._mirror_half(views) if self.config.training.flip else views

    def _told(self, rays: Tensor, seen: Tensor, pose_3d: Tensor, up: Tensor) -> Observation:
        """Tell the upward direction and the lengths in some views, with errors as if they were found."""
        own, size = self.config.wide, len(rays)
        lengths = group_lengths(pose_3d[:, pose_3d.shape[1] // 2], self.data.skeleton)

        def normal(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=self.rng, device=like.device, dtype=like.dtype)

        def share() -> Tensor:
            return torch.rand(size, generator=self.rng, device=rays.device) < own.known

        told_up = torch.nn.functional.normalize(up + own.up_error * normal(up), dim=1)
        told_lengths = lengths * (1 + own.length_error * normal(lengths))
        return Observation(rays, seen, told_up, share(), told_lengths, share())

    def _mirror_half(self, views: Views) -> Views:
        skeleton = self.data.skeleton
        flip = torch.rand(len(views.valid), generator=self.rng, device=views.valid.device) < 0.5
        return Views(
            where(flip, views.observation.mirrored(skeleton), views.observation),
            torch.where(flip[:, None, None, None], mirror(views.pose_3d, skeleton), views.pose_3d),
            torch.where(flip[:, None], views.up * negate_first(3, views.up.device), views.up),
            views.valid,
            views.true,
        )


class WidePhase(LifterPhase):
    """Trains a wide lifter; its result is the averaged weights.

    Args:
        args, kwargs: of :class:`LifterPhase`.
        wide: weights of the losses.
        finish: makes the expected errors of the result right, or nothing where they are.
    """

    def __init__(
        self, *args: Any, wide: WideConfig, finish: Callable[[WideLifter], None] | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.wide, self._finish = wide, finish
        if finish is not None:  # training moves the expected errors themselves
            assert isinstance(self.average, WideLifter)
            self.lifter.log_error_scale.zero_()
            self.average.log_error_scale.zero_()

    def result(self) -> dict[str, Tensor]:
        """The averaged weights, with expected errors that hold on views of held-out poses."""
        if self._finish is not None:
            assert isinstance(self.average, WideLifter)
            self._finish(self.average)
        return super().result()

    def _train(self, step: float | Tensor, rate: float | Tensor, *indices: Tensor) -> dict[str, Tensor]:
        """Minimise the errors of poses, of their expected errors, and of the upward direction."""
        views: Views = self.pairs.draw(*indices)  # type: ignore[assignment]
        lifted = self.lifter(views.observation)
        truth = views.pose_3d
        if lifted.pose_3d.shape[1] < truth.shape[1]:
            at = truth.shape[1] // 2
            truth = truth[:, at : at + 1]
        distance = (lifted.pose_3d - truth).norm(dim=-1)
        weight = views.valid / views.valid.sum().clamp_min(1)
        pose_loss = (distance.mean((1, 2)) * weight).sum()
        own = distance[:, distance.shape[1] // 2]
        told = DIMENSIONS * (own * (-lifted.log_error).exp() + lifted.log_error)
        classes = directions.soft_classes((lifted.turn * views.up[:, None]).sum(-1))
        up_loss = -((classes * lifted.up).sum(1) * weight).sum()
        options = self.wide
        loss = (
            pose_loss
            # A found pose fits its views better than the truth would: it says nothing of errors.
            + options.weight_error * (told[:, 1:].mean(1) * weight * views.true).sum()
            + options.weight_up * up_loss
        )
        self._follow_prior((classes * weight[:, None]).sum(0))
        self._update_weights(loss, step, rate)
        return {"lifter_loss": pose_loss, "up_loss": up_loss, "valid_share": views.valid.float().mean()}

    @torch.no_grad()
    def _follow_prior(self, share: Tensor) -> None:
        prior = self.lifter.log_prior
        prior.copy_(prior.exp().lerp(share, PRIOR_STEP).log())
