"""Cameras from files, and motion seen through them: how poses in a world become a lifter's training pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Intrinsics
from poseda.datasets.formats.text import fail, numbers, read_json, record, whole
from poseda.datasets.records import DataError
from poseda.geometry.camera import Camera


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
