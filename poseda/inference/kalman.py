"""A causal filter of motion: each joint moves on by its velocity, and a new measurement corrects it.

Kalman's filter (1960) of places and velocities. Velocities change at random, and fade where nothing is
measured (Singer 1970). They change the more, the faster a joint moves. So people at rest are still, and fast
limbs do not lag. The constants were chosen on the training clips of a motion-capture benchmark
(benchmarks/README.md), not on the clips of its table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from poseda.inference.model import axis_error

REST, RISE = 0.5, 4.0
"""Change of a velocity within a second, m/s, standard deviation: at rest, and more for each m/s of speed."""

FADING = 0.3
"""Seconds in which a velocity that is not measured fades to 37 %."""

DEPTH = 2.0
"""Errors of lifted joints along the camera's axis, over those across."""

FIRST_SPEED = 0.3
"""Of a person who appears, along each axis: m/s, standard deviation."""

ROOT_ERROR, ROOT_DEPTH = 0.006, 5.0
"""Trembling of located roots over their distance, and how much larger it is along the camera's axis."""

USUAL_ERROR = 0.08
"""Metres, of lifters that do not tell theirs."""

SMALLEST = 1e-3
"""Metres; no measurement is trusted beyond this."""


class MotionFilter:
    """Filters the points of one person, from past frames alone.

    Args:
        rate: frames a second.
        depth: errors along the camera's axis (z), over those across.

    Attributes:
        unmeasured: frames since the latest measurement.
    """

    def __init__(self, rate: float, depth: float = DEPTH) -> None:
        self.unmeasured = 0
        self._rate, self._along = rate, np.array([1.0, 1.0, depth])
        self._place: np.ndarray | None = None

    @property
    def started(self) -> bool:
        """Whether a measurement came."""
        return self._place is not None

    @property
    def spread(self) -> np.ndarray:
        """(J,) metres, standard deviation of the joints' distance from where they are taken to be."""
        return np.asarray(np.sqrt(self._variance.sum(1)))

    def __call__(self, value: np.ndarray, sigma: np.ndarray, frames: int = 1) -> np.ndarray:
        """Filter the next measurement.

        Args:
            value: (J, 3) metres.
            sigma: (J,) metres, standard deviation of its error along an axis across the view.
            frames: since the one before.
        """
        noise = (sigma[:, None] * self._along) ** 2
        if self._place is None:
            self._place, self._velocity = value.astype(np.float64), np.zeros(value.shape)
            self._variance, self._shared = noise, np.zeros(value.shape)
            self._speeds = np.full(value.shape, FIRST_SPEED**2)
            return value
        self.coast(frames)
        self.unmeasured = 0
        new = value - self._place
        gain = self._variance / (self._variance + noise)
        gain_speed = self._shared / (self._variance + noise)
        self._place = self._place + gain * new
        self._velocity = self._velocity + gain_speed * new
        self._speeds = self._speeds - gain_speed * self._shared
        self._variance, self._shared = (1 - gain) * self._variance, (1 - gain) * self._shared
        return self._place.astype(value.dtype)

    def coast(self, frames: int = 1) -> np.ndarray:
        """Move on by motion alone: (J, 3) metres, where the points are taken to be after some frames."""
        assert self._place is not None
        self.unmeasured += frames
        time = frames / self._rate
        kept = np.exp(-time / FADING)
        reach = FADING * (1 - kept)
        change = (REST + RISE * np.linalg.norm(self._velocity, axis=1, keepdims=True)) ** 2
        variance, shared, speeds = self._variance, self._shared, self._speeds
        self._variance = variance + 2 * reach * shared + reach**2 * speeds + change * time**3 / 3
        self._shared = kept * (shared + reach * speeds) + change * time**2 / 2
        self._speeds = kept**2 * speeds + change * time
        self._place = self._place + reach * self._velocity
        self._velocity = kept * self._velocity
        return self._place.astype(np.float32)


