"""An articulated body: joint angles within anatomical ranges, and the joint positions they give.

The body frame is x forward, y left, z up, in metres. Angles are in degrees and positive in the direction that
their name says. They mean the same on both sides: a raised left arm and a raised right arm both have
``raise`` > 0.
"""

from __future__ import annotations

import numpy as np

from poseda.geometry.kinematics import forward_kinematics
from poseda.geometry.rotation import Array, about_axis, unit
from poseda.geometry.skeleton import H36M16

SKELETON = H36M16
"""The joints of the articulated body."""

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


def _rotation(axis: str, degrees: Array) -> Array:
    """Rotations (N, 3, 3) about an axis of the body frame by (N,) degrees."""
    return about_axis(axis, np.radians(degrees))


def _trunk(pelvis: Array, angle: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Frames (N, 3, 3) of lower spine, chest and head above a pelvis."""
    # The spine bends half below its middle joint and half above.
    flex, side, twist = angle["trunk_flex"] / 2, -angle["trunk_side"] / 2, angle["trunk_turn"] / 2
    half = _rotation("z", twist) @ _rotation("x", side) @ _rotation("y", flex)
    lower = pelvis @ half
    chest = lower @ half
    head = chest @ _rotation("x", -angle["neck_side"]) @ _rotation("y", angle["neck_flex"])
    return lower, chest, head


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
    facing = _rotation("z", heading + angle["turn"])
    pelvis = facing @ _rotation("x", -angle["tilt"]) @ _rotation("y", angle["lean"])
    lower, chest, head = _trunk(pelvis, angle)
    direction = {
        "spine": _along(lower, 0, 0, 1),
        "thorax": _along(chest, 0, 0, 1),
        "head_top": _along(head, 0.1, 0, 1),
    }
    for name, sign in zip(SIDES, (1, -1), strict=True):
        own = {degree: angle[f"{name}_{degree}"] for degree in SIDED_RANGES}
        # An arm raised beyond 60 degrees takes the shoulder along.
        lift = own["shrug"] + 0.25 * np.clip(own["raise"] - 60, 0, None)
        thigh, arm = facing @ _thigh(own, sign), chest @ _upper_arm(own, sign)
        direction |= {
            f"{name}_hip": _along(pelvis, 0, sign, 0),
            f"{name}_knee": _along(thigh, 0, 0, -1),
            f"{name}_ankle": _along(thigh @ _rotation("y", own["knee"]), 0, 0, -1),
            f"{name}_shoulder": _along(chest @ _rotation("x", sign * lift), 0, sign, -0.15),
            f"{name}_elbow": _along(arm, 0, 0, -1),
            f"{name}_wrist": _along(arm @ _rotation("y", -own["elbow"]), 0, 0, -1),
        }
    bones = np.stack([direction[joint] for joint in SKELETON.joint_names[1:]], 1)
    root = np.zeros((len(angles), 3))
    return forward_kinematics(root, lengths[..., None] * bones, SKELETON.parents)


def _along(frame: Array, *direction: float) -> Array:
    """(N, 3) unit vectors of a direction that is given in rotated frames (N, 3, 3)."""
    return np.asarray(frame @ unit(np.array(direction)))


def _thigh(own: dict[str, Array], sign: int) -> Array:
    """Rotation (N, 3, 3) of one thigh from hanging; ``sign`` is 1 on the left and -1 on the right."""
    forward, outward = _rotation("y", -own["thigh"]), _rotation("x", sign * own["spread"])
    return forward @ outward @ _rotation("z", sign * own["thigh_twist"])


def _upper_arm(own: dict[str, Array], sign: int) -> Array:
    """Rotation (N, 3, 3) of one upper arm from hanging: it is raised in its plane, then twisted."""
    plane = _rotation("z", sign * own["plane"])
    raised = plane @ _rotation("y", -own["raise"]) @ plane.transpose(0, 2, 1)
    return raised @ _rotation("z", -sign * own["arm_twist"])


def on_floor(pose: Array) -> Array:
    """Stand clips on the floor z = 0 and keep the joint that touches it in its place.

    Args:
        pose: (C, F, J, 3) clips of frames with the pelvis at the origin, metres, z up.

    Returns:
        (C, F, J, 3). The lowest point of each frame rests on the floor. The body moves over that point, so a
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
