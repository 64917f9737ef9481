"""Files of cameras: of one, of a rig, and the calibrated cameras of a data set."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.filming import FixedCamera, pitch_of
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_json, read_text
from poseda.datasets.screen import Intrinsics
from poseda.geometry.camera import Camera, normalize_screen
from poseda.geometry.rotation import rotation_matrix

LARGEST = 1e7
"""No number of a camera is this large: metres, pixels or coefficients of its lens."""

ROUNDED = 1e-3
"""Entries of a rotation matrix times its transpose may be off by this, as files round them."""

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


@dataclass(frozen=True)
class RigCamera:
    """A camera of a file.

    Args:
        name: that the file gives it, else the file's own.
        intrinsics: of the camera.
        rotation: (3, 3) from the world of the file to the camera's axes, or None where the file has none.
        note: where it comes from, in words.
    """

    name: str
    intrinsics: Intrinsics
    rotation: np.ndarray | None
    note: str


def read_rig(path: str | Path) -> list[RigCamera]:
    """Read the cameras of a file.

    The file is JSON of one camera, JSON with a list ``cameras``, or TOML with a table for each camera, as
    Anipose and Pose2Sim write it. A camera has its size (``width`` and ``height``, ``res_w`` and ``res_h``,
    ``size`` or ``resolution``) in pixels and

    - ``matrix`` or ``K``, 3 x 3, with 0, 4 or 5 coefficients in OpenCV's order, called ``distortion``,
      ``distortions`` or ``distCoef``; or
    - ``focal_length`` [fx, fy] and ``center`` [cx, cy] in pixels, with ``radial_distortion`` [k1, k2, k3] and
      ``tangential_distortion`` [p1, p2] of VideoPose3D's model.

    ``rotation``, ``R`` or ``R_world_to_cam`` turns the world into its axes: 3 x 3, or a vector in radians.

    Raises:
        DataError: if the file is something else.
    """
    file = _rig_file(Path(path))
    if "cameras" in file:
        entries = [(entry.get("name", at), entry) for at, entry in enumerate(file["cameras"].elements())]
    elif not _of_camera(file):
        entries = [(entry.get("name", key), entry) for key, entry in file.entries() if _of_camera(entry)]
    else:
        return [_rig_camera(file.path.stem, file, f"intrinsics from {file.path.name}")]
    if not entries:
        raise file.fail("cameras with a matrix or a focal length", "none")
    named = [(str(name.name()), entry) for name, entry in entries]
    return [_rig_camera(name, entry, f"camera {name} of {file.path.name}") for name, entry in named]


def _rig_file(path: Path) -> Field:
    """The content of a file of JSON or TOML."""
    text = read_text(path).lstrip()
    if not text.startswith("{"):
        try:
            return Field(path, "", tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError):
            pass  # whatever it is, it is refused as JSON
    return read_json(path)


def _of_camera(entry: Field) -> bool:
    return any(name in entry for name in ("matrix", "K", "focal_length", "center", "width", "res_w"))


def _rig_camera(name: str, camera: Field, note: str) -> RigCamera:
    rotation = _present(camera, "rotation", "R", "R_world_to_cam")
    turned = None if rotation.value is None else _rotation(rotation)
    return RigCamera(name, _intrinsics(camera), turned, note)


def _intrinsics(camera: Field) -> Intrinsics:
    """Intrinsics in OpenCV's form or in VideoPose3D's."""
    if camera["fisheye"].value is True:
        raise camera["fisheye"].fail(
            "a lens of OpenCV's usual model", "a fisheye lens; undistort its 2D first"
        )
    field = _present(camera, "matrix", "K")
    if field.value is None:
        lens = pixel_lens(camera)
        return Intrinsics(lens.camera(), lens.size)
    size, matrix = _size(camera), field.numbers((3, 3))
    _check_focal(field, matrix.diagonal()[:2])
    _check_small(field, matrix)
    distortion = _present(camera, "distortion", "distortions", "distCoef")
    try:
        given = Camera.from_opencv(matrix, [] if distortion.value is None else distortion.value, *size)
    except (ValueError, TypeError) as error:
        raise distortion.fail("OpenCV's coefficients", f"other values ({error})") from error
    return Intrinsics(given, size)


def _present(camera: Field, *names: str) -> Field:
    """The entry under the first of these names that is there; without a value where none is."""
    return camera[next((name for name in names if name in camera), names[0])]


def _rotation(field: Field) -> np.ndarray:
    """A rotation from its matrix or its rotation vector, (3, 3) float64."""
    nested = isinstance(field.value, list) and bool(field.value) and isinstance(field.value[0], list)
    given = field.numbers((3, 3) if nested else (3,))
    _check_small(field, given)
    matrix = given if nested else rotation_matrix(torch.from_numpy(given)).numpy()
    if not (np.abs(matrix @ matrix.T - np.eye(3)) < ROUNDED).all() or np.linalg.det(matrix) < 0:
        raise field.fail("a rotation", str(matrix.round(3).tolist())[:60])
    return np.asarray(matrix)


def read_intrinsics(path: str | Path) -> Intrinsics:
    """Read the intrinsics of a file of one camera; :func:`read_rig` lists the forms.

    Raises:
        DataError: if the file is something else, or holds several cameras.
    """
    cameras = read_rig(path)
    if len(cameras) > 1:
        names = ", ".join(camera.name for camera in cameras)
        raise Field(Path(path), "cameras").fail("one", f"{len(cameras)}: {names}")
    return cameras[0].intrinsics


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
    both = _present(camera, "size", "resolution")
    if both.value is not None and len(pair := both.elements()) == 2:
        width, height = pair
    else:
        width, height = _present(camera, "width", "res_w"), _present(camera, "height", "res_h")
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
