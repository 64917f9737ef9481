"""Filters over time: Savitzky and Golay's without delay for recordings, One-Euro and Kalman's for streams."""

from __future__ import annotations

import numpy as np

from poseda.config import SmoothingConfig
from poseda.datasets.timeline import Timeline
from poseda.export import LiftedPoses
from poseda.inference.kalman import PersonFilter
from poseda.inference.model import LiftOptions

ORDER = 3
"""Degree of Savitzky-Golay's polynomial."""

DERIVATIVE_CUTOFF = 1.0
"""Hertz, of One-Euro's filter on the speed, as its authors set it."""


def savgol(values: np.ndarray, window: int) -> np.ndarray:
    """Savitzky and Golay (1964): each value is that of the cubic which fits its window best.

    Within half a window of an end, values are those of the cubic of the first or last window. Shorter clips
    are fitted with the largest odd window that they allow. Below ``ORDER + 2`` frames they stay as they are.

    Args:
        values: (F, ...).
        window: frames, odd.
    """
    frames = len(values)
    window = min(window, frames - 1 + frames % 2)
    if window < ORDER + 2:
        return values
    half = window // 2
    powers = np.vander(np.arange(-half, half + 1) / half, ORDER + 1)
    fitted = powers @ np.linalg.pinv(powers)  # (window, window): row i gives the fit's value at place i
    flat = values.reshape(frames, -1).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(flat, window, axis=0)
    middle = windows @ fitted[half]
    begin, end = fitted[:half] @ flat[:window], fitted[half + 1 :] @ flat[-window:]
    return np.concatenate([begin, middle, end]).reshape(values.shape).astype(values.dtype)


class OneEuro:
    """Casiez, Roussel and Vogel (CHI 2012): an exponential filter. Its cut-off rises with speed.

    Each point in space has its own cut-off, from the length of its velocity.

    Args:
        config: cut-off at rest and its slope.
        rate: frames a second.
    """

    def __init__(self, config: SmoothingConfig, rate: float) -> None:
        self.config, self.rate = config, rate
        self._value: np.ndarray | None = None
        self._velocity: np.ndarray | None = None

    def __call__(self, value: np.ndarray, frames: int = 1) -> np.ndarray:
        """Filter points (..., 3), metres, of the frame that comes ``frames`` after the last."""
        rate = self.rate / frames
        if self._value is None or self._velocity is None:
            self._value, self._velocity = value, np.zeros_like(value)
            return value
        velocity = (value - self._value) * rate
        self._velocity = self._velocity + _share(DERIVATIVE_CUTOFF, rate) * (velocity - self._velocity)
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        share = _share(self.config.cutoff + self.config.beta * speed, rate)
        self._value = self._value + share * (value - self._value)
        return self._value.astype(value.dtype)


def _share(cutoff: float | np.ndarray, rate: float) -> float | np.ndarray:
    """Weight of the new value in an exponential filter of that cut-off, hertz, at a rate."""
    return 1 / (1 + rate / (2 * np.pi * cutoff))


def smoothed(values: np.ndarray, config: SmoothingConfig, rate: float) -> np.ndarray:
    """Filter successive frames (F, ..., 3) without gaps."""
    if config.filter == "savgol":
        return savgol(values, config.window)
    if config.filter == "one_euro":
        step = OneEuro(config, rate)
        return np.stack([step(value) for value in values])
    return values


def filtered(poses: LiftedPoses, timeline: Timeline, options: LiftOptions) -> LiftedPoses:
    """Smooth, in place, each stretch of successive frames. Kalman's filter also bridges gaps, by motion."""
    if options.smooth.filter == "none":
        return poses
    if options.smooth.filter == "kalman":
        return _steadied(poses, timeline, options)
    for rows in timeline.stretches(poses.valid):
        rate = options.frames_per_second / max(int(timeline.step[rows.start]), 1)
        poses.pose_3d[rows] = smoothed(poses.pose_3d[rows], options.smooth, rate)
    if poses.root is not None:
        for rows in timeline.stretches(np.isfinite(poses.root).all(1)):
            rate = options.frames_per_second / max(int(timeline.step[rows.start]), 1)
            poses.root[rows] = smoothed(poses.root[rows], options.smooth, rate)
    return poses


def _steadied(poses: LiftedPoses, timeline: Timeline, options: LiftOptions) -> LiftedPoses:
    """Filter each person in place, as a stream would. It runs on for ``max_gap`` frames of a gap."""
    for _, _, rows in poses.tracks():
        step = int(timeline.step[rows.start])
        if step == 0:
            continue  # single pictures
        person = PersonFilter(options.frames_per_second / step, options.max_gap)
        for row in range(rows.start, rows.stop):
            valid = bool(poses.valid[row])
            error = None if poses.error is None else poses.error[row]
            root = None if poses.root is None else poses.root[row]
            result = person(poses.pose_3d[row] if valid else None, error, poses.visible[row], root)
            if result is None:
                continue
            poses.pose_3d[row], poses.valid[row] = result.pose_3d, True
            if poses.error is not None:
                poses.error[row] = result.error
            if poses.root is not None and result.root is not None:
                poses.root[row] = result.root
    return poses
