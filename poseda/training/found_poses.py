"""The target's own poses as teachers: what a wide lifter finds in footage, beside the poses of the source.

A lifted pose may be wrong about what the person did. It is still the pose of a body like those in the
footage, and seen from a drawn camera its 2D fits it exactly. The lifter thus learns the target's postures
from true pairs, and lifts the target better. No 3D of the target is read but weak labels of a few rows, where
the user has some. Those stand among the found poses, and some are seen in their own pictures.

So do poses that several cameras of a rig agree on (:mod:`poseda.method.agreement`): they are right about what
the person did, too, as far as cameras from different sides can tell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from poseda import ops
from poseda.config import FEWEST_JOINTS, RunConfig
from poseda.datasets import LabelledPoses, UnlabelledPoses, WeakLabels
from poseda.datasets.records import concatenated
from poseda.datasets.upright import find_up
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter
from poseda.method.agreement import agreed_poses
from poseda.method.two_passes import FEWEST_FRAMES, LiftedFootage, Told, lenses, lift_poses
from poseda.method.views import DISTANCE, Places
from poseda.training.pairs import TrainingData


class FoundPoses(NamedTuple):
    """Training data whose source also holds the target's poses as they were found.

    Attributes:
        data: the source's poses first.
        up: (S, 3) upward in the axes of each pose.
        own: how many poses are the source's.
        footage: what was found in each row of the target.
        pictures: what the detector saw of the last poses, those agreed on and weak labels; None without any.
        places: where the target's people stand before its cameras; None where that is not known.
    """

    data: TrainingData
    up: Tensor
    own: int
    footage: LiftedFootage
    pictures: Observation | None = None
    places: Places | None = None


def check_target(target: UnlabelledPoses) -> None:
    """Check that the arm wide_target can learn from a target.

    Raises:
        ValueError: if no camera has the frames that tell an upward direction.
    """
    most = most_of_a_camera(target)
    if most < FEWEST_FRAMES:
        shown = "" if bool(target.liftable.all()) else f" that show {FEWEST_JOINTS} joints"
        raise ValueError(
            f"arms: expected a target camera with at least {FEWEST_FRAMES} poses for wide_target, "
            f"got {most}{shown}; name other arms, such as wide"
        )


def most_of_a_camera(target: UnlabelledPoses) -> int:
    """Number of poses of the camera that has the most, which show enough joints."""
    return int(lenses(target)[target.liftable].bincount(minlength=1).max())


@torch.no_grad()
def with_found(
    data: TrainingData, lifter: nn.Module, share: float, seed: int, config: RunConfig
) -> FoundPoses:
    """Lift the target in two passes and put its poses beside those of the source, the weak labels last.

    Lengths are found only where the lifter saw all joints: those of detections inherit the detector's hips.
    They teach as they are found: with the true ones it learns less (benchmarks/README.md).
    Poses are left out where no upward direction was found, in cameras of few frames, and where they show too
    few joints.

    Args:
        data: of the run.
        lifter: of the arm wide, or of the round before.
        share: of the poses that shall be the target's, found and labelled.
        seed: of the draw of target poses.
        config: of the run.

    """
    assert isinstance(lifter, WideLifter) and data.target is not None
    told = Told(find_lengths=data.patterns is None)
    lifted = lift_poses(lifter, data.target, config.training.flip, None, told)
    target = data.target.to(lifted.pose_3d.device)
    frames = Observation.of(target.pose_2d, target.camera, target.shown, data.skeleton.num_groups)
    poses, agreed = lifted.pose_3d, torch.zeros(len(target), dtype=torch.bool, device=lifted.pose_3d.device)
    if config.wide.agreed and target.rig is not None and target.rig.rotation is not None:
        telling = target.rig.moment.masked_fill(~target.liftable, -1)
        poses, agreed = agreed_poses(poses, lifted.error, frames, replace(target.rig, moment=telling))
    known = lifted.up.isfinite().all(1) & data.target.liftable.to(lifted.up.device)
    generator = torch.Generator().manual_seed(seed)
    wanted = max(round(len(data.source) * share / (1 - share)), 1)
    row = _drawn(known.nonzero()[:, 0], wanted, generator)
    weak = None if data.weak is None else data.weak.among(known.nonzero()[:, 0])
    labels = poses[:0]
    if weak is not None and len(weak):
        labelled = round(wanted * config.wide.weak_share)
        chosen = _drawn(torch.arange(len(weak), device=row.device), labelled, generator)
        row = row[labelled:]
        whole = completed(weak, poses[known], target.clip[known], data.skeleton)
        labels, labelled_row = whole[chosen], known.nonzero()[:, 0][weak.row[chosen]]
    row = row[agreed[row].argsort(stable=True)]  # those that are also seen in their own pictures last
    pictured = int(agreed[row].sum()) + len(labels)
    poses = torch.cat([poses[row], labels])
    if len(labels):
        row = torch.cat([row, labelled_row])
    pose = poses + poses.new_tensor([0.0, 0.0, DISTANCE])
    seen = target.rows(row)
    found = LabelledPoses(pose, seen.pose_2d, seen.camera, seen.clip)
    source = replace(data.source, columns={})
    up = torch.cat([find_up(data.source, data.skeleton).up, lifted.up[row]])
    return FoundPoses(
        replace(data, source=concatenated([source, found])),
        up,
        len(source),
        lifted,
        frames.rows(row[len(row) - pictured :]) if pictured else None,
        Places.of(lifted.pose_3d, frames, lifted.up),
    )


def _drawn(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """As many of these rows, drawn with replacement."""
    return rows.cpu()[torch.randint(len(rows), (count,), generator=generator)].to(rows.device)


def completed(weak: WeakLabels, found: Tensor, person: Tensor, skeleton: Skeleton) -> Tensor:
    """Whole poses in metres, root at the origin, of labels that may lack joints and scale: (W, J, 3).

    A pose that is not in metres gets the person's usual lengths. Missing joints are those of the found pose
    of the same row, laid onto the known joints.

    Args:
        weak: the labels.
        found: (N, J, 3) metres, the target's poses as they were found.
        person: (N,) int64; rows of one number show one person.
        skeleton: of all poses.
    """
    pose, lengths = weak.pose_3d.double(), found.new_zeros(len(found), skeleton.num_bones)
    bones = ops.bones(found.contiguous(), skeleton=skeleton).norm(dim=-1)
    for number in person[weak.row].unique().tolist():
        lengths[person == number] = bones[person == number].median(0).values
    parents = torch.tensor(skeleton.parents[1:], device=pose.device)
    there = (weak.known[:, 1:] & weak.known[:, parents]).double()
    own = (pose[:, 1:] - pose[:, parents]).norm(dim=-1)
    scale = (lengths[weak.row] * there).sum(1) / (own * there).sum(1).clamp_min(1e-9)
    pose = pose * torch.where(weak.metric, 1.0, scale)[:, None, None]
    filled = laid_onto(found[weak.row].double(), pose, weak.known)
    return root_relative(torch.where(weak.known[..., None], pose, filled)).float()


def laid_onto(pose: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Poses (N, J, 3) turned, scaled and moved to fit the known joints (N, J) of others best.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 13
    (1991).
    """
    weight = known.to(pose.dtype)[..., None] / known.sum(1).clamp_min(1)[:, None, None]
    middle, goal = (weight * pose).sum(1, keepdim=True), (weight * target).sum(1, keepdim=True)
    spread = pose - middle
    u, size, v = torch.linalg.svd(((target - goal) * weight).mT @ spread)
    sign = torch.ones_like(size)
    sign[:, 2] = torch.linalg.det(u @ v).sign()
    turn = (u * sign[:, None]) @ v
    scale = (size * sign).sum(1) / (weight * spread.square()).sum((1, 2)).clamp_min(1e-12)
    return goal + scale[:, None, None] * spread @ turn.mT
