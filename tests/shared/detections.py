"""What a detector finds, for tests of the files it writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from poseda.datasets import DataError, read_detections
from poseda.datasets.screen import unlabelled

SIZE = (1920, 1080)
"""Width and height of the pictures, pixels."""


def person(joints: int, seed: int = 0) -> np.ndarray:
    """(J, 3) pixels and confidence, spread over the picture."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform([600, 200], [1200, 900], (joints, 2))
    return np.concatenate([xy, rng.uniform(0.5, 1, (joints, 1))], 1).round(3)


def refused_when_damaged(files: Iterable[Path]) -> int:
    """Cut files short and change a few of their characters, time after time; count the refusals.

    Anything but a refusal or a reading is raised.
    """
    rng = np.random.default_rng(0)
    refused = 0
    for path in files:
        whole = path.read_bytes()
        for trial in range(120):
            damaged = bytearray(whole[: int(rng.integers(len(whole)))] if trial % 4 == 0 else whole)
            for at in rng.integers(0, max(len(damaged), 1), size=int(rng.integers(1, 8))):
                if at < len(damaged):
                    damaged[at] = rng.integers(32, 127)
            path.write_bytes(damaged)
            try:
                unlabelled(read_detections(path, SIZE), min_confidence=0.1)
            except DataError:
                refused += 1
    return refused
