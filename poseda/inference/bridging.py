"""Short gaps: frames in which a person is missing, between frames with a pose."""

from __future__ import annotations

import numpy as np

from poseda.datasets.timeline import Timeline


def short_gaps(timeline: Timeline, valid: np.ndarray, max_gap: int) -> np.ndarray:
    """Which frames (F,) lie in gaps of at most ``max_gap`` frames between valid frames (F,) of one track.

    Single pictures have no gaps.
    """
    short = np.zeros(len(timeline), bool)
    for rows in timeline.stretches(~valid):
        inside = rows.start > 0 and rows.stop < len(timeline) and timeline.step[rows.start] > 0
        if inside and rows.stop - rows.start <= max_gap:
            track = timeline.track[rows.start - 1 : rows.stop + 1]
            short[rows] = (track == track[0]).all()
    return short


def filled(values: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Values (F, ...) with those of gaps (F,) on the line between the frames before and after."""
    out = values.copy()
    for begin, end in _edges(gap):
        share = np.arange(1, end - begin) / (end - begin)
        share = share.reshape(-1, *[1] * (values.ndim - 1))
        out[begin + 1 : end] = (1 - share) * values[begin] + share * values[end]
    return out


def widened(error: np.ndarray, gap: np.ndarray, seconds: np.ndarray, acceleration: float) -> np.ndarray:
    """Expected errors (F, J) that grow with the distance of gaps' frames (F,) to the frames round them.

    A point that is known at two times, and accelerates in between as people do, is off the smooth path by at
    most half the acceleration times the time since the one and the time until the other.

    Args:
        error: metres.
        gap: frames in gaps.
        seconds: (F,) the frames' times.
        acceleration: usual one of a joint, m/s^2.
    """
    out = filled(error, gap)
    for begin, end in _edges(gap):
        inner = seconds[begin + 1 : end]
        strayed = acceleration / 2 * (inner - seconds[begin]) * (seconds[end] - inner)
        out[begin + 1 : end] = np.hypot(out[begin + 1 : end], strayed[:, None])
    return out


def _edges(gap: np.ndarray) -> list[tuple[int, int]]:
    """The frames before and after each gap."""
    change = np.diff(gap.astype(np.int8))
    begins, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1) + 1
    return list(zip(begins.tolist(), ends.tolist(), strict=True))
