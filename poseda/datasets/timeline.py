"""Detections in order of time: the frames of each person, and joints filled in over short gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from poseda.datasets.detections import Detections2D

MOST_APART = 4
"""Pictures that usually are more than this many frames apart are single ones, and no film."""

MOST_FRAMES = 20_000
"""Of a film whose frames are mostly empty, eleven minutes. Numbers that span more are no film's."""

FEWEST_SEEN = 0.5
"""Share of the joints that must be detected in a frame for the others to be filled in."""


@dataclass(frozen=True)
class Timeline:
    """F frames, in order of clip, person and frame.

    Args:
        row: (F,) row of the detections, or -1 where the person was not detected.
        frame, person, clip: (F,) int64.
        track: (F,) int64, rising: one number for each person of each clip.
        step: (F,) int64 frames from one to the next in time, 0 in a track of single pictures.
    """

    row: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    clip: np.ndarray
    track: np.ndarray
    step: np.ndarray

    @classmethod
    def of(cls, detections: Detections2D) -> Timeline:
        """Order detections. Of two of one person in one frame, the more confident stays.

        The step between frames of a clip is the greatest common divisor of the differences of their numbers.
        """
        parts = []
        for number, rows, step in tracks(detections):
            clip, frames = int(detections.clip[rows[0]]), detections.frame[rows]
            count = int(frames[-1] - frames[0]) // step + 1
            if single_pictures(frames, step):
                place, step, count = np.arange(len(frames)), 0, len(frames)
            else:
                place = (frames - frames[0]) // step
            row = np.full(count, -1)
            row[place] = rows
            shown = frames if step == 0 else frames[0] + step * np.arange(count)
            person = detections.person[rows[0]]
            columns = (row, shown, *(np.full(count, value) for value in (person, clip, number, step)))
            parts.append(np.stack(columns).astype(np.int64))
        return cls(*np.concatenate(parts, 1))

    def __len__(self) -> int:
        return len(self.row)

    def stretches(self, valid: np.ndarray) -> Iterator[slice]:
        """Rows of successive valid frames (F,) of one track; single pictures come one by one."""
        new = (self.track[1:] != self.track[:-1]) | (self.step[1:] == 0) | (valid[1:] != valid[:-1])
        begins = np.flatnonzero(np.r_[True, new][: len(self)])
        for begin, end in zip(begins, [*begins[1:], len(self)], strict=True):
            if valid[begin]:
                yield slice(int(begin), int(end))


def tracks(detections: Detections2D) -> Iterator[tuple[int, np.ndarray, int]]:
    """The number of each track, its rows in order of time, and the frames from one picture to the next.

    Of two detections of one person in one frame, the more confident stays.
    """
    best, clips = detections.confidence.sum(1), np.unique(detections.clip)
    steps = {int(clip): step_of(detections.frame[detections.clip == clip]) for clip in clips}
    order = np.lexsort((-best, detections.frame, detections.track))
    numbers, starts = np.unique(detections.track[order], return_index=True)
    for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        first = np.unique(detections.frame[rows], return_index=True)[1]
        yield number, rows[first], steps[int(detections.clip[rows[0]])]


def step_of(frames: np.ndarray) -> int:
    """Frames from one picture to the next: the greatest common divisor of all distances."""
    distances = np.diff(np.unique(frames))
    return int(np.gcd.reduce(distances)) if len(distances) else 1


def single_pictures(frames: np.ndarray, step: int) -> bool:
    """Whether pictures have nothing to do with each other in time: no frames are added between them.

    Someone who leaves a film for long and returns is still in a film: it is the usual distance that counts.

    Args:
        frames: (N,) rising numbers.
        step: of the clip, see :func:`step_of`.
    """
    if len(frames) < 2:
        return False
    apart = np.sort(np.diff(frames)) // step
    span = int(frames[-1] - frames[0]) // step + 1
    empty = span > MOST_FRAMES and span > MOST_APART * len(frames)
    return bool(apart[(len(apart) - 1) // 2] > MOST_APART) or empty


def fill_in(
    pose_2d: np.ndarray, seen: np.ndarray, timeline: Timeline, max_gap: int
) -> tuple[np.ndarray, np.ndarray]:
    """Put joints that are unseen for a while on the line between where they were seen before and after.

    Args:
        pose_2d: (F, J, 2).
        seen: (F, J) bool.
        timeline: of the frames.
        max_gap: most frames a joint may be unseen.

    Returns:
        (F, J, 2), and which frames now have all joints and had at least half of them (F,) bool.
    """
    filled, known = pose_2d.copy(), seen.copy()
    enough = seen.mean(1) >= FEWEST_SEEN
    _, starts = np.unique(timeline.track, return_index=True)
    for rows in np.split(np.arange(len(seen)), starts[1:]):
        if timeline.step[rows[0]] == 0 or seen[rows].all():
            continue
        at = np.arange(len(rows))
        for joint in np.flatnonzero(~seen[rows].all(0)):
            there = np.flatnonzero(seen[rows, joint])
            if not len(there):
                continue
            # Seen places before and after each frame; none before the first and after the last.
            after = np.searchsorted(there, at)
            inside = (after > 0) & (after < len(there)) & ~seen[rows, joint]
            hole = there[np.minimum(after, len(there) - 1)] - there[np.maximum(after - 1, 0)] - 1
            new = rows[inside & (hole <= max_gap)]
            for axis in range(2):
                line = np.interp(at, there, pose_2d[rows[there], joint, axis])
                filled[new, joint, axis] = line[new - rows[0]]
            known[new, joint] = True
    return filled, known.all(1) & enough
