"""Cameras that stand in a world, and what they see of poses that move in it.

World axes: z up, metres. The screen is that of :mod:`poseda.geometry.camera`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from poseda.datasets.records import DataError, LabelledPoses
from poseda.geometry.anatomy import Array
from poseda.geometry.camera import Camera, normalize_screen, project

NEAREST = 0.5
"""Nearest depth, metres, at which a joint counts as seen."""

LARGEST = 1e7
"""No number of a camera is this large: metres, pixels or coefficients of its lens."""

RIG_CAMERAS, RIG_DISTANCE, RIG_HEIGHT, RIG_AIM, RIG_FIELD_OF_VIEW = 4, 4.8, 1.5, 0.9, 50.0
"""The cameras that film motion of which none are known: how many around it, metres away, metres up, aimed at
which height, and how wide, degrees. A studio's, as Human3.6M's."""


@dataclass(frozen=True)
class FixedCamera:
    """A calibrated camera standing in the world.

    Args:
        rotation: (3, 3) world to camera.
        position: (3,) metres.
        lens: one row, float64.
        pitch: degrees, positive downward.
    """

    rotation: Array
    position: Array
    lens: Camera
    pitch: float


def fixed_camera(extrinsics: dict[str, Any], intrinsics: dict[str, Any]) -> FixedCamera:
    """A camera from its two records in a calibration file; what is no such record raises as it comes."""

    def entry(table: dict[str, Any], name: str, *shape: int) -> Array:
        values = np.array(table[name], dtype=np.float64)
        if values.shape != shape or not (np.abs(values) < LARGEST).all():
            raise ValueError(f"{name}: expected numbers of shape {shape}, got {str(table[name])[:40]}")
        return values

    width, height = float(entry(intrinsics, "res_w")), float(entry(intrinsics, "res_h"))
    focal, center = entry(intrinsics, "focal_length", 2), entry(intrinsics, "center", 2)
    if not (min(width, height) >= 1 and focal.min() > 0):
        raise ValueError(
            f"expected pictures and focal lengths of some pixels, got {width} x {height}, {focal}"
        )
    radial = entry(intrinsics, "radial_distortion", 3) if intrinsics.get("radial_distortion") else np.zeros(3)
    tangential = (
        entry(intrinsics, "tangential_distortion", 2)
        if intrinsics.get("tangential_distortion")
        else np.zeros(2)
    )
    rotation = entry(extrinsics, "R_world_to_cam", 3, 3)
    return FixedCamera(
        rotation,
        entry(extrinsics, "position_m", 3),
        Camera(
            focal=torch.from_numpy(focal)[None] * 2 / width,
            center=normalize_screen(torch.from_numpy(center)[None], width, height),
            distortion=torch.from_numpy(np.concatenate([radial, tangential]))[None],
            aspect=torch.tensor([height / width], dtype=torch.float64),
        ),
        float(np.degrees(np.arcsin(np.clip(-rotation[2, 2], -1, 1)))),
    )


def look_at(position: Array, aim: Array, roll: Array) -> Array:
    """Rotations from the world (z up) to cameras that look at a point.

    Args:
        position, aim: (N, 3) metres, not one above the other.
        roll: (N,) degrees about the optical axis.

    Returns:
        (N, 3, 3).
    """
    forward = aim - position
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(forward, right)
    cosine, sine = np.cos(np.radians(roll))[:, None], np.sin(np.radians(roll))[:, None]
    return np.stack([cosine * right + sine * down, cosine * down - sine * right, forward], 1)


def assumed_rig() -> list[FixedCamera]:
    """Cameras around the origin of a floor, for motion that comes without any."""
    around = np.arange(RIG_CAMERAS) * 2 * np.pi / RIG_CAMERAS + np.pi / 4
    position = np.stack([np.cos(around), np.sin(around), np.zeros(RIG_CAMERAS)], -1) * RIG_DISTANCE
    position[:, 2] = RIG_HEIGHT
    aim = np.tile([0.0, 0.0, RIG_AIM], (RIG_CAMERAS, 1))
    rotation = look_at(position, aim, np.zeros(RIG_CAMERAS))
    lens = Camera.from_field_of_view(RIG_FIELD_OF_VIEW, 1000, 1000).to(torch.float64)
    pitch = np.degrees(np.arcsin(-rotation[:, 2, 2]))
    return [
        FixedCamera(r, p, lens, float(down)) for r, p, down in zip(rotation, position, pitch, strict=True)
    ]


def centred(pose: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """World poses (N, J, 3), z up, with the middle of each clip's path above the origin."""
    out = pose.copy()
    for number in np.unique(clip):
        rows = clip == number
        out[rows, :, :2] -= (pose[rows, 0, :2].min(0) + pose[rows, 0, :2].max(0)) / 2
    return out


