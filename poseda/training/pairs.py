"""A lifter's training pairs: each arm augments source poses in its own way.

All poses are on the device. A batch is a set of rows, and one call of the fused op augments it. A window of
frames is the rows around one frame, so that windows share their poses. The generator proposes one change of
posture for the middle frame, and all frames of the window get it. GPA places the middle frame; the other
frames keep their displacement from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from poseda import ops
from poseda.config import WIDE_ARMS, AdversaryConfig, Arm, RunConfig
from poseda.datasets import AdaptationData, LabelledPoses, UnlabelledPoses, WeakLabels
from poseda.datasets.sequences import middle, rows_around, windows_of
from poseda.geometry.placements import TargetPlacements, measure_seen
from poseda.geometry.rotation import composed
from poseda.geometry.skeleton import Skeleton
from poseda.lifters import ClipWindows
from poseda.method.draws import Chance, Column, Draws, Normal
from poseda.method.generator import (
    Generator,
    Proposal,
    jitter_column,
    random_columns,
    random_rotations,
)
from poseda.ops import AugmentedPose


class Pairs(NamedTuple):
    """Windows of 3D poses and their 2D poses, to train a lifter on.

    Attributes:
        pose_3d: (N, T, J, 3) metres, camera frame, absolute.
        pose_2d: (N, T, J, 2) screen coordinates.
        valid: (N,) bool, whether every frame of the window is valid.
    """

    pose_3d: Tensor
    pose_2d: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Recipe:
    """How an arm augments source poses.

    Args:
        postures: captured, changed at random, or changed by a trained generator.
        placement: captured (with the captured 2D), at the source root, by GPA, or by the generator.
        anchor_2d: domain of the 2D discriminator's anchors.
        adversary: discriminators and pairing of the generator's training.
        target_labels: also train on labelled target poses (the oracle, an upper bound).
        view_aligned: give the source the target's tilt and bone lengths
            (:mod:`poseda.training.view_alignment`).
    """

    postures: Literal["captured", "random", "generated"]
    placement: Literal["captured", "source", "gpa", "learned"]
    anchor_2d: Literal["source", "target"]
    adversary: AdversaryConfig
    target_labels: bool = False
    view_aligned: bool = False

    @property
    def steered(self) -> bool:
        """Whether a lifter's error steers the generator."""
        return self.adversary.feedback != "none"


def recipe_of(arm: Arm, config: RunConfig) -> Recipe:
    """The recipe of an arm."""
    captured = Recipe("captured", "captured", "target", config.adversary)
    if arm in ("source_only", *WIDE_ARMS):  # these draw views of their own
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
        return replace(captured, postures=config.alignment.postures, placement="gpa", view_aligned=True)
    poseaug = replace(config.adversary, anchor="both", pairing="unpaired", feedback="hard_ratio")
    return Recipe("generated", "learned", "source", poseaug)


class Shuffle:
    """Indices in random order, each once in an epoch.

    The order depends on seed and epoch only, so that a resumed run needs nothing but its step.
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
            rounds = -(-self.batch // self.size)  # a set smaller than a batch is repeated
            orders = [
                torch.randperm(self.size, generator=self._generator, device=self._order.device)
                for _ in range(rounds)
            ]
            self._epoch, self._order = epoch, torch.cat(orders)
        return self._order[position * self.batch : (position + 1) * self.batch]


@dataclass(frozen=True)
class TrainingData:
    """Everything that an arm may learn from, on the device.

    Args:
        skeleton: of all poses.
        source: labelled source poses.
        placements: of the unlabelled target.
        windows: of frames of the source, or None for single frames.
        tilt: (M, 3) rotation vectors, radians, of people in the view of each placement. The source is then
            without tilt (:mod:`poseda.training.view_alignment`). None leaves the source's own tilt.
        patterns: (M, J) bool, which joints the target's detections show, or None where they show all.
        target: unlabelled poses, for the arm that lifts them.
        held: labelled source poses that no lifter is trained on. What it says of errors and lengths is made
            right on them.
        cameras: (M,) the camera of each placement, where the target is filmed by several.
        weak: labels of a few of the target's poses that another model made.
    """

    skeleton: Skeleton
    source: LabelledPoses
    placements: TargetPlacements
    windows: ClipWindows | None = None
    tilt: Tensor | None = None
    patterns: Tensor | None = None
    target: UnlabelledPoses | None = None
    held: LabelledPoses | None = None
    cameras: Tensor | None = None
    weak: WeakLabels | None = None

    @classmethod
    def load(
        cls, data: AdaptationData, device: torch.device, frames: int = 1, target_frame: int | None = None
    ) -> TrainingData:
        """Move the data to the device and measure the target.

        Args:
            data: of both domains.
            device: to train on.
            frames: T, the length of a window of the source.
            target_frame: the frame of a window that the lifter lifts. Default: the middle one.

        Raises:
            ValueError: if no target pose has a usable box, or the source's rows are not frames in order.
        """
        target, source = data.target, data.source.to(device)
        placements = TargetPlacements.build(target.pose_2d, target.camera, data.skeleton, target.visible)
        windows = windows_of(source, frames, target_frame, "source")
        patterns = None if target.shown is None else target.shown.to(device)
        cameras = None
        if target.rig is not None:
            seen = target.pose_2d.isfinite().all(-1)
            seen = seen if target.visible is None else seen & target.visible
            _, usable = measure_seen(target.pose_2d, seen, data.skeleton.parents.index(-1))
            cameras = target.rig.camera[usable].to(device)
        return cls(
            *(data.skeleton, source, placements.to(device), windows),
            patterns=patterns,
            target=target,
            held=data.source_val.to(device),
            cameras=cameras,
            weak=None if data.weak is None else data.weak.to(device),
        )


def augment_pairs(
    data: TrainingData,
    pose_index: Tensor,
    placement_index: Tensor,
    proposal: Proposal | None,
    placement: Literal["captured", "source", "gpa", "learned"],
    config: RunConfig,
) -> AugmentedPose:
    """Change, place and project source poses: one call of the fused op.

    Args:
        data: source poses and target placements.
        pose_index: (N,) rows of the source, or (N, T) windows of them.
        placement_index: (N,) rows of the placement table, read under GPA only.
        proposal: the change, the same in all frames of a window, or None to keep the postures.
        placement: ``gpa``, ``learned`` for the proposal's root, or else the source root.
        config: modes of the op.
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
            rotation = tilt if proposal is None else composed(proposal.body_rotation, tilt)
            given["body_rotation"] = rotation[:, None] if windows else rotation
        return place_on_target(data, pose_index, placement_index, config, **given)
    given["camera"] = data.source.camera.rows(middle(pose_index) if windows else pose_index)
    if placement == "learned" and proposal is not None:
        given["root"] = proposal.root
    return ops.augment(
        data.source.pose_3d[pose_index],
        skeleton=data.skeleton,
        propagate=config.generator.propagate and "bone_rotation" in given,
        **given,
    )


