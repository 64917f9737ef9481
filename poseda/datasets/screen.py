"""Detections on the screen: converted to a skeleton, each row with its camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from poseda.config import FEWEST_JOINTS
from poseda.datasets.checks import check_sized, conversion_of, refuse_off_picture, unseen, usable
from poseda.datasets.conversion import enough_seen
from poseda.datasets.detections import DEFAULT_CONFIDENCE, DEFAULT_FIELD_OF_VIEW, Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.records import USUAL_RATE, UnlabelledPoses
from poseda.datasets.rig import Rig
from poseda.geometry.camera import Camera, normalize_screen
from poseda.geometry.skeleton import H36M16, Skeleton


@dataclass(frozen=True)
class Intrinsics:
    """A target's calibrated camera.

    Args:
        camera: one row.
        size: width and height of the picture, pixels.
    """

    camera: Camera
    size: tuple[int, int]


def unlabelled(
    detections: Detections2D,
    skeleton: Skeleton = H36M16,
    *,
    intrinsics: Intrinsics | None = None,
    fov: float | None = None,
    min_confidence: float = DEFAULT_CONFIDENCE,
    rig: Rig | None = None,
) -> UnlabelledPoses:
    """Convert to a skeleton, give every row its camera, and keep the rows with a seen joint.

    Args:
        detections: to convert.
        skeleton: to convert to.
        intrinsics: of the camera; one for all rows.
        fov: horizontal field of view, degrees, if there are no intrinsics. Default:
            :data:`DEFAULT_FIELD_OF_VIEW` across the longer side.
        min_confidence: joints of less confidence, and those of confidence 0, are unseen.
        rig: which camera saw each detection, and when, where there are several.

    Raises:
        DataError: if the size of the picture is unknown, no conversion exists, or nothing is seen.
    """
    poses = on_screen(detections, skeleton, intrinsics=intrinsics, fov=fov, min_confidence=min_confidence)
    poses = replace(poses, rig=rig)
    if poses.visible is None:
        return poses
    kept = poses.visible.any(1)
    if not bool(kept.any()):
        raise unseen(detections, min_confidence)
    poses = poses.rows(kept)
    _, track = poses.clip.unique(return_inverse=True)
    visible = poses.visible if poses.visible is None or not bool(poses.visible.all()) else None
    return replace(poses, clip=track, visible=visible)


def on_screen(
    detections: Detections2D,
    skeleton: Skeleton = H36M16,
    *,
    intrinsics: Intrinsics | None = None,
    fov: float | None = None,
    min_confidence: float = DEFAULT_CONFIDENCE,
) -> UnlabelledPoses:
    """Like :meth:`unlabelled`, but keep every row, also those without a seen joint.

    Each track (a person of a recording) becomes a clip.

    Raises:
        DataError: if the size of the picture is unknown or no conversion exists.
    """
    found = conversion_of(detections, skeleton)
    pose, seen = found(detections.pose_2d, usable(detections, min_confidence))
    sizes = _sizes(detections, intrinsics)
    with np.errstate(over="ignore"):
        screen = (pose if sizes is None else _on_screen(pose, sizes)).astype(np.float32)
    seen = seen & np.isfinite(screen).all(-1)
    screen = np.where(seen[..., None], screen, np.float32(0))
    if seen.any():
        _check_screen(detections, screen[seen.any(1)], sizes)
    camera = _camera(len(detections), sizes, intrinsics, fov)
    enough = enough_seen(usable(detections, min_confidence), seen & found.observed, FEWEST_JOINTS)
    return UnlabelledPoses(
        torch.from_numpy(screen),
        camera.expand(len(screen)) if len(camera) == 1 else camera,
        torch.from_numpy(detections.track),
        None if bool(seen.all()) else torch.from_numpy(seen),
        torch.from_numpy(found.observed),
        time=torch.from_numpy(detections.frame / (detections.reading.rate or USUAL_RATE)),
        enough=torch.from_numpy(enough),
    )


def _sizes(detections: Detections2D, intrinsics: Intrinsics | None) -> np.ndarray | None:
    """(N, 2) sizes of pictures, or None where they are unknown and not needed."""
    if intrinsics is not None:
        given = np.tile(np.array(intrinsics.size, np.float64), (len(detections), 1))
        if detections.image_size is not None and not np.array_equal(given, detections.image_size):
            found = "x".join(str(int(n)) for n in detections.image_size[0])
            wanted = "x".join(map(str, intrinsics.size))
            raise DataError(
                f"{detections.path}: image size: expected the intrinsics' {wanted}, found {found}"
            )
        return given
    check_sized(detections)
    return detections.image_size


def _check_screen(detections: Detections2D, screen: np.ndarray, sizes: np.ndarray | None) -> None:
    """Refuse poses off the screen: the picture's size or the unit is another one."""
    if (
        detections.image_size is None and len(detections) > 1
    ):  # otherwise its reader has looked, or it is a stream
        refuse_off_picture(detections, sizes, "give the size of the detector's pictures")
    far = np.abs(screen).max((1, 2))
    if np.median(far) > 4:
        raise DataError(
            f"{detections.path}: pose_2d: expected {detections.units} of a picture of this size, "
            f"found joints {np.median(far) / 2:.0f} widths from its centre"
        )


def _on_screen(pose: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N, J, 2) pixels to screen coordinates, each row by its own picture (N, 2)."""
    screen = np.empty_like(pose)
    for width, height in np.unique(sizes, axis=0):
        rows = (sizes == (width, height)).all(1)
        screen[rows] = normalize_screen(torch.from_numpy(pose[rows]), width, height).numpy()
    return screen


def _camera(rows: int, sizes: np.ndarray | None, intrinsics: Intrinsics | None, fov: float | None) -> Camera:
    """A camera for every row: the intrinsics', or a pinhole of a field of view."""
    if intrinsics is not None:
        return intrinsics.camera.expand(rows)
    try:
        if sizes is None:
            # Focal lengths are in half widths, so any width does; the height is not known.
            lens = Camera.from_field_of_view(DEFAULT_FIELD_OF_VIEW if fov is None else fov, 1, 1)
            return replace(lens, aspect=None).expand(rows)
        kinds, which = np.unique(sizes, axis=0, return_inverse=True)
        lenses = [Camera.from_field_of_view(_across(w, h, fov), w, h) for w, h in kinds]
    except ValueError as error:
        raise DataError(f"--fov: {error}") from error
    entries = [torch.cat([_entry(lens, name) for lens in lenses]) for name in ("focal", "center", "aspect")]
    table = Camera(focal=entries[0], center=entries[1], aspect=entries[2])
    return table.expand(rows) if len(lenses) == 1 else table.rows(torch.from_numpy(which.reshape(-1)))


def _entry(lens: Camera, name: str) -> Tensor:
    value: Tensor = getattr(lens, name)
    return value


def _across(width: float, height: float, fov: float | None) -> float:
    """Horizontal field of view, degrees; the assumed one lies across the longer side."""
    if fov is not None:
        return fov
    half = np.tan(np.radians(DEFAULT_FIELD_OF_VIEW / 2)) * width / max(width, height)
    return float(2 * np.degrees(np.arctan(half)))
