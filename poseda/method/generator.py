"""The augmentation generator of LPA. It proposes changes of a pose, which :func:`poseda.ops.augment` makes.

Each change is bounded: a bone's rotation by ``bone_angle``, the relative length of a symmetric bone group by
``bone_scale``, and the body's rotation by ``body_angle``.

A reconstruction, as the paper does not publish its generator. One trunk reads pose and noise and feeds every
head; PoseAug and its descendants have one trunk for each head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from poseda.config import GeneratorConfig
from poseda.geometry.skeleton import Skeleton
from poseda.method.draws import Column, Normal, Uniform


class Proposal(NamedTuple):
    """Parameters of one augmentation, the arguments of :func:`poseda.ops.augment`.

    Attributes:
        bone_rotation: (N, K, 3) rotation vectors, radians.
        bone_scale: (N, G) relative length change of each symmetric group.
        body_rotation: (N, 3) rotation vector, radians.
        root: (N, 3) metres, camera frame; None unless the generator also places the pose.
    """

    bone_rotation: Tensor
    bone_scale: Tensor
    body_rotation: Tensor
    root: Tensor | None = None

    @classmethod
    def of(cls, rotation: Tensor, bone_scale: Tensor, root: Tensor | None = None) -> Proposal:
        """A proposal from rotations (N, K + 1, 3) of the bones and then of the body.

        Cut once, their gradients are put together once.
        """
        bones, body = rotation.split((rotation.shape[1] - 1, 1), 1)
        return cls(bones, bone_scale, body.squeeze(1), root)


class Generator(nn.Module):
    """Root-relative pose and noise in, a :class:`Proposal` out.

    Args:
        skeleton: of the poses.
        config: width, depth and bounds.
        learned_placement: add the head that places the root (PoseAug's rotation-translation head).
    """

    limits: Tensor

    def __init__(self, skeleton: Skeleton, config: GeneratorConfig, learned_placement: bool = False) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.config = config
        self.coordinates = 3 * skeleton.num_joints
        width = config.width
        self.entry = nn.Linear(2 * self.coordinates, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(config.blocks))
        # One rotation vector for each bone and one for the body: as many as joints. Weight files of 0.1.0
        # have this name of the head.
        self.turn_head = nn.Linear(width, self.coordinates)
        limits = [config.bone_angle] * skeleton.num_bones + [config.body_angle]
        self.register_buffer("limits", torch.tensor(limits)[:, None], persistent=False)
        self.scale_head = nn.Linear(width, skeleton.num_groups)
        self.root_head = nn.Linear(width, 3) if learned_placement else None

    def forward(self, pose_3d: Tensor, noise: Tensor) -> Proposal:
        """Propose one augmentation for each pose.

        Args:
            pose_3d: (N, J, 3) source poses, metres; only the root-relative pose and the root count.
            noise: (N, 3J) standard normal.
        """
        return Proposal.of(*self.changes(pose_3d, noise))

    def changes(self, pose_3d: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """A proposal before it is cut: rotations (N, K + 1, 3) of bones and body, bone scale, root."""
        first = self.skeleton.parents.index(-1)
        root = pose_3d[:, first : first + 1]
        hidden = self.entry(torch.cat([(pose_3d - root).flatten(1), noise], 1))
        for block in self.blocks:
            hidden = block(hidden)
        rotations = bounded(self.turn_head(hidden).unflatten(1, (-1, 3)), self.limits)
        placed = None if self.root_head is None else self._place(root[:, 0], self.root_head(hidden))
        return rotations, self.config.bone_scale * torch.tanh(self.scale_head(hidden)), placed

    def noise(self, pose_3d: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the noise for a batch of poses: (N, 3J)."""
        return torch.randn(
            len(pose_3d),
            self.coordinates,
            generator=generator,
            device=pose_3d.device,
            dtype=pose_3d.dtype,
        )

    @staticmethod
    def _place(root: Tensor, raw: Tensor) -> Tensor:
        """Place the root at half to double its depth, and at most half the new depth to the side."""
        depth = root[:, 2:] * torch.exp(math.log(2.0) * torch.tanh(raw[:, 2:]))
        ray = root[:, :2] / root[:, 2:] + 0.5 * torch.tanh(raw[:, :2])
        return torch.cat([depth * ray, depth], -1)


class ResidualBlock(nn.Module):
    """Normalise, two linear layers, add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, width)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.layers(hidden)


def bounded(raw: Tensor, limit: float | Tensor) -> Tensor:
    """Shorten vectors (..., 3) smoothly to less than ``limit``; their directions stay.

    Near raw = 0 the map is ``limit * raw``, with a finite gradient.
    """
    length = raw.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return raw * (limit * torch.tanh(length) / length)


def random_columns(skeleton: Skeleton, config: GeneratorConfig) -> dict[str, Column]:
    """The random numbers of :func:`random_rotations` and, as ``scale``, random changes of length.

    Bone angles are uniform over the band of the range loss, where 1 - cos is ``angle_mean`` ±
    ``angle_width``. The body's angle is uniform up to ``body_angle``. Length changes are uniform within the
    soft limit.
    """
    low = math.acos(1 - max(config.angle_mean - config.angle_width, 0.0))
    high = math.acos(1 - min(config.angle_mean + config.angle_width, 2.0))
    bones, limit = skeleton.num_bones, config.scale_limit
    least, most = torch.tensor([low] * bones + [0.0]), torch.tensor([high] * bones + [config.body_angle])
    return {
        "angle": Uniform((bones + 1, 1), least[:, None], most[:, None]),
        "axis": Normal((bones + 1, 3)),
        "scale": Uniform((skeleton.num_groups,), -limit, limit),
    }


def random_rotations(drawn: Mapping[str, Tensor]) -> Tensor:
    """Random rotations of bones and body: the control that a trained generator must beat.

    Args:
        drawn: the numbers of :func:`random_columns`. Axes are uniform on the sphere.

    Returns:
        (N, K + 1, 3) rotation vectors of the bones, and then of the body, radians.
    """
    return drawn["angle"] * torch.nn.functional.normalize(drawn["axis"], dim=-1)


def jitter_column(skeleton: Skeleton, bone: float, body: float) -> Column:
    """Normal noise to add to rotations of bones and body.

    Args:
        skeleton: of the poses.
        bone, body: standard deviations on each axis, radians.
    """
    deviations = torch.tensor([bone] * skeleton.num_bones + [body])
    return Normal((skeleton.num_bones + 1, 3), deviations[:, None])
