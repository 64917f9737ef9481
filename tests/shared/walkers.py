"""A standing person in any layout, for tests of what joints mean and of the files that detectors write."""

from __future__ import annotations

import numpy as np

from poseda.datasets.layouts import LAYOUTS, Layout

# Heights of a standing adult's joints above the floor, metres; sides are +-x.
HEIGHT = {
    "head_top": 1.75, "lsp_head_top": 1.75, "head": 1.66, "eye": 1.63, "eye_inner": 1.63, "eye_outer": 1.63,
    "ear": 1.62, "nose": 1.6, "jaw": 1.56, "mouth": 1.55, "neck": 1.45, "upper_neck": 1.5, "mpii_thorax": 1.4,
    "thorax": 1.45,
    "collar": 1.4, "clavicle": 1.4, "shoulder": 1.43, "elbow": 1.1, "wrist": 0.85, "hand": 0.8, "pinky": 0.75,
    "index": 0.75, "thumb": 0.78, "thumb_end": 0.76, "hand_end": 0.74, "pelvis": 0.92, "hip": 0.92,
    "mid_hip": 0.92, "lower_spine": 1.0, "spine": 1.18, "spine1": 1.02, "spine2": 1.18, "spine3": 1.24,
    "spine4": 1.35, "knee": 0.5, "ankle": 0.09, "foot": 0.03, "toe": 0.02, "toe_end": 0.02,
    "belly": 1.1, "chest": 1.2, "foot_index": 0.02, "big_toe": 0.02, "small_toe": 0.02, "heel": 0.03,
}  # fmt: skip


def side(joint: str) -> int:
    words = joint.split("_")
    return ("left" in words) - ("right" in words)


def stem(joint: str) -> str:
    return "_".join(word for word in joint.split("_") if word not in ("left", "right"))


def standing(layout: Layout) -> np.ndarray:
    # The base of the skull in SMPL, the middle of the face in J-HMDB.
    height = HEIGHT | {"smpl24": {"head": 1.55}, "jhmdb15": {"head": 1.6}}.get(layout.name, {})
    return np.array([[0.2 * side(joint), height[stem(joint)]] for joint in layout.joint_names])


def walker(layout: Layout | str, frame: int = 0, at: tuple[float, float] = (700.0, 900.0)) -> np.ndarray:
    """(J, 3) pixels and confidence of a person of 500 pixels who walks to the right, 4 pixels a frame.

    Args:
        layout: of the joints, or the name of a built-in one.
        frame: since the start.
        at: the middle between the feet at the start.
    """
    layout = LAYOUTS[layout] if isinstance(layout, str) else layout
    pose = standing(layout) * [285.0, -285.0] + at + [4.0 * frame, 0.0]
    swing = np.array([side(joint) * (1.7 - HEIGHT[stem(joint)]) for joint in layout.joint_names])
    pose[:, 0] += 12 * np.sin(0.4 * frame + 0.3) * swing
    confidence = 0.6 + 0.3 * np.cos(np.arange(len(pose)))
    return np.concatenate([pose, confidence[:, None]], 1).round(2)
