"""What was read: a line of account on a file of detections, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from poseda.config import FEWEST_JOINTS, LiftConfig
from poseda.datasets.bodies import boxes
from poseda.datasets.checks import conversion_of, off_picture, usable
from poseda.datasets.conversion import enough_seen
from poseda.datasets.detections import DEFAULT_CONFIDENCE, Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.timeline import Timeline, fill_in
from poseda.datasets.tracking import counted
from poseda.geometry.skeleton import H36M16, Skeleton

if TYPE_CHECKING:  # records need torch, which takes seconds to load
    from poseda.datasets.records import UnlabelledPoses

SELDOM = 0.5
"""Joints that are seen in fewer rows than this share are named in the account."""

SHOWN = 8
"""Most clips that the account names."""

WIDTH = 80
"""Columns of a line of the brief account."""

MOSTLY_LOW = 0.3
"""Share of the detected joints below the least confidence from which the account says so."""

FEWEST_PLACEMENTS = 10
"""Detections that adapting needs for placement. It learns from where and how large people stand; in fewer, a
third of a second of video, every augmented pose would stand in one place."""

TRACKED = {"file": "tracked by the file", "followed": "followed by us", "single": "one at a time"}
ORIGIN = {"file": "from the file", "flag": "as given", "unknown": "unknown"}
TOLD = {
    "names": "by the names of the joints",
    "number": "by the number of joints",
    "flag": "as given",
    "format": "by the format",
}


@dataclass(frozen=True)
class Account:
    """How a file was read, and what in it can be used.

    Args:
        format: its name.
        layout: of the joints, by name.
        layout_told_by, image_size_told_by, tracking, rate_told_by, dropped, warnings: see
            :class:`poseda.datasets.detections.Reading`.
        clips: an object for each clip: ``clip`` (its number), ``name``, ``people``, ``frames``, ``rows``.
        people: tracks of all clips.
        frames: pictures in which someone was detected.
        rows: detections.
        image_size: width and height in pixels; a list of such pairs if there are several; None if unknown.
        off_picture: share of the seen joints that lie outside the picture; None if its size is unknown.
        seen: joint of the file to the share of rows in which it is seen.
        made_up: joint of the skeleton that the layout lacks altogether to how it was made, and in how many
            rows.
        usable: rows for ``placement`` (root and another joint seen), for ``lifting`` by the arm wide, and
            ``whole``. The arm wide needs :data:`~poseda.config.FEWEST_JOINTS` seen joints
            that are not made of others. The other arms need all, seen or filled in over short gaps.
        rate: frames per second, or None.
        unseen: joints of the file that the detector did not see, counted over all rows.
        replaced: joint of the skeleton that the layout has, but that was unseen in some rows, to how it was
            made of others there, and in how many.
    """

    format: str
    layout: str
    layout_told_by: str
    clips: tuple[Mapping[str, Any], ...]
    people: int
    tracking: str
    frames: int
    rows: int
    dropped: Mapping[str, int]
    image_size: list[Any] | None
    image_size_told_by: str
    off_picture: float | None
    seen: Mapping[str, float]
    made_up: Mapping[str, Mapping[str, int]]
    usable: Mapping[str, int]
    rate: float | None
    rate_told_by: str
    warnings: tuple[str, ...]
    unseen: int = 0
    replaced: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The account for machines. A rate is the file's, or null."""
        content = {name: value for name, value in vars(self).items() if name != "rate_told_by"}
        return content | {"clips": list(self.clips), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Account:
        """The opposite of :meth:`as_json`.

        Raises:
            ValueError: if entries are missing or unknown.
        """
        try:
            return cls(**content, rate_told_by="unknown" if content["rate"] is None else "file")
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"account: expected the entries of an account, found others ({error})"
            ) from error

    def lines(self) -> Iterator[str]:
        """The account for people: a paragraph, then what is made up, unseen, seldom seen or doubtful."""
        yield f"{'; '.join(self._facts())}."
        if self.made_up:
            made = "; ".join(_way(joint, ways) for joint, ways in self.made_up.items())
            yield f"made up, as the layout lacks them: {made}"
        if self.unseen:
            yield f"unseen in their row: {self._unseen()}"
        if self.replaced:
            made = "; ".join(
                f"{_way(joint, ways)} in {counted(sum(ways.values()), 'row')}"
                for joint, ways in self.replaced.items()
            )
            yield f"made of others where unseen: {made}"
        seldom = [f"{joint} {share:.0%}" for joint, share in self.seen.items() if share < SELDOM]
        if seldom:
            yield f"seen in few rows: {', '.join(seldom)}"
        yield from (f"warning: {sentence}" for sentence in self.warnings)

    def brief(self) -> list[str]:
        """The account in at most 8 lines of :data:`WIDTH` columns: all counts, and the first of what they
        count."""
        people = counted(self.people, "person", "people")
        rows, frames = counted(self.rows, "detection"), counted(self.frames, "frame")
        left = sum(self.dropped.values())
        usable = (
            f"usable for lifting: {self.usable['lifting']}, with all joints: {self.usable['whole']}; "
            f"dropped: {left or 'none'} (--verbose)"
        )
        lines = [
            cut(
                f"{self.format}, {self.layout}: {rows} of {people} ({TRACKED[self.tracking]}) in {frames}",
                2,
            ),
            cut(f"{self.picture}; {self._speed()}; {_clips_in_words(self.clips)}", 1),
            cut(usable, 1),
        ]
        if self.made_up:
            lines.append(cut(f"made up, {len(self.made_up)} joints: {', '.join(self.made_up)}", 1))
        if self.unseen:
            lines.append(cut(f"unseen in their row: {self._unseen()}", 1))
        return [*lines, *_first_warning(self.warnings)]

    @property
    def picture(self) -> str:
        """The size of the pictures, and what told it."""
        return f"picture {_size_in_words(self.image_size)} ({ORIGIN[self.image_size_told_by]})"

    def _unseen(self) -> str:
        share = self.unseen / max(self.rows * len(self.seen), 1)
        replaced = sum(sum(ways.values()) for ways in self.replaced.values())
        words = f"{self.unseen} joints ({share:.0%})"
        return f"{words}; {replaced} of the skeleton made of others there" if replaced else words

    def _facts(self) -> Iterator[str]:
        yield f"{self.format}, layout {self.layout} ({TOLD[self.layout_told_by]})"
        people = counted(self.people, "person", "people")
        names = ", ".join(str(clip["name"]) for clip in self.clips[:SHOWN])
        more = ", …" if len(self.clips) > SHOWN else ""
        yield f"{people} ({TRACKED[self.tracking]}) in {counted(len(self.clips), 'clip')}: {names}{more}"
        yield f"{counted(self.rows, 'detection')} in {counted(self.frames, 'frame')}"
        left = ", ".join(f"{number} {reason}" for reason, number in self.dropped.items())
        yield f"dropped: {left or 'none'}"
        yield self.picture + (
            "" if self.off_picture is None else f", {self.off_picture:.1%} of the joints outside it"
        )
        yield (
            f"usable for placement: {self.usable['placement']}, for lifting: {self.usable['lifting']}, "
            f"with all joints: {self.usable['whole']}"
        )
        yield self._speed()

    def _speed(self) -> str:
        if self.rate is None:
            return "frame rate unknown"
        return f"frame rate {self.rate:g} a second ({ORIGIN[self.rate_told_by]})"


