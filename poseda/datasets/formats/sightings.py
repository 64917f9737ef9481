"""Poses that a reader of detections gathers one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from poseda.datasets.checks import checked, without_number
from poseda.datasets.detections import Detections2D, Reading, SizeToldBy, ToldBy
from poseda.datasets.errors import DataError
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.picture_order import Pictures
from poseda.datasets.layouts import BY_JOINTS, LAYOUTS, Layout
from poseda.datasets.tracking import UNTRACKED, identify

MOST_CONFIDENT = 2.0
"""Largest confidence that may be a share or a label of visibility."""

PERCENT_FROM = 20.0
"""Largest confidence of a file from which its scale may be percent."""

MOST_NAMED = 12
"""Most people whose numbers a sentence gives."""

Size = tuple[int, int]
"""Width and height of a picture, pixels."""


@dataclass
class Sightings:
    """Poses gathered row by row.

    Args:
        path: of the file or folder.
        format: its name, for messages.
        layout: of the joints, or None: their number decides it.
        layout_told_by: what told the layout, if one is given; see :class:`Reading`.
        rate: frames per second, where the file has it.
        clip_names: number of a clip to its name.
        dropped: reason to the number of detections that were left out for it.
        warnings: sentences about doubtful content.
        people: name of a person to its number, where the file has names; see :meth:`number_of`.
    """

    path: Path
    format: str
    layout: Layout | None = None
    layout_told_by: ToldBy = "number"
    rate: float | None = None
    clip_names: dict[int, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    people: dict[str, int] = field(default_factory=dict)
    points: list[np.ndarray] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    sizes: list[tuple[float, float] | None] = field(default_factory=list)

    def add(
        self,
        points: np.ndarray,
        place: Field,
        frame: int,
        person: int | None = 0,
        clip: int = 0,
        size: tuple[float, float] | None = None,
    ) -> None:
        """Add a pose.

        Args:
            points: (J, 3) of x, y, confidence.
            place: where it is in the file.
            frame, clip: see :class:`Detections2D`.
            person: track, or None where the file has no usable one.
            size: of its picture, if the file has it.

        Raises:
            DataError: if its number of joints fits no layout, or not that of the rows before.
        """
        body, kept = BY_JOINTS.get(len(points), (None, len(points)))
        if self.layout is None:
            if body is None:
                known = ", ".join(map(str, BY_JOINTS))
                others = [name for name, layout in LAYOUTS.items() if len(layout) == len(points)]
                names = f" ({', '.join(others)})" if others else ""
                raise place.fail(f"{known} joints, or --layout{names}", f"{len(points)} joints")
            self.layout = body
        if len(self.layout) not in (kept, len(points)):
            raise place.fail(f"{len(self.layout)} joints of {self.layout.name}", len(points))
        self.points.append(points[: len(self.layout)])
        self.rows.append((clip, UNTRACKED if person is None else person, frame))
        self.sizes.append(size)

    def ordered(self, pictures: Pictures) -> None:
        """Keep what the names of pictures say of clips, and where they disagree with the file's order."""
        self.clip_names |= pictures.clip_names
        self.warnings += pictures.warnings

    def number_of(self, name: str) -> int:
        """The number of a person whom the file names: names are numbered in the order in which they come."""
        return self.people.setdefault(name, len(self.people))

    def detections(self, image_size: Size | None = None) -> Detections2D:
        """All rows as one table, in order of clip, person and frame.

        Args:
            image_size: width and height given by the user, where the file has none.

        Raises:
            DataError: if there is no pose, or the file's size is another than the user's.
        """
        if not self.points or self.layout is None:
            raise Field(self.path, "detections").fail(f"at least one pose ({self.format})", "none")
        points, rows = np.stack(self.points), np.array(self.rows, np.int64)
        places = points[..., :2]
        placed = there(points)
        shares, doubt = as_shares(points[..., 2], placed)
        doubt += without_number(places, points[..., 2])
        confidence = np.where(placed, shares, 0.0)
        clip, frame = rows[:, 0], rows[:, 2]
        who = identify(points[..., :2], confidence > 0, clip, frame, rows[:, 1])
        order = np.lexsort((frame, who.person, clip))
        found = Detections2D(
            pose_2d=np.where(placed[..., None], points[..., :2], np.nan)[order],
            confidence=confidence[order],
            frame=frame[order],
            person=who.person[order],
            clip=clip[order],
            layout=self.layout,
            image_size=self._image_size(order, image_size),
            format=self.format,
            path=self.path,
            reading=Reading(
                layout_told_by=self.layout_told_by,
                image_size_told_by=self._size_told_by(image_size),
                tracking=who.tracking,
                rate=self.rate,
                rate_told_by="unknown" if self.rate is None else "file",
                clip_names=named_clips(self.path, clip, self.clip_names),
                dropped=dict(self.dropped),
                warnings=(*self.warnings, *doubt, *who.warnings, *_numbered(self.people)),
            ),
        )
        return checked(found)

    def _size_told_by(self, given: Size | None) -> SizeToldBy:
        if all(size is not None for size in self.sizes):
            return "file"
        return "unknown" if given is None else "flag"

    def _image_size(self, order: np.ndarray, given: Size | None) -> np.ndarray | None:
        known = [size for size in self.sizes if size is not None]
        if len(known) < len(self.sizes):
            return None if given is None else np.tile(np.array(given, np.float64), (len(order), 1))
        other = next((size for size in known if given is not None and size != given), None)
        if given is not None and other is not None:
            raise contradiction(self.path, given, other)
        return np.array(known, np.float64)[order]


