"""Where a lifter's training pairs come from: what each arm does to source poses, and with what.

Everything is resident on the device; a batch is drawn by index and made by one call of the fused op. A window
of frames is drawn as the rows around one: what two windows share is stored once. A change of posture is
proposed for the middle frame of a window and holds for all of it; the middle frame is placed, the others keep
their displacement from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from poseda import ops
from poseda.config import AdversaryConfig, Arm, RunConfig
from poseda.datasets import AdaptationData, LabelledPoses
from poseda.datasets.sequences import middle, rows_around, windows_of
from poseda.geometry.placements import TargetPlacements
from poseda.geometry.rotation import composed
from poseda.geometry.skeleton import Skeleton
from poseda.lifters import ClipWindows
from poseda.method.generator import Generator, Proposal, jittered, random_proposal
from poseda.ops._arguments import AugmentedPose


class Pairs(NamedTuple):
    """What a lifter trains on.

    Attributes:
        pose_3d: (N, T, J, 3) metres, camera frame, absolute.
        pose_2d: (N, T, J, 2) screen coordinates.
        valid: (N,) bool, every frame of the window.
    """

    pose_3d: Tensor
    pose_2d: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Recipe:
    """What an arm does.

    Args:
        postures: as captured, changed at random, or changed by a trained generator.
        placement: as captured (with the captured 2D), at the source root, by GPA, or by the generator.
        anchor_2d: whose 2D poses the 2D discriminator takes for real.
        adversary: discriminators and pairing of the generator's training.
        target_labels: also train on labelled target poses (the oracle, an upper bound).
        aligned: turn and build the source as the target is (:mod:`poseda.training.view_alignment`).
    """

    postures: Literal["captured", "random", "generated"]
    placement: Literal["captured", "source", "gpa", "learned"]
    anchor_2d: Literal["source", "target"]
    adversary: AdversaryConfig
    target_labels: bool = False
    aligned: bool = False

    @property
    def steered(self) -> bool:
        """Whether a lifter's error steers the generator."""
        return self.adversary.feedback != "none"


def recipe_of(arm: Arm, config: RunConfig) -> Recipe:
    """Spell an arm out."""
    captured = Recipe("captured", "captured", "target", config.adversary)
    if arm == "source_only":
        return captured
    if arm == "oracle":
        return replace(captured, target_labels=True)
    if arm == "gpa":
        return replace(captured, placement="gpa")
    if arm == "random":
        return replace(captured, postures="random", placement="gpa")
    if arm == "lpa":
        return replace(captured, postures="generated", placement="source", anchor_2d="source")
    if arm == "gpa_lpa":
        return replace(captured, postures="generated", placement=config.placement.placement)
    if arm == "gpa_lpa_view":
        return replace(captured, postures=config.alignment.postures, placement="gpa", aligned=True)
    poseaug = replace(config.adversary, anchor="both", pairing="unpaired", feedback="hard_ratio")
    return Recipe("generated", "learned", "source", poseaug)


