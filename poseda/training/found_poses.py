"""The target's own poses as teachers: what a wide lifter finds in footage, beside the poses of the source.

A lifted pose may be wrong about what the person did. It is still the pose of a body like those in the
footage, and seen from a drawn camera its 2D fits it exactly. The lifter thus learns the target's postures
from true pairs, and lifts the target better. No 3D of the target is read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.datasets import LabelledPoses, UnlabelledPoses
from poseda.datasets.records import concatenated
from poseda.datasets.upright import find_up
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import FEWEST_FRAMES, LiftedFootage, Told, lenses, lift_poses
from poseda.training.pairs import TrainingData

DISTANCE = 4.0
"""Metres at which found poses are kept; views are drawn at distances of their own."""


class FoundPoses(NamedTuple):
    """Training data whose source also holds the target's poses as they were found.

    Attributes:
        data: the source's poses first.
        up: (S, 3) upward in the axes of each pose.
        own: how many poses are the source's.
        footage: what was found in each row of the target.
    """

    data: TrainingData
    up: Tensor
    own: int
    footage: LiftedFootage


def check_target(target: UnlabelledPoses) -> None:
    """Check that the arm wide_target can learn from a target.

    Raises:
        ValueError: if no camera has the frames that tell an upward direction.
    """
    most = most_of_a_camera(target)
    if most < FEWEST_FRAMES:
        raise ValueError(
            f"arms: expected a target camera with at least {FEWEST_FRAMES} poses for wide_target, "
            f"got {most}; name other arms, such as wide"
        )


def most_of_a_camera(target: UnlabelledPoses) -> int:
    """Number of poses of the camera that has the most."""
    return int(lenses(target).bincount().max())


@torch.no_grad()
def with_found(
    data: TrainingData, lifter: nn.Module, share: float, seed: int, config: RunConfig
) -> FoundPoses:
    """Lift the target in two passes and put its poses beside those of the source.

    Lengths are found only where the lifter saw all joints: those of detections inherit the detector's hips.
    Where no upward direction was found, in cameras of few frames, poses are left out.

    Args:
        data: of the run.
        lifter: of the arm wide, or of the round before.
        share: of the poses that shall be the target's.
        seed: of the draw of target poses.
        config: of the run.

    """
    assert isinstance(lifter, WideLifter) and data.target is not None
    complete = data.patterns is None
    lifted = lift_poses(lifter, data.target, config.training.flip, None, Told(find_lengths=complete))
    known = lifted.up.isfinite().all(1).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(seed)
    wanted = max(round(len(data.source) * share / (1 - share)), 1)
    drawn = known.cpu()[torch.randint(len(known), (wanted,), generator=generator)].to(known.device)
    pose = lifted.pose_3d[drawn] + lifted.pose_3d.new_tensor([0.0, 0.0, DISTANCE])
    seen = data.target.to(pose.device).rows(drawn)
    found = LabelledPoses(pose, seen.pose_2d, seen.camera, seen.clip)
    source = replace(data.source, columns={})
    up = torch.cat([find_up(data.source, data.skeleton).up, lifted.up[drawn]])
    return FoundPoses(replace(data, source=concatenated([source, found])), up, len(source), lifted)
