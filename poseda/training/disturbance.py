"""A degraded target, for experiments: fewer poses, noise on them, a wrong focal length."""

from __future__ import annotations

from dataclasses import replace

import torch

from poseda.config import TargetDataConfig
from poseda.datasets import AdaptationData


def disturb(data: AdaptationData, config: TargetDataConfig) -> AdaptationData:
    """Degrade the unlabelled target, in the same way at every call.

    Args:
        data: of both domains; it does not change.
        config: what to change; by default nothing.

    Raises:
        ValueError: if the target has fewer poses than asked for.
    """
    target, weak, rng = data.target, data.weak, torch.Generator().manual_seed(0)
    if config.size > len(target):
        raise ValueError(
            f"target_data.size: expected at most the {len(target)} poses of the target, got {config.size}"
        )
    if config.size:
        kept = torch.randperm(len(target), generator=rng)[: config.size].sort().values
        target, weak = target.rows(kept), None if weak is None else weak.among(kept)
    if config.noise:
        noise = config.noise * torch.randn(target.pose_2d.shape, generator=rng)
        if target.visible is not None:
            noise = noise * target.visible[..., None]
        target = replace(target, pose_2d=target.pose_2d + noise)
    if config.focal_error:
        camera = replace(target.camera, focal=target.camera.focal * (1 + config.focal_error))
        target = replace(target, camera=camera)
    return replace(data, target=target, weak=weak)