def barely_seen(target: UnlabelledPoses) -> str | None:
    """How many rows of a target show too little to learn from, in words; None where all show enough."""
    few = int((~target.liftable).sum())
    if not few:
        return None
    return (
        f"{few} of {len(target)} rows of the target show fewer than {FEWEST_JOINTS} joints. "
        f"They teach the wide arms nothing, do not vote for the camera's tilt, and are no evidence."
    )


def accounts_as_json(accounts: Mapping[str, Account]) -> dict[str, Any]:
    """Accounts for machines: that of one path alone, else an object with one for each path."""
    if len(accounts) == 1:
        return next(iter(accounts.values())).as_json()
    return {name: account.as_json() for name, account in accounts.items()}


def accounts_from_json(content: Mapping[str, Any]) -> dict[str, Account]:
    """The opposite of :func:`accounts_as_json`; that of one path alone has no name.

    Raises:
        ValueError: if entries are missing or unknown.
    """
    if isinstance(content.get("format"), str):
        return {"": Account.from_json(content)}
    return {name: Account.from_json(account) for name, account in content.items()}


def account_lines(accounts: Mapping[str, Account], brief: bool = False) -> Iterator[str]:
    """Accounts for people, whole or brief; those of several paths begin with its name."""
    for name, account in accounts.items():
        lines = account.brief() if brief else account.lines()
        yield from (f"{name}: {line}" if len(accounts) > 1 else line for line in lines)


