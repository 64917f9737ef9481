"""Postures of motion capture, remembered by a small network that draws new ones: a flow.

A lifter that learns a target's poses forgets others unless it sees those, too. Motion capture is too large to
install, and often not free to pass on. A network that learned its distribution is small, and draws as
many postures as are wanted.

It is flow matching: the network learns the velocity that carries noise to postures along straight lines, and
a draw follows it from noise. Y. Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from poseda import ops
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton

STEPS = 12
"""Steps from noise to a posture, each by the velocity in its middle."""

LEAST = 0.003
"""Metres; along axes of less spread, postures are noise."""

TIMES = 16
"""Frequencies by which the network reads the time."""

UP = (0.0, -1.0, 0.0)
"""Upward in the axes of a drawn posture, as in a camera that looks level."""


class Postures(nn.Module):
    """Draws upright postures like those it learned, all of one heading and of bones of one length.

    Args:
        skeleton: of the poses. It has hips by the names ``left_hip`` and ``right_hip``.
        width: features of each hidden layer.
    """

    mean: Tensor
    axes: Tensor
    spread: Tensor
    lengths: Tensor
    frequency: Tensor

    def __init__(self, skeleton: Skeleton, width: int = 384) -> None:
        super().__init__()
        self.skeleton, size = skeleton, 3 * skeleton.num_bones
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("axes", torch.eye(size))
        self.register_buffer("spread", torch.ones(size))
        self.register_buffer("lengths", torch.ones(skeleton.num_bones))
        self.register_buffer("frequency", math.pi * torch.linspace(0.25, 4, TIMES))
        self.first = nn.Linear(size + 2 * TIMES, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(2)
        )
        self.last = nn.Linear(width, size)

    def measure(self, upright: Tensor) -> Tensor:
        """Take the mean, the axes of most spread and the bone lengths from postures (N, J, 3).

        Returns:
            (N, 3K) the postures in these axes, in units of the spread along each.
        """
        flat = root_relative(upright)[:, 1:].flatten(1)
        self.mean.copy_(flat.mean(0))
        _, spread, axes = torch.linalg.svd(flat - self.mean, full_matrices=False)
        self.axes.copy_(axes)
        self.spread.copy_((spread / math.sqrt(len(flat))).clamp_min(LEAST))
        bones = ops.bones(root_relative(upright), self.skeleton)
        self.lengths.copy_(bones.norm(dim=2).median(0).values)
        return (flat - self.mean) @ self.axes.T / self.spread

    def forward(self, point: Tensor, time: Tensor) -> Tensor:
        """The velocity (N, 3K) at points (N, 3K) between noise (time 0) and postures (time 1), (N,)."""
        angle = time[:, None] * self.frequency
        hidden = self.first(torch.cat([point, angle.sin(), angle.cos()], 1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        velocity: Tensor = self.last(hidden)
        return velocity

    @torch.no_grad()
    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw postures: (count, J, 3) metres, root at the origin, upward along :data:`UP`."""
        point = torch.randn(count, len(self.mean), generator=rng, device=rng.device)
        for step in range(STEPS):
            begin, middle = (point.new_full((count,), (step + part) / STEPS) for part in (0.0, 0.5))
            halfway = point + self(point, begin) / (2 * STEPS)
            point = point + self(halfway, middle) / STEPS
        flat = (point * self.spread) @ self.axes + self.mean
        posture = torch.cat([flat.new_zeros(count, 1, 3), flat.unflatten(1, (-1, 3))], 1)
        return self._of_lengths(posture)

    def _of_lengths(self, posture: Tensor) -> Tensor:
        """The same bone directions, with the lengths of the people that were learned from."""
        direction = torch.nn.functional.normalize(ops.bones(posture, self.skeleton), dim=2)
        return ops.forward_kinematics(posture[:, 0], direction * self.lengths[:, None], self.skeleton)


def upright(pose_3d: Tensor, up: Tensor, skeleton: Skeleton) -> Tensor:
    """Poses in the axes of :class:`Postures`: upward along :data:`UP`, the left hip towards x.

    Args:
        pose_3d: (N, J, 3) metres.
        up: (N, 3) upward unit vectors in the axes of each pose.
        skeleton: of the poses.
    """
    pose = root_relative(pose_3d)
    across = pose[:, skeleton.joint("left_hip")] - pose[:, skeleton.joint("right_hip")]
    level = across - (across * up).sum(1, keepdim=True) * up
    x = torch.nn.functional.normalize(level, dim=1)
    return pose @ torch.stack([x, -up, torch.linalg.cross(x, -up)], 1).transpose(1, 2)
