"""What a detector finds, for tests of the files it writes."""

from __future__ import annotations

import numpy as np

SIZE = (1920, 1080)
"""Width and height of the pictures, pixels."""


def person(joints: int, seed: int = 0) -> np.ndarray:
    """(J, 3) pixels and confidence, spread over the picture."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform([600, 200], [1200, 900], (joints, 2))
    return np.concatenate([xy, rng.uniform(0.5, 1, (joints, 1))], 1).round(3)
