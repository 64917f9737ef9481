"""Bodies before cameras, for tests of the files that hold labelled poses."""

from __future__ import annotations

import numpy as np
import torch

from poseda.datasets import LabelledPoses
from poseda.geometry.camera import project


def body(joints: int, rows: int, seed: int = 0) -> np.ndarray:
    """(N, J, 3) metres about a root that moves, camera axes, three to five metres away."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.3, (rows, joints, 3)) + rng.uniform([-0.3, -0.3, 3], [0.3, 0.3, 5], (rows, 1, 3))


def reprojects(poses: LabelledPoses, atol: float = 1e-5) -> bool:
    """Whether the 2D poses are what the cameras see of the 3D poses."""
    seen = project(poses.pose_3d.double(), poses.camera.to(torch.float64))
    return bool(torch.allclose(seen, poses.pose_2d.double(), atol=atol))
