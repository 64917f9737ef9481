"""Cameras: the one place that knows the screen convention.

Screen coordinates are normalised over the **width** in both axes, so the aspect ratio is kept. They are
``u = 2 px / width - 1`` and ``v = (2 py - height) / width``. Camera space is right-handed, in metres,
x right, y down, z forward.

:mod:`poseda.geometry.distortion` holds the distortion model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.export
from torch import Tensor
from torch.utils.data._utils.collate import default_collate_fn_map

from poseda.geometry import opencv
from poseda.geometry.distortion import distort, sees, undistort
from poseda.geometry.symbolic import differs

__all__ = [
    "Camera",
    "denormalize_screen",
    "distort",
    "normalize_screen",
    "pitch_roll",
    "project",
    "sees",
    "tilted_up",
    "undistort",
    "up_of",
]


def normalize_screen(pixels: Tensor, width: float, height: float) -> Tensor:
    """Convert pixels ``(..., 2)`` to screen coordinates ``(..., 2)``, both axes over the width."""
    _check_resolution(width, height)
    offset = pixels.new_tensor([width, height])
    return (2 * pixels - offset) / width


def denormalize_screen(screen: Tensor, width: float, height: float) -> Tensor:
    """Convert screen coordinates ``(..., 2)`` to pixels ``(..., 2)``; inverse of :func:`normalize_screen`."""
    _check_resolution(width, height)
    offset = screen.new_tensor([width, height])
    return (screen * width + offset) / 2


def _check_resolution(width: float, height: float) -> None:
    if not (width > 0 and height > 0):
        raise ValueError(
            f"resolution: expected a positive width and height in pixels, got {width} x {height}"
        )


@dataclass(frozen=True, eq=False)
class Camera:
    """A table of cameras. A first dimension of 1 is shared by the whole batch.

    Two cameras are equal only if they are the same object: the entries are tensors. A camera is a pytree, so
    that it goes through ``torch.export``. ``torch.utils.data.default_collate`` joins samples by :meth:`cat`.

    ``dynamic_shapes`` of ``torch.export`` takes a camera as the list of its entries in their order, None for
    an absent one: ``{"camera": [{0: rows}, {0: rows}, None, None]}``.

    Example:
        >>> K = torch.tensor([[[500.0, 0, 500], [0, 500, 250], [0, 0, 1]]])
        >>> camera = Camera.from_intrinsics(K, width=1000, height=500)
        >>> camera
        Camera(focal=tensor([[1., 1.]]), center=tensor([[0., 0.]]), distortion=None, aspect=tensor([0.5000]))
        >>> len(Camera.cat([camera, camera])[1:])
        1

    Args:
        focal: (N, 2) focal lengths fx, fy in half screen widths.
        center: (N, 2) principal points cx, cy in screen coordinates.
        distortion: (N, 5) k1, k2, k3, p1, p2, or None for a pinhole.
        aspect: (N,) height / width of the picture, or None where the edge of the screen does not matter.

    Raises:
        TypeError: if an entry is not a floating-point tensor or the entries differ in dtype or device.
        ValueError: if a shape is not as above.
    """

    focal: Tensor
    center: Tensor
    distortion: Tensor | None = None
    aspect: Tensor | None = None

    def __post_init__(self) -> None:
        # Training builds a table at each step: what is good is let through without looking at names.
        self._check("focal", self.focal, 2)
        self._check("center", self.center, 2)
        if self.distortion is not None:
            self._check("distortion", self.distortion, 5)
        if self.aspect is not None:
            self._check("aspect", self.aspect, None)
        entries = (self.focal, self.center, self.distortion, self.aspect)
        sizes = [value.shape[0] for value in entries if value is not None]
        if torch.compiler.is_compiling() or sizes.count(sizes[0]) < len(sizes):
            self._check_rows()

    def _check_rows(self) -> None:
        rows = self.num_rows
        for name in ("focal", "center", "distortion", "aspect"):
            value = getattr(self, name)
            if value is not None and differs(value.shape[0], rows) and differs(value.shape[0], 1):
                raise ValueError(f"camera.{name}: expected {rows} rows or 1, got {value.shape[0]}")

    def _check(self, name: str, value: Tensor, width: int | None) -> None:
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
            kind = f"{value.dtype}, {value.layout}" if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"camera.{name}: expected a dense floating-point tensor, got {kind}")
        shape = value.shape
        if len(shape) != 1 if width is None else len(shape) != 2 or shape[1] != width:
            expected = "(N,)" if width is None else f"(N, {width})"
            raise ValueError(f"camera.{name}: expected shape {expected}, got {tuple(shape)}")
        focal = self.focal
        if value is not focal and (value.dtype != focal.dtype or value.device != focal.device):
            raise TypeError(
                f"camera.{name}: expected {focal.dtype} on {focal.device} as camera.focal, "
                f"got {value.dtype} on {value.device}"
            )

    def __len__(self) -> int:
        return self.num_rows

    # Without this line Python would iterate by __getitem__ and make a small table of each row.
    __iter__ = None

    @property
    def num_rows(self) -> int:
        """Rows of the table, 1 where shared. Under export a symbol, which ``len`` makes a constant."""
        entries = (self.focal, self.center, self.distortion, self.aspect)
        sizes = [
            value.shape[0] for value in entries if value is not None and differs(value.shape[0], 1, True)
        ]
        if torch.compiler.is_compiling():  # the largest may be unknown; if they are good, they are equal
            return sizes[0] if sizes else 1
        return max(sizes) if sizes else 1

    @property
    def device(self) -> torch.device:
        """The device that holds every entry."""
        return self.focal.device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point dtype of every entry."""
        return self.focal.dtype

    @classmethod
    def from_pixels(
        cls, fx: float, fy: float, cx: float, cy: float, width: float, height: float, distortion: Any = None
    ) -> Camera:
        """Build one shared camera from intrinsics in pixels and the picture's size."""
        fx, fy, cx, cy, width, height = map(float, (fx, fy, cx, cy, width, height))
        _check_resolution(width, height)
        if not all(map(math.isfinite, (2 * fx / width, 2 * fy / width, 2 * cx / width, 2 * cy / width))):
            raise ValueError(f"fx, fy, cx, cy: expected finite pixels, got {fx}, {fy}, {cx}, {cy}")
        center = normalize_screen(torch.tensor([[cx, cy]], dtype=torch.float64), width, height)
        return cls(
            focal=torch.tensor([[2 * fx / width, 2 * fy / width]], dtype=torch.float32),
            center=center.float(),
            distortion=None
            if distortion is None
            else torch.as_tensor(distortion, dtype=torch.float32).reshape(1, 5),
            aspect=torch.tensor([height / width], dtype=torch.float32),
        )

    @classmethod
    def from_field_of_view(cls, horizontal_degrees: float, width: float, height: float) -> Camera:
        """Build one shared pinhole camera from its horizontal field of view and the picture's size."""
        if not 0 < horizontal_degrees < 180:
            raise ValueError(f"horizontal_degrees: expected 0 to 180 degrees, got {horizontal_degrees}")
        focal = width / 2 / float(np.tan(np.radians(horizontal_degrees) / 2))
        return cls.from_pixels(focal, focal, width / 2, height / 2, width, height)

    @classmethod
    def from_opencv(
        cls, matrix: Any, coefficients: Any, width: float, height: float, tolerance_px: float = 1.0
    ) -> Camera:
        """Fit this package's distortion model to OpenCV's over the whole picture.

        Args:
            matrix: (3, 3) intrinsics in pixels, no skew.
            coefficients: 0, 4 or 5 numbers k1, k2, p1, p2[, k3] in OpenCV's order.
            width, height: size of the picture in pixels.
            tolerance_px: largest misfit to accept, in pixels.

        Raises:
            ValueError: if a shape is wrong or the misfit exceeds the tolerance; the message states the
            misfit.
        """
        names = ("matrix", "coefficients")
        camera = cls._normalized(opencv.read(matrix, width, height, coefficients, tolerance_px, names))
        if len(camera) != 1:
            raise ValueError(
                f"matrix: expected one camera, got {len(camera)}; Camera.from_intrinsics takes several"
            )
        return camera.to(torch.float32)

    @classmethod
    def from_intrinsics(
        cls,
        K: Any,
        width: Any,
        height: Any,
        distortion: Any = None,
        *,
        tolerance_px: float = 1.0,
        dtype: torch.dtype | None = None,
    ) -> Camera:
        """Build a table of cameras from intrinsic matrices in pixels. Each argument has N rows or one.

        Gradients reach focal lengths and centres, but not the distortion.

        Args:
            K: (N, 3, 3) or (3, 3) intrinsics in pixels, no skew: a tensor, an array or lists.
            width, height: size of the pictures in pixels, one number or (N,).
            distortion: (N, 5), (N, 4), (5,) or (4,) k1, k2, p1, p2[, k3] in OpenCV's order, or None. Radial
                lenses are converted exactly, others fitted as by :meth:`from_opencv`.
            tolerance_px: largest misfit to accept, in pixels.
            dtype: of the camera. Default: that of K if it is a floating-point tensor, else float32.

        Raises:
            TypeError: if an argument does not consist of numbers.
            ValueError: if a shape is wrong, K has skew, a length is not positive or a misfit exceeds the
                tolerance.
        """
        camera = cls._normalized(opencv.read(K, width, height, distortion, tolerance_px))
        floating = isinstance(K, Tensor) and K.is_floating_point()
        return camera.to(dtype or (K.dtype if floating else torch.float32))

    @classmethod
    def _normalized(cls, pixels: opencv.Pixels) -> Camera:
        width, height = pixels.size.unbind(-1)
        return cls(
            focal=2 * pixels.focal / width[:, None],
            center=(2 * pixels.center - pixels.size) / width[:, None],
            distortion=pixels.lens,
            aspect=height / width,
        )

    @classmethod
    def cat(cls, cameras: Iterable[Camera]) -> Camera:
        """Join tables, one after the other. A shared camera becomes one row.

        Where some cameras have distortion, the others get zeros. ``aspect`` is kept if all cameras have it.

        Raises:
            TypeError: if one is not a Camera, or they differ in dtype or device.
            ValueError: if there are none.
        """
        if isinstance(cameras, Camera) or not isinstance(cameras, Iterable):
            raise TypeError(f"cameras: expected a list of Cameras, got {type(cameras).__name__}")
        cameras = list(cameras)
        if not cameras:
            raise ValueError("cameras: expected at least one camera, got none")
        for number, camera in enumerate(cameras):
            if not isinstance(camera, Camera):
                raise TypeError(f"cameras[{number}]: expected a Camera, got {type(camera).__name__}")
            if camera.dtype != cameras[0].dtype or camera.device != cameras[0].device:
                raise TypeError(
                    f"cameras[{number}]: expected {cameras[0].dtype} on {cameras[0].device} as cameras[0], "
                    f"got {camera.dtype} on {camera.device}"
                )
        tables = [camera.expand(camera.num_rows) for camera in cameras]
        aspect = [table.aspect for table in tables if table.aspect is not None]
        distortion = None
        if any(table.distortion is not None for table in tables):
            pinhole = cameras[0].focal.new_zeros(1, 5)
            lenses = ((table.distortion, table.num_rows) for table in tables)
            distortion = torch.cat([pinhole.expand(n, 5) if lens is None else lens for lens, n in lenses])
        return cls(
            torch.cat([table.focal for table in tables]),
            torch.cat([table.center for table in tables]),
            distortion,
            torch.cat(aspect) if len(aspect) == len(tables) else None,
        )

    def to(self, *args: Any, **kwargs: Any) -> Camera:
        """Move or cast every entry, as ``Tensor.to``."""
        return self._map(lambda value: value.to(*args, **kwargs))

    def rows(self, index: Tensor) -> Camera:
        """The cameras of a batch that an int64 or boolean index picks; a shared camera stays shared."""
        return self[index] if differs(self.num_rows, 1, True) else self

    def __getitem__(self, index: int | slice | Tensor | np.ndarray | list[int] | list[bool]) -> Camera:
        """Pick rows, as many as the index names; an integer picks a table of one.

        Entries with one row in a table of several stay so.

        Raises:
            IndexError: if there is no such row.
            TypeError: if the index is of another type.
        """
        rows = self.num_rows
        if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
            if not -rows <= index < rows:
                raise IndexError(f"camera: expected one of {rows} rows, got {index}")
            index = slice(index, index + 1 or None)  # the row after -1 is not row 0
        elif isinstance(index, (Tensor, np.ndarray, list)):
            index = self._index(index)
        elif not isinstance(index, slice):
            raise TypeError(
                f"camera: expected an integer, a slice, a mask or an int64 index, got {type(index).__name__}"
            )
        single = not differs(rows, 1, True)
        return self._map(lambda value: value[index] if single or differs(value.shape[0], 1, True) else value)

    def _index(self, index: Tensor | np.ndarray | list[int] | list[bool]) -> Tensor:
        """Rows or a mask of them as a tensor; an empty list picks none."""
        try:
            picked = torch.as_tensor(index)
        except (TypeError, ValueError, RuntimeError):
            came = type(index).__name__
            raise TypeError(
                f"camera: expected a mask or an int64 index, got a {came} of something else"
            ) from None
        if isinstance(index, list) and not index:
            picked = picked.long()
        picked = picked[None] if picked.dim() == 0 else picked
        if picked.is_floating_point() or picked.is_complex() or picked.dim() != 1:
            raise TypeError(
                f"camera: expected a mask or an int64 index of one dimension, got {picked.dtype} of shape "
                f"{tuple(picked.shape)}"
            )
        if not isinstance(index, Tensor):  # whose rows may lie on another device, where a look would wait
            rows = self.num_rows
            if picked.dtype == torch.bool and len(picked) != rows:
                raise IndexError(f"camera: expected a mask of {rows} rows, got {len(picked)}")
            if picked.dtype != torch.bool and bool(((picked < -rows) | (picked >= rows)).any()):
                raise IndexError(f"camera: expected some of {rows} rows, got {picked.tolist()}")
        return picked

    def expand(self, size: int) -> Camera:
        """Repeat a shared camera to ``size`` rows without copying."""
        return self._map(lambda value: value.expand(size, *value.shape[1:]))

    def mirrored(self) -> Camera:
        """The camera that sees the world left-right reversed: cx and p1 change sign."""
        flip_center = self.center.new_tensor([-1.0, 1.0])
        distortion = self.distortion
        if distortion is not None:
            distortion = distortion * distortion.new_tensor([1.0, 1.0, 1.0, -1.0, 1.0])
        return replace(self, center=self.center * flip_center, distortion=distortion)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Camera:
        def optional(value: Tensor | None) -> Tensor | None:
            return None if value is None else function(value)

        return Camera(
            function(self.focal), function(self.center), optional(self.distortion), optional(self.aspect)
        )


