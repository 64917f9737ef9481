"""Anchor discriminators: they keep augmented poses realistic by comparing each with its anchor.

A reconstruction: "anchor" is the paper's word, but the paper does not define it. Here the 3D discriminator's
anchor is the source pose that the fake came from. The 2D discriminator's anchor is the target 2D pose whose
placement the fake has.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from poseda import ops
from poseda.config import AdversaryConfig
from poseda.geometry.skeleton import Skeleton


def bone_directions(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Unit bones, zero where a bone has no length: (N, J, 3) to (N, K, 3)."""
    return torch.nn.functional.normalize(ops.bones(pose_3d, skeleton), dim=-1, eps=1e-6)


class PoseDiscriminator(nn.Module):
    """Scores posture: one small network for each body part, on the cosines between its bones.

    The networks of all parts run as one batched product; short rows of features are padded with zeros.

    Args:
        skeleton: with at least one part of two bones.
        config: widths.

    Raises:
        ValueError: if no part has two bones.
    """

    to_parts: Tensor

    def __init__(self, skeleton: Skeleton, config: AdversaryConfig) -> None:
        super().__init__()
        self.skeleton = skeleton
        counts = [len(bones) * (len(bones) - 1) // 2 for bones in skeleton.parts.values()]
        sizes = [size for size in counts if size]
        if not sizes:
            raise ValueError(f"skeleton {skeleton.name!r}: expected a part of two or more bones, got none")
        # A product with a table of zeros and ones brings each feature to its part, and is exact. Forward and
        # backward it is one kernel each, where cutting, padding and stacking are one for each part.
        table = torch.zeros(sum(sizes), len(sizes), max(sizes))
        start = 0
        for part, size in enumerate(sizes):
            table[range(start, start + size), part, range(size)] = 1.0
            start += size
        self._scored = len(sizes)
        self.register_buffer("to_parts", table.flatten(1), persistent=False)
        widths = [max(sizes)] + [config.part_width] * config.layers + [1]
        self.layers = nn.ModuleList(
            PartLinear(len(sizes), inputs, outputs) for inputs, outputs in pairwise(widths)
        )

    def forward(self, pose_3d: Tensor) -> Tensor:
        """Score (N, J, 3) metres: (N, P), one score a body part."""
        features = ops.kinematic_chain_space(pose_3d, self.skeleton) @ self.to_parts
        hidden = features.unflatten(1, (self._scored, -1)).transpose(0, 1)
        for layer in self.layers[:-1]:
            hidden = nn.functional.leaky_relu(layer(hidden), 0.2)
        return self.layers[-1](hidden).squeeze(-1).T


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

    scale: Tensor

    def __init__(self, skeleton: Skeleton, config: AdversaryConfig) -> None:
        super().__init__()
        self.root = skeleton.parents.index(-1)
        self.network = _perceptron(2 * skeleton.num_joints + 3, config.screen_width, config.layers)
        # After its division, posture spans about a quarter. These factors bring all inputs near one.
        factors = [4.0] * (2 * skeleton.num_joints) + [2.0] * 3
        self.register_buffer("scale", torch.tensor(factors), persistent=False)

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Score (N, J, 2) screen coordinates: (N, 1)."""
        root = pose_2d[:, self.root]
        # With indices: the gradient of amax alone is four kernels, as it looks for equal joints.
        low, high = pose_2d.min(1).values, pose_2d.max(1).values
        size = (high - low).sum(-1, keepdim=True)
        posture = (pose_2d - root[:, None]) / (size[..., None] + 1e-6)
        return self.network(torch.cat([posture.flatten(1), root, size], 1) * self.scale)


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
    without replacement: an exchange neither waits for the device nor depends on the order of writes. All
    poses of a row are in one table, so that an exchange reads and writes once. The pool is part of a
    checkpoint, in which each has its name.

    Args:
        capacity: poses kept, at least the batch size.
        skeleton: of the poses.
    """

    poses: Tensor
    occupied: Tensor

    def __init__(self, capacity: int, skeleton: Skeleton) -> None:
        super().__init__()
        self.capacity, self._joints = capacity, skeleton.num_joints
        # The four poses of a row, and a last number that is 1 where it is valid.
        self.register_buffer("poses", torch.zeros(capacity, 10 * skeleton.num_joints + 1), persistent=False)
        self.register_buffer("occupied", torch.zeros(capacity, dtype=torch.bool))

    @torch.no_grad()
    def exchange(self, fresh: AnchoredFakes, generator: torch.Generator) -> AnchoredFakes:
        """Store half of a fresh batch, and return the batch with older fakes in place of that half.

        Args:
            fresh: at most ``capacity`` fakes with their anchors.
            generator: of the random choice, on the pool's device.
        """
        size, device = len(fresh.valid), self.poses.device
        slot = torch.randperm(self.capacity, generator=generator, device=device)[:size]
        swap = torch.rand(size, 1, generator=generator, device=device) < 0.5
        occupied = self.occupied[slot][:, None]
        old, new = self.poses[slot], torch.cat([value.reshape(size, -1) for value in fresh], 1)
        self.poses[slot] = torch.where(swap | ~occupied, new, old)
        self.occupied.index_fill_(0, slot, True)
        return self._cut(torch.where(swap & occupied, old, new))

    def _cut(self, rows: Tensor) -> AnchoredFakes:
        """Rows of the table as poses."""
        three, two = 3 * self._joints, 2 * self._joints
        *parts, valid = rows.split([three, three, two, two, 1], 1)
        fake_3d, real_3d, fake_2d, real_2d = (part.unflatten(1, (self._joints, -1)) for part in parts)
        return AnchoredFakes(fake_3d, real_3d, fake_2d, real_2d, valid[:, 0] > 0)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, value in self._cut(self.poses)._asdict().items():
            destination[prefix + name] = value.contiguous()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: Any,
        *more: Any,
    ) -> None:
        rest, errors = dict(state_dict), more[-1]
        for name, own in self._cut(self.poses)._asdict().items():
            given = rest.pop(prefix + name, None)
            if given is None:
                missing.append(prefix + name)
            elif given.shape != own.shape:
                errors.append(f"size mismatch for {prefix}{name}: {tuple(given.shape)} in the checkpoint")
            elif name == "valid":
                self.poses[:, -1] = given
            else:
                own.copy_(given)
        super()._load_from_state_dict(rest, prefix, metadata, strict, missing, *more)
