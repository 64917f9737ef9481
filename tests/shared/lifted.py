"""Lifted poses that tests write and read back."""

from __future__ import annotations

from typing import Any

import numpy as np

from poseda.export import LiftedPoses
from poseda.geometry.skeleton import Skeleton


def lifted(pose: np.ndarray, skeleton: Skeleton, **given: Any) -> LiftedPoses:
    """A record of poses (F, J, 3), by default of one person whose joints are all seen."""
    frames = len(pose)
    columns: dict[str, Any] = {name: np.zeros(frames, int) for name in ("person", "clip")}
    columns |= {"frame": np.arange(frames), "rate": 25.0, "root": None}
    columns |= {"valid": np.isfinite(pose).all((1, 2)), "visible": np.ones(pose.shape[:2], bool)}
    return LiftedPoses(pose.astype(np.float32), skeleton=skeleton, **(columns | given))
