"""Anchor discriminators: they keep augmented poses realistic by comparing each with its anchor.

A reconstruction: "anchor" is the paper's word, but the paper does not define it. Here the 3D discriminator's
anchor is the source pose that the fake came from. The 2D discriminator's anchor is the target 2D pose whose
placement the fake has.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from poseda import ops
from poseda.config import AdversaryConfig
from poseda.geometry.skeleton import Skeleton


def bone_directions(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Unit bones, zero where a bone has no length: (N, J, 3) to (N, K, 3)."""
    bone = ops.bones(pose_3d, skeleton)
    return bone / (bone.square().sum(-1, keepdim=True) + 1e-12).sqrt()


class PoseDiscriminator(nn.Module):
    """Scores posture: one small network for each body part, on the cosines between its bones.

    The networks of all parts run as one batched product; short rows of features are padded with zeros.

    Args:
        skeleton: with at least one part of two bones.
        config: widths.

    Raises:
        ValueError: if no part has two bones.
    """

    def __init__(self, skeleton: Skeleton, config: AdversaryConfig) -> None:
        super().__init__()
        self.skeleton = skeleton
        counts = [len(bones) * (len(bones) - 1) // 2 for bones in skeleton.parts.values()]
        sizes = [size for size in counts if size]
        if not sizes:
            raise ValueError(f"skeleton {skeleton.name!r}: expected a part of two or more bones, got none")
        self._sizes = sizes
        widths = [max(sizes)] + [config.part_width] * config.layers + [1]
        self.layers = nn.ModuleList(
            PartLinear(len(sizes), inputs, outputs) for inputs, outputs in pairwise(widths)
        )

    def forward(self, pose_3d: Tensor) -> Tensor:
        """Score (N, J, 3) metres: (N, P), one score a body part."""
        features = ops.kinematic_chain_space(pose_3d, self.skeleton).split(self._sizes, 1)
        hidden = torch.stack(
            [nn.functional.pad(part, (0, max(self._sizes) - part.shape[1])) for part in features]
        )
        for layer in self.layers[:-1]:
            hidden = nn.functional.leaky_relu(layer(hidden), 0.2)
        return self.layers[-1](hidden)[..., 0].T


class PartLinear(nn.Module):
    """A linear layer for each of P parts: (P, N, inputs) to (P, N, outputs)."""

    def __init__(self, parts: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5  # as in nn.Linear
        self.weight = nn.Parameter(torch.empty(parts, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(parts, 1, outputs).uniform_(-bound, bound))

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, hidden, self.weight)


class ScreenDiscriminator(nn.Module):
    """Scores a 2D pose together with its position and size on the screen.

    Its inputs are posture (root-relative, divided by box width + height), root and size. They hold the same
    information as the screen pose, but position does not dominate posture.
    """

    def __init__(self, skeleton: Skeleton, config: AdversaryConfig) -> None:
        super().__init__()
        self.root = skeleton.parents.index(-1)
        self.network = _perceptron(2 * skeleton.num_joints + 3, config.screen_width, config.layers)

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Score (N, J, 2) screen coordinates: (N, 1)."""
        root = pose_2d[:, self.root]
        size = (pose_2d.amax(1) - pose_2d.amin(1)).sum(-1, keepdim=True)
        posture = (pose_2d - root[:, None]) / (size[..., None] + 1e-6)
        # After the division, posture spans about a quarter. These factors bring all inputs near one.
        return self.network(torch.cat([4 * posture.flatten(1), 2 * root, 2 * size], 1))


def _perceptron(inputs: int, width: int, layers: int) -> nn.Sequential:
    stack: list[nn.Module] = [nn.Linear(inputs, width), nn.LeakyReLU(0.2)]
    for _ in range(layers - 1):
        stack += [nn.Linear(width, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*stack, nn.Linear(width, 1))


class AnchoredFakes(NamedTuple):
    """A batch of fakes and their anchors.

    Attributes:
        fake_3d, real_3d: (N, J, 3) augmented poses and the source poses they came from, metres.
        fake_2d, real_2d: (N, J, 2) augmented poses and their anchors, screen coordinates.
        valid: (N,) bool, whether the fake counts.
    """

    fake_3d: Tensor
    real_3d: Tensor
    fake_2d: Tensor
    real_2d: Tensor
    valid: Tensor

    def seen_by(self, discriminator: str) -> tuple[Tensor, Tensor]:
        """Anchors and fakes as the discriminator ``3d`` or ``2d`` sees them."""
        return (self.real_3d, self.fake_3d) if discriminator == "3d" else (self.real_2d, self.fake_2d)

    def detach(self) -> AnchoredFakes:
        """The same tensors, without gradient."""
        return AnchoredFakes(*(value.detach() for value in self))


class HistoryPool(nn.Module):
    """Past fakes with their anchors: it exchanges half of each batch for older fakes.

    Discriminators would else forget what the generator did before. All sizes are fixed and rows are drawn
    without replacement: an exchange neither waits for the device nor depends on the order of writes. The
    pool is part of a checkpoint.

    Args:
        capacity: poses kept, at least the batch size.
        skeleton: of the poses.
    """

    valid: Tensor
    occupied: Tensor

    def __init__(self, capacity: int, skeleton: Skeleton) -> None:
        super().__init__()
        joints = skeleton.num_joints
        self.capacity = capacity
        for name, size in {"fake_3d": 3, "real_3d": 3, "fake_2d": 2, "real_2d": 2}.items():
            self.register_buffer(name, torch.zeros(capacity, joints, size))
        self.register_buffer("valid", torch.zeros(capacity, dtype=torch.bool))
        self.register_buffer("occupied", torch.zeros(capacity, dtype=torch.bool))

    @torch.no_grad()
    def exchange(self, fresh: AnchoredFakes, generator: torch.Generator) -> AnchoredFakes:
        """Store half of a fresh batch, and return the batch with older fakes in place of that half.

        Args:
            fresh: at most ``capacity`` fakes with their anchors.
            generator: of the random choice, on the pool's device.
        """
        size, device = len(fresh.valid), self.valid.device
        slot = torch.randperm(self.capacity, generator=generator, device=device)[:size]
        swap = torch.rand(size, generator=generator, device=device) < 0.5
        empty = ~self.occupied[slot]
        returned = []
        for name, value in zip(AnchoredFakes._fields, fresh, strict=True):
            store: Tensor = getattr(self, name)
            shape = (-1, *([1] * (value.dim() - 1)))
            old = store[slot]
            returned.append(torch.where((swap & ~empty).view(shape), old, value))
            store[slot] = torch.where((swap | empty).view(shape), value.detach(), old)
        self.occupied.index_fill_(0, slot, True)
        return AnchoredFakes(*returned)