def filmed(
    pose: np.ndarray,
    cameras: Sequence[FixedCamera],
    clip: np.ndarray,
    columns: Mapping[str, np.ndarray],
    whole: bool = False,
) -> LabelledPoses:
    """See world poses through every camera; rows with a joint behind a camera, or too near, are left out.

    Args:
        pose: (N, J, 3) metres, z up.
        cameras: in the same world.
        clip: (N,).
        columns: (N,) each, carried along.
        whole: leave out, too, rows with a joint beyond the picture's edge.

    Returns:
        Up to N times as many rows as there are cameras, camera by camera; a clip has a number a camera.

    Raises:
        DataError: if no row is left.
    """
    parts = []
    for number, camera in enumerate(cameras):
        seen = (pose - camera.position) @ camera.rotation.T
        kept = seen[..., 2].min(1) > NEAREST
        numbered = {"frame": np.arange(len(pose)), **columns, "camera": np.full(len(pose), number)}
        own = {name: values[kept] for name, values in numbered.items()}
        part = labelled(seen[kept], camera.lens, clip[kept] * len(cameras) + number, own)
        parts.append(part.rows(_on_screen(part)) if whole else part)
    return together([part for part in parts if len(part)])


def _on_screen(poses: LabelledPoses) -> torch.Tensor:
    """(N,) bool: every joint within the picture."""
    assert poses.camera.aspect is not None
    u, v = poses.pose_2d.abs().amax(1).unbind(-1)
    return (u < 1) & (v < poses.camera.aspect)


def labelled(
    pose: np.ndarray,
    lens: Camera,
    clip: np.ndarray,
    columns: Mapping[str, np.ndarray],
    screen: np.ndarray | None = None,
) -> LabelledPoses:
    """Camera-space poses (N, J, 3), metres, with their projections, or with 2D annotations (N, J, 2)."""
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


def screen_of(pixels: np.ndarray, width: float, height: float) -> np.ndarray:
    """(..., 2) pixels to screen coordinates."""
    return np.asarray(normalize_screen(torch.from_numpy(np.asarray(pixels, np.float64)), width, height))


def together(parts: Sequence[LabelledPoses]) -> LabelledPoses:
    """Rows of several, one after the other. Columns that not all have are dropped; missing lens entries
    are filled with what they mean (no distortion), or dropped (aspect).

    Raises:
        DataError: if there are none.
    """
    if not parts:
        raise DataError("source: expected poses before a camera, found none")
    shared = set.intersection(*(set(part.columns) for part in parts))
    camera = Camera(
        focal=torch.cat([part.camera.focal.expand(len(part), 2) for part in parts]),
        center=torch.cat([part.camera.center.expand(len(part), 2) for part in parts]),
        distortion=_distortions(parts),
        aspect=_aspects(parts),
    )
    return LabelledPoses(
        torch.cat([part.pose_3d for part in parts]),
        torch.cat([part.pose_2d for part in parts]),
        camera,
        torch.cat([part.clip for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in sorted(shared)},
    )


def _distortions(parts: Sequence[LabelledPoses]) -> torch.Tensor | None:
    given = [part.camera.distortion for part in parts]
    if all(value is None for value in given):
        return None
    return torch.cat(
        [
            torch.zeros(len(part), 5) if value is None else value.expand(len(part), 5)
            for part, value in zip(parts, given, strict=True)
        ]
    )


def _aspects(parts: Sequence[LabelledPoses]) -> torch.Tensor | None:
    given = [part.camera.aspect for part in parts]
    whole_table = [
        value.expand(len(part)) for part, value in zip(parts, given, strict=True) if value is not None
    ]
    return torch.cat(whole_table) if len(whole_table) == len(parts) else None