class Steadied(NamedTuple):
    """A filtered pose.

    Attributes:
        pose_3d: (J, 3) metres.
        root: (3,) metres, or None where unknown.
        error: (J,) metres, expected distance to the truth. It grows while a joint is not seen.
        measured: whether the frame held a pose; if not, this one is where motion leads.
    """

    pose_3d: np.ndarray
    root: np.ndarray | None
    error: np.ndarray
    measured: bool


class _Uncertainty(NamedTuple):
    """Expected errors (J,) and the filter's spread (J,) at a moment, metres."""

    error: np.ndarray
    spread: np.ndarray

    def grown(self, spread: np.ndarray) -> np.ndarray:
        """Errors later, when the spread has grown."""
        return np.sqrt(self.error**2 + np.maximum(spread**2 - self.spread**2, 0))


class PersonFilter:
    """Filters the lifted poses of a person and bridges short gaps by motion.

    Args:
        rate: frames a second.
        max_gap: most frames without a pose that are bridged. They are counted by the smallest step that came:
            of every third frame, one is missing where numbers rise by six.
    """

    def __init__(self, rate: float, max_gap: int) -> None:
        self._rate, self._max_gap, self._step = rate, max_gap, np.inf
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._joints, self._root = MotionFilter(self._rate), MotionFilter(self._rate, ROOT_DEPTH)
        self._latest: _Uncertainty | None = None
        self._seen: _Uncertainty | None = None

    def __call__(
        self,
        pose_3d: np.ndarray | None,
        error: np.ndarray | None = None,
        seen: np.ndarray | None = None,
        root: np.ndarray | None = None,
        frames: int = 1,
    ) -> Steadied | None:
        """Filter the next frame.

        Args:
            pose_3d: (J, 3) metres, or None in a frame without a pose.
            error: (J,) metres, expected distance to the truth. Default: :data:`USUAL_ERROR`.
            seen: (J,) bool. Default: all are.
            root: (3,) metres, or None where unknown.
            frames: since the one before, above 0.

        Returns:
            The filtered pose; None in a gap that is not bridged.
        """
        if self._latest is not None:
            self._step = min(self._step, frames)
            missing = (self._joints.unmeasured + frames) / self._step - (pose_3d is not None)
            if missing > self._max_gap:
                self.reset()
        if pose_3d is None:
            if self._latest is None:
                return None
            place = self._root.coast(frames)[0] if self._root.started else None
            coasted = self._joints.coast(frames)
            return Steadied(coasted, place, self._latest.grown(self._joints.spread), False)
        error = np.full(len(pose_3d), USUAL_ERROR) if error is None else error
        seen = np.ones(len(pose_3d), bool) if seen is None else seen
        filtered = self._joints(pose_3d, np.maximum(axis_error(error, ~seen), SMALLEST), frames)
        return Steadied(filtered, self._placed(root, frames), self._told(error, seen), True)

    def _told(self, error: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Errors (J,) of a measured frame: the lifter's, or less for joints that were seen just before."""
        spread = self._joints.spread
        never = _Uncertainty(np.full_like(error, np.inf), spread)
        before = self._seen or never
        told = np.minimum(before.grown(spread), np.maximum(error, before.error))
        told = np.where(seen | np.isinf(before.error), error, told)
        known, at = np.where(seen, error, before.error), np.where(seen, spread, before.spread)
        self._seen, self._latest = _Uncertainty(known, at), _Uncertainty(told, spread)
        return told

    def _placed(self, root: np.ndarray | None, frames: int) -> np.ndarray | None:
        """The filtered root; an unknown one moves on."""
        if root is None or not np.isfinite(root).all():
            if self._root.started and self._root.unmeasured + frames <= self._max_gap:
                return np.asarray(self._root.coast(frames)[0])
            self._root = MotionFilter(self._rate, ROOT_DEPTH)
            return None
        sigma = np.array([max(ROOT_ERROR * float(np.linalg.norm(root)), SMALLEST)])
        return np.asarray(self._root(root[None], sigma, frames)[0])