def there(points: np.ndarray) -> np.ndarray:
    """Joints (..., J, 3) with a place. Detectors write 0, 0 or -1, -1 for others, some with a confidence."""
    places = points[..., :2]
    return np.asarray(np.isfinite(points).all(-1) & (places != 0).any(-1) & (places != -1).any(-1))


def _numbered(people: Mapping[str, int]) -> Iterator[str]:
    """A sentence on the numbers of people with names, which --people and the exports go by."""
    pairs = [f"{name} is {number}" for name, number in people.items()]
    if pairs:
        more = f" and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
        yield f"people with names have numbers: {', '.join(pairs[:MOST_NAMED])}{more}"


def as_shares(confidence: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Confidences as shares, and a sentence where they are not.

    Some detectors go a little above 1, and labels are 0, 1 and 2. Percent are divided by 100. Of another
    scale, such as logits, nothing is known: every joint with a place counts as seen.

    Args:
        confidence: (N, J).
        there: (N, J) bool, joints with a place.
    """
    known = confidence[there]
    low, high = float(known.min(initial=0.0)), float(known.max(initial=0.0))
    if low >= 0 and high <= MOST_CONFIDENT:
        return confidence, ()
    span = f"confidences go from {low:g} to {high:g}"
    if low >= 0 and PERCENT_FROM <= high <= 100:
        return confidence / 100, (f"{span} and are taken for percent",)
    return np.ones_like(confidence), (f"{span}, which are no shares: every joint counts as seen",)


def contradiction(path: Path, given: Size, found: tuple[float, float]) -> DataError:
    """The refusal of a picture's size that is not the file's."""
    expected = f"{given[0]} x {given[1]} as given with --image-size"
    return Field(path, "image size").fail(
        expected, f"{found[0]:g} x {found[1]:g}; leave out --image-size, as the file has the size"
    )


def named_clips(path: Path, clip: np.ndarray, names: Mapping[int, str]) -> dict[int, str]:
    """Names of the clips (N,) of a file. A single clip without a name has that of the file."""
    numbers = np.unique(clip).tolist()
    if len(numbers) == 1 and not names.get(numbers[0]):
        resolved = path.resolve()
        return {numbers[0]: resolved.name if resolved.is_dir() else resolved.stem}
    known = {number: names[number] for number in numbers if names.get(number)}
    # Folders before a video's name are left out, as long as the names still differ.
    short = {number: name.rsplit("/", 1)[-1] for number, name in known.items()}
    return short if len(set(short.values())) == len(known) and all(short.values()) else known
