"""Recordings lifted by a wide lifter: every frame with enough seen joints, in two passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.checks import unseen, usable
from poseda.datasets.conversion import enough_seen
from poseda.datasets.detections import Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.lens import Lens
from poseda.datasets.records import UnlabelledPoses
from poseda.datasets.screen import on_screen
from poseda.datasets.timeline import Timeline
from poseda.datasets.tracking import counted
from poseda.export import LiftedPoses
from poseda.geometry.camera import Camera, project, tilted_up
from poseda.geometry.placements import locate
from poseda.geometry.skeleton import Skeleton
from poseda.inference.bridging import filled, short_gaps, widened
from poseda.inference.circumstances import circumstances
from poseda.inference.estimates import at_limits, bone_lengths
from poseda.inference.fit import FitOptions, Fitted, fit, noise_of_size
from poseda.inference.model import AdaptedLifter, LiftOptions, axis_error, hidden_for_short
from poseda.inference.moving import lift_moving
from poseda.inference.smoothing import filtered
from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import LiftedFootage, Told, lift_frames

REFINEMENTS = 3
"""Gauss-Newton steps of the root."""

UNTOLD = 10.0
"""Metres, the error of poses that stand in gaps until the fit moves them: motion alone counts there."""


@dataclass(frozen=True)
class Found:
    """What the first pass found in a recording, or what was given.

    Args:
        pitch, roll: degrees by clip; NaN where too few frames tell.
        error: degrees by clip, the uncertainty of the direction; 0 where it was given.
        fit: how the fit of bones of one length went, or None where it was not asked for.
        up: upward direction in camera axes by clip, of resting cameras whose tilt is known.
        moved: least and greatest pitch by clip, of moving cameras; no one direction is upward there.
        bridged: frames without enough seen joints that motion bridges.
        at_limits: sentences on estimates that stand at a limit.
    """

    pitch: dict[int, float]
    roll: dict[int, float]
    error: dict[int, float]
    fit: Fitted | None
    up: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    moved: dict[int, tuple[float, float]] = field(default_factory=dict)
    bridged: int = 0
    at_limits: tuple[str, ...] = ()

    def sentence(self) -> str:
        """In words."""
        return self.tilt() + ("" if self.fit is None else f"; {self._fit(self.fit)}")

    def _fit(self, fit: Fitted) -> str:
        outliers = int(fit.outlier.sum())
        said = (
            f"bones of one length fitted to {counted(len(fit.tracks), 'track')}, "
            f"{counted(outliers, 'detected joint')} taken for {'an outlier' if outliers == 1 else 'outliers'}"
        )
        if fit.unconverged:
            tracks = counted(fit.unconverged, "track")
            said += f"; the fit of {tracks} was not finished (--overlay shows how good it is)"
        return said

    def tilt(self) -> str:
        """The tilt in words."""
        known = [clip for clip, pitch in self.pitch.items() if math.isfinite(pitch)]
        if not known:
            return "camera tilt unknown: too few frames tell it"
        shown = ", ".join(self._tilt_of(clip) for clip in known[:3])
        more = f", and {len(known) - 3} clips more" if len(known) > 3 else ""
        return f"camera tilt: {shown}{more}"

    def _tilt_of(self, clip: int) -> str:
        spread = f"(+- {self.error[clip]:.0f})"
        if clip in self.moved:
            least, most = self.moved[clip]
            return f"{_pitched(least)} to {_pitched(most)} {spread}"
        return f"{_pitched(self.pitch[clip])}, rolled {round(self.roll[clip])} {spread}"


def _pitched(degrees: float) -> str:
    """Where a camera looks, in words."""
    whole = round(degrees)
    return f"{counted(abs(whole), 'degree')} {'down' if whole > 0 else 'up'}" if whole else "level"


def lift_wide(
    model: AdaptedLifter,
    detections: Detections2D,
    lens: Lens,
    options: LiftOptions,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LiftedPoses, Found]:
    """Lift every person of every clip. Gaps are frames with fewer than ``options.min_joints`` seen joints.

    The fit bridges gaps of up to ``options.max_gap`` frames by motion. No joint is marked as seen there, but
    those that were, and expected errors grow with the time to frames with a pose.

    Args:
        model: with a :class:`WideLifter`.
        detections: of one camera for each clip.
        lens: that camera.
        options: joints, gaps, tilt, fit, root, filter.
        progress: called with the number of frames lifted so far and of all.

    Raises:
        DataError: if no frame has enough seen joints.
    """
    assert isinstance(model.lifter, WideLifter)
    timeline = Timeline.of(detections)
    screen, seen, enough = _seen(detections, lens, model, timeline, options)
    gap = short_gaps(timeline, enough, options.max_gap if options.fit else 0)
    sight = _Sight.of(screen, timeline, seen, enough | gap, model.skeleton)
    lifted = _lifted(model, sight, timeline, enough, options)
    if progress is not None:
        progress(int(enough.sum()), int(enough.sum()))
    pose_3d, error = np.full((*seen.shape, 3), np.nan, np.float32), np.full(seen.shape, np.nan, np.float32)
    pose_3d[enough], error[enough] = lifted.pose_3d.cpu().numpy(), lifted.error.cpu().numpy()
    error[enough, model.skeleton.parents.index(-1)] = 0  # poses have their origin there
    error = widened(error, gap, timeline.frame / options.frames_per_second, FitOptions.acceleration)
    placed, summary = torch.from_numpy(filled(pose_3d, gap)[sight.held]), None
    if options.fit:
        short = hidden_for_short(seen, timeline.track, timeline.frame / options.frames_per_second)
        told = np.where(gap[:, None], np.float32(UNTOLD), axis_error(error, short))
        sigma = torch.from_numpy(told[sight.held])
        summary = _fitted(placed, sigma, sight, timeline, model.skeleton, options)
        placed, where = summary.pose_3d, summary.root
        error[sight.held] *= summary.scale[:, None].numpy()  # expected errors grow with the body
    else:
        where = locate(placed, sight.place, sight.camera, sight.shown, REFINEMENTS)
    pose_3d[sight.held] = placed.numpy()
    found = _found(lifted, timeline.clip[enough], summary, options)
    facts = circumstances(detections, lens, model)
    facts["camera"] = f"{lens.note}; {found.tilt()}"
    at = timeline
    poses = LiftedPoses(
        *(pose_3d, None, enough | gap, seen, at.frame, at.person, at.clip, model.skeleton),
        rate=options.frames_per_second,
        rate_assumed=options.rate is None,
        error=error,
        pose_2d=sight.spread(
            torch.where(sight.shown[..., None], sight.place, sight.projected(placed, where))
        ),
        up=found.up,
        **facts,
    )
    if options.root != "none":
        poses = replace(poses, root=sight.spread(where))
    whose = at.clip[enough], at.person[enough]
    final = torch.from_numpy(pose_3d[enough])
    given = options.fit and options.stature is not None
    lengths = bone_lengths(lifted.pose_3d.cpu(), final, *whose, model.skeleton, given)
    poses = replace(filtered(poses, timeline, options), lengths=lengths)
    limits = tuple(at_limits(found, poses, model, options))
    return poses, replace(found, bridged=int((poses.valid & ~enough).sum()), at_limits=limits)


def _seen(
    detections: Detections2D, lens: Lens, model: AdaptedLifter, timeline: Timeline, options: LiftOptions
) -> tuple[UnlabelledPoses, np.ndarray, np.ndarray]:
    """Detections on the screen, seen joints (F, J), and which frames (F,) have enough of them.

    Raises:
        DataError: if none has.
    """
    screen = on_screen(
        detections,
        model.skeleton,
        intrinsics=lens.intrinsics,
        fov=lens.fov,
        min_confidence=options.min_confidence,
    )
    visible = np.ones(screen.pose_2d.shape[:2], bool) if screen.shown is None else screen.shown.numpy()
    there = (timeline.row >= 0)[:, None]
    seen = visible[timeline.row] & there
    detected = usable(detections, options.min_confidence)[timeline.row] & there
    enough = enough_seen(detected, seen, options.min_joints)
    if not detected.any():
        raise unseen(detections, options.min_confidence)
    if not enough.any():
        raise DataError(
            f"{detections.path}: joints: expected a frame with {options.min_joints} seen joints "
            f"(--min-joints), found none; the most seen in a frame is {int(detected.sum(1).max(initial=0))}"
        )
    return screen, seen, enough


@dataclass(frozen=True)
class _Sight:
    """What the camera saw in H of F frames.

    Args:
        held: (F,) bool, these frames.
        place: (H, J, 2) screen coordinates.
        shown: (H, J) bool, seen joints.
        camera: H cameras. A frame without a detection has that of the frame before.
        frames: H single frames.
    """

    held: np.ndarray
    place: Tensor
    shown: Tensor
    camera: Camera
    frames: Observation

    @classmethod
    def of(
        cls,
        screen: UnlabelledPoses,
        timeline: Timeline,
        seen: np.ndarray,
        held: np.ndarray,
        skeleton: Skeleton,
    ) -> _Sight:
        latest = np.maximum.accumulate(np.where(timeline.row >= 0, np.arange(len(held)), 0))
        row = torch.from_numpy(timeline.row[latest][held])
        place, camera = screen.pose_2d[row], screen.camera.rows(row)
        shown = torch.from_numpy(seen[held])
        return cls(held, place, shown, camera, Observation.of(place, camera, shown, skeleton.num_groups))

    def projected(self, pose_3d: Tensor, root: Tensor) -> Tensor:
        """(H, J, 2) where the camera shows poses (H, J, 3) with roots (H, 3)."""
        return project(pose_3d + root[:, None], self.camera)

    def spread(self, values: Tensor) -> np.ndarray:
        """Values (H, ...) of these frames among all (F, ...), NaN in the others."""
        out = np.full((len(self.held), *values.shape[1:]), np.nan, np.float32)
        out[self.held] = values.numpy()
        return out


def _lifted(
    model: AdaptedLifter, sight: _Sight, timeline: Timeline, enough: np.ndarray, options: LiftOptions
) -> LiftedFootage:
    """Lift the frames with enough seen joints (F,)."""
    assert isinstance(model.lifter, WideLifter)
    frames = sight.frames.rows(torch.from_numpy(enough[sight.held])).to(model.device)
    clip, track = timeline.clip[enough], timeline.track[enough]
    run = torch.from_numpy(_runs(timeline, enough))
    average = model.config.training.flip
    if options.moving_camera and options.two_passes:
        seconds = timeline.frame[enough] / options.frames_per_second
        return lift_moving(model.lifter, frames, clip, track, seconds, run, average)
    numbers = torch.from_numpy(clip), torch.from_numpy(track)
    return lift_frames(model.lifter, frames, *numbers, told_by(options), run, average)


def _fitted(
    pose_3d: Tensor,
    sigma: Tensor,
    sight: _Sight,
    timeline: Timeline,
    skeleton: Skeleton,
    options: LiftOptions,
) -> Fitted:
    """Fit bones of one length to each person of a clip; in single pictures each person is a track."""
    track, alone = timeline.track[sight.held], timeline.step[sight.held] == 0
    track = np.where(alone, timeline.track.max() + 1 + np.arange(len(track)), track)
    rays, seen = sight.frames.rays[:, 0], sight.shown
    return fit(
        pose_3d,
        sigma,
        rays,
        seen,
        torch.from_numpy(track),
        torch.from_numpy(timeline.frame[sight.held]),
        skeleton,
        noise=noise_of_size(rays, seen),
        stature=options.stature,
        options=FitOptions(rate=options.frames_per_second),
    )


def lift_line(
    model: AdaptedLifter, pose_2d: np.ndarray, seen: np.ndarray, camera: Camera, options: LiftOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lift one pose (J, 2) of seen joints (J,) in one pass.

    Returns:
        The pose (J, 3), its root (3,), NaN if unknown, and the expected errors (J,); metres.
    """
    assert isinstance(model.lifter, WideLifter)
    place, shown = torch.from_numpy(pose_2d)[None], torch.from_numpy(seen)[None]
    frames = Observation.of(place, camera, shown, model.skeleton.num_groups)
    one = torch.zeros(1, dtype=torch.int64)
    told = told_by(replace(options, two_passes=False))
    lifted = lift_frames(model.lifter, frames.to(model.device), one, one, told)
    pose_3d = lifted.pose_3d.cpu()
    error = lifted.error[0].cpu().numpy()
    error[model.skeleton.parents.index(-1)] = 0
    return pose_3d[0].numpy(), locate(pose_3d, place, camera, shown, REFINEMENTS)[0].numpy(), error


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


def _found(lifted: LiftedFootage, clip: np.ndarray, fitted: Fitted | None, options: LiftOptions) -> Found:
    pitch, roll, error, known, moved = {}, {}, {}, {}, {}
    up, spread = lifted.up.cpu().numpy(), np.degrees(lifted.up_error.cpu().numpy())
    for number in np.unique(clip).tolist():
        rows = np.flatnonzero(clip == number)
        pitches = np.degrees(-np.arcsin(np.clip(up[rows, 2], -1, 1)))
        x, y, _ = up[rows[0]]
        pitch[number] = float(pitches.mean())
        roll[number] = float(np.degrees(np.arctan2(x, -y)))
        error[number] = float(spread[rows].mean())
        if np.isfinite(up[rows]).all():
            if options.moving_camera:
                moved[number] = (float(pitches.min()), float(pitches.max()))
            else:
                known[number] = (float(x), float(y), float(up[rows[0], 2]))
    return Found(pitch, roll, error, fitted, known, moved)
