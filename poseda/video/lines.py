"""A camera as lines of JSON, which is what streams of detections are."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from poseda.datasets.errors import DataError
from poseda.video.detectors import Detector


class CameraLines(io.RawIOBase):
    """One JSON object a line for the largest person in each picture; pictures without people give no line.

    Frames are numbered by the times of their pictures: a picture that the camera drops leaves its number out.

    Args:
        pictures: seconds, None where unknown, and RGB pictures, one after another.
        detector: finds people in them.
        rate: frames per second that the numbers count.

    Raises:
        DataError: if there is no picture.
    """

    def __init__(
        self, pictures: Iterable[tuple[float | None, np.ndarray]], detector: Detector, rate: float
    ) -> None:
        pictures = iter(pictures)
        first = next(pictures, None)
        if first is None:
            raise DataError("--input: expected a camera that gives pictures, got none")
        self.image_size = (first[1].shape[1], first[1].shape[0])
        """Width and height of the pictures, pixels."""
        self._lines = _lines(_numbered(chain([first], pictures), rate), detector)

    def readline(self, size: int | None = -1, /) -> bytes:
        """The next line, empty after the last."""
        return next(self._lines, b"")


def _numbered(
    pictures: Iterable[tuple[float | None, np.ndarray]], rate: float
) -> Iterator[tuple[int, np.ndarray]]:
    """Pictures with rising numbers of frames, by their times where these are known."""
    frame, began = -1, None
    for seconds, picture in pictures:
        began = seconds if began is None else began
        by_time = 0 if seconds is None or began is None else round((seconds - began) * rate)
        frame = max(frame + 1, by_time)
        yield frame, picture


def _lines(pictures: Iterator[tuple[int, np.ndarray]], detector: Detector) -> Iterator[bytes]:
    for frame, picture in pictures:
        people = detector(picture)
        if len(people):
            content = {"keypoints": largest(people).round(2).tolist(), "frame": frame, "person": 0}
            yield json.dumps(content).encode() + b"\n"


def largest(people: np.ndarray) -> np.ndarray:
    """(J, 3) of the person whose seen joints span the largest box; people is (P, J, 3)."""
    spans = [
        np.ptp(person[person[:, 2] > 0, :2], axis=0) if person[:, 2].any() else (0, 0) for person in people
    ]
    return np.asarray(people[int(np.argmax([width * height for width, height in spans]))])
