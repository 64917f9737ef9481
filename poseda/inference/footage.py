"""From detections of recordings to lifted poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from poseda.datasets.checks import unseen, usable
from poseda.datasets.detections import Detections2D
from poseda.datasets.lens import Lens
from poseda.datasets.records import DataError
from poseda.datasets.screen import on_screen
from poseda.datasets.timeline import FEWEST_SEEN, Timeline, fill_in
from poseda.export import LiftedPoses
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton
from poseda.inference.circumstances import circumstances, given_up
from poseda.inference.model import AdaptedLifter, LiftOptions
from poseda.inference.smoothing import filtered
from poseda.inference.trajectory import root_position
from poseda.inference.wide import lift_wide

BATCH = 4096
"""Frames lifted between two reports of progress."""


def lift_footage(
    model: AdaptedLifter,
    detections: Detections2D,
    lens: Lens,
    options: LiftOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LiftedPoses:
    """Lift every person of every clip; :func:`lift_wide` also tells what a wide lifter found.

    Args:
        model: the lifter.
        detections: of one camera.
        lens: that camera; it matters for the root alone.
        options: gaps, root, filter, rate.
        progress: called with the number of frames lifted so far and of all.

    Raises:
        DataError: if no frame has a pose that can be lifted.
    """
    options = options or LiftOptions()
    if model.wide:
        return lift_wide(model, detections, lens, options, progress)[0]
    frames = _Frames.of(detections, lens, model, options)
    pose_3d = np.full((*frames.seen.shape, 3), np.nan, np.float32)
    root = None if options.root == "none" else np.full((len(pose_3d), 3), np.nan, np.float32)
    done, total = 0, int(frames.valid.sum())
    for rows in frames.batches(model.frames):
        pose_2d = torch.from_numpy(frames.pose_2d[rows])
        lifted = model.lift(pose_2d)
        pose_3d[rows] = lifted.numpy()
        if root is not None:
            camera = frames.camera_of(rows)
            root[rows] = root_position(lifted, pose_2d, camera, model.skeleton, options.root).numpy()
        done += len(rows)
        if progress is not None:
            progress(done, total)
    poses = frames.record(pose_3d, root, model.skeleton, options)
    up = given_up(options, detections.clip)
    poses = replace(poses, pose_2d=frames.known_2d(), up=up, **circumstances(detections, lens, model))
    return filtered(poses, frames.timeline, options)


def why_not_lifted(poses: LiftedPoses, max_gap: int, min_joints: int | None = None) -> dict[str, int]:
    """Why frames hold no pose, and how many.

    Args:
        poses: as lifted.
        max_gap: most frames over which joints were filled in.
        min_joints: fewest seen joints of a lifted frame, for a lifter that knows masks; it fills in nothing.
    """
    seen = poses.visible[~poses.valid]
    share, nobody = seen.mean(1), ~seen.any(1)
    if min_joints is not None:
        reasons = {f"fewer than {min_joints} joints seen": ~nobody}
    else:
        reasons = {
            "fewer than half of the joints seen": ~nobody & (share < FEWEST_SEEN),
            f"a joint unseen for more than {max_gap} frames": share >= FEWEST_SEEN,
        }
    counts = {reason: int(rows.sum()) for reason, rows in ({"no detection": nobody} | reasons).items()}
    return {reason: count for reason, count in counts.items() if count}


def guessed_frames(poses: LiftedPoses) -> int:
    """How many frames a filter bridged: they hold a pose, but not the 2D of all joints."""
    assert poses.pose_2d is not None
    return int((poses.valid & np.isnan(poses.pose_2d).any((1, 2))).sum())


@dataclass(frozen=True)
class _Frames:
    """F frames of a recording, with short gaps filled in.

    Args:
        timeline: of the frames.
        pose_2d: (F, J, 2) screen coordinates.
        seen: (F, J) bool, joints that were detected.
        valid: (F,) bool, frames that can be lifted.
        camera: of the detections.
    """

    timeline: Timeline
    pose_2d: np.ndarray
    seen: np.ndarray
    valid: np.ndarray
    camera: Camera

    @classmethod
    def of(cls, detections: Detections2D, lens: Lens, model: AdaptedLifter, options: LiftOptions) -> _Frames:
        """Put detections on the screen and in order of time.

        Raises:
            DataError: if no frame can be lifted.
        """
        screen = on_screen(
            detections,
            model.skeleton,
            intrinsics=lens.intrinsics,
            fov=lens.fov,
            min_confidence=options.min_confidence,
        )
        timeline = Timeline.of(detections)
        visible = screen.visible
        if visible is None:
            visible = torch.ones(screen.pose_2d.shape[:2], dtype=torch.bool)
        seen = visible.numpy()[timeline.row] & (timeline.row >= 0)[:, None]
        pose_2d, valid = fill_in(screen.pose_2d.numpy()[timeline.row], seen, timeline, options.max_gap)
        if not valid.any():
            raise _nothing(detections, seen, model, options)
        return cls(timeline, pose_2d, seen, valid, screen.camera)

    def batches(self, window: int) -> list[np.ndarray]:
        """Rows of valid frames that are lifted together, for a lifter that sees ``window`` frames."""
        batches = [np.arange(run.start, run.stop) for run in self.timeline.stretches(self.valid)]
        if window == 1:  # frames of all people are independent
            batches = np.array_split(np.concatenate(batches), -(-int(self.valid.sum()) // BATCH))
        return batches

    def camera_of(self, rows: np.ndarray) -> Camera:
        """The cameras of frames. A frame without a detection has the camera of the frame before."""
        there = self.timeline.row >= 0
        latest = np.maximum.accumulate(np.where(there, np.arange(len(there)), 0))
        return self.camera.rows(torch.from_numpy(self.timeline.row[latest][rows]))

    def known_2d(self) -> np.ndarray:
        """(F, J, 2) screen coordinates, NaN where a joint was neither detected nor filled in."""
        known = self.seen | self.valid[:, None]
        return np.where(known[..., None], self.pose_2d, np.nan).astype(np.float32)

    def record(
        self, pose_3d: np.ndarray, root: np.ndarray | None, skeleton: Skeleton, options: LiftOptions
    ) -> LiftedPoses:
        """Lifted poses (F, J, 3) and roots (F, 3) with the facts of their frames."""
        at = self.timeline
        return LiftedPoses(
            *(pose_3d, root, self.valid, self.seen, at.frame, at.person, at.clip, skeleton),
            rate=options.frames_per_second,
            rate_assumed=options.rate is None,
        )


def _nothing(
    detections: Detections2D, seen: np.ndarray, model: AdaptedLifter, options: LiftOptions
) -> DataError:
    if not usable(detections, options.min_confidence).any():
        return unseen(detections, options.min_confidence)
    hidden = (~seen).sum(0)
    worst = int(hidden.argmax())
    return DataError(
        f"{detections.path}: confidence: expected a frame with every joint seen with at least "
        f"{options.min_confidence} (--min-confidence), or unseen for at most {options.max_gap} frames "
        f"(--max-gap), found none; {model.skeleton.joint_names[worst]} is unseen in {hidden[worst]} of "
        f"{len(seen)} frames"
    )
