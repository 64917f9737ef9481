"""Which clip a picture belongs to, and which frame of it it is, from the names of pictures in a file."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import PurePosixPath

import numpy as np

Name = str | int
"""Of a picture: an id, a file name, or a path."""

IRREGULAR = 0.25
"""Times of pictures may differ from a whole number of usual steps by this share of a step."""

FEWEST_TIMES = 8
"""Steps that show an even rhythm."""


@dataclass(frozen=True)
class Pictures:
    """The place of every picture.

    Args:
        places: video and name of a picture to its clip and frame.
        clip_names: number of a clip to its name, for clips that have one.
    """

    places: Mapping[tuple[Hashable, Name], tuple[int, int]]
    clip_names: Mapping[int, str] = field(default_factory=dict)

    def place(self, name: Name, video: Hashable = None) -> tuple[int, int]:
        """Clip and frame of a picture."""
        return self.places[video, name]


def order_pictures(names: Iterable[Name], videos: Iterable[Hashable] | None = None) -> Pictures:
    """Put pictures into clips and in order of time.

    A clip is a video, or a folder in the names, or a word before the number in the names. Within a clip the
    order is that of the file. Numbers in the names become the frames where they rise with it. A list in the
    order of the alphabet has no order of its own, so there the numbers count.

    Args:
        names: of the pictures, in the order of the file; a name may come again.
        videos: of each picture, where the file says it.

    Example:
        >>> order_pictures(["a/7.jpg", "a/8.jpg", "b/1.jpg"]).place("a/8.jpg")
        (0, 8)
    """
    listed = list(names)
    given = [None] * len(listed) if videos is None else list(videos)
    distinct = list(dict.fromkeys(zip(given, listed, strict=True)))
    groups = _by_clip(distinct)
    places: dict[tuple[Hashable, Name], tuple[int, int]] = {}
    for clip, pictures in enumerate(groups.values()):
        for picture, frame in zip(pictures, frames_of([name for _, name in pictures]), strict=True):
            places[picture] = clip, frame
    titles = _titles(list(groups))
    return Pictures(places, {clip: title for clip, title in enumerate(titles) if title})


def frames_of(names: Sequence[Name]) -> list[int]:
    """Frame numbers for the different pictures of one clip, in the order of the file."""
    if all(isinstance(name, str) for name in names) and sorted(map(str, names)) == list(names):
        ranks = sorted(range(len(names)), key=lambda at: _natural(str(names[at])))
    else:
        ranks = list(range(len(names)))
    numbers = [_number_in(names[at]) for at in ranks]
    known = [number for number in numbers if number is not None]
    rising = len(known) == len(numbers) and all(a < b for a, b in pairwise(known))
    frames = [0] * len(names)
    for at, frame in zip(ranks, _counted(known) if rising else range(len(names)), strict=True):
        frames[at] = frame
    return frames


def _counted(numbers: list[int]) -> list[int]:
    """Numbers as they are, or the count of usual steps where they are times of an even rhythm.

    Times in milliseconds rise by 33, 33, 34: no frame lies between them.
    """
    steps = np.diff(np.array(numbers, np.float64))
    if (
        len(steps) < FEWEST_TIMES
        or np.gcd.reduce(np.diff(np.array(numbers, np.int64))) >= np.median(steps) / 2
    ):
        return numbers
    counts = steps / np.median(steps)
    whole = np.round(counts)
    if (np.abs(counts - whole) > IRREGULAR * np.maximum(whole, 1)).any() or (whole < 1).any():
        return numbers
    return [0, *np.cumsum(whole).astype(int).tolist()]


def _by_clip(pictures: list[tuple[Hashable, Name]]) -> dict[Hashable, list[tuple[Hashable, Name]]]:
    """Pictures by the clip that they belong to, clips in the order of the file."""
    groups: dict[Hashable, list[tuple[Hashable, Name]]] = {}
    if any(video is not None for video, _ in pictures):
        for picture in pictures:
            groups.setdefault(picture[0], []).append(picture)
        return groups
    words = _words([name for _, name in pictures])
    for picture, word in zip(pictures, words, strict=True):
        groups.setdefault((_folder(picture[1]), word), []).append(picture)
    return groups


def _words(names: list[Name]) -> list[str]:
    """The word before the number of each name, if words mark off clips: each holds successive pictures."""
    words = [re.sub(r"[\d\W_]+$", "", _stem(name)) if isinstance(name, str) else "" for name in names]
    plain = [re.sub(r"\d", "", word) for word in words]
    if len(set(plain)) == 1:
        return [""] * len(names)
    marks = list(zip(map(_folder, names), plain, strict=True))
    lengths = [len(list(run)) for _, run in groupby(marks)]
    marked = len(lengths) == len(set(marks)) and min(lengths) > 1
    several = len(set(words)) == len(set(plain)) > 1
    return words if marked and several else [""] * len(names)


def _titles(keys: list[Hashable]) -> list[str]:
    """Names of clips: of folders, without the part that all have in common."""
    if not all(isinstance(key, tuple) for key in keys):
        return ["" if key is None else str(key) for key in keys]
    parts = [(*PurePosixPath(key[0]).parts, *([key[1]] if key[1] else [])) for key in keys]  # type: ignore[index]
    shared = 0
    while all(len(one) > shared + 1 for one in parts) and len({one[shared] for one in parts}) == 1:
        shared += 1
    return ["/".join(one[shared:]) for one in parts]


def _folder(name: Name) -> str:
    return name.replace("\\", "/").rpartition("/")[0] if isinstance(name, str) else ""


def _stem(name: Name) -> str:
    """The last part of a path, without an ending of letters."""
    last = str(name).replace("\\", "/").rpartition("/")[2]
    return re.sub(r"\.[A-Za-z]\w{0,4}$", "", last)


def _number_in(name: Name) -> int | None:
    """The last number of a name, if it is of any reasonable length."""
    if isinstance(name, int):
        return name if abs(name) < 1 << 62 else None
    found = re.findall(r"\d+", _stem(name))
    return int(found[-1]) if found and len(found[-1]) <= 18 else None


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d{1,18}|\D+", name)]
