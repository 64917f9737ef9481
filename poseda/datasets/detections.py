"""2D detections as a file gives them, and how they become the unlabelled poses of a target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.conversion import conversion
from poseda.datasets.layouts import Layout
from poseda.datasets.records import DataError, UnlabelledPoses
from poseda.geometry.camera import Camera, normalize_screen
from poseda.geometry.skeleton import H36M16, Skeleton

DEFAULT_FIELD_OF_VIEW = 55.0
"""Degrees across the longer side of the picture, assumed where the camera is unknown (as MeTRAbs does)."""

DEFAULT_CONFIDENCE = 0.3
"""Joints of less confidence count as unseen."""


@dataclass(frozen=True)
class Intrinsics:
    """A target's calibrated camera.

    Args:
        camera: one row.
        size: width and height of the picture, pixels.
    """

    camera: Camera
    size: tuple[int, int]


@dataclass(frozen=True)
class Detections2D:
    """N detected poses, in order of clip, person and frame.

    Args:
        pose_2d: (N, J, 2) float64, pixels or screen coordinates, NaN where the file has no place.
        confidence: (N, J) float64; 0 is unseen. The scale is the detector's; most end at 1.
        frame: (N,) int64 within the recording.
        person: (N,) int64 track. Where the format has no tracks, the place in the frame's list.
        clip: (N,) int64 recording (file, video, action) of a row.
        layout: the joints in their order.
        image_size: (N, 2) float64 width and height in pixels, or None where unknown.
        format: its name, for messages.
        path: of the file or folder.
        units: of pose_2d.

    Raises:
        ValueError: if shapes or row counts disagree.
    """

    pose_2d: np.ndarray
    confidence: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    clip: np.ndarray
    layout: Layout
    image_size: np.ndarray | None
    format: str
    path: Path
    units: Literal["pixels", "screen"] = "pixels"

    def __post_init__(self) -> None:
        rows, joints = len(self), len(self.layout)
        shapes = {"pose_2d": (rows, joints, 2), "confidence": (rows, joints), "frame": (rows,)}
        shapes |= {"person": (rows,), "clip": (rows,)}
        if self.image_size is not None:
            shapes["image_size"] = (rows, 2)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.pose_2d)

    def rows(self, index: np.ndarray) -> Detections2D:
        """Pick rows by a mask or an index."""
        columns = ("pose_2d", "confidence", "frame", "person", "clip")
        size = None if self.image_size is None else self.image_size[index]
        return replace(self, **{name: getattr(self, name)[index] for name in columns}, image_size=size)

    def unlabelled(
        self,
        skeleton: Skeleton = H36M16,
        *,
        intrinsics: Intrinsics | None = None,
        fov: float | None = None,
        min_confidence: float = DEFAULT_CONFIDENCE,
    ) -> UnlabelledPoses:
        """Convert to a skeleton, give every row its camera, and keep the rows with a seen joint.

        Args:
            skeleton: to convert to.
            intrinsics: of the camera; one for all rows.
            fov: horizontal field of view, degrees, if there are no intrinsics. Default:
                :data:`DEFAULT_FIELD_OF_VIEW` across the longer side.
            min_confidence: joints of less confidence, and those of confidence 0, are unseen.

        Raises:
            DataError: if the size of the picture is unknown, no conversion exists, or nothing is seen.
        """
        poses = self.on_screen(skeleton, intrinsics=intrinsics, fov=fov, min_confidence=min_confidence)
        if poses.visible is None:
            return poses
        kept = poses.visible.any(1)
        if not bool(kept.any()):
            raise DataError(
                f"{self.path}: confidence: expected a joint of at least {min_confidence}, "
                f"found none in {len(self)} detections"
            )
        poses = poses.rows(kept)
        _, track = poses.clip.unique(return_inverse=True)
        visible = poses.visible if poses.visible is None or not bool(poses.visible.all()) else None
        return replace(poses, clip=track, visible=visible)

    def on_screen(
        self,
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
        visible = (self.confidence > 0) & (self.confidence >= min_confidence)
        pose, seen = conversion(self.layout, skeleton)(self.pose_2d, visible)
        sizes = self._sizes(intrinsics)
        with np.errstate(over="ignore"):
            screen = (pose if sizes is None else _on_screen(pose, sizes)).astype(np.float32)
        seen = seen & np.isfinite(screen).all(-1)
        screen = np.where(seen[..., None], screen, np.float32(0))
        if seen.any():
            self._check_screen(screen[seen.any(1)])
        camera = _camera(len(self), sizes, intrinsics, fov)
        return UnlabelledPoses(
            torch.from_numpy(screen),
            camera.expand(len(screen)) if len(camera) == 1 else camera,
            torch.from_numpy(self.track),
            None if bool(seen.all()) else torch.from_numpy(seen),
        )

    @property
    def track(self) -> np.ndarray:
        """(N,) int64: one number for each person of each recording."""
        _, track = np.unique(np.stack([self.clip, self.person], -1), axis=0, return_inverse=True)
        return np.asarray(track.reshape(-1), np.int64)

    def _sizes(self, intrinsics: Intrinsics | None) -> np.ndarray | None:
        """(N, 2) sizes of pictures, or None where they are unknown and not needed."""
        if intrinsics is not None:
            given = np.tile(np.array(intrinsics.size, np.float64), (len(self), 1))
            if self.image_size is not None and not np.array_equal(given, self.image_size):
                found = "x".join(str(int(n)) for n in self.image_size[0])
                wanted = "x".join(map(str, intrinsics.size))
                raise DataError(f"{self.path}: image size: expected the intrinsics' {wanted}, found {found}")
            return given
        if self.image_size is None and self.units == "pixels":
            raise DataError(
                f"{self.path}: image size: expected width x height in pixels (--image-size), found none in "
                f"{self.format}"
            )
        return self.image_size

    def _check_screen(self, screen: np.ndarray) -> None:
        """Refuse poses far off the screen or tiny: the picture's size or the unit is another one."""
        far = np.abs(screen).max((1, 2))
        if np.median(far) > 4:
            raise DataError(
                f"{self.path}: pose_2d: expected {self.units} of a picture of this size, "
                f"found joints {np.median(far) / 2:.0f} widths from its centre"
            )
        if self.units == "pixels" and np.median(np.ptp(screen, 1).max(1)) < 0.004:
            raise DataError(
                f"{self.path}: pose_2d: expected pixels, found poses smaller than 2 pixels "
                f"in a thousand (normalised coordinates?)"
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
