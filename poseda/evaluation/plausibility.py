"""Whether a human body can take a pose: its joint angles against their anatomical ranges.

Angles are measured in frames of the trunk, so neither gravity nor the camera matters. They are the angles of
:mod:`poseda.geometry.anatomy`, as far as joint positions determine them. The twist of a limb is the direction
in which its knee or elbow bends. So a knee that bends backwards is twisted by 180 degrees.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from poseda.geometry.anatomy import CENTRAL_RANGES, HIP_FLEXION, SIDED_RANGES, SIDES
from poseda.geometry.skeleton import Skeleton

TOLERANCE = 15.0
"""Degrees beyond a range that are accepted, because data sets place their joints differently."""

BENT = 30.0
"""Degrees; a knee or elbow that is bent less has no reliable direction of bending."""

LIMITS: dict[str, tuple[float, float]] = {
    "hip": (
        HIP_FLEXION[0] + CENTRAL_RANGES["trunk_flex"][0] / 2,
        HIP_FLEXION[1] + CENTRAL_RANGES["trunk_flex"][1] / 2,
    ),
    "knee": (0.0, SIDED_RANGES["knee"][1]),
    "knee direction": SIDED_RANGES["thigh_twist"],
    "elbow": (0.0, SIDED_RANGES["elbow"][1]),
    "elbow direction": SIDED_RANGES["arm_twist"],
    "neck": (0.0, CENTRAL_RANGES["neck_flex"][1]),
}
"""Ranges in degrees. The hip is measured against the lower half of the trunk, so its range includes half of
the trunk's flexion."""


def joint_angles(pose: Tensor, skeleton: Skeleton) -> dict[str, Tensor]:
    """Angles that have a range.

    Args:
        pose: (N, J, 3) metres in any right-handed frame.
        skeleton: its joints are found by name. Without a joint, its angles are left out.

    Returns:
        By name of :data:`LIMITS`: (N, S) degrees for S = 1 or 2 sides, NaN where undetermined.
    """
    at = {name: pose[:, index].double() for index, name in enumerate(skeleton.joint_names)}
    if not all(f"{side}_{name}" in at for side in SIDES for name in ("hip", "shoulder")):
        return {}
    hips, shoulders = (at[f"left_{name}"] - at[f"right_{name}"] for name in ("hip", "shoulder"))
    middle = {name: (at[f"left_{name}"] + at[f"right_{name}"]) / 2 for name in ("hip", "shoulder")}
    neck = at.get("thorax", middle["shoulder"])
    waist = at.get("spine")
    trunk = neck - middle["hip"]
    lower = _frame(hips, trunk if waist is None else waist - middle["hip"], keep_up=False)
    upper = _frame(shoulders, trunk if waist is None else neck - waist, keep_up=True)
    found: dict[str, list[Tensor]] = {name: [] for name in LIMITS}
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        limb = _limb(at, f"{side}_hip", f"{side}_knee", f"{side}_ankle", lower)
        if limb is not None:
            found["hip"].append(torch.atan2(limb[0][:, 0], -limb[0][:, 2]))
            found["knee"].append(_bend(*limb))
            found["knee direction"].append(sign * _thigh_twist(*limb))
        limb = _limb(at, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", upper)
        if limb is not None:
            found["elbow"].append(_bend(*limb))
            found["elbow direction"].append(-sign * _arm_twist(*limb))
    if "head_top" in at:
        head = _local(upper, at["head_top"] - neck)
        found["neck"].append(torch.acos(head[:, 2].clamp(-1, 1)))
    angles = {name: torch.rad2deg(torch.stack(values, 1)) for name, values in found.items() if values}
    for hinge in ("knee", "elbow"):
        if hinge in angles:
            straight = angles[hinge] < BENT
            angles[f"{hinge} direction"] = angles[f"{hinge} direction"].masked_fill(straight, torch.nan)
    return angles


def outside(angles: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Which poses are outside each range by more than :data:`TOLERANCE`.

    Args:
        angles: of :func:`joint_angles`.

    Returns:
        By name of :data:`LIMITS`: (N,) bool, true if either side is outside. Undetermined angles are inside.
    """
    return {
        name: ((angle < LIMITS[name][0] - TOLERANCE) | (angle > LIMITS[name][1] + TOLERANCE)).any(1)
        for name, angle in angles.items()
    }


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=-1, keepdim=True).clamp(min=1e-9)


def _frame(left: Tensor, up: Tensor, keep_up: bool) -> Tensor:
    """(N, 3, 3) rows forward, left, up. One of the given directions is kept, the other made orthogonal."""
    if keep_up:
        up = _unit(up)
        left = _unit(left - (left * up).sum(-1, keepdim=True) * up)
    else:
        left = _unit(left)
        up = _unit(up - (up * left).sum(-1, keepdim=True) * left)
    return torch.stack([torch.linalg.cross(left, up), left, up], 1)


def _local(frame: Tensor, vector: Tensor) -> Tensor:
    return (frame @ _unit(vector)[..., None])[..., 0]


def _limb(
    at: dict[str, Tensor], top: str, middle: str, end: str, frame: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Directions (N, 3) of a limb's two bones in a frame of the trunk, or None where a joint is missing."""
    if not all(name in at for name in (top, middle, end)):
        return None
    return _local(frame, at[middle] - at[top]), _local(frame, at[end] - at[middle])


def _bend(first: Tensor, second: Tensor) -> Tensor:
    return torch.acos((first * second).sum(-1).clamp(-1, 1))


def _thigh_twist(thigh: Tensor, shin: Tensor) -> Tensor:
    """Rotation of the leg about the thigh, to the left: 0 where the shin points straight back.

    The thigh hangs along (0, 0, -1). It is rotated about x by its spread, then about y by its flexion. Both
    are undone here.
    """
    flexion, spread = torch.atan2(thigh[:, 0], -thigh[:, 2]), torch.asin(thigh[:, 1].clamp(-1, 1))
    x, y, z = shin.unbind(-1)
    x, z = flexion.cos() * x + flexion.sin() * z, -flexion.sin() * x + flexion.cos() * z
    return torch.atan2(-(spread.cos() * y + spread.sin() * z), -x)


def _arm_twist(arm: Tensor, forearm: Tensor) -> Tensor:
    """Rotation of the arm about itself, to the left: 0 where the forearm of a hanging arm points forward.

    The arm hangs along (0, 0, -1) and is raised by the smallest rotation, which is undone here.
    """
    axis = torch.stack([arm[:, 1], -arm[:, 0], torch.zeros_like(arm[:, 0])], -1)
    sine, cosine = axis.norm(dim=-1, keepdim=True), -arm[:, 2:]
    axis = axis / sine.clamp(min=1e-9)
    along = axis * (axis * forearm).sum(-1, keepdim=True)
    back = along + (forearm - along) * cosine - torch.linalg.cross(axis, forearm) * sine
    return torch.atan2(back[:, 1], back[:, 0])
