"""The truth in place of one property of lifted poses, and what error is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

SEGMENTS = (
    *((None, f"{side}_hip") for side in ("left", "right")),
    *((f"{side}_hip", f"{side}_knee") for side in ("left", "right")),
    *((f"{side}_knee", f"{side}_ankle") for side in ("left", "right")),
    *(("trunk", f"{side}_shoulder") for side in ("left", "right")),
    *((f"{side}_shoulder", f"{side}_elbow") for side in ("left", "right")),
    *((f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")),
)
"""Start and end of each segment of a body, from the middle of the hips (None) on; ``trunk`` is the middle of
the shoulders."""


@dataclass(frozen=True)
class Lift:
    """F lifted poses beside the truth about them, camera axes.

    Args:
        names: of the L joints.
        centre: joints whose middle is the origin of poses that are compared.
        pose: (F, L, 3) metres, about the centre.
        truth: (F, L, 3) metres from the camera; NaN where unknown.
        rays: (F, L, 2) x/z and y/z of the 2D that was lifted.
        seen: (F, L) bool, joints with a ray.
        person: (F,) number of the person.
    """

    names: tuple[str, ...]
    centre: tuple[int, ...]
    pose: np.ndarray
    truth: np.ndarray
    rays: np.ndarray
    seen: np.ndarray
    person: np.ndarray

    def middle(self, points: np.ndarray) -> np.ndarray:
        """(F, 1, 3) the centre of points (F, L, 3)."""
        return np.asarray(points[:, list(self.centre)].mean(1, keepdims=True))

    @property
    def about_centre(self) -> np.ndarray:
        """(F, L, 3) the truth about the centre."""
        return np.asarray(self.truth - self.middle(self.truth))

    @property
    def error(self) -> float:
        """Mean over joints, then over poses, of the distance to the truth, millimetres."""
        distance = np.linalg.norm(self.pose - self.about_centre, axis=-1)
        return float(1000 * np.nanmean(np.nanmean(distance, 1)))

    def moved(self, pose: np.ndarray) -> Lift:
        """The same with other poses, brought back about the centre."""
        return replace(self, pose=pose - self.middle(pose))


def body_axes(lift: Lift) -> np.ndarray:
    """(F, 3, 3) rows: from right to left, up the trunk, and forward, of each lifted pose."""
    place = {name: lift.pose[:, at] for at, name in enumerate(lift.names)}
    across = place["left_hip"] - place["right_hip"]
    up = place["left_shoulder"] + place["right_shoulder"] - place["left_hip"] - place["right_hip"]
    up = up / np.linalg.norm(up, axis=1, keepdims=True)
    across = across - (across * up).sum(1, keepdims=True) * up
    across = across / np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([across, up, np.cross(across, up)], 1)


def joint_offsets(lifts: Iterable[Lift]) -> np.ndarray:
    """(L, 3) metres, where the true joints are from the lifted ones on average, in the body's axes.

    A joint that is nowhere known has none.
    """
    residuals = np.concatenate(
        [np.einsum("fij,flj->fli", body_axes(lift), lift.about_centre - lift.pose) for lift in lifts]
    )
    count = np.isfinite(residuals).sum(0)
    return np.asarray(np.nansum(residuals, 0) / np.maximum(count, 1))


def with_offsets(lift: Lift, offsets: np.ndarray) -> Lift:
    """Every joint moved by its offset (L, 3) in the body's axes."""
    return lift.moved(lift.pose + np.einsum("li,fij->flj", offsets, body_axes(lift)))


def with_lengths(lift: Lift) -> Lift:
    """Every segment with the direction of the lifted one, and as long as the person's usual true one.

    Trunk and shoulders bend, so they are scaled by the ratio of the usual lengths.
    """
    vectors, true = _segments(lift, lift.pose), _segments(lift, lift.about_centre)
    pose = lift.pose.copy()
    for person in np.unique(lift.person):
        rows = lift.person == person
        place: dict[str | None, np.ndarray] = {None: np.zeros((int(rows.sum()), 3))}
        place["trunk"] = _scaled(vectors["trunk"][rows], true["trunk"][rows])
        for start, end in SEGMENTS:
            both = np.concatenate([true[side + _bare(end)][rows] for side in ("left_", "right_")])
            stretch = _scaled if start == "trunk" else _as_long
            place[end] = place[start] + stretch(vectors[end][rows], both)
            pose[rows, lift.names.index(end)] = place[end]
    return lift.moved(pose)


