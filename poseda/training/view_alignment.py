"""Tilt and build of the target, read from its 2D poses alone: what `gpa_lpa_view` adds. Ours.

GPA moves bodies to where the target's stand, but leaves them turned as the source's cameras saw them: a
camera that looks down sees everybody tilted. And the target's people may be built otherwise. Both are
estimated by indirect inference:

1. A *scout* lifter learns from source poses under any tilt and build, so that it prefers none.
2. It lifts the target. For each view, the mean direction in which bodies stand up and the mean shares of
   their bones are noted.
3. The same is noted of simulated targets: source poses under a known tilt and build, placed and seen like
   the view's. A ridge regression from what is noted to what is known undoes whatever bias the scout has.

The source is then turned and built as the target is. No label of the target is used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from poseda import ops
from poseda.config import AlignmentConfig, RunConfig
from poseda.datasets import LabelledPoses
from poseda.geometry.camera import Camera, pitch_roll, up_of
from poseda.geometry.placements import TargetPlacements
from poseda.geometry.rotation import shortest_turn
from poseda.geometry.skeleton import Skeleton
from poseda.geometry.standing import body_axis, missing_joints
from poseda.lifters.predict import predict
from poseda.method.generator import random_proposal
from poseda.ops._arguments import AugmentedPose
from poseda.training.errors import TrainingError
from poseda.training.pairs import Pairs, Resident, Shuffle, source_like_target

MEAN_STEPS = 20
"""Steps towards the geometric median."""

AGREEMENT = 0.5
"""Length of the mean of all upward directions below which bodies do not agree on what is up."""

MOST_TURN = 0.8
"""Radians beyond which a view is not levelled: its people lie or hang."""

SHORTEST = 1e-6
"""Share of a bone without length, so that its logarithm is a number."""

RIDGE = 1e-3
"""Weight of the ridge, in units of the standardised notes."""


class Estimate(NamedTuple):
    """What the target's 2D poses say.

    Attributes:
        view: (M,) the view of each target pose, 0 to V - 1.
        up: (V, 3) unit vectors, upward in the camera frame of each view.
        build: (G,) relative change of the length of each symmetric bone group. 2D says nothing of the size of
            all together, which stays about the same.
        spread: (2 + G,) standard deviation of the regression's error on simulated targets: pitch and roll,
            radians, and relative lengths.
    """

    view: Tensor
    up: Tensor
    build: Tensor
    spread: Tensor

    def describe(self, skeleton: Skeleton) -> dict[str, Any]:
        """In degrees and percent, for readers."""
        tilt = pitch_roll(self.up).rad2deg().tolist()
        count = self.view.bincount(minlength=len(tilt)).tolist()
        names = [skeleton.joint_names[skeleton.bone_groups.index(g) + 1] for g in range(skeleton.num_groups)]
        return {
            "views": [
                {"poses": poses, "pitch": round(pitch, 2), "roll": round(roll, 2)}
                for poses, (pitch, roll) in zip(count, tilt, strict=True)
            ],
            "build": {
                name: round(100 * value, 2) for name, value in zip(names, self.build.tolist(), strict=True)
            },
        }


def check_skeleton(skeleton: Skeleton) -> None:
    """Check that a skeleton says what standing up is.

    Raises:
        ValueError: naming the joints that are missing.
    """
    missing = missing_joints(skeleton)
    if missing:
        raise ValueError(
            f"arms: gpa_lpa_view needs a skeleton with {', '.join(missing)}, which {skeleton.name} lacks"
        )


def views_of(camera: Camera, rows: int, config: AlignmentConfig) -> Tensor:
    """Number the views of a target: (rows,) int64.

    A view is what has the same lens: cameras of one lens share a tilt. Views with few poses go together, or
    with the largest where they are few even so; where there are more lenses than can be views, all are one.
    """
    if len(camera) == 1:
        return torch.zeros(rows, dtype=torch.int64, device=camera.focal.device)
    lens = [
        part.expand(rows, -1) for part in (camera.focal, camera.center, camera.distortion) if part is not None
    ]
    _, view, count = torch.cat(lens, 1).unique(dim=0, return_inverse=True, return_counts=True)
    if len(count) > config.max_views:
        return torch.zeros_like(view)
    kept = count >= config.min_poses
    number = torch.where(kept, kept.cumsum(0) - 1, kept.sum())
    if 0 < int(count[~kept].sum()) < config.min_poses and bool(kept.any()):
        number[~kept] = number[count.argmax()]
    return number[view]


def mean_up(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """The direction in which most of the bodies (N, J, 3) stand up: (3,), unit.

    A geometric median on the sphere: who bends or lies down has little say.
    """
    return _median(body_axis(pose_3d, skeleton))


def _median(axis: Tensor) -> Tensor:
    mean = nn.functional.normalize(axis.mean(0), dim=-1)
    for _ in range(MEAN_STEPS):
        weight = 1 / (axis - mean).norm(dim=-1, keepdim=True).clamp_min(0.05)
        mean = nn.functional.normalize((weight * axis).sum(0), dim=-1)
    return mean


def shares(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Logarithm of the share that a bone of each symmetric group has of all mean bone lengths: (G,)."""
    length = ops.bones(pose_3d, skeleton).norm(dim=-1).mean(0)
    groups = torch.tensor(skeleton.bone_groups, device=length.device)
    total = length.new_zeros(skeleton.num_groups).index_add_(0, groups, length)
    return (total / groups.bincount() / length.sum()).clamp_min(SHORTEST).log()


