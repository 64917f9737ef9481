"""Two cameras around a place, for tests of views."""

from __future__ import annotations

import numpy as np

SIZE = (1920, 1080)
"""Of their pictures, pixels."""


def rig() -> tuple[np.ndarray, np.ndarray]:
    """World-to-camera rotations and shifts of two level cameras, 4 m away and at right angles."""
    front = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    side = np.array([[0, 1.0, 0], [0, 0, -1], [-1, 0, 0]])
    return np.stack([front, side]), np.array([[0, 1.0, 4.0], [0, 1.0, 4.0]])
