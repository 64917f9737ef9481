"""Motions of the synthetic people: postures, arm gestures and gaits as tables of angles, and clips of them.

A posture is a line between two tables of angles, shallow and deep. A clip moves along the line between a few
key moments, and each degree of freedom varies a little. Arms are drawn apart from legs and trunk, so that few
entries give many combinations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from poseda.geometry.anatomy import DEGREES, SIDED_RANGES, SIDES, column, mirrored, within_ranges
from poseda.geometry.rotation import Array

FRAMES = 20
"""Frames of a clip."""

FRAME_RATE = 10.0
"""Frames a second."""

KEYS = 4
"""Key moments of a clip, between which the angles are interpolated."""

Line = tuple[float, float]
"""An angle at the shallow and at the deep end of a posture, degrees."""

SPREAD_OF_PERSON = 0.6
"""Share of a degree's variation that is fixed within a clip; the rest differs between key moments."""

VARIATION: dict[str, float] = {
    "lean": 4, "tilt": 3, "turn": 5, "trunk_flex": 6, "trunk_side": 5, "trunk_turn": 8, "neck_flex": 10,
    "neck_side": 7, "thigh": 5, "spread": 4, "thigh_twist": 6, "knee": 5, "raise": 10, "plane": 14,
    "arm_twist": 16, "elbow": 12, "shrug": 3,
}  # fmt: skip
"""Standard deviation of each degree of freedom about its posture, degrees."""

REST: dict[str, Line] = {
    "lean": (2, 2), "trunk_flex": (3, 3), "neck_flex": (6, 6), "spread": (4, 4), "thigh_twist": (4, 4),
    "knee": (6, 6), "raise": (4, 4), "plane": (30, 30), "arm_twist": (15, 15), "elbow": (14, 14),
}  # fmt: skip
"""Standing relaxed: the base of every posture."""

POSTURES: dict[str, dict[str, Line]] = {
    "stand": {"lean": (0, 4), "trunk_turn": (-8, 8), "tilt": (-3, 3)},
    "stride": {"left_thigh": (14, 32), "left_knee": (8, 18), "right_thigh": (-8, -20), "right_knee": (8, 18)},
    "sit": {"thigh": (78, 90), "knee": (82, 98), "lean": (-8, 16), "trunk_flex": (6, 26), "spread": (6, 18)},
    "crouch": {
        "thigh": (35, 100), "knee": (58, 136), "lean": (16, 32), "trunk_flex": (10, 28), "spread": (8, 22),
        "neck_flex": (-4, -14), "thigh_twist": (4, 14),
    },
    "bend": {
        "thigh": (6, 16), "knee": (10, 26), "lean": (22, 66), "trunk_flex": (14, 44), "neck_flex": (0, -12),
    },
    "lunge": {
        "left_thigh": (40, 84), "left_knee": (44, 88), "right_thigh": (-14, -24), "right_knee": (18, 66),
        "lean": (4, 18), "trunk_flex": (4, 16),
    },
    "kneel": {
        "left_thigh": (76, 88), "left_knee": (82, 94), "right_thigh": (-6, 12), "right_knee": (92, 110),
        "lean": (0, 14), "trunk_flex": (4, 20),
    },
    "kick": {
        "left_thigh": (30, 92), "left_knee": (70, 12), "right_thigh": (-2, -8), "right_knee": (8, 18),
        "lean": (2, -12), "trunk_flex": (4, 14),
    },
    "floor": {
        "thigh": (84, 104), "knee": (16, 66), "lean": (-16, 0), "trunk_flex": (14, 34), "spread": (8, 20),
        "thigh_twist": (2, 16),
    },
}  # fmt: skip
"""Legs and trunk. Names without a side hold for both; half of all clips are mirrored."""

