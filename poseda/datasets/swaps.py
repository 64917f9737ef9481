"""Tracks of a file that exchange their people from one picture to the next. This needs no torch.

Nobody changes places with another within a picture. Where each of two tracks goes on as the other did, and
neither as it did itself, the tracker has taken one for the other. This holds for people who stand side by
side, too, whose tracks do not jump far enough to be cut.
"""

from __future__ import annotations

import numpy as np

from poseda.datasets.bodies import Bodies, distances

FAR = 0.1
"""Bodies. Both tracks must leave their people by more than this, in joints and in boxes."""

SMOOTH = 1 / 3
"""The steps of the people, in the pictures before and after and across the exchange, are at most this share
of the steps of the tracks. People who cross in few pictures a second make long steps before or after, too."""

CROWD = 300
"""Most people with long steps in a picture; more of them are a cut of the film."""

OFTEN = 0.2
"""Where more than this share of the steps are long, the pictures are stills, and nothing is exchanged."""


def exchanged_back(
    pose_2d: np.ndarray, seen: np.ndarray, frame: np.ndarray, person: np.ndarray, step: int
) -> tuple[np.ndarray, list[int]]:
    """Give tracks of one clip that exchange their people back to them.

    Only successive pictures that show both tracks, each in the picture before and the one after as well, can
    tell. Over gaps people may really change places.

    Args:
        pose_2d: (N, J, 2) detections, any unit.
        seen: (N, J) bool.
        frame, person: (N,) int64; one row for each person and frame.
        step: from frame to frame.

    Returns:
        (N,) int64 numbers, and the frames from which two tracks are exchanged, one for each exchange.
    """
    order = np.lexsort((frame, person))
    bodies, when, who = Bodies.of(pose_2d[order], seen[order]), frame[order], person[order]
    number, frames = who.copy(), list[int]()
    away = _long(bodies, when, who, step)
    rows = np.flatnonzero(away > 0)
    if len(rows) > OFTEN * len(order):
        return person.copy(), []
    rows = rows[np.argsort(when[rows], kind="stable")]
    for here in np.split(rows, np.flatnonzero(np.diff(when[rows])) + 1) if len(rows) else []:
        for one, other in _pairs(bodies, here, away[here]):
            # What the numbers are by now: the same two may have been exchanged before.
            first, second, later = number[one], number[other], when >= when[one]
            was_first, was_second = later & (number == first), later & (number == second)
            number[was_first], number[was_second] = second, first
            frames.append(int(when[one]))
    found = np.empty_like(number)
    found[order] = number
    return found, frames


def _long(bodies: Bodies, frame: np.ndarray, person: np.ndarray, step: int) -> np.ndarray:
    """(N,) lengths of long steps from the picture before, of tracks seen in one more picture on either side.

    Other steps are 0.
    """
    found = np.zeros(len(frame))
    if len(frame) < 4:
        return found
    next_to = (np.diff(frame) == step) & (np.diff(person) == 0)
    inner = np.flatnonzero(next_to[:-2] & next_to[1:-1] & next_to[2:]) + 2
    _, away = distances(bodies.rows(inner - 1), bodies.rows(inner), np.zeros(2))
    found[inner] = np.where(np.isfinite(away) & (away > FAR), away, 0)
    return found


def _pairs(bodies: Bodies, rows: np.ndarray, away: np.ndarray) -> list[tuple[int, int]]:
    """Rows of a picture, with long steps (K,) from the rows before, whose tracks exchange their people."""
    if len(rows) > CROWD:
        return []
    across, _ = distances(bodies.rows(rows[:, None] - 1), bodies.rows(rows[None]), np.zeros(2))
    most = SMOOTH * np.minimum(away[:, None], away)
    near = across <= most
    pairs = np.argwhere(np.triu(near & near.T, 1))
    return [(int(rows[a]), int(rows[b])) for a, b in pairs if _smooth(bodies, rows[[a, b]], most[a, b])]


def _smooth(bodies: Bodies, now: np.ndarray, most: float) -> bool:
    """Whether two people move little before and after an exchange, which are rows ``now`` after it."""
    # The picture before, or the one after, may be exchanged itself.
    return all(
        min(_steps(bodies, begin, end), _steps(bodies, begin, end[::-1])) <= most
        for begin, end in ((now - 2, now - 1), (now, now + 1))
    )


def _steps(bodies: Bodies, last: np.ndarray, now: np.ndarray) -> float:
    """The longer of the steps between rows, in bodies."""
    mean, _ = distances(bodies.rows(last), bodies.rows(now), np.zeros(2))
    return float(mean.max())
