"""Pictures of a video file or a camera, upright, with their size and rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from poseda.config.limits import CAMERA, FASTEST, SLOWEST
from poseda.datasets.formats.field import Field
from poseda.datasets.otherwise import VIDEOS
from poseda.video.extras import require

UNEVEN = 1.05
"""Rates on average and at most that differ by this factor are said."""


def is_video(path: Path) -> bool:
    """Whether a file is a video by its name."""
    return path.suffix.lower() in VIDEOS


def holds_videos(path: Path) -> bool:
    """Whether a path is a video, or a folder with videos."""
    return any(map(is_video, files_of(path))) if path.is_dir() else is_video(path)


def files_of(folder: Path) -> list[Path]:
    """The files of a folder and those below it, without those that programs keep there for themselves."""
    from poseda.datasets.detection_files import hidden

    return [file for file in folder.rglob("*") if file.is_file() and not hidden(file.relative_to(folder))]


class Video:
    """A video file: its size, its rate and its pictures.

    Args:
        path: of the file.

    Attributes:
        size: width and height of the upright picture, pixels.
        rate: frames per second, or None where the container does not say.
        frames: number of pictures that the container announces, 0 if none.
        notes: sentences about doubtful content.

    Raises:
        DataError: if the file is no video that can be read.
        MissingExtra: without PyAV.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.notes: tuple[str, ...] = ()
        with _opened(str(self.path), Field(self.path)) as (container, stream):
            first = next(iter(container.decode(stream)), None)
            if first is None:
                raise Field(self.path).fail("a video with pictures", "none")
            self.size = (first.width, first.height) if _turns(first) % 2 == 0 else (first.height, first.width)
            self.rate = _rate(stream.average_rate)
            highest = _rate(stream.base_rate)
            self.frames = int(stream.frames) or _announced(container, self.rate)
        if self.rate and highest and highest / self.rate > UNEVEN:
            self.notes = (
                f"{self.path}: its rate is not constant ({self.rate:g} frames per second on average, "
                f"{highest:g} at most); times follow from the average",
            )

    def __iter__(self) -> Iterator[np.ndarray]:
        """(height, width, 3) uint8 RGB of every picture in order, upright.

        Raises:
            DataError: if the file cannot be decoded to its end.
        """
        with _opened(str(self.path), Field(self.path)) as (container, stream):
            for frame in container.decode(stream):
                yield upright(frame)


class Camera:
    """A camera: its rate and, without an end, its pictures with the seconds at which they were taken.

    Args:
        device: that FFmpeg opens.
        place: names it in messages.
        container_format: of FFmpeg's input device, or None for that of a file.

    Attributes:
        rate: frames per second that the capture announces, or None.

    Raises:
        DataError: if there is no such camera.
        MissingExtra: without PyAV.
    """

    def __init__(self, device: str, place: Field, container_format: str | None) -> None:
        self._stack = ExitStack()
        self._container, self._stream = self._stack.enter_context(_opened(device, place, container_format))
        self.rate = _rate(self._stream.average_rate)

    def __iter__(self) -> Iterator[tuple[float | None, np.ndarray]]:
        """Seconds, None where unknown, and (height, width, 3) uint8 RGB of every picture, upright."""
        with self._stack:
            for frame in self._container.decode(self._stream):
                yield frame.time, upright(frame)


def open_camera(name: str) -> Camera:
    """A camera of Video4Linux.

    Args:
        name: ``camera:0`` for the first.

    Raises:
        DataError: if there is no such camera.
        MissingExtra: without PyAV.
    """
    number = name.removeprefix(CAMERA)
    place = Field(Path("--input"), name)
    if not number.isdecimal():
        raise place.fail("camera:N with the number of a camera", number or "none")
    return Camera(f"/dev/video{number}", place, "v4l2")


@contextmanager
def _opened(name: str, place: Field, container_format: str | None = None) -> Iterator[tuple[Any, Any]]:
    """A container and its first video stream; FFmpeg's errors become refusals."""
    av = require("av", "video", "videos")
    try:
        with av.open(name, format=container_format) as container:
            if not container.streams.video:
                raise place.fail("a video", "a file without pictures")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except (av.error.FFmpegError, OSError) as error:
        raise place.fail("a video that FFmpeg can decode", f"none ({_brief(error)})") from error


def upright(frame: Any) -> np.ndarray:
    """(height, width, 3) RGB of a decoded frame, turned as its container says."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), _turns(frame)))


def _turns(frame: Any) -> int:
    """Quarter turns counter-clockwise that make a frame upright."""
    return round(frame.rotation / 90) % 4


def _rate(value: Any) -> float | None:
    rate = float(value) if value else 0.0
    return rate if SLOWEST <= rate <= FASTEST else None


def _announced(container: Any, rate: float | None) -> int:
    """Pictures that a container's duration, in microseconds, has room for."""
    return round(container.duration / 1e6 * rate) if container.duration and rate else 0


def _brief(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
