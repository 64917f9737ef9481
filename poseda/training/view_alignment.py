"""View alignment, the part of `gpa_lpa_view` beyond the paper: tilt and bone lengths of the target.

GPA gives source poses the position and size of target poses, but keeps their tilt. A camera that looks down
sees every person tilted. The target's people may also have other bone lengths. Both are estimated from the
target's 2D poses alone, by indirect inference:

1. A probe lifter, called the scout, learns from source poses under random tilts and bone lengths.
2. It lifts the target. Two features of each view are measured: the mean upward direction of the people and
   the mean shares of their bones.
3. It lifts simulated targets, and the same features are measured. These are source poses under a known tilt
   and known bone lengths, with placements of the view. A ridge regression from the features to the known
   values removes the scout's bias.

The source then gets the estimated tilt and bone lengths. No label of the target is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from poseda import ops
from poseda.config import AlignmentConfig, RunConfig
from poseda.datasets import LabelledPoses
from poseda.geometry.camera import Camera, pitch_roll, up_of
from poseda.geometry.placements import TargetPlacements
from poseda.geometry.rotation import shortest_rotation
from poseda.geometry.skeleton import Skeleton
from poseda.geometry.standing import body_axis, missing_joints
from poseda.lifters.predict import predict
from poseda.method.at_limit import Range
from poseda.method.draws import Chance, Draws
from poseda.method.generator import random_columns, random_rotations
from poseda.ops import AugmentedPose
from poseda.training.errors import TrainingError
from poseda.training.pairs import Pairs, Shuffle, TrainingData, place_on_target

MEDIAN_STEPS = 20
"""Iterations of the geometric median."""

MIN_AGREEMENT = 0.5
"""Length of the mean of all axes below which people have no common upward direction."""

MAX_TILT = 0.8
"""Radians. A view with a larger tilt shows people who lie or hang, and keeps it."""

MIN_SHARE = 1e-6
"""Share of a bone without length, so that its logarithm is finite."""

RIDGE = 1e-3
"""Weight of the ridge, in units of the standardised features."""

SATURATED = 0.01
"""Share of a limit within which an estimate, which is cut off there, stands at it."""

SAVED_NAMES = {"view": "view", "up": "up", "bone_scale": "build", "error": "spread"}
"""Fields of an estimate, and their names in its file since 0.1.0."""


class Estimate(NamedTuple):
    """Tilt and bone lengths of a target.

    Attributes:
        view: (M,) the view of each target pose, 0 to V - 1.
        up: (V, 3) unit vectors, upward in the camera frame of each view.
        bone_scale: (G,) relative length change of each symmetric bone group. 2D does not show the size of a
            person. So the total length stays about the same.
        error: (2 + G,) standard deviation of the regression's error on simulated targets: pitch and roll in
            radians, then relative lengths.
    """

    view: Tensor
    up: Tensor
    bone_scale: Tensor
    error: Tensor

    def pack(self) -> dict[str, Tensor]:
        """The tensors of its file."""
        return {SAVED_NAMES[name]: value for name, value in self._asdict().items()}

    @classmethod
    def unpack(cls, tensors: Mapping[str, Tensor]) -> Estimate:
        """Read what :meth:`pack` returned."""
        return cls(**{name: tensors[saved] for name, saved in SAVED_NAMES.items()})

    def describe(self, skeleton: Skeleton, options: AlignmentConfig) -> dict[str, Any]:
        """The estimate in degrees and percent, for readers, and what of it stands at a limit."""
        tilt = pitch_roll(self.up).rad2deg().tolist()
        count = self.view.bincount(minlength=len(tilt)).tolist()
        names = [skeleton.joint_names[skeleton.bone_groups.index(g) + 1] for g in range(skeleton.num_groups)]
        changes = (100 * self.bone_scale).tolist()
        return {
            "views": [
                {"poses": poses, "pitch": round(pitch, 2), "roll": round(roll, 2)}
                for poses, (pitch, roll) in zip(count, tilt, strict=True)
            ],
            "build": {name: round(change, 2) for name, change in zip(names, changes, strict=True)},
            "limits": list(self._at_limits(skeleton, options)),
        }

    def _at_limits(self, skeleton: Skeleton, options: AlignmentConfig) -> Iterator[str]:
        def said(what: str, value: str, option: str) -> str:
            remedy = f"Take a wider range (--alignment.{option})."
            return f"gpa_lpa_view: the {what}, {value}, stands at its limit. {remedy}"

        for at, tilt in enumerate(pitch_roll(self.up).tolist(), 1):
            for name, value in zip(("pitch", "roll"), tilt, strict=True):
                if _saturated(value, getattr(options, name)):
                    yield said(f"{name} of view {at}", f"{math.degrees(value):+.1f} degrees", name)
        for name, change in zip(skeleton.group_names, self.bone_scale.tolist(), strict=True):
            if _saturated(change, options.build):
                yield said(f"length to the {name.replace('_', ' ')}", f"{100 * change:+.0f} %", "build")


def _saturated(value: float, limit: float) -> bool:
    return Range(-limit, limit, SATURATED * limit).end(value) is not None


def check_skeleton(skeleton: Skeleton) -> None:
    """Check that a skeleton has the joints of a body's axis.

    Raises:
        ValueError: naming the missing joints.
    """
    missing = missing_joints(skeleton)
    if missing:
        raise ValueError(
            f"arms: gpa_lpa_view needs a skeleton with {', '.join(missing)}, which {skeleton.name} lacks"
        )


def views_of(camera: Camera, rows: int, config: AlignmentConfig, number: Tensor | None = None) -> Tensor:
    """Number the views of some poses: (rows,) int64.

    Poses of one lens are one view, as they share a tilt. Where cameras are known, by ``number`` (rows,), so
    are those of one camera. Views with few poses form one view together; if that has few poses as well, they
    join the largest view. If there are more than ``max_views`` lenses, all poses are one view.
    """
    if len(camera) == 1 and number is None:
        return torch.zeros(rows, dtype=torch.int64, device=camera.focal.device)
    lens = [
        part.expand(rows, -1) for part in (camera.focal, camera.center, camera.distortion) if part is not None
    ]
    lens += [] if number is None else [number[:, None].to(camera.focal)]
    _, view, count = torch.cat(lens, 1).unique(dim=0, return_inverse=True, return_counts=True)
    if len(count) > config.max_views:
        return torch.zeros_like(view)
    kept = count >= config.min_poses
    number = torch.where(kept, kept.cumsum(0) - 1, kept.sum())
    if 0 < int(count[~kept].sum()) < config.min_poses and bool(kept.any()):
        number = torch.where(kept, number, number[count.argmax()])  # no write into what is read
    return number[view]


def mean_up(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Upward direction of most people: (N, J, 3) to a unit vector (3,).

    It is a geometric median on the sphere, so that people who bend or lie have little weight.
    """
    return _median(body_axis(pose_3d, skeleton))