def summed_lines(accounts: Mapping[str, Account]) -> list[str]:
    """The accounts of all paths of a footage together, in at most 6 lines of :data:`WIDTH` columns: what was
    read, and counts of all that is guessed or dropped."""
    read = list(accounts.values())
    if not read:
        return []
    rows, unseen = sum(one.rows for one in read), sum(one.unseen for one in read)
    people, frames = (sum(getattr(one, name) for one in read) for name in ("people", "frames"))
    paths = f" of {len(read)} paths" if len(read) > 1 else ""
    kinds = dict.fromkeys(f"{one.format}, {one.layout}" for one in read)
    pictures = dict.fromkeys(one.picture for one in read)
    facts = [
        f"footage{paths}: {counted(rows, 'detection')} of "
        f"{counted(people, 'person', 'people')} in {counted(frames, 'frame')}, "
        f"{counted(sum(len(one.clips) for one in read), 'clip')}",
        *(pictures if len(pictures) == 1 else [f"pictures of {len(pictures)} sizes or origins"]),
        *kinds,
    ]
    few = rows - sum(one.usable["lifting"] for one in read)
    made_up = {joint for one in read for joint in one.made_up}
    guesses = [
        f"dropped: {sum(sum(one.dropped.values()) for one in read) or 'none'}",
        *([f"unseen: {counted(unseen, 'joint')}"] if unseen else []),
        *([f"made up: {len(made_up)}"] if made_up else []),
        *([f"too few joints: {counted(few, 'row')}"] if few else []),
        *(["rate unknown"] if any(one.rate is None for one in read) else []),
    ]
    warnings = [warning for one in read for warning in one.warnings]
    return [cut("; ".join(facts), 2), cut("; ".join(guesses), 2), *_first_warning(warnings)]


def account_of(
    detections: Detections2D,
    skeleton: Skeleton = H36M16,
    min_confidence: float = DEFAULT_CONFIDENCE,
    max_gap: int = LiftConfig.max_gap,
) -> Account:
    """Account for detections that were read.

    Args:
        detections: as :func:`poseda.datasets.read_detections` gives them.
        skeleton: they will be converted to.
        min_confidence: joints of less confidence are unseen.
        max_gap: most frames over which an unseen joint is filled in.

    Raises:
        DataError: if their joints do not make the skeleton.
    """
    seen, reading = usable(detections, min_confidence), detections.reading
    made = conversion_of(detections, skeleton)
    pose, whole = made(detections.pose_2d, seen)
    pictures = np.stack([detections.clip, detections.frame], -1)
    made_up = made.made_up_rows(seen)
    shares = seen.mean(0) if len(seen) else np.zeros(len(detections.layout))
    return Account(
        format=detections.format,
        layout=detections.layout.name,
        layout_told_by=reading.layout_told_by,
        clips=tuple(_clips(detections)),
        people=len(np.unique(detections.track)),
        tracking=reading.tracking,
        frames=len(np.unique(pictures, axis=0)),
        rows=len(detections),
        dropped=dict(reading.dropped),
        image_size=_sizes(detections.image_size),
        image_size_told_by=reading.image_size_told_by,
        off_picture=_rounded(off_picture(detections)),
        seen={
            joint: round(float(share), 4)
            for joint, share in zip(detections.layout.joint_names, shares, strict=True)
        },
        made_up={joint: ways for joint, ways in made_up.items() if joint in made.made_up},
        usable={
            "placement": _for_placement(pose, whole, skeleton),
            "lifting": int(enough_seen(seen, whole[:, made.observed], FEWEST_JOINTS).sum()),
            "whole": _whole_rows(detections, pose, whole, max_gap),
        },
        rate=reading.rate,
        rate_told_by=reading.rate_told_by,
        warnings=(*reading.warnings, *_unsure(detections, min_confidence)),
        unseen=int((~seen).sum()),
        replaced={joint: ways for joint, ways in made_up.items() if joint not in made.made_up},
    )


