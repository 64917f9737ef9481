"""A lifter for every camera, every mask and every person: it wraps a lifter of any family.

The lifter inside sees people from a virtual camera, with masks, and with the upward direction and the bone
lengths where they are known. A small network beside it, the scene network, says from the same input how far
off each joint may be, and which direction is upward.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from poseda.geometry.kinematics import SHORTEST
from poseda.geometry.skeleton import Skeleton
from poseda.lifters import directions
from poseda.lifters.flip import mirror, mirror_order
from poseda.lifters.observation import Observation, channels, encode, turned
from poseda.lifters.registry import build
from poseda.lifters.scene import scene_network

ERROR_RANGE = (-4.0, 0.5)
"""Bounds of the log of an error in metres: 18 mm to 1.6 m."""

MOST = 1.25
"""Largest factor between a length that is found and the one that is told: far from the people that the map
was learned from, it says nothing."""


class Lifted(NamedTuple):
    """What a wide lifter says of N windows.

    Attributes:
        pose_3d: (N, T or 1, J, 3) metres, camera axes, root at the origin.
        log_error: (N, J) log of the expected error in the middle frame: a distance to the truth, metres,
            within which 68 % of the joints lie.
        up: (N, C) log probability of the directions of :data:`directions.GRID`, in virtual axes.
        turn: (N, 3, 3) camera axes into virtual ones.
    """

    pose_3d: Tensor
    log_error: Tensor
    up: Tensor
    turn: Tensor


class WideLifter(nn.Module):
    """A lifter of any family behind a virtual camera, with the scene network beside it.

    Args:
        skeleton: of the poses.
        family: registered name of the lifter inside; it takes ``in_channels``.
        frames: T.
        options: of the lifter inside.

    Raises:
        ValueError: if the lifter is unknown or does not take ``in_channels``.
    """

    usual_lengths: Tensor
    log_prior: Tensor
    log_error_scale: Tensor
    length_mix: Tensor
    length_shift: Tensor

    def __init__(
        self, skeleton: Skeleton, family: str = "residual", frames: int = 1, **options: object
    ) -> None:
        super().__init__()
        self.skeleton, self.frames = skeleton, frames
        size = channels(skeleton)
        self.lifter = build(family, skeleton, frames, in_channels=size, **options)
        self.target_frame: int | None = getattr(self.lifter, "target_frame", None)
        told = skeleton.num_joints + len(directions.GRID)
        self.scene = scene_network(skeleton.num_joints * size, told)
        self.register_buffer("usual_lengths", torch.full((skeleton.num_groups,), 0.25))
        even = torch.full((len(directions.GRID),), 1 / len(directions.GRID))
        self.register_buffer("log_prior", even.log())
        # Set after training, from held-out views; see poseda.training.calibration.
        self.register_buffer("log_error_scale", torch.zeros(()))
        for name, value in _unchanged(skeleton).items():
            self.register_buffer(name, value)

    def forward(self, observation: Observation) -> Lifted:
        """Lift N windows of T frames."""
        features, turn = encode(observation, self.usual_lengths)
        pose = self.lifter(features).float()
        told = self.scene(features[:, features.shape[1] // 2].flatten(1)).float()
        joints = self.skeleton.num_joints
        return Lifted(
            turned(pose, turn),
            told[:, :joints].clamp(*ERROR_RANGE) + self.log_error_scale,
            told[:, joints:].log_softmax(1),
            turn,
        )

    def averaged(self, observation: Observation) -> Lifted:
        """Lift windows and their mirror images, and average the poses."""
        one, other = self(observation), self(observation.mirrored(self.skeleton))
        pose = (one.pose_3d + mirror(other.pose_3d, self.skeleton)) / 2
        order = mirror_order(self.skeleton, pose.device)
        error = (one.log_error + other.log_error.index_select(1, order)) / 2
        return one._replace(pose_3d=pose, log_error=error)

    def true_lengths(self, found: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """The lengths of people whose poses have the lengths ``found`` when this lifter lifts them.

        A lifter that is not sure of a bone's depth makes it short, and makes unusual people usual. By how
        much was learned of drawn people after training (:func:`poseda.training.calibration.learn_lengths`).
        It holds where 2D joints are those of the source, not for joints as a detector defines them. No
        length changes by more than a factor of :data:`MOST`.

        Args:
            found: (..., G) metres, medians over many frames of a person.
            error: (..., G) metres, their standard errors.

        Returns:
            lengths and their standard errors, metres. How well the map holds is not in these.
        """
        log, mix = found.double().clamp_min(SHORTEST).log(), self.length_mix.double()
        change = (log @ mix + self.length_shift.double() - log).clamp(-math.log(MOST), math.log(MOST))
        length = (log + change).exp()
        relative = error.double() / found.clamp_min(SHORTEST)
        spread = (relative.square() @ mix.square()).sqrt() * length
        return length.to(found.dtype), spread.to(found.dtype)

    def keep_lengths(self) -> None:
        """Take lengths as they are found, from now on."""
        for name, value in _unchanged(self.skeleton).items():
            getattr(self, name).copy_(value)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        """Weights of before have no map of lengths: they keep lengths as they are found."""
        for name, value in _unchanged(self.skeleton).items():
            state.setdefault(prefix + name, value)
        super()._load_from_state_dict(state, prefix, *others)


def _unchanged(skeleton: Skeleton) -> dict[str, Tensor]:
    """The map of lengths that keeps them, by the names of its buffers."""
    groups = skeleton.num_groups
    return {"length_mix": torch.eye(groups), "length_shift": torch.zeros(groups)}
