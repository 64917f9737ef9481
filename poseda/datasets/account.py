"""What was read: the account of a file of detections, how it is made, and its JSON.

``account_words.py`` beside this file says it to people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from poseda.config import FEWEST_JOINTS, LiftConfig
from poseda.datasets.bodies import boxes
from poseda.datasets.checks import conversion_of, off_picture, usable
from poseda.datasets.conversion import enough_seen
from poseda.datasets.detections import DEFAULT_CONFIDENCE, Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.timeline import Timeline, fill_in
from poseda.geometry.skeleton import H36M16, Skeleton

MOSTLY_LOW = 0.3
"""Share of the detected joints below the least confidence from which the account says so."""

FEWEST_PLACEMENTS = 10
"""Detections that adapting needs for placement. It learns from where and how large people stand; in fewer, a
third of a second of video, every augmented pose would stand in one place."""


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


def _sizes(sizes: np.ndarray | None) -> list[Any] | None:
    if sizes is None or not len(sizes):
        return None
    kinds = [[_whole(width), _whole(height)] for width, height in np.unique(sizes, axis=0).tolist()]
    return kinds[0] if len(kinds) == 1 else kinds


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
