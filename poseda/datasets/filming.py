"""Cameras in a world, and their views of poses that move in it.

World axes: z up, metres. The screen is that of :mod:`poseda.geometry.camera`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from poseda.datasets.records import LabelledPoses, concatenated
from poseda.geometry.anatomy import CLEARANCE
from poseda.geometry.camera import Camera, normalize_screen, project
from poseda.geometry.rotation import Array, rotated, unit

NEAREST = 0.5
"""Nearest depth, metres, at which a joint counts as seen."""

RIG_CAMERAS, RIG_DISTANCE, RIG_HEIGHT, RIG_AIM, RIG_FIELD_OF_VIEW = 4, 4.8, 1.5, 0.9, 50.0
"""The assumed rig is a studio like Human3.6M's. Its cameras stand around the origin: their number, distance
and height in metres, the height they aim at, and their field of view in degrees."""


@dataclass(frozen=True)
class FixedCamera:
    """A calibrated camera that stands in the world, or N of them, one for each pose.

    Args:
        rotation: (3, 3) or (N, 3, 3) world to camera.
        position: (3,) or (N, 3) metres.
        lens: one row or N, float64.
        pitch: () or (N,) degrees, positive downward.
    """

    rotation: Array
    position: Array
    lens: Camera
    pitch: Array

    def rows(self, index: np.ndarray) -> FixedCamera:
        """Pick cameras out of N by an int64 index."""
        lens = self.lens.rows(torch.from_numpy(index))
        return FixedCamera(self.rotation[index], self.position[index], lens, self.pitch[index])


@dataclass(frozen=True)
class Shot:
    """What cameras see of N poses.

    Args:
        pose_3d: (N, J, 3) metres, camera frame.
        pose_2d: (N, J, 2) screen coordinates.
        in_front: (N,) bool, every joint farther away than :data:`NEAREST`.
        on_screen: (N,) bool, every joint within the picture.
    """

    pose_3d: Array
    pose_2d: Array
    in_front: np.ndarray
    on_screen: np.ndarray


def film(pose: Array, camera: FixedCamera) -> Shot:
    """See world poses through a camera that they share, or each through its own.

    Args:
        pose: (N, J, 3) metres, z up.
        camera: one, or N.
    """
    pose_3d = rotated(camera.rotation, pose - camera.position[..., None, :])
    pose_2d = project(torch.from_numpy(np.ascontiguousarray(pose_3d)), camera.lens).numpy()
    across, down = np.moveaxis(np.abs(pose_2d).max(1), -1, 0)
    edge = np.inf if camera.lens.aspect is None else camera.lens.aspect.numpy()
    return Shot(pose_3d, pose_2d, pose_3d[..., 2].min(1) > NEAREST, (across < 1) & (down < edge))


def look_at(position: Array, aim: Array, roll: Array) -> Array:
    """Rotations from the world (z up) to cameras that look at a point.

    Args:
        position, aim: (N, 3) metres, not one above the other.
        roll: (N,) degrees about the optical axis.

    Returns:
        (N, 3, 3).
    """
    forward = unit(aim - position)
    right = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    down = np.cross(forward, right)
    cosine, sine = np.cos(np.radians(roll))[:, None], np.sin(np.radians(roll))[:, None]
    return np.stack([cosine * right + sine * down, cosine * down - sine * right, forward], 1)


def pitch_of(rotation: Array) -> Array:
    """Degrees by which cameras look down: (..., 3, 3) world to camera, to (...)."""
    return np.asarray(np.degrees(np.arcsin(np.clip(-rotation[..., 2, 2], -1, 1))))


def assumed_rig() -> list[FixedCamera]:
    """Cameras around the origin of a floor, for motion that comes without cameras."""
    around = np.arange(RIG_CAMERAS) * 2 * np.pi / RIG_CAMERAS + np.pi / 4
    position = np.stack([np.cos(around), np.sin(around), np.zeros(RIG_CAMERAS)], -1) * RIG_DISTANCE
    position[:, 2] = RIG_HEIGHT
    aim = np.tile([0.0, 0.0, RIG_AIM], (RIG_CAMERAS, 1))
    rotation = look_at(position, aim, np.zeros(RIG_CAMERAS))
    lens = Camera.from_field_of_view(RIG_FIELD_OF_VIEW, 1000, 1000).to(torch.float64)
    return [FixedCamera(r, p, lens, pitch_of(r)) for r, p in zip(rotation, position, strict=True)]


# ----------------------------------------------------------------------------------- poses and their cameras


def film_world(
    pose: Array,
    clip: np.ndarray,
    columns: Mapping[str, np.ndarray],
    rig: Sequence[FixedCamera] | None = None,
) -> LabelledPoses:
    """Project world poses into every camera of a rig. Rows with a joint behind their camera are left out.

    Without a rig, each clip is put into the middle of the assumed one. Then only rows that are wholly in the
    picture are kept.

    Args:
        pose: (N, J, 3) metres, z up.
        clip: (N,).
        columns: (N,) each, kept with the poses.
        rig: cameras in the same world, or None.

    Returns:
        Up to N rows for each camera, camera by camera. A clip gets a number for each camera.

    Raises:
        DataError: if no row is left.
    """
    cameras = assumed_rig() if rig is None else rig
    pose = _in_the_middle(pose, clip) if rig is None else pose
    parts = []
    for number, camera in enumerate(cameras):
        shot = film(pose, camera)
        kept = shot.in_front & shot.on_screen if rig is None else shot.in_front
        numbered = {"frame": np.arange(len(pose)), **columns, "camera": np.full(len(pose), number)}
        parts.append(
            labelled(
                shot.pose_3d[kept],
                camera.lens,
                clip[kept] * len(cameras) + number,
                {name: values[kept] for name, values in numbered.items()},
                shot.pose_2d[kept],
            )
        )
    return concatenated([part for part in parts if len(part)])


def _in_the_middle(pose: Array, clip: np.ndarray) -> Array:
    """World poses, root first, with each clip's path around the origin and its lowest ankles on the floor."""
    out = pose.copy()
    lowest = pose[..., 2].min(1)
    for number in np.unique(clip):
        rows = clip == number
        out[rows, :, :2] -= (pose[rows, 0, :2].min(0) + pose[rows, 0, :2].max(0)) / 2
        out[rows, :, 2] += CLEARANCE["ankle"] - np.percentile(lowest[rows], 1)
    return out


def labelled(
    pose: Array,
    lens: Camera,
    clip: np.ndarray,
    columns: Mapping[str, np.ndarray],
    screen: Array | None = None,
) -> LabelledPoses:
    """Records of camera-space poses.

    Args:
        pose: (N, J, 3) metres.
        lens: one row or N.
        clip: (N,).
        columns: (N,) each.
        screen: (N, J, 2) their 2D poses. Default: their projections.
    """
    pose_3d = torch.from_numpy(np.ascontiguousarray(pose, np.float64))
    lens = lens.to(torch.float64).expand(len(pose)) if len(lens) == 1 else lens.to(torch.float64)
    pose_2d = project(pose_3d, lens) if screen is None else torch.from_numpy(screen)
    return LabelledPoses(
        pose_3d.float(),
        pose_2d.float(),
        lens.to(torch.float32),
        torch.from_numpy(np.array(clip, np.int64)),
        dict(columns),
    )


def screen_of(pixels: np.ndarray, width: float, height: float) -> Array:
    """Screen coordinates of pixels, (..., 2) each."""
    return np.asarray(normalize_screen(torch.from_numpy(np.asarray(pixels, np.float64)), width, height))
