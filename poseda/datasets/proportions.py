"""How badly a layout fits poses: joints in a wrong order make bodies with limbs that leap about.

Bones of a body nearly are the shortest tree that connects its joints, in any posture and from any side. In a
wrong order they are two to four times as long. Three measures of bodies help where orders are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseda.datasets.layouts import Layout

CHECKED_ROWS = 500
"""Detections that are looked at, spread over the file."""

FEWEST_BONES = 6
"""A detection counts from so many bones with both ends seen."""

FARTHEST = 1e9
"""Coordinates beyond this are no part of a body."""

HEADS = ("nose", "head", "head_top", "left_ear", "right_ear", "left_eye", "right_eye", "jaw", "upper_neck")
"""Joints that stand for the head, the best first."""

HEAD_NEAR = 0.5
"""The head is at most this far from the shoulders, in distances from the hips, of people in most postures."""

_LIMBS = tuple(
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
_NAMES = (*_LIMBS, "shoulders", "hips", "knees", "head_point")
_AT = {name: at for at, name in enumerate(_NAMES)}
_BONES = np.array(
    [
        [_AT[a], _AT[b]]
        for side in ("left", "right")
        for a, b in (
            (f"{side}_shoulder", f"{side}_elbow"),
            (f"{side}_elbow", f"{side}_wrist"),
            (f"{side}_hip", f"{side}_knee"),
            (f"{side}_knee", f"{side}_ankle"),
            ("shoulders", f"{side}_shoulder"),
            ("hips", f"{side}_hip"),
        )
    ]
    + [[_AT["shoulders"], _AT["hips"]], [_AT["shoulders"], _AT["head_point"]]]
)


@dataclass(frozen=True)
class Misfit:
    """What is wrong with bodies.

    Args:
        bones: length of the bones in that of the shortest tree, less one; 0.1 to 0.8 for real people.
        thighs: logarithm of the longer thigh in the shorter one.
        hips: share of the detections whose hips are farther from the shoulders than the knees are.
        head: by how much the head is too far from the shoulders, in distances from the hips.
        bodies: detections that these are medians of.
    """

    bones: float
    thighs: float
    hips: float
    head: float
    bodies: int

    @property
    def total(self) -> float:
        """Their sum, each of at most one but the first."""
        return self.bones + min(self.thighs, 1.0) + self.hips + min(self.head, 1.0)

    @property
    def words(self) -> str:
        """What is wrong, in words."""
        found = [f"bones of {1 + self.bones:.1f} times the shortest length"]
        if self.thighs > np.log(1.5):
            found.append(f"thighs that differ by a factor of {min(np.exp(self.thighs), 99):.1f}")
        if self.hips > 0.3:
            found.append("hips that are not between shoulders and knees")
        if self.head > 0.2:
            found.append("a head that is not at the shoulders")
        return ", ".join(found)


def misfit(layout: Layout, pose_2d: np.ndarray, seen: np.ndarray) -> Misfit | None:
    """How badly a layout fits.

    Args:
        layout: of the poses.
        pose_2d: (N, J, 2) in any unit.
        seen: (N, J) bool.

    Returns:
        medians over the detections, or None where too little of the bodies is seen.

    Example:
        >>> from poseda.datasets.layouts import LAYOUTS
        >>> heap = np.zeros((1, 17, 2)), np.zeros((1, 17), bool)
        >>> misfit(LAYOUTS["coco17"], *heap) is None
        True
    """
    points, there = _points(layout, pose_2d, seen)
    between = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    between = np.where(there[:, :, None] & there[:, None], between, np.inf)
    tree = np.delete(np.delete(between, _AT["knees"], 1), _AT["knees"], 2)
    lengths = between[:, _BONES[:, 0], _BONES[:, 1]]
    bones = np.isfinite(lengths).sum(1)
    shortest = _shortest(tree, bones)
    rows = (bones >= FEWEST_BONES) & (shortest > 0)
    if not rows.any():
        return None
    total = np.where(np.isfinite(lengths), lengths, 0.0).sum(1)
    between = between[rows]
    return Misfit(
        bones=float(np.median(total[rows] / shortest[rows])) - 1,
        thighs=_median(
            np.abs(np.log(_ratio(between, ("left_hip", "left_knee"), ("right_hip", "right_knee"))))
        ),
        hips=_mean(_ratio(between, ("shoulders", "hips"), ("shoulders", "knees")) > 1),
        head=max(
            _median(_ratio(between, ("head_point", "shoulders"), ("head_point", "hips"))) - HEAD_NEAR, 0.0
        ),
        bodies=int(rows.sum()),
    )


def _points(layout: Layout, pose_2d: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, P, 2) the points of :data:`_NAMES`, zeros where unseen, and (N, P) bool."""
    points, there = np.zeros((len(pose_2d), len(_NAMES), 2)), np.zeros((len(pose_2d), len(_NAMES)), bool)
    column = {name: at for at, name in enumerate(layout.joint_names)}
    with np.errstate(invalid="ignore"):
        seen = seen & (np.abs(pose_2d) < FARTHEST).all(-1)
    for name in _LIMBS:
        if name in column:
            points[:, _AT[name]], there[:, _AT[name]] = pose_2d[:, column[name]], seen[:, column[name]]
    for name, joint in (("shoulders", "shoulder"), ("hips", "hip"), ("knees", "knee")):
        sides = [_AT[f"left_{joint}"], _AT[f"right_{joint}"]]
        points[:, _AT[name]], there[:, _AT[name]] = points[:, sides].mean(1), there[:, sides].all(1)
    head = _AT["head_point"]
    for name in HEADS:
        if name in column:
            new = seen[:, column[name]] & ~there[:, head]
            points[new, head] = pose_2d[new, column[name]]
            there[:, head] |= new
    return np.where(there[..., None], points, 0.0), there


def _shortest(between: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """(N,) length of the shortest forest with so many connections, by Prim's algorithm."""
    rows, points = np.arange(len(between)), between.shape[1]
    start = np.isfinite(between).any(2).argmax(1)
    inside = np.zeros(between.shape[:2], bool)
    inside[rows, start] = True
    nearest, added = between[rows, start].copy(), np.empty((len(between), points - 1))
    for step in range(points - 1):
        outside = np.where(inside, np.inf, nearest)
        new = outside.argmin(1)
        added[:, step] = outside[rows, new]
        inside[rows, new] = True
        nearest = np.minimum(nearest, between[rows, new])
    added.sort(1)
    counted = np.arange(points - 1) < bones[:, None]
    return np.asarray(np.where(counted & np.isfinite(added), added, 0.0).sum(1))


def _ratio(between: np.ndarray, one: tuple[str, str], other: tuple[str, str]) -> np.ndarray:
    """One distance in another, of the rows that have both and are not shorter than a thousandth."""
    a, b = (between[:, _AT[first], _AT[second]] for first, second in (one, other))
    rows = np.isfinite(a) & np.isfinite(b) & (a + b > 0)
    a, b = a[rows], b[rows]
    least = 1e-3 * (a + b)
    return np.asarray(np.maximum(a, least) / np.maximum(b, least))


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else 0.0