def level(poses: LabelledPoses, skeleton: Skeleton, config: AlignmentConfig) -> LabelledPoses:
    """Turn labelled poses, view by view, so that most stand up as a level camera sees it.

    A view whose bodies do not agree on what is up, or that would have to be turned by far more than any
    camera is tilted, shows people who do not stand; it stays as it is.
    """
    view = views_of(poses.camera, len(poses), config)
    upright = up_of(poses.pose_3d.new_zeros(2))
    turns = []
    for number in range(int(view.max()) + 1):
        axis = body_axis(poses.pose_3d[view == number], skeleton)
        turn = shortest_turn(_median(axis), upright)
        standing = (axis.mean(0).norm() >= AGREEMENT) & (turn.norm() <= MOST_TURN)
        turns.append(turn * standing)
    turn = torch.stack(turns)
    seen = ops.augment(poses.pose_3d, skeleton=skeleton, camera=poses.camera, body_rotation=turn[view])
    kept = replace(poses, pose_3d=seen.pose_3d, pose_2d=seen.pose_2d)
    return kept if bool(seen.valid.all()) else kept.rows(seen.valid)


class ScoutPairs:
    """Training pairs of the scout: levelled source poses under any tilt and build, at target placements.

    Windows of a single frame: pose_3d (N, 1, J, 3), pose_2d (N, 1, J, 2).

    Args:
        data: with a levelled source.
        config: ranges and batch size.
        seed: of the order of poses.
        rng: every other draw.
    """

    def __init__(self, data: Resident, config: RunConfig, seed: int, rng: torch.Generator) -> None:
        self.data, self.config, self.rng = data, config, rng
        device = data.source.pose_2d.device
        self._order = Shuffle(len(data.source), config.training.batch, seed, device)
        self._ranges = _ranges(data.skeleton, config.alignment, device)

    def indices(self, step: int) -> tuple[Tensor, ...]:
        """Which poses a step trains on."""
        return (self._order.at(step),)

    @torch.no_grad()
    def draw(self, *indices: Tensor) -> Pairs:
        """Pairs of these poses."""
        (index,) = indices
        size, skeleton = len(index), self.data.skeleton
        where = self.data.placements.sample(size, self.rng)
        proposal = random_proposal(self.data.source.pose_3d[index], skeleton, self.config.generator, self.rng)
        kept = (
            torch.rand(size, 1, generator=self.rng, device=index.device) < self.config.training.source_share
        )
        tilt, build = _draw(size, self._ranges, self.rng)
        turns = proposal.bone_rotation * ~kept[..., None]
        seen = _seen(self.data, index, where, tilt, build, self.config, bone_rotation=turns)
        return Pairs(seen.pose_3d[:, None], seen.pose_2d[:, None], seen.valid)


def _ranges(skeleton: Skeleton, config: AlignmentConfig, device: torch.device) -> Tensor:
    """Largest pitch, roll and relative length of each group: (2 + G,)."""
    return torch.tensor([config.pitch, config.roll] + [config.build] * skeleton.num_groups, device=device)


