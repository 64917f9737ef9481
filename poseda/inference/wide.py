"""Recordings lifted by a wide lifter: every frame with enough seen joints, in two passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from poseda.datasets.checks import usable
from poseda.datasets.conversion import enough_seen
from poseda.datasets.detections import Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.lens import Lens
from poseda.datasets.screen import on_screen
from poseda.datasets.timeline import Timeline
from poseda.datasets.tracking import counted
from poseda.export import LiftedPoses
from poseda.geometry.camera import Camera, project, tilted_up
from poseda.geometry.placements import locate
from poseda.geometry.skeleton import Skeleton
from poseda.inference.circumstances import circumstances
from poseda.inference.fit import FitOptions, Fitted, fit, noise_of_size
from poseda.inference.model import AdaptedLifter, LiftOptions
from poseda.inference.smoothing import filtered
from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import LiftedFootage, Told, lift_frames

AXIS_SHARE = 0.57
"""Standard deviation along an axis over the distance within which 68 % of the errors lie, for errors as the
lifter's loss takes them: a Laplace distribution in space."""

REFINEMENTS = 3
"""Gauss-Newton steps of the root."""


@dataclass(frozen=True)
class Found:
    """What the first pass found in a recording, or what was given.

    Args:
        pitch, roll: degrees by clip; NaN where too few frames tell.
        error: degrees by clip, the uncertainty of the direction; 0 where it was given.
        fit: how the fit of bones of one length went, or None where it was not asked for.
        up: upward direction in camera axes by clip, of those whose tilt is known.
    """

    pitch: dict[int, float]
    roll: dict[int, float]
    error: dict[int, float]
    fit: Fitted | None
    up: dict[int, tuple[float, float, float]] = field(default_factory=dict)

    def sentence(self) -> str:
        """In words."""
        return self.tilt() + ("" if self.fit is None else f"; {self._fit(self.fit)}")

    def _fit(self, fit: Fitted) -> str:
        lost = f", {fit.unconverged} not converged" if fit.unconverged else ""
        outliers = int(fit.outlier.sum())
        return (
            f"bones of one length fitted to {counted(len(fit.tracks), 'track')}{lost}, "
            f"{outliers} detected joints taken for outliers"
        )

    def tilt(self) -> str:
        """The tilt in words."""
        known = [clip for clip, pitch in self.pitch.items() if math.isfinite(pitch)]
        if not known:
            return "camera tilt unknown: too few frames tell it"
        shown = ", ".join(
            f"{self.pitch[clip]:.0f} degrees down, rolled {self.roll[clip]:.0f} (+- {self.error[clip]:.0f})"
            for clip in known[:3]
        )
        more = f", and {len(known) - 3} clips more" if len(known) > 3 else ""
        return f"camera tilt: {shown}{more}"


def lift_wide(
    model: AdaptedLifter,
    detections: Detections2D,
    lens: Lens,
    options: LiftOptions,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LiftedPoses, Found]:
    """Lift every person of every clip; frames with fewer than ``options.min_joints`` seen joints stay gaps.

    Args:
        model: with a :class:`WideLifter`.
        detections: of one resting camera for each clip.
        lens: that camera.
        options: joints, tilt, root.
        progress: called with the number of frames lifted so far and of all.

    Raises:
        DataError: if no frame has enough seen joints.
    """
    assert isinstance(model.lifter, WideLifter)
    screen = on_screen(
        detections,
        model.skeleton,
        intrinsics=lens.intrinsics,
        fov=lens.fov,
        min_confidence=options.min_confidence,
    )
    timeline = Timeline.of(detections)
    visible = np.ones(screen.pose_2d.shape[:2], bool) if screen.shown is None else screen.shown.numpy()
    seen = visible[timeline.row] & (timeline.row >= 0)[:, None]
    detected = usable(detections, options.min_confidence)[timeline.row] & (timeline.row >= 0)[:, None]
    valid = enough_seen(detected, seen, options.min_joints)
    if not valid.any():
        raise DataError(
            f"{detections.path}: joints: expected a frame with {options.min_joints} seen joints "
            f"(--min-joints), found none; the most seen in a frame is {int(detected.sum(1).max(initial=0))}"
        )
    row = torch.from_numpy(timeline.row[valid])
    place, camera = screen.pose_2d[row], screen.camera.rows(row)
    shown = torch.from_numpy(seen[valid])
    frames = Observation.of(place, camera, shown, model.skeleton.num_groups)
    run = _runs(timeline, valid)
    lifted = lift_frames(
        model.lifter,
        frames.to(model.device),
        torch.from_numpy(timeline.clip[valid]),
        torch.from_numpy(timeline.track[valid]),
        told_by(options),
        torch.from_numpy(run),
        model.config.training.flip,
    )
    if progress is not None:
        progress(len(row), len(row))
    placed = lifted.pose_3d.cpu()
    where = locate(placed, place, camera, shown, REFINEMENTS)
    summary = None
    if options.fit:
        fitted = _fitted(lifted, frames, timeline, valid, model.skeleton, options)
        placed, where, summary = fitted.pose_3d, fitted.root, fitted
    pose_3d, error = np.full((*seen.shape, 3), np.nan, np.float32), np.full(seen.shape, np.nan, np.float32)
    pose_3d[valid], error[valid] = placed.numpy(), lifted.error.cpu().numpy()
    root = None
    if options.root != "none":
        root = np.full((len(seen), 3), np.nan, np.float32)
        root[valid] = where.numpy()
    found = _found(lifted, timeline.clip[valid], summary)
    shown_2d = np.full((*seen.shape, 2), np.nan, np.float32)
    shown_2d[valid] = torch.where(shown[..., None], place, project(placed + where[:, None], camera)).numpy()
    facts = circumstances(detections, lens, model)
    facts["camera"] = f"{lens.note}; {found.tilt()}"
    at = timeline
    poses = LiftedPoses(
        *(pose_3d, root, valid, seen, at.frame, at.person, at.clip, model.skeleton, options.rate),
        error=error,
        pose_2d=shown_2d,
        up=found.up,
        **facts,
    )
    return filtered(poses, timeline, options), found


