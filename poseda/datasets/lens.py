"""The camera of detections: given by the user, calibrated from the people, or assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.detections import DEFAULT_CONFIDENCE, DEFAULT_FIELD_OF_VIEW, Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.formats.cameras import RigCamera, read_rig
from poseda.datasets.formats.field import Field
from poseda.datasets.screen import Intrinsics, on_screen
from poseda.geometry.focal_length import CALIBRATION_JOINTS, PeopleCalibration, calibrate_from_people
from poseda.geometry.skeleton import Skeleton

ESTIMATE = "estimate"
"""The field of view that asks for an estimate."""


ASSUMED = f"{DEFAULT_FIELD_OF_VIEW:g} degrees across the longer side assumed"
"""What is taken for a field of view, in words."""

UNKNOWN = f"field of view unknown, {ASSUMED}"
"""The origin of a camera of which nothing is known, in words."""


@dataclass(frozen=True)
class Lens:
    """A camera as :func:`screen.on_screen` takes it.

    Args:
        intrinsics: calibrated, or None.
        fov: horizontal field of view, degrees, or None for the assumed one.
        note: its origin, in words.
        rotation: (3, 3) from the world of a calibration to the camera's axes, or None.
    """

    intrinsics: Intrinsics | None
    fov: float | None
    note: str
    rotation: np.ndarray | None = None


def find_lens(
    detections: Detections2D,
    skeleton: Skeleton,
    intrinsics: str | Path | RigCamera | None = None,
    fov: float | str | None = None,
    min_confidence: float = DEFAULT_CONFIDENCE,
) -> Lens:
    """Find the camera of detections: read, given, estimated or assumed.

    Args:
        detections: of one camera.
        skeleton: they will be converted to.
        intrinsics: the camera or its file; ``fov`` has no effect then. Of a file of several, it is the
            camera that is named as the detections' file or folder.
        fov: degrees, :data:`ESTIMATE`, or None to assume :data:`DEFAULT_FIELD_OF_VIEW`.
        min_confidence: joints of less confidence are unseen.

    Raises:
        DataError: if the file or the field of view cannot be used, or the skeleton has no feet and head to
            estimate from.
    """
    if isinstance(intrinsics, str | Path):
        intrinsics = find_cameras([intrinsics], [detections.path.stem])[0]
    if intrinsics is not None:
        return Lens(intrinsics.intrinsics, None, intrinsics.note, intrinsics.rotation)
    if fov is None:
        return Lens(None, None, UNKNOWN)
    if not isinstance(fov, str):
        return Lens(None, fov, f"field of view {fov:g} degrees, as given")
    if fov != ESTIMATE:
        raise DataError(f"--fov: expected degrees or {ESTIMATE}, found {fov!r}")
    estimate = _estimate(detections, skeleton, min_confidence)
    if estimate.field_of_view is None:
        return Lens(None, None, f"{estimate.sentence()}; {ASSUMED}")
    return Lens(None, estimate.field_of_view, estimate.sentence())


def find_cameras(files: Sequence[str | Path], names: Sequence[str]) -> list[RigCamera | None]:
    """The camera of each path of a target, from one file for all paths or one each; None without files.

    Cameras of one file belong to paths by their names. If no name fits, as many cameras as paths belong to
    them in order.

    Args:
        files: see :func:`poseda.datasets.formats.cameras.read_rig`.
        names: of the paths.

    Raises:
        DataError: if a file cannot be read, or which camera is meant cannot be told.
    """
    if not files:
        return [None] * len(names)
    if len(files) == len(names):
        return [
            _named(read_rig(file), [name], Path(file))[0] for file, name in zip(files, names, strict=True)
        ]
    (file,) = files
    cameras = read_rig(file)
    if len(cameras) == 1:  # the same for all: its rotation would be that of one
        return [replace(cameras[0], rotation=None)] * len(names)
    return [*_named(cameras, names, Path(file))]


def _named(cameras: list[RigCamera], names: Sequence[str], file: Path) -> list[RigCamera]:
    if len(cameras) == len(names) == 1:
        return cameras
    found = [
        [camera for camera in cameras if _plain(camera.name) in map(_plain, Path(name).parts)]
        for name in names
    ]
    if all(len(of_name) == 1 for of_name in found) and len({id(one) for (one,) in found}) == len(names):
        return [one for (one,) in found]
    if len(cameras) == len(names) and not any(found):
        return [replace(camera, note=f"{camera.note}, by its order") for camera in cameras]
    there = ", ".join(camera.name for camera in cameras)
    raise Field(file, "cameras").fail(f"one named as each path of the target ({', '.join(names)})", there)


def _plain(name: str) -> str:
    """Letters and digits of a name."""
    return "".join(sign for sign in name.lower() if sign.isalnum())


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
