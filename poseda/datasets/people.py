"""Which people of a file are wanted: ``--people``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseda.datasets.bodies import boxes
from poseda.datasets.checks import usable
from poseda.datasets.detections import Detections2D
from poseda.datasets.errors import DataError

SHOWN = 12
"""Most numbers of people that a message lists."""


def choose_people(detections: Detections2D, people: str | int = "all") -> Detections2D:
    """Keep some people, and count the detections of the others as dropped.

    Args:
        detections: to choose from.
        people: ``all``, ``largest`` (of each clip, by the median area of the box), or the number of a track.

    Raises:
        DataError: if no one has that number.
    """
    if people == "all":
        return detections
    if people == "largest":
        kept, reason = _largest(detections), "not the largest person of the clip"
    else:
        kept, reason = detections.person == int(people), f"not person {people}"
    if not kept.any():
        numbers = np.unique(detections.person).tolist()
        shown = ", ".join(map(str, numbers[:SHOWN])) + (" and others" if len(numbers) > SHOWN else "")
        raise DataError(f"{detections.path}: people: expected all, largest or one of {shown}, found {people}")
    reading, others = detections.reading, int((~kept).sum())
    dropped = {**reading.dropped, reason: others} if others else reading.dropped
    return replace(detections.rows(kept), reading=replace(reading, dropped=dropped))


def _largest(detections: Detections2D) -> np.ndarray:
    """(N,) bool, the rows of the largest person of each clip."""
    low, high = boxes(detections.pose_2d, usable(detections))
    area, track = np.prod(high - low, 1), detections.track
    median = np.array([np.median(area[track == number]) for number in range(int(track.max(initial=-1)) + 1)])
    kept = np.zeros(len(detections), bool)
    for clip in np.unique(detections.clip):
        rows = detections.clip == clip
        tracks = np.unique(track[rows])
        kept |= rows & (track == tracks[median[tracks].argmax()])
    return kept
