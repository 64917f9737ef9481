"""A few poses at each step of the method, from which the report draws its pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.config import RunConfig
from poseda.method.generator import Generator
from poseda.runs.checkpoint import Checkpoint
from poseda.training.pairs import TrainingData, augment_pairs

POSES = 2000
"""Poses kept, enough for smooth histograms."""


def save_samples(
    file: Checkpoint, data: TrainingData, generator: Generator | None, config: RunConfig
) -> None:
    """Write poses at each step of the method, with the names of their joints.

    Args:
        file: where they are kept.
        data: source poses and target placements.
        generator: trained, or None where no arm has one.
        config: for the op's modes.
    """
    skeleton = data.skeleton
    notes = {"skeleton": skeleton.name, "parents": skeleton.parents, "joint_names": skeleton.joint_names}
    tensors = draw_samples(data, generator, config)
    file.save(tensors, notes | {"dropped_targets": data.placements.dropped})


@torch.no_grad()
def draw_samples(data: TrainingData, generator: Generator | None, config: RunConfig) -> dict[str, Tensor]:
    """Matching rows by step: source pose, target pose, source placed like the target, and that one augmented.

    The last comes with the rotation vector of its body, in radians. Arguments are those of
    :func:`save_samples`.
    """
    rng = torch.Generator(data.source.pose_2d.device).manual_seed(0)
    size = min(POSES, len(data.source))
    index = torch.randperm(len(data.source), generator=rng, device=rng.device)[:size]
    where = data.placements.sample(size, rng)
    aligned = augment_pairs(data, index, where, None, "gpa", config)
    tensors = {
        "source_2d": data.source.pose_2d[index],
        "source_3d": data.source.pose_3d[index],
        "target_2d": data.placements.pose_2d[where],
        "aligned_2d": aligned.pose_2d,
        "aligned_3d": aligned.pose_3d,
        "aligned_valid": aligned.valid,
    }
    mask = data.placements.joint_mask(where)
    if mask is not None:
        tensors["target_seen"] = mask
    if generator is not None:
        source = data.source.pose_3d[index]
        proposal = generator(source, generator.noise(source, rng))
        augmented = augment_pairs(data, index, where, proposal, "gpa", config)
        tensors |= {
            "augmented_2d": augmented.pose_2d,
            "augmented_3d": augmented.pose_3d,
            "augmented_valid": augmented.valid,
            "augmented_body": proposal.body_rotation,
        }
    return tensors
