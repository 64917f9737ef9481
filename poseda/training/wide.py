"""The training of the arm wide: source poses in views from everywhere, as a detector would see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from poseda.config import LifterTrainingConfig, RunConfig, WideConfig
from poseda.datasets.sequences import middle, rows_around
from poseda.datasets.upright import find_up
from poseda.geometry.kinematics import root_relative
from poseda.lifters import directions, mirror
from poseda.lifters.flip import negate_first
from poseda.lifters.observation import Observation
from poseda.lifters.wide import Lifted, WideLifter
from poseda.method import losses
from poseda.method.bodies import anatomical_scale, group_lengths
from poseda.method.detector import Detector, box_of
from poseda.method.draws import Chance, Column, Draws, Normal, Uniform, lasting
from poseda.method.views import OF_CAMERA, OF_PERSON, Places, draw_views, view_columns
from poseda.training.lifting import LifterPhase
from poseda.training.pairs import Shuffle, TrainingData
from poseda.training.target_views import TargetViews

PRIOR_STEP = 0.01
"""Share of a step's views in the running mean of upward directions."""

PICTURED = 0.5
"""Share of the views of weak labels that are their own pictures."""

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


class _Scene(NamedTuple):
    """What a view shows before a detector looks at it.

    Attributes:
        rays: (N, T, J, 2).
        shown: (N, T, J) bool, joints that can be seen; None where all can.
        pose_3d, up, valid: as in :class:`Views`.
    """

    rays: Tensor
    shown: Tensor | None
    pose_3d: Tensor
    up: Tensor
    valid: Tensor

    def where(self, chosen: Tensor, other: _Scene) -> _Scene:
        """This scene, of which all joints can be seen, where ``chosen`` (N,) says so, else the other."""

        def pick(one: Tensor, two: Tensor) -> Tensor:
            return torch.where(chosen.reshape(-1, *[1] * (one.dim() - 1)), one, two)

        return _Scene(
            pick(self.rays, other.rays),
            None if other.shown is None else other.shown | chosen[:, None, None],
            *(pick(one, two) for one, two in zip(self[2:], other[2:], strict=True)),
        )


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
        pictures: what the detector saw of the last poses, in the axes of these. Half of their views are such.
        places: where people of the target stand, and in a share of the views those of the poses, too.
    """

    def __init__(
        self,
        data: TrainingData,
        config: RunConfig,
        seed: int,
        rng: torch.Generator,
        up: Tensor | None = None,
        own: int | None = None,
        pictures: Observation | None = None,
        places: Places | None = None,
    ) -> None:
        self.data, self.config, self.rng, self.pictures = data, config, rng, pictures
        self.places = places if config.wide.near_share else None
        self.up = find_up(data.source, data.skeleton).up if up is None else up
        self.own = len(data.source) if own is None else own
        lengths = group_lengths(data.source.pose_3d[: self.own], data.skeleton).median(0).values
        self.physique = anatomical_scale(lengths, data.skeleton)
        self._unchanged = torch.ones_like(self.physique)
        device = data.source.pose_2d.device
        self._order = Shuffle(len(data.source), config.wide.batch, seed, device)
        self.detector = Detector(data.skeleton, config.detector, data.patterns, device)
        self._draws = Draws(self._columns(), device)

    def _columns(self) -> dict[str, Column]:
        """All random numbers of a step."""
        own, skeleton = self.config.wide, self.data.skeleton
        frames = 1 if self.data.windows is None else self.data.windows.frames
        return {
            **view_columns(skeleton, self.config.views),
            **self.detector.columns(frames),
            "up_error": Normal((3,), own.up_error),
            "up_known": Chance((), own.known),
            "length_error": Normal((skeleton.num_groups,), own.length_error),
            "lengths_known": Chance((), own.known),
            "mirrored": Chance((), 0.5 if self.config.training.flip else 0.0),
            **({} if self.pictures is None else {"pictured": Chance((), PICTURED)}),
            **({} if self.places is None else {"near": Chance((), own.near_share), "place": Uniform(())}),
        }

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """Rows of the source for a step."""
        return (self._order.at(step),)

    def draw(self, index: Tensor) -> Views:
        """Views of these rows, of mirrored people in half of them."""
        return self._seen(index, self._draws(len(index), self.rng))

    def recorded(self, people: int, frames: int) -> Views:
        """What cameras that rest see of as many people: frames of one clip each, person by person."""
        clip = self.data.source.clip
        order, size = clip.argsort(stable=True), clip.unique(return_counts=True)[1]
        chance = torch.rand(people * frames, 2, generator=self.rng, device=clip.device)
        whose = (chance[::frames, 0] * len(size)).long().repeat_interleave(frames)
        index = order[(size.cumsum(0) - size)[whose] + (chance[:, 1] * size[whose]).long()]
        drawn = lasting(self._draws(len(index), self.rng), OF_PERSON + OF_CAMERA, frames)
        return self._seen(index, drawn)

    @torch.no_grad()
    def _seen(self, index: Tensor, drawn: Mapping[str, Tensor]) -> Views:
        """Views of these rows with the numbers of the step."""
        rows, skeleton = rows_around(index, self.data.windows), self.data.skeleton
        centre = middle(rows)
        pose, up = self.data.source.pose_3d[rows], self.up[centre]
        mirrored = drawn["mirrored"][:, None]
        up = torch.where(mirrored, up * negate_first(3, up.device), up)
        pose = torch.where(mirrored[..., None, None], mirror(pose, skeleton), pose)
        at, own = pose if pose.dim() == 3 else pose[:, pose.shape[1] // 2], centre < self.own
        physique = self._physique_of(centre)
        view = draw_views(at, up, skeleton, self.config.views, drawn, physique, own, places=self.places)
        seen = view.of(pose, skeleton)
        scene = _Scene(seen.pose_2d, None, root_relative(seen.pose_3d), view.up, seen.valid)
        if self.pictures is not None:
            scene = self._pictured(scene, self.pictures, pose, up, centre, drawn)
        return Views(self._told(scene, drawn), scene.pose_3d, scene.up, scene.valid, own)

    def _pictured(
        self,
        scene: _Scene,
        pictures: Observation,
        pose: Tensor,
        up: Tensor,
        row: Tensor,
        drawn: Mapping[str, Tensor],
    ) -> _Scene:
        """The scene with some weak labels in their own pictures.

        Args:
            scene: as it was drawn.
            pictures: of the last rows.
            pose: (N, 1, J, 3) in the axes of the picture, mirrored where the view is.
            up: (N, 3) likewise.
            row: (N,) of the source.
            drawn: the numbers of the step.
        """
        first = len(self.data.source) - len(pictures)
        picture, mirrored = pictures.rows((row - first).clamp_min(0)), drawn["mirrored"]
        turned = picture.mirrored(self.data.skeleton)
        rays = torch.where(mirrored[:, None, None, None], turned.rays, picture.rays)
        shown = torch.where(mirrored[:, None, None], turned.seen, picture.seen)
        own = _Scene(rays, shown, root_relative(pose), up, torch.ones_like(scene.valid))
        return scene.where((row < first) | ~drawn["pictured"], own)

    def _physique_of(self, row: Tensor) -> Tensor:
        """What brings each person's lengths to those of anatomy: (G,), or (N, G) where it differs."""
        if self.own == len(self.data.source):
            return self.physique
        return torch.where((row < self.own)[:, None], self.physique, self._unchanged)

    def _told(self, scene: _Scene, drawn: Mapping[str, Tensor]) -> Observation:
        """Tell the upward direction and the lengths in some views, with errors as if they were found."""
        truth, box = scene.pose_3d, box_of(scene.rays)
        lengths = group_lengths(truth[:, truth.shape[1] // 2], self.data.skeleton)
        return Observation(
            self.detector.disturb(scene.rays, drawn, box),
            self.detector.seen(scene.rays, drawn, scene.shown, box),
            torch.nn.functional.normalize(scene.up + drawn["up_error"], dim=1),
            drawn["up_known"],
            torch.addcmul(lengths, lengths, drawn["length_error"]),
            drawn["lengths_known"],
        )


class ViewLosses(NamedTuple):
    """Losses of a step's views.

    Attributes:
        pose: mean distance of joints, metres.
        error: of the expected errors.
        up: of the upward directions.
        directions: (C,) share of the views in each direction of :data:`directions.GRID`.
    """

    pose: Tensor
    error: Tensor
    up: Tensor
    directions: Tensor


def lift(lifter: nn.Module, observation: Observation) -> Lifted:
    """Lift views."""
    lifted: Lifted = lifter(observation)
    return lifted


def view_losses(lifted: Lifted, truth: Tensor, up: Tensor, valid: Tensor, true: Tensor) -> ViewLosses:
    """The losses of lifted views, whose truth is as in :class:`Views`."""
    if lifted.pose_3d.shape[1] < truth.shape[1]:
        at = truth.shape[1] // 2
        truth = truth[:, at : at + 1]
    distance = (lifted.pose_3d - truth).norm(dim=-1)
    weight = losses.weights_of(valid)
    own = distance[:, distance.shape[1] // 2]
    told = torch.addcmul(lifted.log_error, own, (-lifted.log_error).exp())
    classes = directions.soft_classes((lifted.turn * up[:, None]).sum(-1)) * weight[:, None]
    return ViewLosses(
        torch.dot(distance.mean((1, 2)), weight),
        # A found pose fits its views better than the truth would: it says nothing of errors.
        torch.dot(told[:, 1:].mean(1), weight * true),
        -(classes * lifted.up).sum(),
        classes.sum(0),
    )


class WidePhase(LifterPhase):
    """Trains a wide lifter; its result is the averaged weights.

    Args:
        args, kwargs: of :class:`LifterPhase`.
        wide: weights of the losses.
        finish: makes right what the result says of errors and lengths, or nothing where it is right.
        target: frames of the target with losses of their own, or None.
    """

    betas = (0.9, 0.98)
    """No view is seen twice, so that old gradients say less."""
    functions = (lift, view_losses)

    def __init__(
        self,
        *args: Any,
        wide: WideConfig,
        finish: Callable[[WideLifter], None] | None,
        target: TargetViews | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.wide, self._finish, self._target = wide, finish, target
        if finish is not None:  # training moves the expected errors themselves
            assert isinstance(self.average, WideLifter)
            self.lifter.log_error_scale.zero_()
            self.average.log_error_scale.zero_()

    def result(self) -> dict[str, Tensor]:
        """The averaged weights. What they say of errors and lengths holds on views of held-out poses."""
        if self._finish is not None:
            assert isinstance(self.average, WideLifter)
            self._finish(self.average)
        return super().result()

    def _sample(self, *indices: Tensor) -> Views:
        views: Views = self.pairs.draw(*indices)  # type: ignore[assignment]
        return views

    def _train(self, step: float | Tensor, rate: float | Tensor, *indices: Tensor) -> dict[str, Tensor]:
        """Minimise the errors of poses, of their expected errors, and of the upward direction."""
        views = self._sample(*indices)
        lifted = self._lift(self.lifter, views.observation)
        found = self._loss(lifted, views.pose_3d, views.up, views.valid, views.true)
        options = self.wide
        loss = found.pose + DIMENSIONS * options.weight_error * found.error + options.weight_up * found.up
        own_losses = {} if self._target is None else self._target.losses(partial(self._lift, self.lifter))
        if self._target is not None:
            loss = loss + self._target.weighted(own_losses)
        self._follow_prior(found.directions)
        self._update_weights(loss, step, rate)
        return {
            "lifter_loss": found.pose,
            "up_loss": found.up,
            "valid_share": views.valid.mean(dtype=torch.float32),
            **own_losses,
        }

    @torch.no_grad()
    def _follow_prior(self, share: Tensor) -> None:
        prior = self.lifter.log_prior
        prior.copy_(prior.exp().lerp(share, PRIOR_STEP).log())
