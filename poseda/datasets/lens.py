"""The camera of detections: given by the user, calibrated from the people, or assumed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.detections import DEFAULT_CONFIDENCE, DEFAULT_FIELD_OF_VIEW, Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.formats.cameras import read_intrinsics
from poseda.datasets.screen import Intrinsics, on_screen
from poseda.geometry.focal_length import CALIBRATION_JOINTS, PeopleCalibration, calibrate_from_people
from poseda.geometry.skeleton import Skeleton

ESTIMATE = "estimate"
"""The field of view that asks for an estimate."""


@dataclass(frozen=True)
class Lens:
    """A camera as :func:`screen.on_screen` takes it.

    Args:
        intrinsics: calibrated, or None.
        fov: horizontal field of view, degrees, or None for the assumed one.
        note: its origin, in words.
    """

    intrinsics: Intrinsics | None
    fov: float | None
    note: str


def find_lens(
    detections: Detections2D,
    skeleton: Skeleton,
    intrinsics: str | Path | None = None,
    fov: float | str | None = None,
    min_confidence: float = DEFAULT_CONFIDENCE,
) -> Lens:
    """Find the camera of detections: read, given, estimated or assumed.

    Args:
        detections: of one camera.
        skeleton: they will be converted to.
        intrinsics: JSON of the camera; ``fov`` has no effect then.
        fov: degrees, :data:`ESTIMATE`, or None to assume :data:`DEFAULT_FIELD_OF_VIEW`.
        min_confidence: joints of less confidence are unseen.

    Raises:
        DataError: if the file or the field of view cannot be used, or the skeleton has no feet and head to
            estimate from.
    """
    if intrinsics is not None:
        return Lens(read_intrinsics(intrinsics), None, f"intrinsics from {Path(intrinsics).name}")
    assumed = f"{DEFAULT_FIELD_OF_VIEW:g} degrees across the longer side assumed"
    if fov is None:
        return Lens(None, None, f"field of view unknown, {assumed}")
    if not isinstance(fov, str):
        return Lens(None, fov, f"field of view {fov:g} degrees, as given")
    if fov != ESTIMATE:
        raise DataError(f"--fov: expected degrees or {ESTIMATE}, found {fov!r}")
    estimate = _estimate(detections, skeleton, min_confidence)
    if estimate.field_of_view is None:
        return Lens(None, None, f"{estimate.sentence()}; {assumed}")
    return Lens(None, estimate.field_of_view, estimate.sentence())


def _estimate(detections: Detections2D, skeleton: Skeleton, min_confidence: float) -> PeopleCalibration:
    missing = [joint for joint in CALIBRATION_JOINTS if joint not in skeleton.joint_names]
    if missing:
        raise DataError(
            f"--fov: expected degrees for skeleton {skeleton.name}, which has no {', '.join(missing)} "
            f"to estimate it from"
        )
    sizes = detections.image_size
    if sizes is not None and len(np.unique(sizes, axis=0)) > 1:
        return PeopleCalibration(None, reason="the pictures are of several sizes, so of several cameras")
    poses = on_screen(detections, skeleton, min_confidence=min_confidence)
    return calibrate_from_people(
        poses.pose_2d, poses.visible, torch.from_numpy(detections.clip), poses.clip, skeleton
    )
