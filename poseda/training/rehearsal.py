"""Poses that the package's lifter rehearses while it learns a target, as the package's postures draw them."""

from __future__ import annotations

import numpy as np
import torch

from poseda import pretrained
from poseda.datasets import LabelledPoses
from poseda.geometry.camera import Camera, project
from poseda.geometry.skeleton import Skeleton
from poseda.method.postures import UP, Postures
from poseda.method.views import DISTANCE
from poseda.runs.checkpoint import load_checkpoint, unpack_module

REHEARSED = 8000
"""Poses of a round; each is seen in new views at every step."""

HELD = 2000
"""Others, on whose views expected errors and found lengths are made right."""

FOCAL = 2.0
"""Half screen widths, of the camera that they are kept for; views have cameras of their own."""

CLIP = 200
"""Poses that count as a clip."""


def rehearsal(count: int, skeleton: Skeleton, rng: torch.Generator) -> LabelledPoses:
    """Draw source poses from the postures that are installed with the package.

    Args:
        count: how many.
        skeleton: of the package's lifter.
        rng: of the draw; its device is that of the poses.
    """
    tensors, _ = load_checkpoint(pretrained.POSTURES)
    postures = Postures(skeleton, width=len(tensors["postures.first.bias"]))
    unpack_module("postures", postures, tensors)
    pose = postures.to(rng.device).draw(count, rng)
    pose = pose + pose.new_tensor([0.0, 0.0, DISTANCE])
    camera = Camera(focal=pose.new_full((count, 2), FOCAL), center=pose.new_zeros(count, 2))
    level = np.array([np.cross((0.0, 0.0, 1.0), UP), (0.0, 0.0, 1.0), UP], np.float32).T
    columns = {"rotation": np.broadcast_to(level, (count, 3, 3))}  # world to camera; z is up
    clip = torch.arange(count, device=rng.device) // CLIP
    return LabelledPoses(pose, project(pose, camera), camera, clip, columns)