def _collated(batch: list[Camera], *, collate_fn_map: Any = None) -> Camera:
    return Camera.cat(batch)


# Under a name that outlives moves of this module: exported programs hold it.
torch.export.register_dataclass(Camera, serialized_type_name="poseda.Camera")
# Exported programs hold example inputs, which torch loads without running code only if it knows their types.
torch.serialization.add_safe_globals([Camera])
# The table in which torch documents that collating is extended.
default_collate_fn_map[Camera] = _collated


def project(points: Tensor, camera: Camera) -> Tensor:
    """Project points in plain torch; ``poseda.ops.project`` is the fused form.

    Args:
        points: (N, ..., 3) metres, camera frame.
        camera: N cameras or one shared.

    Returns:
        (N, ..., 2) screen coordinates. Points at depth 0 give non-finite coordinates.
    """
    shape = (*([1] * (points.dim() - 2)), 2)
    xy = distort(points[..., :2] / points[..., 2:], camera.distortion)
    return camera.focal.reshape(-1, *shape) * xy + camera.center.reshape(-1, *shape)


def pitch_roll(up: Tensor) -> Tensor:
    """Pitch (downward) and roll of a camera that sees upward as (..., 3): (..., 2) radians."""
    return torch.stack([torch.atan2(-up[..., 2], -up[..., 1]), torch.atan2(up[..., 0], -up[..., 1])], -1)


def up_of(pitch_roll: Tensor) -> Tensor:
    """Inverse of :func:`pitch_roll`, for angles below a right angle: (..., 2) to (..., 3), unit."""
    pitch, roll = pitch_roll.unbind(-1)
    return torch.nn.functional.normalize(
        torch.stack([roll.tan(), -torch.ones_like(roll), -pitch.tan()], -1), dim=-1
    )


def tilted_up(pitch_roll: Tensor) -> Tensor:
    """Upward direction in a camera that was pitched down and then rolled about its axis, by any angle.

    Args:
        pitch_roll: (..., 2) radians, pitch downward.

    Returns:
        (..., 3) unit vectors, camera axes.
    """
    sine, cosine = pitch_roll.sin(), pitch_roll.cos()
    rolled = torch.stack([sine[..., 1], -cosine[..., 1]], -1)
    return torch.cat([cosine[..., :1] * rolled, -sine[..., :1]], -1)


def tilt_of(up: Tensor) -> Tensor:
    """Inverse of :func:`tilted_up`: (..., 3) unit vectors to pitch and roll (..., 2), radians."""
    return torch.stack([-up[..., 2].clamp(-1, 1).asin(), torch.atan2(up[..., 0], -up[..., 1])], -1)
