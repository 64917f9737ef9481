"""A movie of lifted poses: the skeleton on the picture, and beside it the same people in 3D.

Where no pictures are given, the skeleton is drawn on a plain ground of the picture's size. The 3D view shows
the world of :mod:`poseda.export.world`. Joints that were not detected are hollow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poseda.export.drawing import GROUND, PAPER, Pen, View, fine_ground
from poseda.export.movie import check_movie, movie_bytes, shown_step
from poseda.export.poses import LiftedPoses
from poseda.export.world import Actor, actors
from poseda.export.write import clip_files
from poseda.runs.atomic import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image

Pictures = Callable[[int], Iterable[np.ndarray] | None]
"""Number of a clip to its pictures from frame 0 on: (height, width, 3) uint8 RGB. None: a plain ground."""

HEIGHT = 480
"""Of the movie, pixels."""

APART = 1.2
"""Metres from one person to the next in 3D, where their places are unknown."""


def planned_overlays(path: Path, poses: LiftedPoses) -> list[Path]:
    """The files that :func:`write_overlay` will write: one for each clip with a lifted frame.

    Raises:
        ValueError: if the ending is no movie's, a library is missing or nobody has a valid frame.
    """
    check_movie(path)
    if not poses.valid.any():
        raise ValueError("overlay: expected a person with a valid frame, got none")
    return clip_files(path, poses)


def write_overlay(
    path: Path,
    poses: LiftedPoses,
    pictures: Pictures | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write a movie of each clip, at the clip's speed.

    Args:
        path: ends in .mp4 or .gif.
        poses: with ``pose_2d`` for the skeleton on the picture.
        pictures: gives those of a clip; None for a plain ground.
        progress: called with the number of pictures drawn so far and of all.

    Raises:
        ValueError: if the ending is no movie's, a library is missing or nobody has a valid frame.
        OSError: if a file cannot be written.
    """
    files, films = planned_overlays(path, poses), _films(poses)
    steps = [shown_step(path, film.rate) for film in films]
    done, total = count(1), sum(len(film.clock[::step]) for film, step in zip(films, steps, strict=True))
    for file, film, step in zip(files, films, steps, strict=True):
        drawn = film.pictures(None if pictures is None else pictures(film.clip), step)
        if progress is not None:
            drawn = _followed(drawn, progress, done, total)
        write_atomically(file, movie_bytes(file, drawn, film.rate / step))
    return files


def _followed(
    pictures: Iterator[Image], progress: Callable[[int, int], None], done: Iterator[int], total: int
) -> Iterator[Image]:
    for picture in pictures:
        progress(next(done), total)
        yield picture


def _films(poses: LiftedPoses) -> list[_Film]:
    clips: dict[int, list[Actor]] = {}
    for actor in actors(poses):
        clips.setdefault(actor.clip, []).append(actor)
    return [_Film(poses, people) for people in clips.values()]


