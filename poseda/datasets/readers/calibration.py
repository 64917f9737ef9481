"""Cameras from files, and motion seen through them: how poses in a world become a lifter's training pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from poseda.camera import Camera, normalize_screen, project
from poseda.datasets.detections import Intrinsics
from poseda.datasets.domain import DataError, LabelledPoses
from poseda.datasets.embedded import NEAREST, look_at
from poseda.datasets.mocap import FixedCamera, fixed_camera
from poseda.datasets.readers.text import fail, numbers, read_json, record, whole

RIG_CAMERAS, RIG_DISTANCE, RIG_HEIGHT, RIG_AIM, RIG_FIELD_OF_VIEW = 4, 4.8, 1.5, 0.9, 50.0
"""The cameras that film motion of which none are known: how many around it, metres away, metres up, aimed at
which height, and how wide, degrees. A studio's, as Human3.6M's."""


def read_intrinsics(path: str | Path) -> Intrinsics:
    """Read one camera's intrinsics.

    The file is a JSON object with ``width`` and ``height`` (or ``res_w``, ``res_h``) in pixels and

    - ``matrix`` 3 x 3 and ``distortion`` with 0, 4 or 5 coefficients in OpenCV's order; or
    - ``focal_length`` [fx, fy] and ``center`` [cx, cy] in pixels, with ``radial_distortion`` [k1, k2, k3] and
      ``tangential_distortion`` [p1, p2] of VideoPose3D's model.

    Raises:
        DataError: if the file is none of these.
    """
    path = Path(path)
    content = record(path, "file", read_json(path))
    width, height = (
        whole(path, long, content.get(long, content.get(short)))
        for long, short in (("width", "res_w"), ("height", "res_h"))
    )
    try:
        if "matrix" in content:
            matrix = numbers(path, "matrix", content["matrix"], (3, 3))
            camera = Camera.from_opencv(matrix, content.get("distortion", []), width, height)
        else:
            camera = _lens(path, content, width, height)
    except DataError:
        raise
    except (ValueError, TypeError) as error:
        raise fail(path, "camera", "intrinsics", f"others ({error})") from error
    if not bool((camera.focal > 0).all()) or not bool(camera.center.isfinite().all()):
        raise fail(path, "focal length", "positive pixels", camera.focal.tolist())
    return Intrinsics(camera, (width, height))


def _lens(path: Path, content: dict[str, Any], width: float, height: float) -> Camera:
    fx, fy = numbers(path, "focal_length", content.get("focal_length"), (2,))
    cx, cy = numbers(path, "center", content.get("center"), (2,))
    radial = numbers(path, "radial_distortion", content.get("radial_distortion") or [0, 0, 0], (3,))
    tangential = numbers(path, "tangential_distortion", content.get("tangential_distortion") or [0, 0], (2,))
    return Camera.from_pixels(fx, fy, cx, cy, width, height, np.concatenate([radial, tangential]))


def read_cameras(path: str | Path, dataset: str) -> dict[str, Any]:
    """The part of a cameras JSON that belongs to a data set: under its name, or the whole file.

    Raises:
        DataError: if the file is no JSON object.
    """
    content = record(Path(path), "file", read_json(Path(path)))
    return record(Path(path), dataset, content.get(dataset, content))


def read_rigs_by_subject(path: str | Path) -> dict[str, list[FixedCamera]]:
    """Human3.6M's cameras by subject.

    The file holds, at top level or under ``human36m``: ``intrinsics``, a list of four cameras
    (``focal_length``, ``center``, ``radial_distortion``, ``tangential_distortion``, ``res_w``, ``res_h``,
    pixels), and ``extrinsics``, for each subject a list of four (``R_world_to_cam`` 3 x 3, ``position_m``).

    Raises:
        DataError: if it does not.
    """
    content = read_cameras(path, "human36m")
    try:
        return {
            subject: [fixed_camera(e, i) for e, i in zip(extrinsics, content["intrinsics"], strict=True)]
            for subject, extrinsics in content["extrinsics"].items()
        }
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise fail(Path(path), "human36m", "intrinsics and extrinsics of its cameras", found) from error


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
