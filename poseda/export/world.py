"""Lifted people in a world with y up: on one clock, on one floor, their gaps bridged, their ends held.

The world is that of animation programs: metres, y up, x to the camera's right, z towards the camera. Upward
is the direction that was found or given for the clip; where there is none, the camera counts as level. The
camera stands above the origin of the floor.

The floor is at height 0, and everybody stands on it, by one definition for all formats
(:func:`floor_height`). With roots, each person is moved up or down as a whole: the lowest joints of a share
:data:`LOWEST` of the frames lie beneath the floor. Depths are estimates, so people would otherwise stand on
floors of their own. Without roots, the lowest joint of every frame stands on the floor, and everybody stands
above the origin. Rigs have bones of one length, so they are put on the floor by their own joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from poseda.datasets.timeline import single_pictures, step_of
from poseda.geometry.world import LEVEL, world_axes

if TYPE_CHECKING:
    from poseda.export.poses import LiftedPoses

LOWEST = 0.05
"""Share of the frames whose lowest joint may lie beneath the floor: estimates of a few frames are far off."""


@dataclass(frozen=True)
class Actor:
    """One person of a clip, on the clip's clock of T frames.

    Args:
        clip, person: numbers.
        title: name of the clip and number of the person, or that of a file of this person; on one line.
        frame: (T,) numbers in the recording, the same for all people of the clip.
        time: (T,) seconds from the first frame of the clip.
        position: (T, J, 3) metres, world; on the line between known frames in a gap, else the nearest.
        known: (T,) bool, false in frames that were bridged or held.
        seen: (T, J) bool, joints that were detected.
        rooted: whether the person stands in a place of its own.
    """

    clip: int
    person: int
    title: str
    frame: np.ndarray
    time: np.ndarray
    position: np.ndarray
    known: np.ndarray
    seen: np.ndarray
    rooted: bool

    def bridged(self) -> list[tuple[int, int]]:
        """First and last frame number of each stretch between known frames."""
        first, last = self._ends()
        return self._stretches(first, last + 1)

    def held(self) -> list[tuple[int, int]]:
        """First and last frame number of the stretches outside the known frames, where one pose is held."""
        first, last = self._ends()
        return self._stretches(0, first) + self._stretches(last + 1, len(self.known))

    def until(self, frames: int) -> Actor:
        """The first frames."""
        columns = ("frame", "time", "position", "known", "seen")
        return replace(self, **{name: getattr(self, name)[:frames] for name in columns})

    def _ends(self) -> tuple[int, int]:
        there = np.flatnonzero(self.known)
        return int(there[0]), int(there[-1])

    def _stretches(self, begin: int, end: int) -> list[tuple[int, int]]:
        """First and last frame number of each stretch of unknown frames from one row to before another."""
        gap = begin + np.flatnonzero(~self.known[begin:end])
        parts = np.split(gap, np.flatnonzero(np.diff(gap) > 1) + 1)
        return [(int(self.frame[part[0]]), int(self.frame[part[-1]])) for part in parts if len(part)]


def ended(people: Sequence[Actor]) -> list[Actor]:
    """People of one clip without the frames after the last in which anybody is known."""
    last = max(actor._ends()[1] for actor in people)
    return [actor.until(last + 1) for actor in people]


def actors(poses: LiftedPoses) -> list[Actor]:
    """Everybody with a valid frame, in the order of :meth:`LiftedPoses.tracks`."""
    clocks = {int(clip): _clock(poses.frame[poses.clip == clip]) for clip in np.unique(poses.clip)}
    return [
        _actor(poses, clip, person, rows, clocks[clip])
        for clip, person, rows in poses.tracks()
        if poses.valid[rows].any()
    ]


def _clock(frames: np.ndarray) -> np.ndarray:
    """Frame numbers of a clip, evenly spaced but in single pictures, which come one after the other."""
    frames = np.unique(frames)
    if len(frames) == 1:
        return frames
    step = step_of(frames)
    if single_pictures(frames, step):
        return frames
    return np.arange(frames[0], frames[-1] + 1, step)


def _actor(poses: LiftedPoses, clip: int, person: int, rows: slice, clock: np.ndarray) -> Actor:
    axes = world_axes(poses.up.get(clip, LEVEL))
    valid = poses.valid[rows]
    at = np.searchsorted(clock, poses.frame[rows])
    place = poses.pose_3d[rows][valid].astype(np.float64) @ axes.T
    known = np.zeros(len(clock), bool)
    known[at[valid]] = True
    pose = _between(clock, clock[at[valid]], place)
    if poses.root is not None:
        root = poses.root[rows][valid].astype(np.float64) @ axes.T
        there = np.isfinite(root).all(1)
        if there.any():
            pose += _between(clock, clock[at[valid]][there], root[there])[:, None]
    rooted = poses.root is not None
    pose[..., 1] -= floor_height(pose[..., 1], known, rooted)[:, None]
    seen = np.zeros((len(clock), pose.shape[1]), bool)
    seen[at] = poses.visible[rows]
    step = 1 / poses.rate
    # Single pictures have no times of their own: they follow each other at the rate of the recording.
    even = len(clock) < 2 or len(np.unique(np.diff(clock))) == 1
    time = (clock - clock[0]) * step if even else np.arange(len(clock)) * step
    title = f"{' '.join(poses.clip_name(clip).split())} person{person}"
    return Actor(clip, person, title, clock, time, pose, known, seen, rooted)


def _between(clock: np.ndarray, frames: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (N, ...) of some frames on the line between them, the nearest outside: (T, ...)."""
    after = np.clip(np.searchsorted(frames, clock), 1, max(len(frames) - 1, 1))
    if len(frames) == 1:
        return np.repeat(values, len(clock), 0)
    share = (clock - frames[after - 1]) / (frames[after] - frames[after - 1])
    share = np.clip(share, 0, 1).reshape(-1, *[1] * (values.ndim - 1))
    return (1 - share) * values[after - 1] + share * values[after]


def floor_height(height: np.ndarray, known: np.ndarray, rooted: bool) -> np.ndarray:
    """Where a person's floor is: (T,) metres.

    Args:
        height: (T, J) metres, of joints.
        known: (T,) bool, frames that were neither bridged nor held.
        rooted: one floor for all frames: the height above which the lowest joint is in all but a share
            :data:`LOWEST` of the known frames. Else the lowest joint of each frame.
    """
    lowest = height.min(1)
    return np.full(len(lowest), np.quantile(lowest[known], LOWEST)) if rooted else lowest