def with_size(lift: Lift) -> Lift:
    """Poses of each person scaled so that their usual segments add up to the true ones."""
    own, true = _segments(lift, lift.pose), _segments(lift, lift.about_centre)
    pose = lift.pose.copy()
    for person in np.unique(lift.person):
        rows = lift.person == person
        known = [end for end, vectors in true.items() if np.isfinite(vectors[rows]).any()]
        pose[rows] *= sum(_usual(true[end][rows]) for end in known) / sum(
            _usual(own[end][rows]) for end in known
        )
    return lift.moved(pose)


def on_rays(lift: Lift) -> Lift:
    """Seen joints on their rays, each as far behind the centre as was lifted, at the centre's true depth."""
    depth = lift.middle(lift.truth)[..., 2:] + lift.pose[..., 2:]
    placed = np.concatenate([lift.rays * depth, depth], -1)
    apart = lift.pose + lift.middle(lift.truth)
    return lift.moved(np.where(lift.seen[..., None], placed, apart))


ALONE: dict[str, Callable[[Lift], Lift]] = {"size": with_size, "lengths": with_lengths, "place": on_rays}
"""What needs nothing but the lift itself."""

AFTER = ("size", "lengths", "offsets", "place")
"""What is put in after lifting, in this order."""


def _segments(lift: Lift, points: np.ndarray) -> dict[str, np.ndarray]:
    """Vectors (F, 3) of the trunk and of all segments, by the end."""
    place: dict[str | None, np.ndarray] = {name: points[:, at] for at, name in enumerate(lift.names)}
    place[None] = (place["left_hip"] + place["right_hip"]) / 2
    place["trunk"] = (place["left_shoulder"] + place["right_shoulder"]) / 2
    return {end: place[end] - place[start] for start, end in ((None, "trunk"), *SEGMENTS)}


def _bare(joint: str) -> str:
    return joint.removeprefix("left_").removeprefix("right_")


def _usual(vectors: np.ndarray) -> float:
    return float(np.nanmedian(np.linalg.norm(vectors, axis=-1)))


def _scaled(vectors: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Vectors (F, 3) whose usual length is that of the true ones; as they are if none is known."""
    return vectors * (_usual(true) / _usual(vectors)) if np.isfinite(true).any() else vectors


def _as_long(vectors: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Vectors (F, 3), each of the usual length of the true ones; as they are if none is known."""
    if not np.isfinite(true).any():
        return vectors
    return np.asarray(vectors * _usual(true) / np.linalg.norm(vectors, axis=-1, keepdims=True))


class Scene(ABC):
    """People that one lifter lifts, with labels: a file of clips, or a pair of domains.

    Attributes:
        replaced: what is put in, one by one.
        together: what is put in together.
        told: what of it is put in before lifting, by :meth:`lift`; the rest is in :data:`AFTER`.
    """

    replaced: ClassVar[tuple[str, ...]]
    together: ClassVar[frozenset[str]]
    told: ClassVar[frozenset[str]]

    def __init__(self) -> None:
        self._kept: dict[tuple[frozenset[str], bool], Mapping[str, Lift]] = {}

    @abstractmethod
    def lift(self, given: frozenset[str], learning: bool) -> Mapping[str, Lift]:
        """Lifts by view, given some of ``told``: of what offsets are learned on, or of what is scored."""

    def errors(self) -> dict[str, dict[str, Any]]:
        """Number of frames and errors in millimetres by view; ``own`` is the error of the lift as it is."""
        ways = {"own": frozenset[str]()} | {name: frozenset({name}) for name in self.replaced}
        found: dict[str, dict[str, Any]] = {}
        for way, names in (ways | {"all": self.together}).items():
            for view, lift in self.substituted(names, learning=False).items():
                entry = found.setdefault(view, {"frames": len(lift.pose), "errors": {}})
                entry["errors"][way] = lift.error
        return found

    def substituted(self, names: frozenset[str], learning: bool) -> Mapping[str, Lift]:
        """Lifts by view with the truth of these names put in."""
        key = names & self.told, learning
        if key not in self._kept:
            self._kept[key] = self.lift(*key)
        lifts = self._kept[key]
        for name in (name for name in AFTER if name in names - self.told):
            if name == "offsets":
                offsets = joint_offsets(self.substituted(names - {"offsets", "place"}, True).values())
                lifts = {view: with_offsets(lift, offsets) for view, lift in lifts.items()}
            else:
                lifts = {view: ALONE[name](lift) for view, lift in lifts.items()}
        return lifts
