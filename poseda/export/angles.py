"""Angles of joints from the places of their centres, defined after the ISB.

Axes follow Wu et al. (2002, 2005): x forward, y up, z to the body's right. The frames of pelvis and trunk:

* pelvis: z from the left to the right hip; y towards the spine, at right angles to z; x = y x z;
* trunk: y from spine to the middle of the shoulders; x at right angles to y and to the line from the left to
  the right shoulder; z = x x y.

A limb's y axis points from its lower to its upper joint. Angles, in degrees:

* pelvis in the world, rotations about z, x and y in this order, as in OpenSim's models: ``pelvis_tilt``
  (backward), ``pelvis_list`` (right side down), ``pelvis_rotation`` (to the left). Rotation 0 faces the
  world's x. For somebody who faces z, leaning back is a list: the first axis does not turn with the body.
* trunk in the pelvis, about z, x and y: ``trunk_flexion`` (forward), ``trunk_bending`` (to the right),
  ``trunk_rotation`` (to the left).
* hip, the thigh in the pelvis, the first two rotations about z and x (Grood and Suntay 1983):
  ``hip_flexion``, ``hip_adduction``.
* knee and elbow: ``knee_flexion``, ``elbow_flexion``, 0 for a straight limb, never negative.
* ankle: ``ankle_dorsiflexion``, 0 where the foot is at right angles to the shin. It needs a toe or a foot.
* shoulder, the upper arm in the trunk, the first two rotations about y and x (Wu et al. 2005):
  ``shoulder_plane`` (0 in abduction, 90 in flexion forward) and ``shoulder_elevation`` (0 where the arm
  hangs). Where it hangs, the plane is not determined.

Rotations of a limb about itself, such as the hip's, are left out: joint centres do not show them.

Pelvis and hips have the names, signs and order of rotations of gait2392, a model of OpenSim
(opensim-org/opensim-models). The zero of a hip is that of the pelvis above, not of a scaled model's. The
others do not mean the same, so they have names of their own. ``knee_angle_r`` is negative in flexion in
gait2392, and positive in Rajagopal's model. ``ankle_angle_r`` turns about an oblique axis.
``lumbar_extension`` is that of a joint that poses do not show, with the opposite sign of ``trunk_flexion``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from poseda.geometry.skeleton import Skeleton

Angles = dict[str, np.ndarray]
"""Name of an angle to its values (T,), degrees."""

SIDES = {"right": "r", "left": "l"}
"""Side to the ending of an angle's name."""

LIMBS = {"knee_flexion": ("hip", "knee", "ankle"), "elbow_flexion": ("shoulder", "elbow", "wrist")}
"""Angle to the joints of a limb, from the body outward."""

TOES = ("toe", "foot")
"""Joints at the end of a foot, in order of preference."""


def joint_angles(position: np.ndarray, skeleton: Skeleton) -> Angles:
    """Every angle that the joints of a skeleton allow.

    Args:
        position: (T, J, 3) in any unit, y up.
        skeleton: of the positions.

    Example:
        >>> from poseda import H36M16
        >>> angles = joint_angles(np.random.default_rng(0).normal(size=(5, 16, 3)), H36M16)
        >>> len(angles), angles["knee_flexion_r"].shape
        (18, (5,))
    """
    places = {name: position[:, at] for at, name in enumerate(skeleton.joint_names)}
    found: Angles = {}
    if {"left_hip", "right_hip", "spine", "left_shoulder", "right_shoulder"} <= places.keys():
        pelvis, trunk = _pelvis(places), _trunk(places)
        found |= _of_pelvis(pelvis) | _of_trunk(pelvis.swapaxes(1, 2) @ trunk)
        for side, ending in SIDES.items():
            found |= dict(_of_hip(places, pelvis, side, ending))
            found |= dict(_of_shoulder(places, trunk, side, ending))
    for side, ending in SIDES.items():
        found |= dict(_of_limbs(places, side, ending))
    return {name: np.degrees(values) for name, values in found.items()}


def missing_angles(skeleton: Skeleton) -> list[str]:
    """The angles that a skeleton does not allow."""
    wanted = ["pelvis_tilt", "pelvis_list", "pelvis_rotation"]
    wanted += ["trunk_flexion", "trunk_bending", "trunk_rotation"]
    leg = ("hip_flexion", "hip_adduction", "knee_flexion", "ankle_dorsiflexion")
    arm = ("shoulder_plane", "shoulder_elevation", "elbow_flexion")
    wanted += [f"{name}_{ending}" for limb in (leg, arm) for ending in SIDES.values() for name in limb]
    there = joint_angles(np.zeros((1, skeleton.num_joints, 3)), skeleton)
    return [name for name in wanted if name not in there]


