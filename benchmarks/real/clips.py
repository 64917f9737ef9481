"""Clips of real detections with cameras and 3D, as npz files hold them.

A file is one person: ``keypoints`` (C, F, K, 3) pixels and confidence of C cameras, ``joint_names_2d`` (K,),
``image_size`` (C, 2), ``K`` (C, 3, 3), ``dist`` (C, 5) in OpenCV's order, ``R`` (C, 3, 3) and ``t`` (C, 3)
world to camera, ``pose_3d`` (F, L, 3) world metres, NaN where unknown, ``joint_names_3d`` (L,), ``frame``
(F,).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from poseda.config import FEWEST_JOINTS
from poseda.datasets.detections import DEFAULT_CONFIDENCE, Detections2D
from poseda.datasets.formats.npz import Archive
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.datasets.records import UnlabelledPoses
from poseda.datasets.rig import Rig
from poseda.datasets.screen import Intrinsics, on_screen
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16

LIMBS = tuple(
    f"{side}_{joint}"
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    for side in ("left", "right")
)
"""Joints that detectors, annotators and motion capture all have."""

Y_DOWN = "panoptic"
"""Files of this name have a world whose y axis points down; in the others z points up."""


TOLERANCE_PX = 2.0
"""Misfit of a lens, pixels, that is accepted: our cameras have fewer coefficients than OpenCV's."""

BYSTANDERS = ("pose2sim_balancing_blazepose 1",)
"""Views whose detections follow another person."""


