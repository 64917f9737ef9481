"""Short videos of a red square that walks, and a detector that takes the square for a person."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from bodies import body

from poseda.datasets.layouts import LAYOUTS, Layout

SIDE = 24
"""Pixels of the square's side."""


def picture(left: int, top: int = 60, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """(height, width, 3) with a red square."""
    made = np.full((size[1], size[0], 3), 40, np.uint8)
    made[top : top + SIDE, left : left + SIDE] = (230, 20, 20)
    return made


def walk(frames: int = 12) -> list[np.ndarray]:
    """Pictures of a square that goes to the right by four pixels a frame."""
    return [picture(80 + 4 * at) for at in range(frames)]


def write_video(path: Path, pictures: Iterable[np.ndarray], rate: Fraction = Fraction(30000, 1001)) -> Path:
    """A video of pictures."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.bit_rate = 4_000_000
        for at, content in enumerate(pictures):
            if at == 0:
                stream.height, stream.width = content.shape[:2]
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(content, format="rgb24")))
        container.mux(stream.encode())
    return path


def turn(path: Path) -> None:
    """Say in an mp4 that its pictures are to be turned by a quarter, clockwise, as phones do."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # after version, flags, times, numbers and volume
    matrix = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    content[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(content)


class SquareDetector:
    """Takes a red square for a person of its place."""

    def __init__(self, layout: Layout = LAYOUTS["coco17"], name: str = "squares 1") -> None:
        self.layout, self.name, self.seen = layout, name, 0

    def __enter__(self) -> SquareDetector:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __call__(self, content: np.ndarray) -> np.ndarray:
        self.seen += 1
        red = (content[..., 0] > 150) & (content[..., 1] < 100)
        if not red.any():
            return np.zeros((0, len(self.layout), 3))
        y, x = np.nonzero(red)
        joints = body(self.layout.name, noise=0) * 60 + [x.mean(), y.mean()]
        return np.concatenate([joints, np.full((len(joints), 1), 0.9)], 1)[None]