class _Film:
    """The pictures of one clip.

    Args:
        poses: of all clips.
        people: of this one.
    """

    def __init__(self, poses: LiftedPoses, people: list[Actor]) -> None:
        self.poses, self.people = poses, people
        self.clip = clip = people[0].clip
        self.title, self.clock, self.time = poses.clip_name(clip), people[0].frame, people[0].time
        self.rate = 1 / float(self.time[1]) if len(self.time) > 1 else poses.rate
        self.apart = poses.root is None and len(people) > 1
        if self.apart:
            self.people = [
                replace(actor, position=actor.position + place)
                for actor, place in zip(people, _rows(len(people)), strict=True)
            ]
        shown = [actor.position[actor.known].reshape(-1, 3) for actor in self.people]
        self.view = View(np.concatenate(shown), HEIGHT)
        self.floor = fine_ground((HEIGHT, HEIGHT), PAPER)
        if clip in poses.up:  # where nobody knows which way is up, there is no floor
            self.view.grid(Pen(self.floor, poses.skeleton))
        self.size = _picture_size(poses, clip)
        self.rows = {
            (int(poses.person[row]), int(poses.frame[row])): int(row)
            for row in np.flatnonzero((poses.clip == clip) & poses.valid)
        }

    def pictures(self, given: Iterable[np.ndarray] | None, step: int) -> Iterator[Image]:
        """Every step-th picture of the clip; a plain ground where none is given."""
        grounds = None if given is None else _numbered(given)
        for at in range(0, len(self.clock), step):
            ground = None if grounds is None else grounds(int(self.clock[at]))
            yield self._picture(at, ground)

    def _picture(self, at: int, ground: np.ndarray | None) -> Image:
        from PIL import Image

        left, right = self._on_picture(at, ground), self._in_space(at)
        whole = Image.new("RGB", (left.width + right.width, HEIGHT), PAPER)
        whole.paste(left, (0, 0))
        whole.paste(right, (left.width, 0))
        return whole

    def _on_picture(self, at: int, ground: np.ndarray | None) -> Image:
        width, height = self.size if ground is None else (ground.shape[1], ground.shape[0])
        shown = (max(2, 2 * round(HEIGHT * width / height / 2)), HEIGHT)
        poses = self.poses
        pen = Pen(fine_ground(shown, GROUND if ground is None else ground), poses.skeleton)
        for actor in self.people:
            row = self.rows.get((actor.person, int(self.clock[at])))
            if row is None or poses.pose_2d is None:
                continue
            # Screen coordinates are over the width in both axes, from the middle.
            pixels = poses.pose_2d[row] * shown[0] / 2 + [shown[0] / 2, HEIGHT / 2]
            pen.body(pixels, poses.visible[row])
            head = pixels[np.isfinite(pixels).all(1)]
            if len(self.people) > 1 and len(head):
                top = head[head[:, 1].argmin()]
                pen.text((float(top[0]) + 6, max(float(top[1]) - 26, 2)), str(actor.person))
        pen.text((10, 8), self.title)
        pen.text((10, HEIGHT - 28), f"frame {self.clock[at]}   {self.time[at]:.2f} s", 1 / 30)
        return pen.done()

    def _in_space(self, at: int) -> Image:
        pen = Pen(self.floor.copy(), self.poses.skeleton)
        # Who is further off is drawn first.
        for actor in sorted(self.people, key=lambda actor: float(actor.position[at, 0, 2])):
            if actor.known[at]:
                pixels = self.view.pixels(actor.position[at])
                pen.body(pixels, actor.seen[at])
                if len(self.people) > 1:
                    top = pixels[pixels[:, 1].argmin()]
                    pen.text((float(top[0]) + 6, float(top[1]) - 26), str(actor.person))
        if self.clip not in self.poses.up:
            pen.text((10, 8), "no floor: which way is up is unknown", 1 / 30)
        if self.apart:
            pen.text((10, HEIGHT - 28), "in rows: no places without --root", 1 / 30)
        return pen.done()


def _rows(people: int) -> np.ndarray:
    """(P, 3) places in rows behind each other, about as many as people in a row."""
    number, wide = np.arange(people), int(np.ceil(np.sqrt(people)))
    across, deep = number % wide - (wide - 1) / 2, number // wide
    return APART * np.stack([across, np.zeros(people), -deep], -1)


def _picture_size(poses: LiftedPoses, clip: int) -> tuple[int, int]:
    """Width and height of a clip's pictures; where unknown, of the part in which people are."""
    if clip in poses.image_size:
        return poses.image_size[clip]
    reach = 9 / 16
    if poses.pose_2d is not None:
        high = np.abs(poses.pose_2d[(poses.clip == clip)][..., 1])
        reach = max(reach, float(np.nanquantile(high, 0.99)) if np.isfinite(high).any() else 0.0)
    return 1000, round(1000 * min(reach, 4.0))


def _numbered(given: Iterable[np.ndarray]) -> Callable[[int], np.ndarray | None]:
    """Pictures by the number of their frame, asked for in rising order; None after the last."""
    numbered = enumerate(given)
    last: tuple[int, np.ndarray | None] = (-1, None)

    def picture(frame: int) -> np.ndarray | None:
        nonlocal last
        while last[0] < frame:
            last = next(numbered, (frame, None))
        return last[1]

    return picture