GESTURES: dict[str, dict[str, Line]] = {
    "hang": {},
    "talk": {"raise": (14, 40), "plane": (20, 40), "elbow": (55, 105), "arm_twist": (10, 30)},
    "phone": {
        "left_raise": (24, 46), "left_elbow": (125, 142), "left_arm_twist": (0, 20), "left_plane": (30, 50),
    },
    "hips": {"raise": (34, 46), "plane": (98, 112), "elbow": (72, 92), "arm_twist": (58, 74)},
    "fold": {"raise": (24, 36), "plane": (0, 15), "elbow": (88, 104), "arm_twist": (56, 70)},
    "carry": {"raise": (12, 44), "plane": (5, 20), "elbow": (62, 96), "arm_twist": (0, 15)},
    "reach_ahead": {"left_raise": (45, 105), "left_plane": (0, 30), "left_elbow": (45, 8), "shrug": (0, 5)},
    "reach_up": {
        "left_raise": (95, 165), "left_plane": (10, 60), "left_elbow": (50, 10), "trunk_side": (0, -10),
    },
    "reach_aside": {"left_raise": (45, 95), "left_plane": (75, 100), "left_elbow": (30, 8)},
    "reach_down": {"raise": (45, 92), "plane": (-5, 20), "elbow": (35, 10), "arm_twist": (0, 15)},
    "both_up": {"raise": (80, 164), "plane": (30, 75), "elbow": (70, 12), "arm_twist": (-40, -10)},
    "wide": {"raise": (30, 96), "plane": (80, 96), "elbow": (35, 8), "arm_twist": (-10, 10)},
    "guard": {"raise": (30, 62), "plane": (10, 35), "elbow": (105, 138), "arm_twist": (0, 25)},
    "throw": {
        "left_raise": (70, 105), "left_plane": (100, 78), "left_elbow": (100, 60),
        "left_arm_twist": (-70, -40),
        "right_raise": (30, 85), "right_plane": (10, 50), "right_elbow": (40, 15),
    },
}  # fmt: skip
"""Angles of the arms, which replace those of a posture."""


@dataclass(frozen=True)
class Gait:
    """A cycle of steps.

    Args:
        stride: (least, greatest) amplitude of the thighs, degrees.
        cadence: (least, greatest) strides a second.
        swing_knee: bend of the knee as the leg swings through, degrees.
        lean: of the pelvis, degrees.
        elbow: mean bend, degrees.
    """

    stride: Line
    cadence: Line
    swing_knee: float
    lean: float
    elbow: float


GAITS: dict[str, Gait] = {
    "walk": Gait(stride=(16, 27), cadence=(0.75, 1.05), swing_knee=56, lean=3, elbow=20),
    "run": Gait(stride=(28, 44), cadence=(1.2, 1.5), swing_knee=92, lean=10, elbow=88),
}


@dataclass(frozen=True)
class Repertoire:
    """How often each posture or gait, and each gesture, is chosen; weights need not sum to one."""

    postures: Mapping[str, float]
    gestures: Mapping[str, float]


SOURCE_REPERTOIRE = Repertoire(
    postures={"stand": 34, "walk": 30, "stride": 8, "sit": 18, "crouch": 3, "bend": 4, "lunge": 3},
    gestures={
        "hang": 24, "talk": 22, "phone": 10, "hips": 8, "fold": 8, "carry": 10, "reach_ahead": 8,
        "reach_up": 4, "reach_aside": 4, "both_up": 2,
    },
)  # fmt: skip
"""A studio: upright people who walk, stand, talk and sit."""

TARGET_REPERTOIRE = Repertoire(
    postures={
        "stand": 16, "walk": 16, "run": 6, "stride": 8, "sit": 8, "crouch": 12, "bend": 10, "lunge": 8,
        "kneel": 4, "kick": 4, "floor": 2,
    },
    gestures={
        "hang": 8, "talk": 8, "carry": 8, "reach_ahead": 12, "reach_up": 14, "reach_aside": 8,
        "reach_down": 14, "both_up": 12, "wide": 10, "guard": 8, "throw": 8,
    },
)  # fmt: skip
"""The field: sport and work, with crouching, bending, reaching and raised arms."""


def draw_clips(
    clips: int, repertoire: Repertoire, rng: np.random.Generator
) -> tuple[Array, Array, np.ndarray]:
    """Draw clips of joint angles.

    Returns:
        angles (C, F, D) degrees within their ranges, heading (C, F) degrees, and posture names (C,).
    """
    posture = _choose(clips, repertoire.postures, rng)
    gesture = _choose(clips, repertoire.gestures, rng)
    angles = _glide(_key_moments(posture, gesture, rng))
    for name, gait in GAITS.items():
        rows = np.flatnonzero(posture == name)
        angles[rows] = _walking(angles[rows], gait, gesture[rows], rng)
    flip = rng.random(clips) < 0.5
    angles[flip] = mirrored(angles[flip])
    time = np.arange(FRAMES) / FRAME_RATE
    turning = np.where(np.isin(posture, list(GAITS)), 30.0, 12.0) * rng.standard_normal(clips)
    heading = rng.uniform(0, 360, clips)[:, None] + turning[:, None] * time
    return within_ranges(angles), heading, posture


def _choose(clips: int, weights: Mapping[str, float], rng: np.random.Generator) -> np.ndarray:
    share = np.array(list(weights.values()), dtype=np.float64)
    return rng.choice(np.array(list(weights)), size=clips, p=share / share.sum())