def _fitted(
    lifted: LiftedFootage,
    frames: Observation,
    timeline: Timeline,
    valid: np.ndarray,
    skeleton: Skeleton,
    options: LiftOptions,
) -> Fitted:
    """Fit bones of one length to each person of a clip; in single pictures each person is a track."""
    track, alone = timeline.track[valid], timeline.step[valid] == 0
    track = np.where(alone, timeline.track.max() + 1 + np.arange(len(track)), track)
    rays, seen = frames.rays[:, 0], frames.seen[:, 0]
    return fit(
        lifted.pose_3d,
        AXIS_SHARE * lifted.error,
        rays,
        seen,
        torch.from_numpy(track),
        torch.from_numpy(timeline.frame[valid]),
        skeleton,
        noise=noise_of_size(rays, seen),
        stature=options.stature,
        options=FitOptions(rate=options.rate),
    )


def lift_line(
    model: AdaptedLifter, pose_2d: np.ndarray, seen: np.ndarray, camera: Camera, options: LiftOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Lift one pose (J, 2) of seen joints (J,) in one pass: (1, J, 3) and its root (1, 3), NaN if unknown."""
    assert isinstance(model.lifter, WideLifter)
    place, shown = torch.from_numpy(pose_2d)[None], torch.from_numpy(seen)[None]
    frames = Observation.of(place, camera, shown, model.skeleton.num_groups)
    one = torch.zeros(1, dtype=torch.int64)
    told = told_by(replace(options, two_passes=False))
    lifted = lift_frames(model.lifter, frames.to(model.device), one, one, told)
    pose_3d = lifted.pose_3d.cpu()
    return pose_3d.numpy(), locate(pose_3d, place, camera, shown, REFINEMENTS).numpy()


def told_by(options: LiftOptions) -> Told:
    """What the user gives and what is to be found.

    Lengths are left to the fit. Those of a first pass inherit the hips of detectors, and made real
    detections worse (benchmarks/README.md).
    """
    if options.camera_pitch is None:
        return Told(find_up=options.two_passes, find_lengths=False)
    angles = torch.deg2rad(torch.tensor([options.camera_pitch, options.camera_roll]))
    return Told(up=tilted_up(angles), find_lengths=False)


def _runs(timeline: Timeline, valid: np.ndarray) -> np.ndarray:
    """(V,) number of the stretch of successive valid frames of each valid frame."""
    number = np.full(len(timeline), -1)
    for at, rows in enumerate(timeline.stretches(valid)):
        number[rows] = at
    return number[valid]


def _found(lifted: LiftedFootage, clip: np.ndarray, fitted: Fitted | None) -> Found:
    pitch, roll, error, known = {}, {}, {}, {}
    up, spread = lifted.up.cpu().numpy(), np.degrees(lifted.up_error.cpu().numpy())
    for number in np.unique(clip):
        first = int(np.flatnonzero(clip == number)[0])
        x, y, z = up[first]
        pitch[int(number)] = float(np.degrees(-np.arcsin(np.clip(z, -1, 1))))
        roll[int(number)] = float(np.degrees(np.arctan2(x, -y)))
        error[int(number)] = float(spread[first])
        if np.isfinite(up[first]).all():
            known[int(number)] = (float(x), float(y), float(z))
    return Found(pitch, roll, error, fitted, known)
