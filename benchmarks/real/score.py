"""Errors of lifted views about the middle of the hips, as detectors, annotators and mocap can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.real.clips import FEWEST, LIMBS, View, frames_shown, of_rig
from poseda.datasets.errors import DataError
from poseda.datasets.lens import Lens
from poseda.export import LiftedPoses
from poseda.geometry.camera import tilt_of, tilted_up
from poseda.geometry.rotation import angle_between
from poseda.inference import AdaptedLifter, LiftOptions, lift_wide
from poseda.inference.wide import Found
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import lift_poses
from poseda.ops import procrustes_align

HIPS = [LIMBS.index("left_hip"), LIMBS.index("right_hip")]

FEWEST_ALIGNED = 6
"""Fewest known joints of a pose that is compared after the best similarity."""

WAYS = ("one_pass", "found", "rig", "given")
"""Nothing known; the tilt found in the first pass; found by all cameras of a file together; given."""

CONFIDENCE = 0.1
"""Joints of less are unseen."""


def options_of(way: str, up: Tensor, base: LiftOptions) -> LiftOptions:
    """How a view is lifted.

    Args:
        way: one of :data:`WAYS`.
        up: (3,) what the ways "rig" and "given" tell, upward in camera axes.
        base: everything else.
    """
    base = replace(base, min_joints=FEWEST, min_confidence=CONFIDENCE, two_passes=way == "found")
    if way not in ("rig", "given"):
        return base
    pitch, roll = tilt_of(up).rad2deg().tolist()
    return replace(base, camera_pitch=pitch, camera_roll=roll)


def found_together(model: AdaptedLifter, views: Sequence[View]) -> list[Tensor]:
    """Upward in the axes of each view's camera, (3,), as all cameras vote together."""
    assert isinstance(model.lifter, WideLifter)
    target = of_rig(views, [frames_shown(view, CONFIDENCE) for view in views])
    assert target.rig is not None and target.rig.rotation is not None
    first = lift_poses(model.lifter, target, model.config.training.flip).up[0]
    rotation = target.rig.rotation
    world = rotation[int(target.rig.camera[0])].T @ first.cpu()
    return list(rotation @ world)


def lift_view(
    model: AdaptedLifter, view: View, way: str, up: Tensor
) -> tuple[LiftedPoses, Found, np.ndarray]:
    """Lift a view by a way of :data:`WAYS`.

    Returns:
        the poses, what was found, and the row of the poses that holds each frame of the view.

    Raises:
        DataError: if no frame shows enough joints.
    """
    lens, options = Lens(view.intrinsics, None, "calibrated"), options_of(way, up, LiftOptions())
    poses, found = lift_wide(model, view.detections, lens, options)
    row = {int(frame): at for at, frame in enumerate(poses.frame)}
    return poses, found, np.array([row[int(frame)] for frame in view.detections.frame])


def about_hips(points: np.ndarray) -> np.ndarray:
    """Joints (F, 12, 3) of :data:`LIMBS` about the middle of the hips."""
    return np.asarray(points - points[:, HIPS].mean(1, keepdims=True))


def score(model: AdaptedLifter, view: View, way: str, told: Tensor | None = None) -> dict[str, Any] | None:
    """Errors in millimetres of one view; None where fewer than five frames can be compared.

    With the way "rig" the direction ``told`` is given. The result also says how many frames show enough
    joints and have 3D, how many of these were lifted, the share of joints within their expected error, and
    how far off the tilt was, degrees.
    """
    truth_up = torch.from_numpy(view.up).float()
    try:
        poses, found, lifted = lift_view(model, view, way, truth_up if told is None else told)
    except DataError:  # no frame of this view shows enough
        return None
    limbs = [model.skeleton.joint(joint) for joint in LIMBS]
    enough = (poses.visible[lifted][:, limbs].sum(1) >= FEWEST) & np.isfinite(view.truth[:, HIPS]).all((1, 2))
    valid = enough & poses.valid[lifted]
    if valid.sum() < 5:
        return None
    pose = poses.pose_3d[lifted[valid]][:, limbs].astype(np.float64)
    truth = view.truth[valid]
    pose, truth = about_hips(pose), about_hips(truth)
    error = np.linalg.norm(pose - truth, axis=-1)
    expected = poses.error[lifted[valid]][:, limbs] if poses.error is not None else np.nan
    known = np.isfinite(error)
    clip = int(poses.clip[lifted[0]])
    tilt = torch.tensor([found.pitch[clip], found.roll[clip]]).deg2rad()
    off = angle_between(tilted_up(tilt), truth_up).rad2deg()
    return {
        "views": int(enough.sum()),
        "lifted": int(valid.sum()),
        "mpjpe": float(1000 * np.nanmean(np.nanmean(error, 1))),
        "pa_mpjpe": aligned_error(pose, truth),
        "within_error": float((error < expected)[known].mean()),
        "tilt_off": None if math.isnan(float(off)) else float(off),
    }


def aligned_error(pose: np.ndarray, truth: np.ndarray) -> float | None:
    """Mean error after the best similarity, millimetres, over the known joints of each pose."""
    errors = []
    for one, other in zip(pose, truth, strict=True):
        known = np.isfinite(other).all(1)
        if known.sum() >= FEWEST_ALIGNED:
            start, end = (torch.from_numpy(points[known])[None] for points in (one, other))
            errors.append(float((procrustes_align(start, end) - end).norm(dim=-1).mean()))
    return 1000 * float(np.mean(errors)) if errors else None