def _draw(size: int, ranges: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random pitch and roll (size, 2), uniform, and relative lengths (size, G), uniform."""
    drawn = ranges * (2 * torch.rand(size, len(ranges), generator=rng, device=ranges.device) - 1)
    return drawn[:, :2], drawn[:, 2:]


def _seen(
    data: Resident,
    index: Tensor,
    where: Tensor,
    tilt: Tensor,
    build: Tensor,
    config: RunConfig,
    **more: Tensor,
) -> AugmentedPose:
    """Levelled source poses under a tilt and a build, at target placements."""
    turn = shortest_turn(up_of(torch.zeros_like(tilt)), up_of(tilt))
    return source_like_target(data, index, where, config, body_rotation=turn, bone_scale=build, **more)


@torch.no_grad()
def estimate(scout: nn.Module, data: Resident, config: RunConfig, rng: torch.Generator) -> Estimate:
    """Read tilt and build off the target's 2D poses.

    Args:
        scout: trained on :class:`ScoutPairs`.
        data: with a levelled source.
        config: how many simulations of how many poses.
        rng: their draws.
    """
    options, skeleton, placements = config.alignment, data.skeleton, data.placements
    device = placements.pose_2d.device
    view = views_of(placements.camera, len(placements), options)
    usual = shares(data.source.pose_3d, skeleton)

    def note(pose_2d: Tensor) -> Tensor:
        lifted = predict(scout, pose_2d, skeleton, config.training.flip)
        return torch.cat([pitch_roll(mean_up(lifted, skeleton)), shares(lifted, skeleton)])

    ranges = _ranges(skeleton, options, device)
    found, errors = [], []
    for number in range(int(view.max()) + 1):
        rows = (view == number).nonzero()[:, 0]
        known, noted = [], []
        tilts, builds = _draw(options.simulations, ranges, rng)
        for tilt, build in zip(tilts, builds, strict=True):
            index, pick = (
                torch.randint(high, (options.poses,), generator=rng, device=device)
                for high in (len(data.source), len(rows))
            )
            size = (options.poses, -1)
            seen = _seen(data, index, rows[pick], tilt.expand(size), build.expand(size), config)
            changed = usual + (1 + build).log()
            groups = torch.tensor(skeleton.bone_groups, device=device)
            known.append(torch.cat([tilt, changed - changed.exp()[groups].sum().log()]))
            noted.append(note(seen.pose_2d[seen.valid]))
        fit = _Ridge(torch.stack(noted), torch.stack(known))
        found.append(fit(note(placements.pose_2d[_complete(placements, rows, options.min_poses)])))
        errors.append(fit.spread)
    if not bool(torch.stack(found).isfinite().all()):
        raise TrainingError("gpa_lpa_view: the tilt and build that were read off the target are not finite")
    weight = view.bincount().to(torch.float32)[:, None] / len(view)
    answers = torch.stack(found)
    tilt = torch.stack(
        [answers[:, at].clamp(-limit, limit) for at, limit in enumerate((options.pitch, options.roll))], -1
    )
    build = ((weight * answers[:, 2:]).sum(0) - usual).exp() - 1
    return Estimate(
        view, up_of(tilt), build.clamp(-options.build, options.build), (weight * torch.stack(errors)).sum(0)
    )


def _complete(placements: TargetPlacements, rows: Tensor, fewest: int) -> Tensor:
    """Those of the rows whose joints are all seen, if they are enough."""
    if placements.visible is None:
        return rows
    whole = rows[placements.visible[rows].all(1)]
    return whole if len(whole) >= fewest else rows


class _Ridge:
    """Linear regression from notes (S, F) to what is known (S, P), with an intercept."""

    def __init__(self, noted: Tensor, known: Tensor) -> None:
        noted, known = noted.double(), known.double()
        self._mean, self._scale = noted.mean(0), noted.std(0).clamp_min(1e-9)
        self._level = known.mean(0)
        features = self._standardised(noted)
        gram = features.T @ features + RIDGE * len(noted) * torch.eye(features.shape[1], device=noted.device)
        self._weights = torch.linalg.solve(gram, features.T @ (known - self._level))
        self.spread = (self(noted).double() - known).std(0).float()

    def _standardised(self, noted: Tensor) -> Tensor:
        return (noted.double() - self._mean) / self._scale

    def __call__(self, noted: Tensor) -> Tensor:
        return (self._standardised(noted) @ self._weights + self._level).float()


def aligned(data: Resident, found: Estimate) -> Resident:
    """The data with a source that is built and tilted like the target.

    Args:
        data: with a levelled source.
        found: of its target.
    """
    source = data.source
    seen = ops.augment(
        source.pose_3d, skeleton=data.skeleton, camera=source.camera, bone_scale=found.build[None]
    )
    built = replace(source, pose_3d=seen.pose_3d, pose_2d=seen.pose_2d)
    upright = up_of(torch.zeros(1, 2, device=found.up.device))
    tilt = shortest_turn(upright.expand_as(found.up), found.up)[found.view]
    return replace(data, source=built if bool(seen.valid.all()) else built.rows(seen.valid), tilt=tilt)