def _table(overrides: Mapping[str, Line]) -> Array:
    """(2, D) angles at the shallow and at the deep end; NaN where the table has none."""
    table = np.full((2, len(DEGREES)), np.nan)
    for name, line in overrides.items():
        for degree in [f"{side}_{name}" for side in SIDES] if name in SIDED_RANGES else [name]:
            table[:, column(degree)] = line
    return table


def _relaxed() -> Array:
    """(D,) angles of standing relaxed."""
    return np.nan_to_num(_table(REST)).mean(0)


def _key_moments(posture: np.ndarray, gesture: np.ndarray, rng: np.random.Generator) -> Array:
    """(C, KEYS, D) angles at the key moments of each clip."""
    clips = len(posture)
    sigma = np.array([VARIATION[name.removeprefix("left_").removeprefix("right_")] for name in DEGREES])
    moments = np.broadcast_to(_relaxed(), (clips, KEYS, len(DEGREES))).copy()
    for chosen, library in ((posture, POSTURES), (gesture, GESTURES)):
        # Successive moments are far apart on the line, as when one squats and rises.
        start = rng.random((clips, 1))
        depth = np.abs((start + np.arange(KEYS) * rng.uniform(0.15, 0.9, (clips, 1)) + 1) % 2 - 1)[..., None]
        for name, overrides in library.items():
            rows = np.flatnonzero(chosen == name)
            shallow, deep = _table(overrides)
            line = shallow + depth[rows] * (deep - shallow)
            moments[rows] = np.where(np.isnan(line), moments[rows], line)
    own = rng.standard_normal((clips, 1, len(DEGREES))) * np.sqrt(SPREAD_OF_PERSON)
    passing = rng.standard_normal((clips, KEYS, len(DEGREES))) * np.sqrt(1 - SPREAD_OF_PERSON)
    return moments + (own + passing) * sigma


def _glide(moments: Array) -> Array:
    """Interpolate (C, KEYS, D) to (C, F, D) with zero speed at each key moment."""
    at = np.linspace(0, KEYS - 1, FRAMES)
    before = np.minimum(at.astype(int), KEYS - 2)
    share = (1 - np.cos(np.pi * (at - before)))[:, None] / 2
    return moments[:, before] * (1 - share) + moments[:, before + 1] * share


def _bump(phase: Array, centre: float, width: float) -> Array:
    """A smooth bump of height 1 on the circle of phases 0 to 1."""
    away = (phase - centre + 0.5) % 1 - 0.5
    return np.exp(-0.5 * (away / width) ** 2)


def _walking(angles: Array, gait: Gait, gesture: np.ndarray, rng: np.random.Generator) -> Array:
    """Replace legs and trunk of drawn angles (C, F, D) by a gait's, and free arms by its arm swing."""
    clips, out = len(angles), angles.copy()
    stride = rng.uniform(*gait.stride, (clips, 1))
    cycles = rng.random((clips, 1)) + rng.uniform(*gait.cadence, (clips, 1)) * np.arange(FRAMES) / FRAME_RATE
    still = _relaxed()
    free = (gesture == "hang")[:, None]
    for side, offset in zip(SIDES, (0.0, 0.5), strict=True):
        # Phase 0 is the heel's strike: the thigh is farthest forward, the knee nearly straight.
        phase = (cycles + offset) % 1
        swing = np.cos(2 * np.pi * phase)
        wobble = {
            name: angles[..., column(f"{side}_{name}")]
            for name in ("spread", "thigh_twist", "raise", "elbow")
        }
        knee = 5 + 14 * _bump(phase, 0.13, 0.07) + (gait.swing_knee - 5) * _bump(phase, 0.71, 0.12)
        out[..., column(f"{side}_thigh")] = 0.3 * stride + stride * swing
        out[..., column(f"{side}_knee")] = knee
        out[..., column(f"{side}_spread")] = wobble["spread"] / 2
        out[..., column(f"{side}_thigh_twist")] = wobble["thigh_twist"] / 2
        # Arms swing against the legs.
        raised = 4 - 0.85 * stride * swing
        bent = gait.elbow - 0.4 * stride * swing + 0.4 * (wobble["elbow"] - still[column(f"{side}_elbow")])
        out[..., column(f"{side}_raise")] = np.where(free, raised, wobble["raise"])
        out[..., column(f"{side}_plane")] = np.where(free, 8.0, out[..., column(f"{side}_plane")])
        out[..., column(f"{side}_elbow")] = np.where(free, bent, wobble["elbow"])
    sway = np.cos(2 * np.pi * cycles)
    out[..., column("lean")] = gait.lean + 0.4 * (angles[..., column("lean")] - still[column("lean")])
    out[..., column("turn")] = -0.15 * stride * sway
    out[..., column("trunk_turn")] = 0.3 * stride * sway
    return out
