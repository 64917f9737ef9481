"""The world of animation programs: y up, x to the camera's right, z towards the camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEVEL = (0.0, -1.0, 0.0)
"""Upward in the axes of a level camera."""


def world_axes(up: Sequence[float]) -> np.ndarray:
    """Rotation from camera axes to the world's: (3, 3), for an upward direction in camera axes."""
    y = np.array(up, np.float64) / np.linalg.norm(up)
    forward = np.array([0.0, 0.0, 1.0])
    ahead = forward - (forward @ y) * y
    if np.linalg.norm(ahead) < 1e-3:  # a camera that looks straight down has the picture's top ahead
        ahead = np.array(LEVEL) - np.array(LEVEL) @ y * y
    z = -ahead / np.linalg.norm(ahead)
    return np.stack([np.cross(y, z), y, z])


def level_axes(up: Sequence[float]) -> np.ndarray:
    """Rotation from camera axes to those of a level camera that looks the same way: (3, 3)."""
    return world_axes(LEVEL).T @ world_axes(up)
