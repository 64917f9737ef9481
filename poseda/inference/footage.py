"""From detections of recordings to lifted poses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from poseda.datasets.detections import Detections2D
from poseda.datasets.lens import Lens
from poseda.datasets.records import DataError
from poseda.export import LiftedPoses
from poseda.inference.model import AdaptedLifter, LiftOptions
from poseda.inference.smoothing import smoothed
from poseda.inference.timeline import Timeline, fill_in
from poseda.inference.trajectory import root_position

BATCH = 4096
"""Frames lifted between two reports of progress."""


def lift_footage(
    model: AdaptedLifter,
    detections: Detections2D,
    lens: Lens,
    options: LiftOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LiftedPoses:
    """Lift every person of every clip.

    Args:
        model: the lifter.
        detections: of one camera.
        lens: that camera; it matters for the root alone.
        options: gaps, root, filter.
        progress: told how many frames of how many are lifted.

    Raises:
        DataError: if not one frame has a pose that can be lifted.
    """
    options = options or LiftOptions()
    screen = detections.on_screen(
        model.skeleton, intrinsics=lens.intrinsics, fov=lens.fov, min_confidence=options.min_confidence
    )
    timeline = Timeline.of(detections)
    there = timeline.row >= 0
    all_seen = torch.ones(screen.pose_2d.shape[:2], dtype=torch.bool)
    seen = (all_seen if screen.visible is None else screen.visible).numpy()[timeline.row] & there[:, None]
    pose_2d, valid = fill_in(screen.pose_2d.numpy()[timeline.row], seen, timeline, options.max_gap)
    if not valid.any():
        raise _nothing(detections, seen, model, options)
    pose_3d = np.full((*seen.shape, 3), np.nan, np.float32)
    root = None if options.root == "none" else np.full((len(seen), 3), np.nan, np.float32)
    # Without frames to either side, poses of all people can be lifted together.
    batches = [np.arange(run.start, run.stop) for run in timeline.stretches(valid)]
    if model.frames == 1:
        batches = np.array_split(np.concatenate(batches), -(-int(valid.sum()) // BATCH))
    # A frame without a detection has the camera of the one before.
    view = timeline.row[np.maximum.accumulate(np.where(there, np.arange(len(there)), 0))]
    done, total = 0, int(valid.sum())
    for rows in batches:
        flat = torch.from_numpy(pose_2d[rows])
        lifted = model.lift(flat)
        pose_3d[rows] = lifted.numpy()
        if root is not None:
            camera = screen.camera.rows(torch.from_numpy(view[rows]))
            root[rows] = root_position(lifted, flat, camera, model.skeleton, options.root).numpy()
        done += len(rows)
        if progress is not None:
            progress(done, total)
    poses = LiftedPoses(
        pose_3d,
        root,
        valid,
        seen,
        timeline.frame,
        timeline.person,
        timeline.clip,
        model.skeleton,
        options.rate,
    )
    return _filtered(poses, timeline, options)


def _filtered(poses: LiftedPoses, timeline: Timeline, options: LiftOptions) -> LiftedPoses:
    """Smooth, in place, each stretch of successive frames."""
    if options.smooth.filter == "none":
        return poses
    for rows in timeline.stretches(poses.valid):
        rate = options.rate / max(int(timeline.step[rows.start]), 1)
        poses.pose_3d[rows] = smoothed(poses.pose_3d[rows], options.smooth, rate)
    if poses.root is not None:
        for rows in timeline.stretches(np.isfinite(poses.root).all(1)):
            rate = options.rate / max(int(timeline.step[rows.start]), 1)
            poses.root[rows] = smoothed(poses.root[rows], options.smooth, rate)
    return poses


def _nothing(
    detections: Detections2D, seen: np.ndarray, model: AdaptedLifter, options: LiftOptions
) -> DataError:
    unseen = (~seen).sum(0)
    worst = int(unseen.argmax())
    return DataError(
        f"{detections.path}: confidence: expected a frame with every joint seen with at least "
        f"{options.min_confidence} (--min-confidence), or unseen for at most {options.max_gap} frames "
        f"(--max-gap), found none; {model.skeleton.joint_names[worst]} is unseen in {unseen[worst]} of "
        f"{len(seen)} frames"
    )
