"""JSON files of cameras: one camera's intrinsics, and the calibrated cameras of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.filming import FixedCamera, pitch_of
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_json
from poseda.datasets.screen import Intrinsics
from poseda.geometry.camera import Camera, normalize_screen

LARGEST = 1e7
"""No number of a camera is this large: metres, pixels or coefficients of its lens."""

SMALLEST_FOCAL = 1e-3
"""No focal length is this small, pixels."""


@dataclass(frozen=True)
class PixelLens:
    """A camera's intrinsics as files give them.

    Args:
        focal, center: (2,) pixels.
        distortion: (5,) k1, k2, k3, p1, p2 of :mod:`poseda.geometry.camera`; zeros where the file has none.
        size: width and height of the picture, pixels.
    """

    focal: np.ndarray
    center: np.ndarray
    distortion: np.ndarray
    size: tuple[int, int]

    def camera(self) -> Camera:
        """One row, float32."""
        (fx, fy), (cx, cy), (width, height) = self.focal, self.center, self.size
        return Camera.from_pixels(fx, fy, cx, cy, width, height, self.distortion)


def read_intrinsics(path: str | Path) -> Intrinsics:
    """Read one camera's intrinsics.

    The file is a JSON object with ``width`` and ``height`` (or ``res_w``, ``res_h``) in pixels and

    - ``matrix`` 3 x 3 and ``distortion`` with 0, 4 or 5 coefficients in OpenCV's order; or
    - ``focal_length`` [fx, fy] and ``center`` [cx, cy] in pixels, with ``radial_distortion`` [k1, k2, k3] and
      ``tangential_distortion`` [p1, p2] of VideoPose3D's model.

    Raises:
        DataError: if the file is neither.
    """
    file = read_json(Path(path))
    if "matrix" not in file:
        lens = pixel_lens(file)
        return Intrinsics(lens.camera(), lens.size)
    size, matrix = _size(file), file["matrix"].numbers((3, 3))
    _check_focal(file["matrix"], matrix.diagonal()[:2])
    _check_small(file["matrix"], matrix)
    try:
        camera = Camera.from_opencv(matrix, file.get("distortion", []).value, *size)
    except (ValueError, TypeError) as error:
        raise file["distortion"].fail("OpenCV's coefficients", f"other values ({error})") from error
    return Intrinsics(camera, size)


def pixel_lens(camera: Field) -> PixelLens:
    """Read ``focal_length``, ``center``, the distortion and the size of a camera's record.

    Where several focal lengths are published, the first counts.

    Raises:
        DataError: if an entry is missing or is not that of a camera.
    """
    size, focal_length = _size(camera), camera["focal_length"]
    if not focal_length.value and camera["focal_length_published_variants"].value:
        focal_length = camera["focal_length_published_variants"].elements()[0]
    focal, center = focal_length.numbers((2,)), camera["center"].numbers((2,))
    _check_focal(focal_length, focal)
    _check_small(focal_length, focal)
    _check_small(camera["center"], center)
    distortion = [
        _coefficients(camera[f"{kind}_distortion"], n) for kind, n in (("radial", 3), ("tangential", 2))
    ]
    return PixelLens(focal, center, np.concatenate(distortion), size)


def _size(camera: Field) -> tuple[int, int]:
    width, height = (
        (camera[long] if long in camera or short not in camera else camera[short])
        for long, short in (("width", "res_w"), ("height", "res_h"))
    )
    size = width.whole(), height.whole()
    if not 1 <= min(size) <= max(size) < LARGEST:
        raise width.fail("a picture of some pixels", f"{size[0]} x {size[1]}")
    return size


def _coefficients(field: Field, count: int) -> np.ndarray:
    """A lens's coefficients, zeros where there are none."""
    if not field.value:
        return np.zeros(count)
    values = field.numbers((count,))
    _check_small(field, values)
    return values


def _check_focal(field: Field, focal: np.ndarray) -> None:
    if not (focal > SMALLEST_FOCAL).all():
        raise field.fail("positive focal lengths", focal.tolist())


def _check_small(field: Field, values: np.ndarray) -> None:
    if not (np.abs(values) < LARGEST).all():
        raise field.fail(f"numbers below {LARGEST:g}", str(values.tolist())[:60])


def read_cameras(path: str | Path, dataset: str) -> Field:
    """The part of a cameras JSON that belongs to a data set: under its name, or the whole file.

    Raises:
        DataError: if the file is not a JSON object.
    """
    file = read_json(Path(path))
    named = file[dataset]
    return file if named.value is None else named


def read_rigs_by_subject(path: str | Path) -> dict[str, list[FixedCamera]]:
    """Human3.6M's cameras by subject.

    The file holds, at top level or under ``human36m``, two entries. ``intrinsics`` is a list of four cameras,
    see :func:`pixel_lens`. ``extrinsics`` has for each subject a list of four objects with ``R_world_to_cam``
    (3 x 3) and ``position_m``.

    Raises:
        DataError: if it does not.
    """
    content = read_cameras(path, "human36m")
    lenses = content["intrinsics"].elements()
    rigs = {}
    for subject, extrinsics in content["extrinsics"].entries():
        places = extrinsics.elements()
        if len(places) != len(lenses):
            raise extrinsics.fail(f"{len(lenses)} cameras as intrinsics", len(places))
        rigs[subject] = [fixed_camera(place, lens) for place, lens in zip(places, lenses, strict=True)]
    if not rigs:
        raise content["extrinsics"].fail("cameras of at least one subject", "none")
    return rigs


def fixed_camera(place: Field, intrinsics: Field) -> FixedCamera:
    """A calibrated camera from its two records, which may be the same.

    Args:
        place: with ``R_world_to_cam`` (3 x 3) and ``position_m``.
        intrinsics: see :func:`pixel_lens`.

    Raises:
        DataError: if an entry is missing or is not that of a camera.
    """
    rotation, position = place["R_world_to_cam"].numbers((3, 3)), place["position_m"].numbers((3,))
    _check_small(place["R_world_to_cam"], rotation)
    _check_small(place["position_m"], position)
    lens = pixel_lens(intrinsics)
    width, height = lens.size
    return FixedCamera(
        rotation,
        position,
        Camera(
            focal=torch.from_numpy(lens.focal)[None] * 2 / width,
            center=normalize_screen(torch.from_numpy(lens.center)[None], width, height),
            distortion=torch.from_numpy(lens.distortion)[None],
            aspect=torch.tensor([height / width], dtype=torch.float64),
        ),
        pitch_of(rotation),
    )
