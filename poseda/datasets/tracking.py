"""Who is who: people followed from picture to picture, and tracks cut where they jump to another person.

People move little between successive pictures. Each is expected where a constant velocity puts the body. The
detections are given to the people so that the sum of the distances is least (the assignment problem).
Distances are in bodies: the longer side of the box of the joints. This needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from poseda.datasets.bodies import FEWEST_SHARED, Bodies, assigned, distances
from poseda.datasets.swaps import exchanged_back

UNTRACKED = -1
"""The person of a detection whose file has no usable track."""

MOSTLY = 0.1
"""Tracks of a clip count only if no more than this share of its detections are without one."""

GATE = 0.5
"""Bodies. Nobody moves farther than this between successive pictures: at 25 pictures a second, 20 m/s."""

WIDEST_GATE = 0.9
"""Bodies. The gate widens with the pictures without a detection, but no farther than this."""

MEMORY = 15
"""Pictures for which a person who is not detected is remembered, about half a second."""

SHRINKING = 0.9
"""A body that is half hidden keeps its size: the size falls by this factor a picture at most."""

RECENT = 5
"""Pictures before a jump in which someone is looked for, as the detector may have failed in the last."""

CROWD = 300
"""Most people of a picture who are followed. More of them are taken for single detections."""

MOST_PAIRS = 50_000
"""Pairs of bodies that are compared at once, which bounds the memory."""

STILLS = 0.2
"""Where more than this share of the steps are jumps, the pictures are stills, and no track is cut."""


def follow(pose_2d: np.ndarray, seen: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, int]:
    """Follow the people of one clip.

    A clip with one person a picture stays one track if it has no jumps, or so many that it shows stills.

    Args:
        pose_2d: (N, J, 2) detections, any unit.
        seen: (N, J) bool.
        frame: (N,) int64, in any order.

    Returns:
        (N,) int64, a number for each person in the order of their appearance, and how many tracks were cut.

    Example:
        >>> poses = np.array([[[0, 0], [0, 9]], [[50, 0], [50, 9]], [[51, 0], [51, 9]], [[1, 0], [1, 9.0]]])
        >>> follow(poses, np.ones((4, 2), bool), np.array([0, 0, 1, 1]))[0].tolist()
        [0, 1, 1, 0]
    """
    single = np.zeros(len(frame), np.int64)
    if len(np.unique(frame)) == len(frame):
        return cut_jumps(pose_2d, seen, frame, single)
    return _followed(pose_2d, seen, frame), 0


def cut_jumps(
    pose_2d: np.ndarray, seen: np.ndarray, frame: np.ndarray, person: np.ndarray
) -> tuple[np.ndarray, int]:
    """Cut tracks of one clip where they jump by more than half a body, from one person to another.

    Someone who comes back keeps the number, and the stranger between gets another. Where jumps are common
    the pictures are stills, and nothing is cut.

    Args:
        pose_2d: (N, J, 2) detections, any unit.
        seen: (N, J) bool.
        frame, person: (N,) int64; one row for each person and frame.

    Returns:
        (N,) int64 numbers, new ones after the given ones, and how many tracks were cut.
    """
    number, cut, fresh = person.copy(), 0, int(person.max(initial=-1)) + 1
    order = np.lexsort((frame, person))
    bodies = Bodies.of(pose_2d[order], seen[order])
    jumps = _jumps(bodies, frame[order], person[order])
    if jumps.sum() > STILLS * len(order):
        return number, 0
    ends = np.flatnonzero(np.diff(person[order])) + 1
    for begin, end in pairwise([0, *ends.tolist(), len(order)]):
        if not jumps[begin:end].any():
            continue
        part = slice(begin, end)
        parts = _parts(bodies.rows(np.arange(begin, end)), frame[order[part]], jumps[part])
        others = parts > 0
        number[order[part][others]] = fresh + parts[others] - 1
        fresh += int(parts.max())
        cut += bool(others.any())  # someone who is known again after each jump was never anybody else
    return number, cut


def _parts(bodies: Bodies, frame: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(N,) numbers of the people in a track that jumps: after a jump it is someone known, or someone new."""
    number, recent = np.zeros(len(frame), np.int64), np.empty(0, np.int64)
    step, present = _step(frame), 0
    for start, stop in pairwise([0, *np.flatnonzero(jumps).tolist(), len(frame)]):
        if start:
            cost, away = distances(bodies.rows(recent), bodies.rows(np.array([start])), np.zeros(2))
            gate = _gate((frame[start] - frame[recent]) // step)
            cost = np.where(away <= gate, cost, np.inf)
            near = recent[cost.argmin()] if np.isfinite(cost).any() else None
            present = int(number.max()) + 1 if near is None else int(number[near])
        number[start:stop] = present
        recent = np.concatenate([recent, np.arange(max(start, stop - RECENT), stop)])
    return number


def _jumps(bodies: Bodies, frame: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(N,) bool: a row is beyond the gate from the row before of the same person, a few pictures earlier.

    It takes joints that are seen in both: of someone half hidden, now the head is seen and now the legs.
    """
    found = np.zeros(len(frame), bool)
    if len(frame) < 2:
        return found
    passed = np.diff(frame) // _step(frame)
    same = (person[1:] == person[:-1]) & (passed > 0) & (passed <= MEMORY)
    size = _lasting(bodies.size, person)
    last, now = np.arange(len(frame) - 1), np.arange(1, len(frame))
    _, away = distances(bodies.rows(last, size[last]), bodies.rows(now), np.zeros(2))
    same &= (bodies.seen[last] & bodies.seen[now]).sum(1) >= FEWEST_SHARED
    found[1:] = same & (away > _gate(passed))
    return found


def _lasting(size: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(N,) the greatest size of each track over the pictures that are remembered."""
    padded, owner = np.pad(size, (MEMORY, 0)), np.pad(person, (MEMORY, 0), constant_values=-1)
    of_size, of_owner = (
        np.lib.stride_tricks.sliding_window_view(column, MEMORY + 1) for column in (padded, owner)
    )
    fading = SHRINKING ** np.arange(MEMORY, -1, -1)
    return np.asarray(np.where(of_owner == person[:, None], of_size * fading, 0.0).max(1))


def _gate(passed: np.ndarray) -> np.ndarray:
    return np.minimum(GATE * np.sqrt(np.maximum(passed, 1)), WIDEST_GATE)


def _step(frame: np.ndarray) -> int:
    """The usual step from frame to frame: the greatest common divisor of the differences."""
    differences = np.diff(np.unique(frame))
    return int(np.gcd.reduce(differences)) if len(differences) else 1


def _followed(pose_2d: np.ndarray, seen: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """(N,) numbers of the people of a clip, in the order in which they appear."""
    order = np.argsort(frame, kind="stable")
    bodies = Bodies.of(pose_2d[order], seen[order])
    pictures, starts, counts = np.unique(frame[order], return_index=True, return_counts=True)
    if counts.max(initial=0) > CROWD:
        return np.arange(len(order))
    times, memory = (pictures - pictures[0]) // _step(frame), _Memory(bodies)
    links = _links(bodies, starts, times)
    found, linked = np.empty(len(order), np.int64), False
    for at, (start, stop) in enumerate(pairwise([*starts.tolist(), len(order)])):
        rows = slice(start, stop)
        if links[start] >= 0:
            found[rows] = found[links[rows]]
        else:
            if linked:
                before = slice(int(starts[at - 1]), start)
                memory.recall(
                    np.arange(before.start, start), links[before], found[before], int(times[at - 1])
                )
            found[rows] = memory.assign(np.arange(start, stop), int(times[at]))
        linked = bool(links[start] >= 0)
    number = np.empty(len(order), np.int64)
    number[order] = found
    return number


def _links(bodies: Bodies, starts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(N,) for each row the row of the picture before that is surely the same person, or -1.

    Nobody else is near, for as many people in successive pictures. This finds most links, all at once.
    """
    links = np.full(len(bodies.size), -1)
    counts = np.diff([*starts, len(links)])
    alike = np.flatnonzero((counts[1:] == counts[:-1]) & (np.diff(times) == 1)) + 1
    for count in np.unique(counts[alike]).tolist():
        chosen = alike[counts[alike] == count]
        for some in np.array_split(chosen, -(-len(chosen) * count**2 // MOST_PAIRS)):
            now, last = (starts[pictures][:, None] + np.arange(count) for pictures in (some, some - 1))
            _, away = distances(bodies.rows(last[:, :, None]), bodies.rows(now[:, None]), np.zeros(2))
            near = away <= GATE
            sure = (near.sum(1) == 1).all(1) & (near.sum(2) == 1).all(1)
            links[now[sure]] = np.take_along_axis(last, near.argmax(1), 1)[sure]
    return links


class _Memory:
    """The people of a clip as they were last seen.

    Args:
        bodies: every detection of the clip, in order of time.
    """

    def __init__(self, bodies: Bodies) -> None:
        self._bodies, self._count = bodies, 0
        self._row = self._time = self._number = np.empty(0, np.int64)  # the row where each was seen last
        self._size, self._velocity = np.empty(0), np.empty((0, 2))

    def assign(self, rows: np.ndarray, time: int) -> np.ndarray:
        """Numbers for the detections of a picture."""
        self._keep(time - self._time <= MEMORY)
        number, bodies = np.full(len(rows), -1, np.int64), self._bodies
        if len(self._row):
            people, found = self._matches(rows, time)
            number[found] = self._number[people]
            passed = (time - self._time[people])[:, None]
            shift = bodies.centre[rows[found]] - bodies.centre[self._row[people]]
            self._velocity[people] = (self._velocity[people] + shift / passed) / 2
            self._size[people] = np.maximum(SHRINKING * self._size[people], bodies.size[rows[found]])
            self._row[people], self._time[people] = rows[found], time
        self._greet(rows, number, time)
        return number

    def recall(self, rows: np.ndarray, before: np.ndarray, number: np.ndarray, time: int) -> None:
        """Take note of people who were followed without this memory.

        Args:
            rows: of the detections of a picture.
            before: the same people one picture earlier.
            number: of these people.
            time: of the picture.
        """
        people = np.searchsorted(self._number, number)
        self._row[people], self._time[people] = rows, time
        self._size[people] = np.maximum(self._bodies.size[rows], self._bodies.size[before])
        self._velocity[people] = self._bodies.centre[rows] - self._bodies.centre[before]

    def _keep(self, people: np.ndarray) -> None:
        if not people.all():
            self._row, self._time, self._number = self._row[people], self._time[people], self._number[people]
            self._size, self._velocity = self._size[people], self._velocity[people]

    def _greet(self, rows: np.ndarray, number: np.ndarray, time: int) -> None:
        """Number the people who are new."""
        new = np.flatnonzero(number < 0)
        if len(new):
            number[new] = self._count + np.arange(len(new))
            self._count += len(new)
            self._row = np.concatenate([self._row, rows[new]])
            self._time = np.concatenate([self._time, np.full(len(new), time)])
            self._number = np.concatenate([self._number, number[new]])
            self._size = np.concatenate([self._size, self._bodies.size[rows[new]]])
            self._velocity = np.concatenate([self._velocity, np.zeros((len(new), 2))])

    def _matches(self, rows: np.ndarray, time: int) -> tuple[np.ndarray, np.ndarray]:
        """People and detections that belong together: within the gate, with the least sum of distances."""
        passed = time - self._time
        now, moved = self._bodies.rows(rows[None]), self._velocity * passed[:, None]
        parts = []
        for some in np.array_split(np.arange(len(passed)), -(-len(passed) * len(rows) // MOST_PAIRS)):
            last = self._bodies.rows(self._row[some, None], self._size[some, None])
            cost, away = distances(last, now, moved[some, None])
            parts.append(np.where(away <= _gate(passed[some])[:, None], cost, np.inf))
        return assigned(np.concatenate(parts))


FEWEST_TO_TELL = 8
"""Fewest detections that show whether numbers are tracks."""

ONCE = 0.9
"""More tracks than this share of the detections are none: they count detections."""


Tracking = Literal["file", "followed", "single"]
"""What told people apart; see :class:`poseda.datasets.detections.Reading`."""


@dataclass(frozen=True)
class Identity:
    """Who is who in a file.

    Args:
        person: (N,) int64 number within the clip of each row.
        tracking: as in :class:`poseda.datasets.detections.Reading`.
        warnings: sentences on what was wrong with the tracks of the file.
    """

    person: np.ndarray
    tracking: Tracking
    warnings: tuple[str, ...]


def identify(
    pose_2d: np.ndarray, seen: np.ndarray, clip: np.ndarray, frame: np.ndarray, person: np.ndarray
) -> Identity:
    """Find out who is who: believe the tracks of a file where they can be tracks, and follow the others.

    A track that comes twice in a picture is none: then the people of its clip are followed. So they are where
    many detections have no track. Tracks that exchange their people get them back.

    Args:
        pose_2d: (N, J, 2) detections.
        seen: (N, J) bool.
        clip, frame: (N,) int64.
        person: (N,) int64 tracks, :data:`UNTRACKED` where the file has none.
    """
    number, cut, twice, new, followed = person.copy(), 0, 0, 0, False
    exchanges = list[int]()
    for rows in _by_clip(clip):
        given = number[rows]
        pairs = np.stack([frame[rows], given], -1)[given != UNTRACKED]
        if len(np.unique(pairs, axis=0)) < len(pairs):
            twice += 1
            given[:] = UNTRACKED
        if _never_again(given):
            new += 1
            given[:] = UNTRACKED
        if (given == UNTRACKED).mean() > MOSTLY:
            given[:] = UNTRACKED
        loose, known = rows[given == UNTRACKED], rows[given != UNTRACKED]
        first = int(number[known].max(initial=-1)) + 1
        if len(known):
            here = pose_2d[known], seen[known], frame[known]
            number[known], frames = exchanged_back(*here, number[known], _step(frame[rows]))
            exchanges += frames
            number[known], cuts = cut_jumps(*here, number[known])
            cut, first = cut + cuts, int(number[known].max()) + 1
        if len(loose):
            found, cuts = follow(pose_2d[loose], seen[loose], frame[loose])
            number[loose], cut = first + found, cut + cuts
            followed |= len(np.unique(number[loose])) > 1
    crowd = _most_in_a_picture(clip, frame) if followed else 0
    several = len(np.unique(np.stack([clip, number], -1), axis=0)) > len(np.unique(clip))
    tracking: Tracking = "followed" if followed else "file" if several else "single"
    return Identity(number, tracking, tuple(_said(crowd, twice, new, exchanges, cut)))


def _said(crowd: int, twice: int, new: int, exchanges: list[int], cut: int) -> list[str]:
    """Sentences on what was wrong with the tracks of a file.

    Args:
        crowd: most detections of a picture, where people were followed.
        twice: clips in which a track comes twice in a picture.
        new: clips in which nearly every detection has a track of its own.
        exchanges: frames in which two tracks exchange their people.
        cut: tracks that were cut.
    """
    warnings = list[str]()
    if crowd > CROWD:
        warnings.append(f"{crowd} detections in a picture are too many to follow people")
    if twice:
        warnings.append(f"a track comes twice in a picture in {counted(twice, 'clip')}: people were followed")
    if new:
        warnings.append(
            f"nearly every detection has a track of its own in {counted(new, 'clip')}: people were followed"
        )
    if exchanges:
        warnings.append(
            f"two tracks exchanged their people {counted(len(exchanges), 'time')}, first at frame "
            f"{exchanges[0]}: they were given back"
        )
    if cut:
        warnings.append(f"{counted(cut, 'track')} cut at a jump from one person to another")
    return warnings


def _never_again(track: np.ndarray) -> bool:
    """Whether nearly no track comes a second time, as where a number counts detections."""
    known = track[track != UNTRACKED]
    return len(known) >= FEWEST_TO_TELL and len(np.unique(known)) > ONCE * len(known)


def _by_clip(clip: np.ndarray) -> list[np.ndarray]:
    """Rows of each clip."""
    order = np.argsort(clip, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(clip[order])) + 1) if len(clip) else []


def _most_in_a_picture(clip: np.ndarray, frame: np.ndarray) -> int:
    _, counts = np.unique(np.stack([clip, frame], -1), axis=0, return_counts=True)
    return int(counts.max(initial=0))


def counted(count: int, what: str, several: str = "") -> str:
    """A number of things in words; ``several`` is their plural where an s does not make it."""
    return f"{count} {what if count == 1 else several or f'{what}s'}"
