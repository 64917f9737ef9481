"""What an account of a read says to people: whole, in brief, and of several paths together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from poseda.config import FEWEST_JOINTS
from poseda.datasets.account import Account
from poseda.datasets.tracking import counted

if TYPE_CHECKING:  # records need torch, which takes seconds to load
    from poseda.datasets.records import UnlabelledPoses

SELDOM = 0.5
"""Joints that are seen in fewer rows than this share are named in the account."""

SHOWN = 8
"""Most clips that the account names."""

WIDTH = 80
"""Columns of a line of the brief account."""

TRACKED = {"file": "tracked by the file", "followed": "followed by us", "single": "one at a time"}
ORIGIN = {"file": "from the file", "flag": "as given", "unknown": "unknown"}
TOLD = {
    "names": "by the names of the joints",
    "number": "by the number of joints",
    "flag": "as given",
    "format": "by the format",
}


def lines_of(account: Account) -> Iterator[str]:
    """The account for people: a paragraph, then what is made up, unseen, seldom seen or doubtful."""
    yield f"{'; '.join(_facts(account))}."
    if account.made_up:
        made = "; ".join(_way(joint, ways) for joint, ways in account.made_up.items())
        yield f"made up, as the layout lacks them: {made}"
    if account.unseen:
        yield f"unseen in their row: {_unseen(account)}"
    if account.replaced:
        made = "; ".join(
            f"{_way(joint, ways)} in {counted(sum(ways.values()), 'row')}"
            for joint, ways in account.replaced.items()
        )
        yield f"made of others where unseen: {made}"
    seldom = [f"{joint} {share:.0%}" for joint, share in account.seen.items() if share < SELDOM]
    if seldom:
        yield f"seen in few rows: {', '.join(seldom)}"
    yield from (f"warning: {sentence}" for sentence in account.warnings)


def brief_of(account: Account) -> list[str]:
    """The account in at most 8 lines of :data:`WIDTH` columns: all counts, and the first of what they
    count."""
    people = counted(account.people, "person", "people")
    rows, frames = counted(account.rows, "detection"), counted(account.frames, "frame")
    found = f"{rows} of {people} ({TRACKED[account.tracking]}) in {frames}"
    left = sum(account.dropped.values())
    usable = (
        f"usable for lifting: {account.usable['lifting']}, with all joints: {account.usable['whole']}; "
        f"dropped: {left or 'none'} (--verbose)"
    )
    lines = [
        cut(f"{account.format}, {account.layout}: {found}", 2),
        cut(f"{picture_of(account)}; {_speed(account)}; {_clips_in_words(account.clips)}", 1),
        cut(usable, 1),
    ]
    if account.made_up:
        lines.append(cut(f"made up, {len(account.made_up)} joints: {', '.join(account.made_up)}", 1))
    if account.unseen:
        lines.append(cut(f"unseen in their row: {_unseen(account)}", 1))
    return [*lines, *_first_warning(account.warnings)]


def picture_of(account: Account) -> str:
    """The size of the pictures, and what told it."""
    return f"picture {_size_in_words(account.image_size)} ({ORIGIN[account.image_size_told_by]})"


def _unseen(account: Account) -> str:
    share = account.unseen / max(account.rows * len(account.seen), 1)
    replaced = sum(sum(ways.values()) for ways in account.replaced.values())
    words = f"{account.unseen} joints ({share:.0%})"
    return f"{words}; {replaced} of the skeleton made of others there" if replaced else words


def _facts(account: Account) -> Iterator[str]:
    yield f"{account.format}, layout {account.layout} ({TOLD[account.layout_told_by]})"
    people = counted(account.people, "person", "people")
    names = ", ".join(str(clip["name"]) for clip in account.clips[:SHOWN])
    more = ", …" if len(account.clips) > SHOWN else ""
    yield f"{people} ({TRACKED[account.tracking]}) in {counted(len(account.clips), 'clip')}: {names}{more}"
    yield f"{counted(account.rows, 'detection')} in {counted(account.frames, 'frame')}"
    left = ", ".join(f"{number} {reason}" for reason, number in account.dropped.items())
    yield f"dropped: {left or 'none'}"
    yield picture_of(account) + (
        "" if account.off_picture is None else f", {account.off_picture:.1%} of the joints outside it"
    )
    yield (
        f"usable for placement: {account.usable['placement']}, for lifting: {account.usable['lifting']}, "
        f"with all joints: {account.usable['whole']}"
    )
    yield _speed(account)


def _speed(account: Account) -> str:
    if account.rate is None:
        return "frame rate unknown"
    return f"frame rate {account.rate:g} a second ({ORIGIN[account.rate_told_by]})"


def account_lines(accounts: Mapping[str, Account], brief: bool = False) -> Iterator[str]:
    """Accounts for people, whole or brief; those of several paths begin with its name."""
    for name, account in accounts.items():
        lines = brief_of(account) if brief else lines_of(account)
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
    pictures = dict.fromkeys(picture_of(one) for one in read)
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


def barely_seen(target: UnlabelledPoses) -> str | None:
    """How many rows of a target show too little to learn from, in words; None where all show enough."""
    few = int((~target.liftable).sum())
    if not few:
        return None
    return (
        f"{few} of {len(target)} rows of the target show fewer than {FEWEST_JOINTS} joints. "
        f"They teach the wide arms nothing, do not vote for the camera's tilt, and are no evidence."
    )


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


def _size_in_words(size: list[Any] | None) -> str:
    if size is None:
        return "size"
    return f"{size[0]}x{size[1]}" if not isinstance(size[0], list) else f"of {len(size)} sizes"