class Shuffle:
    """Indices in random order, each once before any comes again.

    The order is a function of seed and epoch alone, so a resumed run needs no state but its step.
    """

    def __init__(self, size: int, batch: int, seed: int, device: torch.device) -> None:
        if size < 1:
            raise ValueError(f"size: expected at least one pose to draw from, got {size}")
        self.size, self.batch, self.seed = size, batch, seed
        self._generator = torch.Generator(device)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64, device=device)

    def at(self, step: int) -> Tensor:
        """The indices of a step: (batch,) int64."""
        per_epoch = max(self.size // self.batch, 1)
        epoch, position = divmod(step, per_epoch)
        if epoch != self._epoch:
            self._generator.manual_seed(self.seed + epoch)
            rounds = -(-self.batch // self.size)  # a set smaller than a batch is gone through several times
            orders = [
                torch.randperm(self.size, generator=self._generator, device=self._order.device)
                for _ in range(rounds)
            ]
            self._epoch, self._order = epoch, torch.cat(orders)
        return self._order[position * self.batch : (position + 1) * self.batch]


@dataclass(frozen=True)
class Resident:
    """All an arm may learn from, on the device.

    Args:
        skeleton: of every pose.
        source: labelled source poses.
        placements: of the unlabelled target.
        windows: of frames of the source, or None for single frames.
        tilt: (M, 3) rotation vectors, radians: how bodies stand in the view of each placement, for a source
            that is levelled (:mod:`poseda.training.view_alignment`). None leaves them as the source has them.
    """

    skeleton: Skeleton
    source: LabelledPoses
    placements: TargetPlacements
    windows: ClipWindows | None = None
    tilt: Tensor | None = None

    @classmethod
    def load(
        cls, data: AdaptationData, device: torch.device, frames: int = 1, target_frame: int | None = None
    ) -> Resident:
        """Move the data to the device and measure the target.

        Args:
            data: what may be learned from.
            device: to learn on.
            frames: T, the length of a window of the source.
            target_frame: which of its frames a lifter is asked for. Default: the middle one.

        Raises:
            ValueError: if no target pose has a usable box, or the rows of the source are no sequences.
        """
        target, source = data.target, data.source.to(device)
        placements = TargetPlacements.build(target.pose_2d, target.camera, data.skeleton, target.visible)
        windows = windows_of(source, frames, target_frame, "source")
        return cls(data.skeleton, source, placements.to(device), windows)


def carry_out(
    data: Resident,
    pose_index: Tensor,
    placement_index: Tensor,
    proposal: Proposal | None,
    placement: Literal["captured", "source", "gpa", "learned"],
    config: RunConfig,
) -> AugmentedPose:
    """Change, place and project source poses: one call of the fused op.

    Args:
        data: the resident data.
        pose_index: (N,) rows of the source, or (N, T) windows of them.
        placement_index: (N,) rows of the placement table, read under GPA only.
        proposal: what to change, the same in all frames of a window, or None to keep the postures.
        placement: how to place them.
        config: for the op's modes.
    """
    given = {}
    windows = pose_index.dim() == 2
    if proposal is not None:
        for name in ("bone_rotation", "bone_scale", "body_rotation"):
            change = getattr(proposal, name)
            given[name] = change[:, None] if windows else change
    if placement == "gpa":
        if data.tilt is not None:
            tilt = data.tilt[placement_index]
            turn = tilt if proposal is None else composed(proposal.body_rotation, tilt)
            given["body_rotation"] = turn[:, None] if windows else turn
        return source_like_target(data, pose_index, placement_index, config, **given)
    given["camera"] = data.source.camera.rows(middle(pose_index) if windows else pose_index)
    if placement == "learned" and proposal is not None:
        given["root"] = proposal.root
    return ops.augment(
        data.source.pose_3d[pose_index], skeleton=data.skeleton, propagate=config.generator.propagate, **given
    )


def source_like_target(
    data: Resident, pose_index: Tensor, placement_index: Tensor, config: RunConfig, **changes: Tensor
) -> AugmentedPose:
    """GPA: source poses placed and seen like target poses, changed on the way.

    Args:
        data: the resident data.
        pose_index: (N,) rows of the source.
        placement_index: (N,) rows of the placement table.
        config: for the op's modes.
        changes: rotations and scales of bones and body, as :func:`poseda.ops.augment` takes them.
    """
    placements = data.placements
    return ops.augment(
        data.source.pose_3d[pose_index],
        skeleton=data.skeleton,
        camera=placements.camera,
        placement=placements.placement,
        placement_index=placement_index,
        gpa=config.placement.gpa,
        joint_mask=placements.joint_mask(placement_index),
        propagate=config.generator.propagate,
        **changes,  # type: ignore[arg-type]
    )


class PairSource:
    """Draws an arm's training pairs, fresh for every step.

    Args:
        recipe: what the arm does.
        data: resident.
        config: batch size, shares and modes.
        seed: of the order of poses.
        rng: every other draw; its state belongs in the checkpoint.
        generator: trained, for recipes with generated postures.
        oracle: labelled target poses, for the oracle alone.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Resident,
        config: RunConfig,
        seed: int,
        rng: torch.Generator,
        generator: Generator | None = None,
        oracle: LabelledPoses | None = None,
    ) -> None:
        self.recipe, self.data, self.config, self.rng = recipe, data, config, rng
        self.generator, self.oracle = generator, oracle
        batch, device = config.training.batch, data.source.pose_2d.device
        self._from_oracle = batch // 2 if oracle is not None else 0
        self._order = Shuffle(len(data.source), batch - self._from_oracle, seed, device)
        if oracle is not None:
            target_frame = None if data.windows is None else data.windows.target_frame
            self._oracle_order = Shuffle(len(oracle), self._from_oracle, seed, device)
            self._oracle_windows = windows_of(oracle, config.frames, target_frame, "target_train")

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """Which poses of the source a step trains on, and for the oracle which of the target."""
        index = self._order.at(step)
        return (index,) if self.oracle is None else (index, self._oracle_order.at(step))

    @torch.no_grad()
    def draw(self, *indices: Tensor) -> Pairs:
        """Pairs of these poses."""
        rows = rows_around(indices[0], self.data.windows)
        if self.recipe.placement == "captured":
            poses = self._captured(self.data.source, rows)
            if self.oracle is None:
                return poses
            extra = self._captured(self.oracle, rows_around(indices[1], self._oracle_windows))
            return Pairs(*(torch.cat(both) for both in zip(poses, extra, strict=True)))
        where = self.data.placements.sample(len(rows), self.rng)
        proposal = self._propose(self.data.source.pose_3d[middle(rows)])
        return Pairs(*carry_out(self.data, rows, where, proposal, self.recipe.placement, self.config))

    @staticmethod
    def _captured(poses: LabelledPoses, rows: Tensor) -> Pairs:
        valid = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        return Pairs(poses.pose_3d[rows], poses.pose_2d[rows], valid)

    def _propose(self, pose_3d: Tensor) -> Proposal | None:
        if self.recipe.postures == "captured":
            return None
        if self.recipe.postures == "random":
            proposal = random_proposal(pose_3d, self.data.skeleton, self.config.generator, self.rng)
        else:
            assert self.generator is not None, "a recipe with generated postures needs its generator"
            options = self.config.training
            proposal = self.generator(pose_3d, self.generator.noise(pose_3d, self.rng))
            proposal = jittered(proposal, options.bone_jitter, options.body_jitter, self.rng)
        kept = torch.rand(len(pose_3d), 1, generator=self.rng, device=pose_3d.device)
        changed = (kept >= self.config.training.source_share).to(pose_3d.dtype)
        return Proposal(
            proposal.bone_rotation * changed[..., None],
            proposal.bone_scale * changed,
            proposal.body_rotation * changed,
            proposal.root,
        )
