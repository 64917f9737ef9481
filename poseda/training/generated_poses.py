"""LPA on the wide base: source poses that a trained generator changed, for the arm wide_target to see."""

from __future__ import annotations

from dataclasses import replace

import torch

from poseda import ops
from poseda.config import RunConfig
from poseda.method.generator import Generator
from poseda.training.pairs import TrainingData


@torch.no_grad()
def with_generated(
    data: TrainingData, generator: Generator, config: RunConfig, rng: torch.Generator
) -> TrainingData:
    """The data with a share of its source poses, drawn anew, changed as the generator proposes.

    Views have cameras and places of their own, so only 3D changes. Poses whose change cannot be made stay.

    Args:
        data: single frames.
        generator: of the arm gpa_lpa.
        config: of the run; `wide.generated_share` is the share.
        rng: of the draws.
    """
    pose = data.source.pose_3d
    chosen = torch.rand(len(pose), generator=rng, device=pose.device) < config.wide.generated_share
    rows = chosen.nonzero()[:, 0]
    proposal = generator(pose[rows], generator.noise(pose[rows], rng))
    changed = ops.augment(
        pose[rows],
        skeleton=data.skeleton,
        camera=data.source.camera.rows(rows),
        bone_rotation=proposal.bone_rotation,
        bone_scale=proposal.bone_scale,
        body_rotation=proposal.body_rotation,
        propagate=config.generator.propagate,
    )
    made = changed.valid[:, None, None]
    poses = pose.index_copy(0, rows, torch.where(made, changed.pose_3d, pose[rows]))
    return replace(data, source=replace(data.source, pose_3d=poses))