def _median(axis: Tensor) -> Tensor:
    mean = nn.functional.normalize(axis.mean(0), dim=-1)
    for _ in range(MEDIAN_STEPS):
        weight = 1 / (axis - mean).norm(dim=-1, keepdim=True).clamp_min(0.05)
        mean = nn.functional.normalize((weight * axis).sum(0), dim=-1)
    return mean


def shares(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Logarithm of the share of all mean bone lengths that a bone of each symmetric group has: (G,)."""
    length = ops.bones(pose_3d, skeleton).norm(dim=-1).mean(0)
    groups = torch.tensor(skeleton.bone_groups, device=length.device)
    total = length.new_zeros(skeleton.num_groups).index_add_(0, groups, length)
    return (total / groups.bincount() / length.sum()).clamp_min(MIN_SHARE).log()


def remove_tilt(poses: LabelledPoses, skeleton: Skeleton, config: AlignmentConfig) -> LabelledPoses:
    """Rotate labelled poses, view by view, so that most people stand upright in the camera frame.

    A view keeps its tilt if its people have no common upward direction, or if the tilt is larger than a
    camera's. Such a view shows people who do not stand.
    """
    view = views_of(poses.camera, len(poses), config)
    upright = up_of(poses.pose_3d.new_zeros(2))
    rotations = []
    for number in range(int(view.max()) + 1):
        axis = body_axis(poses.pose_3d[view == number], skeleton)
        rotation = shortest_rotation(_median(axis), upright)
        standing = (axis.mean(0).norm() >= MIN_AGREEMENT) & (rotation.norm() <= MAX_TILT)
        rotations.append(rotation * standing)
    rotation = torch.stack(rotations)[view]
    seen = ops.augment(poses.pose_3d, skeleton=skeleton, camera=poses.camera, body_rotation=rotation)
    return _valid_rows(replace(poses, pose_3d=seen.pose_3d, pose_2d=seen.pose_2d), seen.valid)


def _valid_rows(poses: LabelledPoses, valid: Tensor) -> LabelledPoses:
    return poses if bool(valid.all()) else poses.rows(valid)


class ScoutPairs:
    """Training pairs of the scout: source poses under random tilts and bone lengths, at target placements.

    Windows of a single frame: pose_3d (N, 1, J, 3), pose_2d (N, 1, J, 2).

    Args:
        data: with a source without tilt.
        config: ranges and batch size.
        seed: of the order of poses.
        rng: of all other random numbers.
    """

    def __init__(self, data: TrainingData, config: RunConfig, seed: int, rng: torch.Generator) -> None:
        self.data, self.config, self.rng = data, config, rng
        device = data.source.pose_2d.device
        self._order = Shuffle(len(data.source), config.training.batch, seed, device)
        self._ranges = _ranges(data.skeleton, config.alignment, device)
        changed = Chance((1,), 1 - config.training.source_share)
        columns = random_columns(data.skeleton, config.generator)
        self._draws = Draws({"changed": changed, **columns}, device)

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """Rows of the source for a step."""
        return (self._order.at(step),)

    @torch.no_grad()
    def draw(self, *indices: Tensor) -> Pairs:
        """Pairs of these rows."""
        (index,) = indices
        size = len(index)
        where = self.data.placements.sample(size, self.rng)
        drawn = self._draws(size, self.rng)
        tilt, bone_scale = _draw(size, self._ranges, self.rng)
        bone_rotation = random_rotations(drawn)[:, :-1] * drawn["changed"][..., None]
        seen = _simulate(self.data, index, where, tilt, bone_scale, self.config, bone_rotation=bone_rotation)
        return Pairs(seen.pose_3d[:, None], seen.pose_2d[:, None], seen.valid)


def _ranges(skeleton: Skeleton, config: AlignmentConfig, device: torch.device) -> Tensor:
    """Largest pitch, roll and relative length change of each group: (2 + G,)."""
    return torch.tensor([config.pitch, config.roll] + [config.build] * skeleton.num_groups, device=device)


def _draw(size: int, ranges: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Uniformly random pitch and roll (size, 2) and relative length changes (size, G)."""
    drawn = ranges * (2 * torch.rand(size, len(ranges), generator=rng, device=ranges.device) - 1)
    return drawn[:, :2], drawn[:, 2:]


def _simulate(
    data: TrainingData,
    index: Tensor,
    where: Tensor,
    tilt: Tensor,
    bone_scale: Tensor,
    config: RunConfig,
    **more: Tensor,
) -> AugmentedPose:
    """Source poses without tilt, under a given tilt (N, 2) and bone scale (N, G), at target placements."""
    rotation = shortest_rotation(up_of(torch.zeros_like(tilt)), up_of(tilt))
    return place_on_target(data, index, where, config, body_rotation=rotation, bone_scale=bone_scale, **more)


@torch.no_grad()
def estimate(scout: nn.Module, data: TrainingData, config: RunConfig, rng: torch.Generator) -> Estimate:
    """Estimate tilt and bone lengths of the target from its 2D poses.

    Args:
        scout: trained on :class:`ScoutPairs`.
        data: with a source without tilt.
        config: number and size of the simulated targets.
        rng: of their random numbers.

    Raises:
        TrainingError: if the estimate is not finite.
    """
    options, skeleton, placements = config.alignment, data.skeleton, data.placements
    view = views_of(placements.camera, len(placements), options, data.cameras)
    usual = shares(data.source.pose_3d, skeleton)
    found, errors = [], []
    for number in range(int(view.max()) + 1):
        rows = (view == number).nonzero()[:, 0]
        regression = _Ridge(*_simulated_targets(scout, data, rows, usual, config, rng))
        complete = _complete(placements, rows, options.min_poses)
        found.append(regression(_features(scout, placements.pose_2d[complete], skeleton, config)))
        errors.append(regression.error)
    values, weight = torch.stack(found), view.bincount().to(torch.float32)[:, None] / len(view)
    if not bool(values.isfinite().all()):
        raise TrainingError("gpa_lpa_view: tilt and bone lengths estimated from the target are not finite")
    limits = torch.tensor([options.pitch, options.roll], device=values.device)
    tilt = values[:, :2].clamp(-limits, limits)
    bone_scale = ((weight * values[:, 2:]).sum(0) - usual).exp() - 1
    error = (weight * torch.stack(errors)).sum(0)
    return Estimate(view, up_of(tilt), bone_scale.clamp(-options.build, options.build), error)


def _features(scout: nn.Module, pose_2d: Tensor, skeleton: Skeleton, config: RunConfig) -> Tensor:
    """Mean pitch and roll, and shares of the bones, of poses that the scout lifts: (2 + G,)."""
    lifted = predict(scout, pose_2d, skeleton, config.training.flip)
    return torch.cat([pitch_roll(mean_up(lifted, skeleton)), shares(lifted, skeleton)])


def _simulated_targets(
    scout: nn.Module,
    data: TrainingData,
    rows: Tensor,
    usual: Tensor,
    config: RunConfig,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Features of simulated targets of one view, and their true tilts and shares.

    Args:
        scout: lifts them.
        data: source and placements.
        rows: of the view in the placement table.
        usual: (G,) shares of the source.
        config: number and size of the simulated targets.
        rng: of their random numbers.

    Returns:
        features and true values, (S, 2 + G) each.
    """
    options, device = config.alignment, rows.device
    groups = torch.tensor(data.skeleton.bone_groups, device=device)
    features, truth = [], []
    tilts, bone_scales = _draw(options.simulations, _ranges(data.skeleton, options, device), rng)
    for tilt, bone_scale in zip(tilts, bone_scales, strict=True):
        index, pick = (
            torch.randint(high, (options.poses,), generator=rng, device=device)
            for high in (len(data.source), len(rows))
        )
        size = (options.poses, -1)
        seen = _simulate(data, index, rows[pick], tilt.expand(size), bone_scale.expand(size), config)
        changed = usual + (1 + bone_scale).log()
        truth.append(torch.cat([tilt, changed - changed.exp()[groups].sum().log()]))
        features.append(_features(scout, seen.pose_2d[seen.valid], data.skeleton, config))
    return torch.stack(features), torch.stack(truth)


def _complete(placements: TargetPlacements, rows: Tensor, fewest: int) -> Tensor:
    """The rows with all joints visible, or all rows if those are too few."""
    if placements.visible is None:
        return rows
    whole = rows[placements.visible[rows].all(1)]
    return whole if len(whole) >= fewest else rows


class _Ridge:
    """Ridge regression with an intercept, from features (S, F) to values (S, P).

    Attributes:
        error: (P,) standard deviation of its error on the data that it was fitted to.
    """

    def __init__(self, features: Tensor, values: Tensor) -> None:
        features, values = features.double(), values.double()
        self._mean, self._scale = features.mean(0), features.std(0).clamp_min(1e-9)
        self._intercept = values.mean(0)
        inputs = self._standardised(features)
        gram = inputs.T @ inputs + RIDGE * len(features) * torch.eye(inputs.shape[1], device=features.device)
        self._weights = torch.linalg.solve(gram, inputs.T @ (values - self._intercept))
        self.error = (self(features).double() - values).std(0).float()

    def _standardised(self, features: Tensor) -> Tensor:
        return (features.double() - self._mean) / self._scale

    def __call__(self, features: Tensor) -> Tensor:
        return (self._standardised(features) @ self._weights + self._intercept).float()


def align_source(data: TrainingData, found: Estimate) -> TrainingData:
    """Give the source the target's bone lengths, and each placement the tilt of its view.

    Args:
        data: with a source without tilt.
        found: estimate of its target.
    """
    source = data.source
    seen = ops.augment(
        source.pose_3d, skeleton=data.skeleton, camera=source.camera, bone_scale=found.bone_scale[None]
    )
    resized = _valid_rows(replace(source, pose_3d=seen.pose_3d, pose_2d=seen.pose_2d), seen.valid)
    upright = up_of(torch.zeros(1, 2, device=found.up.device))
    tilt = shortest_rotation(upright.expand_as(found.up), found.up)[found.view]
    return replace(data, source=resized, tilt=tilt)