def _unit(vector: np.ndarray) -> np.ndarray:
    """Vectors of length 1; those of length 0 stay."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.divide(vector, length, out=np.zeros_like(vector), where=length > 0)


def _pelvis(places: dict[str, np.ndarray]) -> np.ndarray:
    """(T, 3, 3) whose columns are the axes of the pelvis."""
    z = _unit(places["right_hip"] - places["left_hip"])
    middle = (places["right_hip"] + places["left_hip"]) / 2
    x = _unit(np.cross(places["spine"] - middle, z))
    return np.stack([x, np.cross(z, x), z], -1)


def _trunk(places: dict[str, np.ndarray]) -> np.ndarray:
    """(T, 3, 3) whose columns are the axes of the trunk."""
    right, left = places["right_shoulder"], places["left_shoulder"]
    y = _unit((right + left) / 2 - places["spine"])
    x = _unit(np.cross(y, right - left))
    return np.stack([x, y, np.cross(x, y)], -1)


def _of_pelvis(axes: np.ndarray) -> Angles:
    """R = Rz(tilt) Rx(list) Ry(rotation)."""
    return {
        "pelvis_tilt": np.arctan2(-axes[:, 0, 1], axes[:, 1, 1]),
        "pelvis_list": np.arcsin(np.clip(axes[:, 2, 1], -1, 1)),
        "pelvis_rotation": np.unwrap(np.arctan2(-axes[:, 2, 0], axes[:, 2, 2])),
    }


def _of_trunk(turn: np.ndarray) -> Angles:
    """R = Rz(-flexion) Rx(bending) Ry(rotation)."""
    return {
        "trunk_flexion": np.arctan2(turn[:, 0, 1], turn[:, 1, 1]),
        "trunk_bending": np.arcsin(np.clip(turn[:, 2, 1], -1, 1)),
        "trunk_rotation": np.arctan2(-turn[:, 2, 0], turn[:, 2, 2]),
    }


def _within(places: dict[str, np.ndarray], axes: np.ndarray, low: str, high: str, side: str) -> np.ndarray:
    """(T, 3) the upward direction of a limb in the axes of pelvis or trunk; the left side is mirrored."""
    up = np.einsum("nji,nj->ni", axes, _unit(places[f"{side}_{high}"] - places[f"{side}_{low}"]))
    return up * [1, 1, 1 if side == "right" else -1]


def _of_hip(
    places: dict[str, np.ndarray], pelvis: np.ndarray, side: str, ending: str
) -> Iterator[tuple[str, np.ndarray]]:
    if f"{side}_knee" in places:
        x, y, z = _within(places, pelvis, "knee", "hip", side).T
        yield f"hip_flexion_{ending}", np.unwrap(np.arctan2(-x, y))
        yield f"hip_adduction_{ending}", np.arcsin(np.clip(z, -1, 1))


def _of_shoulder(
    places: dict[str, np.ndarray], trunk: np.ndarray, side: str, ending: str
) -> Iterator[tuple[str, np.ndarray]]:
    if f"{side}_elbow" in places:
        x, y, z = _within(places, trunk, "elbow", "shoulder", side).T
        yield f"shoulder_plane_{ending}", np.unwrap(np.arctan2(-x, -z))
        yield f"shoulder_elevation_{ending}", np.arccos(np.clip(y, -1, 1))


def _of_limbs(places: dict[str, np.ndarray], side: str, ending: str) -> Iterator[tuple[str, np.ndarray]]:
    for name, joints in LIMBS.items():
        if all(f"{side}_{joint}" in places for joint in joints):
            start, middle, end = (places[f"{side}_{joint}"] for joint in joints)
            yield f"{name}_{ending}", _angle(middle - start, end - middle)
    toe = next((f"{side}_{name}" for name in TOES if f"{side}_{name}" in places), None)
    if toe is not None and {f"{side}_knee", f"{side}_ankle"} <= places.keys():
        ankle = places[f"{side}_ankle"]
        bend = _angle(places[f"{side}_knee"] - ankle, places[toe] - ankle)
        yield f"ankle_dorsiflexion_{ending}", np.pi / 2 - bend


def _angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T,) angles between vectors (T, 3), radians."""
    return np.arctan2(np.linalg.norm(np.cross(one, other), axis=-1), (one * other).sum(-1))
