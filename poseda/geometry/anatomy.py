"""An articulated body: joint angles within anatomical ranges to joint positions.

The body frame is x forward, y left, z up, metres; angles are in degrees, positive in the direction that each
name says, and mean the same on both sides (a left arm raised and a right arm raised both have ``raise`` > 0).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from poseda.geometry.skeleton import H36M16

Array = NDArray[np.float64]

SKELETON = H36M16

CENTRAL_RANGES: dict[str, tuple[float, float]] = {
    "lean": (-20, 80),  # pelvis forward
    "tilt": (-20, 20),  # pelvis to the left
    "turn": (-25, 25),  # pelvis to the left
    "trunk_flex": (-25, 55),  # chest forward over the pelvis
    "trunk_side": (-30, 30),  # chest to the left
    "trunk_turn": (-40, 40),  # chest to the left
    "neck_flex": (-45, 45),  # head forward over the chest
    "neck_side": (-30, 30),  # head to the left
}
"""Degrees of freedom on the midline, with their anatomical ranges."""

SIDED_RANGES: dict[str, tuple[float, float]] = {
    "thigh": (-35, 125),  # forward of the vertical
    "spread": (-12, 50),  # thigh outward
    "thigh_twist": (-35, 50),  # outward, about the thigh
    "knee": (2, 150),  # bent
    "raise": (-50, 172),  # upper arm away from hanging, in the plane below
    "plane": (-35, 125),  # 0 raises forward, 90 sideways, negative across the chest
    "arm_twist": (-80, 80),  # inward, about the upper arm
    "elbow": (4, 148),  # bent
    "shrug": (-5, 20),  # shoulder upward
}
"""Degrees of freedom of each side, with their anatomical ranges."""

SIDES = ("left", "right")

DEGREES: tuple[str, ...] = (*CENTRAL_RANGES, *(f"{side}_{name}" for side in SIDES for name in SIDED_RANGES))
"""The columns of every table of angles, D of them."""

RANGES: Array = np.array(
    [*CENTRAL_RANGES.values(), *(SIDED_RANGES[name] for _ in SIDES for name in SIDED_RANGES)],
    dtype=np.float64,
)
"""(D, 2) least and greatest angle, degrees."""

HIP_FLEXION = (-30.0, 130.0)
"""Range of thigh plus pelvis lean: the angle the hip itself is bent by."""

CLEARANCE: dict[str, float] = {
    "ankle": 0.08,
    "knee": 0.07,
    "wrist": 0.05,
    "hip": 0.11,
    "pelvis": 0.11,
    "elbow": 0.05,
    "head_top": 0.05,
}
"""Height of a joint, metres, when the flesh around it rests on the floor."""


def column(name: str) -> int:
    """Column of a degree of freedom in a table of angles."""
    return DEGREES.index(name)


def mirrored(angles: Array) -> Array:
    """The same posture with left and right exchanged: (..., D) to (..., D)."""
    order, sign = np.arange(len(DEGREES)), np.ones(len(DEGREES))
    for index, name in enumerate(DEGREES):
        if name in ("tilt", "turn", "trunk_side", "trunk_turn", "neck_side"):
            sign[index] = -1
        elif name.startswith("left_"):
            order[index] = column(name.replace("left_", "right_"))
        elif name.startswith("right_"):
            order[index] = column(name.replace("right_", "left_"))
    return angles[..., order] * sign


def within_ranges(angles: Array) -> Array:
    """Bring angles (..., D) into their anatomical ranges, that of the hip included."""
    out = np.clip(angles, RANGES[:, 0], RANGES[:, 1])
    lean = out[..., column("lean")]
    for side in SIDES:
        thigh = column(f"{side}_thigh")
        out[..., thigh] = np.clip(out[..., thigh], HIP_FLEXION[0] - lean, HIP_FLEXION[1] - lean)
    return out


def turn_about(axis: str, degrees: Array) -> Array:
    """Rotation matrices (N, 3, 3) about one axis of the body frame by angles (N,), degrees."""
    angle = np.radians(degrees)
    sine, cosine = np.sin(angle), np.cos(angle)
    one, two = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.broadcast_to(np.eye(3), (*angle.shape, 3, 3)).copy()
    matrix[..., one, one] = matrix[..., two, two] = cosine
    matrix[..., two, one], matrix[..., one, two] = sine, -sine
    return matrix


def posed(angles: Array, lengths: Array, heading: Array) -> Array:
    """Joint positions with the pelvis at the origin.

    Args:
        angles: (N, D) degrees.
        lengths: (N, K) bone lengths, metres.
        heading: (N,) degrees to the left of the world's x axis.

    Returns:
        (N, J, 3) metres, z up.
    """
    angle = {name: angles[:, index] for index, name in enumerate(DEGREES)}
    pose = np.zeros((len(angles), SKELETON.num_joints, 3))
    attach = partial(_attach, pose, lengths)
    facing = turn_about("z", heading + angle["turn"])
    pelvis = facing @ turn_about("x", -angle["tilt"]) @ turn_about("y", angle["lean"])
    # The spine bends half below its middle joint and half above.
    flex, side, twist = angle["trunk_flex"] / 2, -angle["trunk_side"] / 2, angle["trunk_turn"] / 2
    half = turn_about("z", twist) @ turn_about("x", side) @ turn_about("y", flex)
    lower = pelvis @ half
    chest = lower @ half
    head = chest @ turn_about("x", -angle["neck_side"]) @ turn_about("y", angle["neck_flex"])
    attach("spine", lower, (0, 0, 1))
    attach("thorax", chest, (0, 0, 1))
    attach("head_top", head, (0.1, 0, 1))
    for name, sign in zip(SIDES, (1, -1), strict=True):
        own = {degree: angle[f"{name}_{degree}"] for degree in SIDED_RANGES}
        # An arm raised beyond 60 degrees takes the shoulder along.
        lift = own["shrug"] + 0.25 * np.clip(own["raise"] - 60, 0, None)
        thigh, arm = facing @ _thigh(own, sign), chest @ _upper_arm(own, sign)
        attach(f"{name}_hip", pelvis, (0, sign, 0))
        attach(f"{name}_knee", thigh, (0, 0, -1))
        attach(f"{name}_ankle", thigh @ turn_about("y", own["knee"]), (0, 0, -1))
        attach(f"{name}_shoulder", chest @ turn_about("x", sign * lift), (0, sign, -0.15))
        attach(f"{name}_elbow", arm, (0, 0, -1))
        attach(f"{name}_wrist", arm @ turn_about("y", -own["elbow"]), (0, 0, -1))
    return pose


def _attach(
    pose: Array, lengths: Array, joint: str, frame: Array, direction: tuple[float, float, float]
) -> None:
    """Put a joint (in place) at its bone's length from its parent, along a direction of a turned frame."""
    index = SKELETON.joint(joint)
    unit = np.array(direction) / np.linalg.norm(direction)
    pose[:, index] = pose[:, SKELETON.parents[index]] + lengths[:, index - 1, None] * (frame @ unit)


