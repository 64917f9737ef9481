"""Skeletons drawn with Pillow: on a picture, and in the world from a raised point of view at the side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from poseda.geometry.skeleton import Skeleton

if TYPE_CHECKING:
    from PIL.Image import Image

GROUND, PAPER, GRID, INK = (38, 42, 49), (24, 27, 32), (58, 64, 73), (236, 238, 241)
SIDES = {"left": (242, 160, 87), "right": (79, 195, 223), "middle": (170, 178, 189)}
"""Colours of the sides of a body, those of the report on a dark page."""

FINE = 2
"""Pictures are drawn this many times as large, then reduced: Pillow's lines have no soft edges."""

YAW, PITCH, DISTANCE = -0.5, 0.25, 5.0
"""The point of view: radians about the vertical and above the floor; how far off, in sizes of the scene."""


def fine_ground(size: tuple[int, int], ground: np.ndarray | tuple[int, int, int]) -> Image:
    """What a :class:`Pen` draws upon, finer than the drawing.

    Args:
        size: width and height of the drawing, pixels.
        ground: (height, width, 3) uint8 RGB of any size, or one colour.
    """
    from PIL import Image

    fine = (FINE * size[0], FINE * size[1])
    if isinstance(ground, tuple):
        return Image.new("RGB", fine, ground)
    return Image.fromarray(ground).resize(fine, Image.Resampling.BILINEAR)


class Pen:
    """Draws skeletons on one picture.

    Args:
        ground: :func:`fine_ground`, which is drawn upon.
        skeleton: of the poses.
    """

    def __init__(self, ground: Image, skeleton: Skeleton) -> None:
        from PIL import ImageDraw

        self.size = (ground.width // FINE, ground.height // FINE)
        self._large = ground
        self._draw: Any = ImageDraw.Draw(self._large)
        self._bones = [(parent, joint) for joint, parent in enumerate(skeleton.parents) if parent >= 0]
        self._tone = [SIDES[_side(name)] for name in skeleton.joint_names]
        self._thick = max(2.0, self.size[1] / 140) * FINE

    def line(self, start: Sequence[float], end: Sequence[float], tone: tuple[int, int, int]) -> None:
        """A thin line between two pixels."""
        self._draw.line([*(FINE * x for x in start), *(FINE * x for x in end)], tone, FINE)

    def text(self, place: tuple[float, float], words: str, share: float = 1 / 24) -> None:
        """Words at a pixel, their height a share of the picture's."""
        from PIL import ImageFont

        font = ImageFont.load_default(size=max(8 * FINE, round(share * FINE * self.size[1])))
        at = (FINE * place[0], FINE * place[1])
        self._draw.text(at, words, INK, font, stroke_width=FINE, stroke_fill=PAPER)

    def body(self, place: np.ndarray, seen: np.ndarray) -> None:
        """A skeleton; bones to unseen joints are thin, and unseen joints hollow.

        Args:
            place: (J, 2) pixels, NaN where unknown.
            seen: (J,) bool, joints that were detected.
        """
        known = np.isfinite(place).all(1) & (np.abs(np.nan_to_num(place)) < 4 * max(self.size)).all(1)
        at = [tuple(pixel) for pixel in (FINE * np.nan_to_num(place)).tolist()]
        for parent, joint in self._bones:
            if known[parent] and known[joint]:
                width = self._thick if seen[parent] and seen[joint] else self._thick / 3
                self._draw.line([at[parent], at[joint]], self._tone[joint], max(1, round(width)))
        for joint in np.flatnonzero(known).tolist():
            x, y = at[joint]
            radius, tone = self._thick, self._tone[joint]
            box = (x - radius, y - radius, x + radius, y + radius)
            if seen[joint]:
                self._draw.ellipse(box, tone)
            else:
                self._draw.ellipse(box, PAPER, tone, max(1, round(self._thick / 2)))

    def done(self) -> Image:
        """The drawing in the size of the picture."""
        return self._large.reduce(FINE)


class View:
    """A fixed point of view on a scene, in which all of it has its place.

    Args:
        points: (N, 3) metres, y up, all that is to be seen.
        size: of the square picture, pixels.
    """

    def __init__(self, points: np.ndarray, size: int) -> None:
        low, high = points.min(0), points.max(0)
        low[1] = min(low[1], 0.0)
        self.middle, self.size = (low + high) / 2, size
        self.reach = max(float(np.linalg.norm(high - low)) / 2, 0.5)
        self.floor = max(float(high[0] - low[0]), float(high[2] - low[2]), 1.5) / 2 + 0.5

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) where points (..., 3) are on the picture."""
        x, y, z = np.moveaxis(points - self.middle, -1, 0)
        cosine, sine = np.cos(YAW), np.sin(YAW)
        x, z = cosine * x + sine * z, -sine * x + cosine * z
        y, z = np.cos(PITCH) * y - np.sin(PITCH) * z, np.sin(PITCH) * y + np.cos(PITCH) * z
        near = DISTANCE * self.reach / (DISTANCE * self.reach - z)
        scale = 0.44 * self.size / self.reach * near
        return np.stack([self.size / 2 + x * scale, self.size / 2 - y * scale], -1)

    def grid(self, pen: Pen) -> None:
        """The floor, in lines half a metre apart or a few more."""
        step = 0.5 * max(1, round(self.floor / 4))
        count = int(np.ceil(self.floor / step))
        ends = step * count
        for offset in step * np.arange(-count, count + 1):
            for start, end in (((offset, -ends), (offset, ends)), ((-ends, offset), (ends, offset))):
                line = [[self.middle[0] + x, 0, self.middle[2] + z] for x, z in (start, end)]
                one, other = self.pixels(np.array(line)).tolist()
                pen.line(one, other, GRID)


def _side(name: str) -> str:
    side = name.partition("_")[0]
    return side if side in ("left", "right") else "middle"
