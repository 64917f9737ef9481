"""The training loop of this field's code, written from published descriptions, as a baseline.

After Gong et al. (PoseAug, CVPR 2021) and its descendants. It has these traits:

- Poses lie on the host in numpy and come one by one through loaders.
- Each head of the generator has a trunk of its own.
- Augmentation is :func:`poseda.bench.rivals.poseaug_style`.
- Discriminators multiply whole Gram matrices and run part by part.
- Every generated batch goes back to the host. Each epoch of the lifter makes a loader of these.
- Losses are read back at every step.

Networks, batch sizes and losses are ours. Left out, in its favour: feedback of the lifter, worker processes,
mirrored poses and averaged weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from poseda import ops
from poseda.bench.rivals import poseaug_style
from poseda.lifters.predict import lift_windows
from poseda.method import losses
from poseda.method.discriminators import PartLinear, PoseDiscriminator, bone_directions
from poseda.method.generator import Generator, Proposal
from poseda.ops._arguments import AugmentedPose
from poseda.training.adversarial import GeneratorPhase


class HostPoses(Dataset[tuple[np.ndarray, ...]]):
    """Arrays on the host, handed out a pose at a time."""

    def __init__(self, *arrays: np.ndarray) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return tuple(np.array(array[index]) for array in self.arrays)


def classic_augment(pose_3d: Tensor, *, placement_index: Tensor, **given: Any) -> AugmentedPose:
    """`poseda.ops.augment` as ``poseda.bench.rivals.poseaug_style`` writes it, for one-frame windows."""
    windows = pose_3d.dim() == 4
    for option in ("gpa", "joint_mask", "propagate"):
        given.pop(option, None)
    if windows:
        pose_3d = pose_3d[:, 0]
        for name in ("bone_rotation", "bone_scale", "body_rotation"):
            given[name] = given[name][:, 0]
    placed = poseaug_style(pose_3d, placement_index=placement_index, **given)
    valid = torch.ones(len(pose_3d), dtype=torch.bool, device=pose_3d.device)
    made_3d, made_2d = (pose[:, None] if windows else pose for pose in placed)
    return AugmentedPose(made_3d, made_2d, valid)


def classic_scores(discriminator: PoseDiscriminator, pose_3d: Tensor) -> Tensor:
    """The scores of a ``PoseDiscriminator``, computed part by part: (N, J, 3) to (N, P)."""
    unit = bone_directions(pose_3d, discriminator.skeleton)
    gram = torch.matmul(unit, unit.transpose(1, 2))
    scores = []
    scored = [bones for bones in discriminator.skeleton.parts.values() if len(bones) > 1]
    for part, bones in enumerate(scored):
        upper = [(a, b) for at, a in enumerate(bones) for b in bones[at + 1 :]]
        hidden = torch.stack([gram[:, a, b] for a, b in upper], 1)
        for at, layer in enumerate(discriminator.layers):
            assert isinstance(layer, PartLinear)
            hidden = hidden @ layer.weight[part, : hidden.shape[1]] + layer.bias[part]
            if at + 1 < len(discriminator.layers):
                hidden = nn.functional.leaky_relu(hidden, 0.2)
        scores.append(hidden)
    return torch.cat(scores, 1)


def _three_trunks(forward: Any) -> Any:
    def propose(self: Generator, pose_3d: Tensor, noise: Tensor) -> Proposal:
        bones, lengths, body = (forward(self, pose_3d, noise) for _ in range(3))
        return Proposal(bones.bone_rotation, lengths.bone_scale, body.body_rotation)

    return propose


class ClassicLoop:
    """An epoch as this field's code trains it.

    Args:
        phase: whose networks, optimisers and losses the adversarial half uses.
        lifter: (N, T, J, 2) to (N, T or 1, J, 3).
        learning_rate: of the lifter.
        clip: largest norm of the lifter's gradient.
        batch: poses a step.
    """

    def __init__(
        self, phase: GeneratorPhase, lifter: nn.Module, learning_rate: float, clip: float, batch: int
    ) -> None:
        self.phase, self.lifter, self.clip, self.batch = phase, lifter.train(), clip, batch
        self.optimizer = torch.optim.AdamW(lifter.parameters(), learning_rate)
        source, target = phase.data.source, phase.data.placements
        self._source = HostPoses(source.pose_3d.cpu().numpy(), source.pose_2d.cpu().numpy())
        self._target = HostPoses(target.pose_2d.cpu().numpy(), target.placement.cpu().numpy())
        self._made: list[tuple[np.ndarray, np.ndarray]] = []
        self.logged: dict[str, float] = {}

    def generator_steps(self, steps: int) -> None:
        """Train the generator; keep on the host what it makes."""
        self._made = []
        with self.style():
            for step, _ in enumerate(self._batches(steps, self._source, self._target)):
                self._log(self.phase.step(step))

    def lifter_steps(self, steps: int) -> None:
        """Train the lifter for an epoch on what the generator has made."""
        made = [np.concatenate(arrays) for arrays in zip(*self._made, strict=True)]
        device = self.phase.data.source.pose_2d.device
        for pose_3d, pose_2d in self._batches(steps, HostPoses(*made)):
            self._train(pose_3d.to(device), pose_2d.to(device))

    def _train(self, pose_3d: Tensor, pose_2d: Tensor) -> None:
        lifted, truth = lift_windows(self.lifter, pose_2d[:, None], pose_3d[:, None])
        loss = losses.lifter_loss(lifted, truth, torch.ones(len(lifted), device=lifted.device))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.lifter.parameters(), self.clip)
        self.optimizer.step()
        self._log({"lifter_loss": loss})

    def _batches(self, steps: int, *sets: HostPoses) -> Iterator[list[Tensor]]:
        """Batches on the device, of loaders made for this epoch; of several sets, side by side.

        A set that is too small for the epoch is gone through again.
        """
        poses = steps * self.batch
        loaders = [DataLoader(own, self.batch, sampler=RandomSampler(own, num_samples=poses)) for own in sets]
        device = self.phase.data.source.pose_2d.device
        for batches in zip(*loaders, strict=True):
            yield [tensor.to(device) for batch in batches for tensor in batch]

    def _log(self, values: dict[str, Tensor]) -> None:
        self.logged = {name: value.item() for name, value in values.items()}

    @contextmanager
    def style(self) -> Iterator[None]:
        """Within, generator, augmentation and discriminators are those of this loop."""

        def augment(pose_3d: Tensor, **given: Any) -> AugmentedPose:
            made = classic_augment(pose_3d, **given)
            self._made.append((made.pose_3d.detach().cpu().numpy(), made.pose_2d.detach().cpu().numpy()))
            return made

        with (
            patch.object(ops, "augment", augment),
            patch.object(Generator, "forward", _three_trunks(Generator.forward)),
            patch.object(PoseDiscriminator, "forward", classic_scores),
        ):
            yield
