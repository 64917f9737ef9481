"""People as detectors see them, made by a formula: standing or lying, in any layout."""

from __future__ import annotations

import numpy as np

from poseda.datasets.layouts import LAYOUTS

STANDING = {
    "head_top": (0.0, 0.0), "nose": (0.03, 0.12), "left_eye": (0.05, 0.1), "right_eye": (0.0, 0.1),
    "left_ear": (0.07, 0.11), "right_ear": (-0.05, 0.11), "neck": (0.0, 0.25), "thorax": (0.0, 0.26),
    "left_shoulder": (0.18, 0.28), "right_shoulder": (-0.18, 0.28), "left_elbow": (0.25, 0.55),
    "right_elbow": (-0.27, 0.56), "left_wrist": (0.26, 0.8), "right_wrist": (-0.25, 0.82),
    "spine": (0.0, 0.6), "pelvis": (0.0, 0.88), "mid_hip": (0.0, 0.88), "hip": (0.0, 0.88),
    "left_hip": (0.12, 0.9), "right_hip": (-0.12, 0.9), "left_knee": (0.14, 1.3), "right_knee": (-0.13, 1.3),
    "left_ankle": (0.14, 1.7), "right_ankle": (-0.15, 1.7), "head": (0.0, 0.12),
}  # fmt: skip
"""Metres, x to the left of the person, y down from the top of the head."""

OTHERS = (0.0, 1.72)
"""Feet and the like."""


def body(layout: str = "coco17", turn: float = 0.0, seed: int = 0, noise: float = 0.01) -> np.ndarray:
    """(J, 2) metres about the middle of the body, turned by an angle, with noise.

    Args:
        layout: whose joints and order.
        turn: radians; pi stands on the hands.
        seed, noise: of the detector.
    """
    points = np.array([STANDING.get(name, OTHERS) for name in LAYOUTS[layout].joint_names]) - [0, 0.85]
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return points @ rotation.T + np.random.default_rng(seed).normal(0, noise, points.shape)


def walk(
    frames: int, start: tuple[float, float], step: tuple[float, float] = (4.0, 0.0), layout: str = "coco17"
) -> np.ndarray:
    """(F, J, 2) pixels of someone 170 pixels tall who moves by ``step`` a frame."""
    places = np.array(start) + np.arange(frames)[:, None] * step
    return np.stack([body(layout, seed=at) * 100 for at in range(frames)]) + places[:, None]