def _unsure(detections: Detections2D, min_confidence: float) -> Iterator[str]:
    """A sentence where the threshold hides most of what was detected."""
    there = detections.confidence > 0
    low = there & (detections.confidence < min_confidence)
    if low.sum() > MOSTLY_LOW * max(int(there.sum()), 1):
        middle = float(np.median(detections.confidence[there]))
        yield (
            f"{low.sum() / there.sum():.0%} of the detected joints have a confidence below "
            f"{min_confidence:g} (--min-confidence), half of them one below {middle:.2g}"
        )


def check_usable(accounts: Mapping[str, Account], paths: Sequence[Path]) -> None:
    """Refuse footage with too few detections to adapt to, in all paths together.

    Raises:
        DataError: with how many can be used, and the remedy.
    """
    read = accounts.values()
    placed, lifted = (sum(account.usable[what] for account in read) for what in ("placement", "lifting"))
    if placed < FEWEST_PLACEMENTS:
        rows = sum(account.rows for account in read)
        raise DataError(
            f"{' '.join(map(str, paths))}: detections: expected at least {FEWEST_PLACEMENTS} that show the "
            f"hips and another joint, found {placed} usable for placement and {lifted} for lifting, of "
            f"{rows}; take "
            f"footage of whole people, more of it, or a lower --min-confidence"
        )


def _clips(detections: Detections2D) -> Iterator[dict[str, Any]]:
    order = np.argsort(detections.clip, kind="stable")
    numbers, starts = np.unique(detections.clip[order], return_index=True)
    for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        yield {
            "clip": number,
            "name": detections.clip_name(number),
            "people": len(np.unique(detections.person[rows])),
            "frames": len(np.unique(detections.frame[rows])),
            "rows": len(rows),
        }


def _for_placement(pose: np.ndarray, seen: np.ndarray, skeleton: Skeleton) -> int:
    """Rows that :meth:`poseda.geometry.placements.TargetPlacements.build` can use: root and box are seen."""
    low, high = boxes(pose, seen)
    return int((seen[:, skeleton.parents.index(-1)] & ((high - low).sum(1) > 0)).sum())


def _whole_rows(detections: Detections2D, pose: np.ndarray, seen: np.ndarray, max_gap: int) -> int:
    """Rows that ``poseda lift`` lifts with arms that know no masks."""
    timeline = Timeline.of(detections)
    there = timeline.row >= 0
    _, valid = fill_in(pose[timeline.row], seen[timeline.row] & there[:, None], timeline, max_gap)
    return int((valid & there).sum())


def cut(text: str, lines: int) -> str:
    """The text as far as it fits so many lines of :data:`WIDTH` columns."""
    return "\n".join(wrap(text, WIDTH, max_lines=lines, placeholder=" …", break_on_hyphens=False))


def _first_warning(warnings: Sequence[str]) -> list[str]:
    """The first of some warnings in at most two lines, with how many there are."""
    which = f" 1 of {len(warnings)}" if len(warnings) > 1 else ""
    return [cut(f"warning{which}: {warnings[0]}", 2)] if warnings else []


def _clips_in_words(clips: Sequence[Mapping[str, Any]]) -> str:
    """How many clips there are; several with their names, as one is called as its file."""
    names = f": {', '.join(str(clip['name']) for clip in clips)}" if len(clips) > 1 else ""
    return f"{counted(len(clips), 'clip')}{names}"


def _way(joint: str, made: Mapping[str, int]) -> str:
    """The way in which most rows make a joint, and the number of other ways."""
    best = max(made, key=made.__getitem__)
    rest = f", and in {counted(len(made) - 1, 'other way')}" if len(made) > 1 else ""
    return f"{joint} ({best}{rest})"


def _sizes(sizes: np.ndarray | None) -> list[Any] | None:
    if sizes is None or not len(sizes):
        return None
    kinds = [[_whole(width), _whole(height)] for width, height in np.unique(sizes, axis=0).tolist()]
    return kinds[0] if len(kinds) == 1 else kinds


def _size_in_words(size: list[Any] | None) -> str:
    if size is None:
        return "size"
    return f"{size[0]}x{size[1]}" if not isinstance(size[0], list) else f"of {len(size)} sizes"


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