def place_on_target(
    data: TrainingData, pose_index: Tensor, placement_index: Tensor, config: RunConfig, **changes: Tensor
) -> AugmentedPose:
    """GPA: give source poses the placement and the camera of target poses.

    Args:
        data: source poses and target placements.
        pose_index: (N,) rows of the source, or (N, T) windows of them.
        placement_index: (N,) rows of the placement table.
        config: modes of the op.
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
        propagate=config.generator.propagate and "bone_rotation" in changes,
        **changes,  # type: ignore[arg-type]
    )


class PairSource:
    """Draws an arm's training pairs, new ones for every step.

    Args:
        recipe: of the arm.
        data: source poses and target placements.
        config: batch size, shares and modes.
        seed: of the order of poses.
        rng: of all other random numbers; its state belongs in the checkpoint.
        generator: trained, for recipes with generated postures.
        oracle: labelled target poses, for the oracle only.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
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
        self._draws = Draws(self._columns(), device)

    def _columns(self) -> dict[str, Column]:
        """The random numbers of a step's postures; none if they are captured."""
        options, skeleton = self.config.training, self.data.skeleton
        changed: dict[str, Column] = {"changed": Chance((1,), 1 - options.source_share)}
        if self.recipe.postures == "random":
            return changed | random_columns(skeleton, self.config.generator)
        if self.recipe.postures == "generated":
            jitter = jitter_column(skeleton, options.bone_jitter, options.body_jitter)
            return changed | {"noise": Normal((3 * skeleton.num_joints,)), "jitter": jitter}
        return {}

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """Rows of the source for a step and, for the oracle, rows of the target."""
        index = self._order.at(step)
        return (index,) if self.oracle is None else (index, self._oracle_order.at(step))

    @torch.no_grad()
    def draw(self, *indices: Tensor) -> Pairs:
        """Pairs of these rows, augmented as the recipe says."""
        rows = rows_around(indices[0], self.data.windows)
        if self.recipe.placement == "captured":
            poses = self._captured(self.data.source, rows)
            if self.oracle is None:
                return poses
            extra = self._captured(self.oracle, rows_around(indices[1], self._oracle_windows))
            return Pairs(*(torch.cat(both) for both in zip(poses, extra, strict=True)))
        where = self.data.placements.sample(len(rows), self.rng)
        proposal = self._propose(self.data.source.pose_3d[middle(rows)])
        return Pairs(*augment_pairs(self.data, rows, where, proposal, self.recipe.placement, self.config))

    @staticmethod
    def _captured(poses: LabelledPoses, rows: Tensor) -> Pairs:
        valid = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        return Pairs(poses.pose_3d[rows], poses.pose_2d[rows], valid)

    def _propose(self, pose_3d: Tensor) -> Proposal | None:
        if self.recipe.postures == "captured":
            return None
        drawn, root = self._draws(len(pose_3d), self.rng), None
        if self.recipe.postures == "random":
            rotation, scale = random_rotations(drawn), drawn["scale"]
        else:
            assert self.generator is not None, "a recipe with generated postures needs its generator"
            rotation, scale, root = self.generator.changes(pose_3d, drawn["noise"])
            rotation = rotation + drawn["jitter"]
        changed = drawn["changed"]
        return Proposal.of(rotation * changed[..., None], scale * changed, root)