@dataclass(frozen=True)
class View:
    """What one camera saw of one person.

    Args:
        name: file and camera.
        detections: of F frames.
        intrinsics: of the camera.
        truth: (F, 12, 3) metres of :data:`LIMBS`, camera axes; NaN where unknown.
        up: (3,) upward, camera axes.
        rotation: (3, 3) world to camera.
        body: (F, L, 3) all joints of the 3D, likewise.
        joints: L names.
    """

    name: str
    detections: Detections2D
    intrinsics: Intrinsics
    truth: np.ndarray
    up: np.ndarray
    rotation: np.ndarray
    body: np.ndarray
    joints: tuple[str, ...]

    def half(self, second: bool) -> View:
        """The first or the second half of the frames."""
        frames = len(self.truth)
        rows = np.arange(frames // 2, frames) if second else np.arange(frames // 2)
        detections = self.detections.rows(rows)
        return replace(self, detections=detections, truth=self.truth[rows], body=self.body[rows])


def views(path: Path, tolerance_px: float = TOLERANCE_PX) -> Iterator[View]:
    """The views of a file, camera by camera; their lenses may be off by so many pixels."""
    file = Archive(path)
    points = file.read("keypoints", ("C", "F", "K", 3), "f").astype(np.float64)
    cameras, frames, joints, _ = points.shape
    names = tuple(str(name) for name in file.read("joint_names_2d", (joints,), "U"))
    world = file.read("pose_3d", (frames, "L", 3), "f").astype(np.float64)
    known = [str(name) for name in file.read("joint_names_3d", (world.shape[1],), "U")]
    size = file.read("image_size", (cameras, 2), "iuf")
    matrix, lens = file.read("K", (cameras, 3, 3), "f"), file.read("dist", (cameras, 5), "f")
    rotation, shift = file.read("R", (cameras, 3, 3), "f"), file.read("t", (cameras, 3), "f")
    frame = file.read("frame", (frames,), "iu").astype(np.int64)
    limbs = np.full((frames, len(LIMBS), 3), np.nan)
    for at, joint in enumerate(LIMBS):
        if joint in known:
            limbs[:, at] = world[:, known.index(joint)]
    upward = np.array([0.0, -1.0, 0.0] if Y_DOWN in path.stem else [0.0, 0.0, 1.0])
    zeros = np.zeros(frames, np.int64)
    for camera in range(cameras):
        width, height = (int(n) for n in size[camera])
        place, confidence = points[camera, ..., :2], np.nan_to_num(points[camera, ..., 2])
        seen = np.isfinite(place).all(-1) & (confidence > 0)
        yield View(
            f"{path.stem} {camera}",
            Detections2D(
                np.where(seen[..., None], place, np.nan),
                np.where(seen, confidence, 0.0),
                frame,
                zeros,
                zeros,
                layout_of(names),
                np.tile([[float(width), float(height)]], (frames, 1)),
                "npz",
                path,
            ),
            Intrinsics(
                opencv_camera(matrix[camera], lens[camera], width, height, tolerance_px), (width, height)
            ),
            limbs @ rotation[camera].T + shift[camera],
            rotation[camera] @ upward,
            rotation[camera],
            world @ rotation[camera].T + shift[camera],
            tuple(known),
        )


def layout_of(names: tuple[str, ...]) -> Layout:
    """The built-in layout of these joints in this order; otherwise the names themselves."""
    return next(
        (layout for layout in LAYOUTS.values() if layout.joint_names == names),
        Layout("the file's own joints", names),
    )


def opencv_camera(
    matrix: np.ndarray, lens: np.ndarray, width: int, height: int, tolerance_px: float = TOLERANCE_PX
) -> Camera:
    """A camera from OpenCV's matrix and distortion, whose lens may be off by so many pixels."""
    return Camera.from_opencv(
        torch.from_numpy(matrix.astype(np.float64)),
        torch.from_numpy(lens.astype(np.float64)),
        width,
        height,
        tolerance_px=tolerance_px,
    )


def first_halves(paths: Sequence[Path]) -> UnlabelledPoses:
    """The 2D of the first halves of all views, without labels: what shows which joints detectors see."""
    halves = [view.half(second=False) for path in paths for view in views(path)]
    return joined([shown_enough(view, DEFAULT_CONFIDENCE) for view in halves])


def first_half_of_rig(path: Path) -> UnlabelledPoses:
    """The same of one file, with the rotations of its cameras and the moments of its frames."""
    halves = [view.half(second=False) for view in views(path)]
    return of_rig(halves, [frames_shown(view, DEFAULT_CONFIDENCE) for view in halves])


def of_rig(views: Sequence[View], parts: Sequence[tuple[UnlabelledPoses, np.ndarray]]) -> UnlabelledPoses:
    """What the cameras of a file saw of the same frames, of which some were kept.

    Args:
        views: of the cameras.
        parts: the kept rows of each, and the frames that they are.
    """
    camera = torch.cat([torch.full((len(part),), at) for at, (part, _) in enumerate(parts)])
    moment = torch.cat([torch.from_numpy(kept) for _, kept in parts])
    rotation = torch.from_numpy(np.stack([view.rotation for view in views])).float()
    rig = Rig(camera, moment, torch.zeros_like(camera), ("",), len(views), rotation)
    return replace(joined([part for part, _ in parts]), rig=rig)


def shown_enough(view: View, min_confidence: float) -> UnlabelledPoses:
    """The 2D of the frames of a view that show enough joints."""
    return frames_shown(view, min_confidence)[0]


def frames_shown(view: View, min_confidence: float) -> tuple[UnlabelledPoses, np.ndarray]:
    """The 2D of the frames of a view that show enough joints, and which frames these are."""
    screen = on_screen(view.detections, H36M16, intrinsics=view.intrinsics, min_confidence=min_confidence)
    if screen.shown is None:
        return screen, np.arange(len(screen))
    kept = (screen.shown.sum(1) >= FEWEST).nonzero()[:, 0]
    return screen.rows(kept), kept.numpy()


def joined(parts: Sequence[UnlabelledPoses]) -> UnlabelledPoses:
    """The rows of several views, each a clip of its own."""
    whole = torch.ones(H36M16.num_joints, dtype=torch.bool)
    return UnlabelledPoses(
        torch.cat([part.pose_2d for part in parts]),
        Camera.cat([replace(part.camera, aspect=None) for part in parts]),
        torch.cat([torch.full((len(part),), number) for number, part in enumerate(parts)]),
        torch.cat([whole.expand(len(part), -1) if part.visible is None else part.visible for part in parts]),
        torch.stack([whole if part.observed is None else part.observed for part in parts]).all(0),
        time=torch.cat([part.time for part in parts if part.time is not None]),
    )


FEWEST = FEWEST_JOINTS
"""Fewest seen joints of a view that is learned from or scored."""