def _thigh(own: dict[str, Array], sign: int) -> Array:
    """Turn (N, 3, 3) of one thigh from hanging; ``sign`` is 1 on the left and -1 on the right."""
    forward, outward = turn_about("y", -own["thigh"]), turn_about("x", sign * own["spread"])
    return forward @ outward @ turn_about("z", sign * own["thigh_twist"])


def _upper_arm(own: dict[str, Array], sign: int) -> Array:
    """Turn (N, 3, 3) of one upper arm from hanging: raised in its plane, then twisted about itself."""
    plane = turn_about("z", sign * own["plane"])
    raised = plane @ turn_about("y", -own["raise"]) @ plane.transpose(0, 2, 1)
    return raised @ turn_about("z", -sign * own["arm_twist"])


def on_floor(pose: Array) -> Array:
    """Stand clips on the floor z = 0 and let whatever touches it stay where it is.

    Args:
        pose: (C, F, J, 3) clips of frames with the pelvis at the origin, metres, z up.

    Returns:
        (C, F, J, 3): the lowest point of each frame rests on the floor, and the body moves over it, so that a
        walk advances by its own steps. The first frame's pelvis is above the origin.
    """
    clearance = np.full(SKELETON.num_joints, -np.inf)
    for index, name in enumerate(SKELETON.joint_names):
        stem = name.removeprefix("left_").removeprefix("right_")
        clearance[index] = CLEARANCE.get(stem, -np.inf)
    rise = clearance - pose[..., 2]
    touching = rise.argmax(-1)[..., None, None]
    foothold = np.take_along_axis(pose[..., :2], np.broadcast_to(touching, (*touching.shape[:-1], 2)), 2)[
        :, :, 0
    ]
    # The point touching now keeps its place until the next frame.
    later = np.take_along_axis(
        pose[:, 1:, :, :2], np.broadcast_to(touching[:, :-1], (*touching[:, :-1].shape[:-1], 2)), 2
    )[:, :, 0]
    travel = np.zeros((*pose.shape[:2], 3))
    travel[:, 1:, :2] = np.cumsum(foothold[:, :-1] - later, 1)
    travel[..., 2] = rise.max(-1)
    return pose + travel[:, :, None]
