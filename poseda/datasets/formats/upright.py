"""Which axis of a motion's world points up, and what told it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseda.geometry.skeleton import H36M17

CLEAR = 0.8
"""Share of a direction's length along one axis from which it points along that axis."""

ON_FLOOR = 0.2
"""Feet of a person who stands are this near to the floor at zero, in leg lengths."""

_TURNS: dict[str, tuple[tuple[int, int], ...]] = {
    "+x": ((1, 1), (2, 1), (0, 1)),
    "-x": ((1, 1), (2, -1), (0, -1)),
    "+y": ((0, 1), (2, -1), (1, 1)),
    "-y": ((0, 1), (2, 1), (1, -1)),
    "+z": ((0, 1), (1, 1), (2, 1)),
    "-z": ((0, 1), (1, -1), (2, -1)),
}
"""Axis that points up to the file's axis and sign of x, y and z in a world with z up. All are rotations."""

_ANKLES = [H36M17.joint("left_ankle"), H36M17.joint("right_ankle")]
_LEG = [H36M17.joint(f"left_{joint}") for joint in ("hip", "knee", "ankle")]
_PELVIS, _THORAX = H36M17.joint("pelvis"), H36M17.joint("thorax")


@dataclass(frozen=True)
class Up:
    """The axis that points up.

    Args:
        axis: with its sign: ``+y``.
        told_by: what told it, in words.
        warning: a sentence where something contradicts it, else empty.
    """

    axis: str
    told_by: str
    warning: str = ""

    def __str__(self) -> str:
        return f"{self.axis} is up, by {self.told_by}"


def turned(pose: np.ndarray, axis: str) -> np.ndarray:
    """Poses (..., 3) in which ``axis`` is up, in a world with z up."""
    return np.stack([sign * pose[..., at] for at, sign in _TURNS[axis]], -1)


def find_up(pose: np.ndarray, rest: np.ndarray | None = None, usual: str = "", told_by: str = "") -> Up:
    """Find which axis is up. People may lie, so the trunk of the motion alone does not tell.

    The first that is clear counts: a rest pose that stands, the place of its root above the floor, the usual
    axis of the format, the trunks of the motion. Feet on the floor of another axis overrule them.

    Args:
        pose: (N, 17, 3) h36m17, the file's axes.
        rest: (17, 3) the rest pose with its root in place, or None.
        usual: axis that the file or its format names, or empty.
        told_by: what names ``usual``.
    """
    motion = direction(_trunk(pose).mean(0))
    standing, height = ("", "") if rest is None else (_standing(rest), direction(_raised(rest)))
    found = next(
        (
            Up(axis, words)
            for axis, words in (
                (standing, "the rest pose"),
                (height, "the root's height in the rest pose"),
                (usual, told_by),
                (motion, "the trunks of the motion"),
            )
            if axis
        ),
        Up("+y", "custom, as nothing in the file shows it"),
    )
    if not motion or motion == found.axis:
        return found
    opposite = motion[1] == found.axis[1] and not standing
    on_floor = _on_floor(pose, motion) and not (standing and _on_floor(pose, found.axis))
    if opposite or on_floor:
        return Up(motion, "the trunks of the motion", f"{found.told_by} says {found.axis} is up")
    return Up(found.axis, found.told_by, f"the trunks of the motion point along {motion}: people lie or bend")


def direction(vector: np.ndarray) -> str:
    """The axis along which a (3,) direction points, with its sign; empty where it is not clear."""
    length, at = np.linalg.norm(vector), int(np.abs(vector).argmax())
    if not length > 0 or abs(vector[at]) < CLEAR * length:
        return ""
    return f"{'+' if vector[at] > 0 else '-'}{'xyz'[at]}"


def _trunk(pose: np.ndarray) -> np.ndarray:
    """(..., 3) unit vectors from the ankles to the thorax."""
    way = pose[..., _THORAX, :] - pose[..., _ANKLES, :].mean(-2)
    return np.asarray(way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-12))


def _standing(rest: np.ndarray) -> str:
    """The axis along which both legs and trunk of a rest pose point; empty if there is none.

    Some files lay out all bones along one axis of their own. Legs and trunk then point the same way.
    """
    legs = direction(rest[_PELVIS] - rest[_ANKLES].mean(0))
    trunk = direction(rest[_THORAX] - rest[_PELVIS])
    return legs if legs == trunk else ""


def _raised(rest: np.ndarray) -> np.ndarray:
    """(3,) the root's place where it is about a leg away from the origin, else zeros."""
    place, leg = rest[_PELVIS], float(leg_length(rest[None])[0])
    return place if 0.5 * leg < np.linalg.norm(place) < 2 * leg else np.zeros(3)


def leg_length(pose: np.ndarray) -> np.ndarray:
    """(N,) thigh and shin of the left leg of (N, 17, 3) poses."""
    return np.asarray(np.linalg.norm(np.diff(pose[:, _LEG], axis=1), axis=-1).sum(1))


def _on_floor(pose: np.ndarray, axis: str) -> bool:
    """Whether the ankles are the lowest joints along an axis, and near zero."""
    height = turned(pose, axis)[..., 2]
    lowest = height[:, _ANKLES].min(1)
    mostly = np.mean(lowest <= height.min(1)) > 0.5
    return bool(mostly and abs(np.percentile(lowest, 5)) < ON_FLOOR * np.median(leg_length(pose)))
