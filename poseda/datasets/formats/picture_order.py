"""Which clip a picture belongs to, and which frame of it it is, from the names of pictures in a file."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby, pairwise
from pathlib import PurePosixPath

import numpy as np

from poseda.datasets.tracking import counted

Name = str | int
"""Of a picture: an id, a file name, or a path."""

IRREGULAR = 0.25
"""Times of pictures may differ from a whole number of usual steps by this share of a step."""

FEWEST_TIMES = 8
"""Steps that show an even rhythm."""

MOST_DIGITS = 18
"""Of a number that an integer of 64 bits holds."""

_DECIMAL = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
"""A number without words, such as a time: it may have a sign and a fraction."""


@dataclass(frozen=True)
class Pictures:
    """The place of every picture.

    Args:
        places: video and name of a picture to its clip and frame.
        clip_names: number of a clip to its name, for clips that have one.
        warnings: sentences on names and the order of the file, where these disagree.
    """

    places: Mapping[tuple[Hashable, Name], tuple[int, int]]
    clip_names: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def place(self, name: Name, video: Hashable = None) -> tuple[int, int]:
        """Clip and frame of a picture."""
        return self.places[video, name]


def order_pictures(names: Iterable[Name], videos: Iterable[Hashable] | None = None) -> Pictures:
    """Put pictures into clips and in order of time.

    A clip is a video, or a folder in the names, or a word before the number in the names. Within a clip,
    integers are frames, and so are the numbers of names that differ in one number only, in whatever order
    they are listed. Otherwise the order is that of the file, and the last numbers of the names become the
    frames where they rise with it. A list in the order of the alphabet has no order of its own, so there the
    numbers count.

    Args:
        names: of the pictures, in the order of the file; a name may come again.
        videos: of each picture, where the file says it.

    Example:
        >>> order_pictures(["a/8.jpg", "a/7.jpg", "b/1.jpg"]).place("a/8.jpg")
        (0, 8)
    """
    listed = list(names)
    given = [None] * len(listed) if videos is None else list(videos)
    distinct = list(dict.fromkeys(zip(given, listed, strict=True)))
    groups = _by_clip(distinct)
    places: dict[tuple[Hashable, Name], tuple[int, int]] = {}
    late, unclear = 0, 0
    for clip, pictures in enumerate(groups.values()):
        own = [name for _, name in pictures]
        frames = frames_of(own)
        places |= {picture: (clip, frame) for picture, frame in zip(pictures, frames, strict=True)}
        if _text(own) and sorted(own, key=str) != own:
            late += _falls(frames)
            unclear += _told_by_names(own) is None and _are_places(frames) and _numbers_fall(own)
    titles = _titles(list(groups))
    named = {clip: title for clip, title in enumerate(titles) if title}
    return Pictures(places, named, tuple(_sentences(late, len(distinct), unclear)))


def _sentences(late: int, pictures: int, unclear: int) -> Iterator[str]:
    """What to say of names and the order of the file.

    Args:
        late: pictures that were listed after a later one.
        pictures: of the file.
        unclear: clips whose names have falling numbers that are no frames.
    """
    if late:
        yield (
            f"pictures listed after a later one: {late} of {pictures}; numbers in the names gave the order"
        )
    if unclear:
        yield (
            f"numbers in the names of pictures fall in {counted(unclear, 'clip')}: the order of the file was "
            f"kept, as they do not differ in one number alone"
        )


def frames_of(names: Sequence[Name]) -> list[int]:
    """Frame numbers for the different pictures of one clip, in the order of the file."""
    told = _told_by_names(names)
    if told is not None:
        return _in_rhythm(told) if _text(names) else told
    if _text(names) and sorted(map(str, names)) == list(names):
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


def _told_by_names(names: Sequence[Name]) -> list[int] | None:
    """The number of each picture, where integers or names that differ in one number only tell it."""
    numbers: list[int | None]
    if not any(isinstance(name, str) for name in names):
        numbers = [_number_in(name) for name in names]
    elif not _text(names):
        return None
    elif all(_DECIMAL.fullmatch(str(name)) for name in names):
        places = max(len(str(name).partition(".")[2]) for name in names)
        numbers = [int(Decimal(str(name)).scaleb(places)) for name in names]
    else:
        numbers = list(_differing([_pattern(name) for name in names]))
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(set(known)) == len(names) else None


def _differing(patterns: list[tuple[tuple[str, ...], tuple[str, ...]]]) -> tuple[int, ...]:
    """The one number in which names differ; nothing if they differ in more, or in their words.

    After a digit and a point, 10 may come after 9, or before 2: numbers of several lengths say nothing there.
    """
    words = patterns[0][0]
    if any(other != words for other, _ in patterns):
        return ()
    columns = list(zip(*(digits for _, digits in patterns), strict=True))
    differing = [at for at, column in enumerate(columns) if len(set(column)) > 1]
    if len(differing) != 1:
        return ()
    column = columns[differing[0]]
    fraction = differing[0] > 0 and words[differing[0]] == "."
    if max(map(len, column)) > MOST_DIGITS or (fraction and len(set(map(len, column))) > 1):
        return ()
    return tuple(map(int, column))


def _in_rhythm(numbers: list[int]) -> list[int]:
    """Different numbers in any order, or the counts of usual steps; see :func:`_counted`."""
    rising = sorted(numbers)
    count = dict(zip(rising, _counted(rising), strict=True))
    return [count[number] for number in numbers]


def _falls(frames: Sequence[int]) -> int:
    """How many frames come after a later one."""
    return int((np.array(frames) < np.maximum.accumulate(frames)).sum())


def _are_places(frames: Sequence[int]) -> bool:
    """Whether frames are the places in the file."""
    return list(frames) == list(range(len(frames)))


def _numbers_fall(names: Sequence[Name]) -> bool:
    """Whether the numbers of one name are below those of a name before it that is the same otherwise."""
    last: dict[tuple[str, ...], tuple[int, ...]] = {}
    for words, digits in map(_pattern, names):
        numbers = tuple(int(one[:MOST_DIGITS]) for one in digits)
        if numbers < last.get(words, numbers):
            return True
        last[words] = numbers
    return False


def _text(names: Sequence[Name]) -> bool:
    return all(isinstance(name, str) for name in names)


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


def _pattern(name: Name) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a name, and the digits between them."""
    parts = re.split(r"([0-9]+)", _stem(name))
    return tuple(parts[::2]), tuple(parts[1::2])


def _number_in(name: Name) -> int | None:
    """The last number of a name, if it is of any reasonable length."""
    if isinstance(name, int):
        return name if abs(name) < 1 << 62 else None
    found = re.findall(r"\d+", _stem(name))
    return int(found[-1]) if found and len(found[-1]) <= MOST_DIGITS else None


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d{1,18}|\D+", name)]
