"""Estimates that stand at a limit: the truth may lie beyond, so they are said.

This is the one home of what "at a limit" means. Each kind of estimate has its range here or brings it: the
tilt has the views that the lifter was trained on, lengths have what training drew, and the arm gpa_lpa_view
has the ranges of its options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from poseda import pretrained
from poseda.config import RunConfig, ViewsConfig
from poseda.datasets.tracking import counted
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.directions import PITCHES, ROLLS

STEP = float(PITCHES.step)
"""Degrees between the directions that a vote may choose. A tilt as near to a limit as that stands at it."""


SURE = 2.0
"""Standard errors by which a length must be beyond a limit to stand at it."""


@dataclass(frozen=True)
class Range:
    """Where an estimate may lie.

    Args:
        low, high: its ends. A range without a width is a wish, not a limit.
        near: an estimate that is this near to an end stands at it; below 0, one that is so far beyond it.
    """

    low: float
    high: float
    near: float = 0.0

    def end(self, value: float) -> float | None:
        """The end at or beyond which a value stands; None for values between, and for those unknown."""
        if self.high <= self.low:
            return None
        if value <= self.low + self.near:
            return self.low
        return self.high if value >= self.high - self.near else None


def tilt_at_limit(
    camera: str, pitch: float, roll: float, views: ViewsConfig, can_be_given: bool = True
) -> Iterator[str]:
    """A sentence or two for each angle of a tilt, found in a camera's footage, that stands at a limit.

    Args:
        camera: its name.
        pitch, roll: degrees; NaN where none was found.
        views: that the lifter was trained on.
        can_be_given: whether the command has options for the tilt.
    """
    lowest, highest = max(views.lowest, float(PITCHES[0])), min(views.highest, float(PITCHES[-1]))
    most = min(views.roll, float(ROLLS[-1]))
    wider = "views.lowest" if pitch < (lowest + highest) / 2 else "views.highest"
    for angle, value, limits, given, option in (
        ("pitch", pitch, Range(lowest, highest, STEP), "--camera-pitch", wider),
        ("roll", roll, Range(-most, most, STEP), "--camera-roll beside --camera-pitch", "views.roll"),
    ):
        if (end := limits.end(value)) is not None:
            remedy = f"Give it by {given}, or train" if can_be_given else "Train"
            yield (
                f"{camera}: the {angle} that was found, {value:.0f} degrees, stands at the limit of "
                f"{end:.0f}. {remedy} on a wider range (--{option})."
            )


def lengths_at_limit(
    person: str, lengths: Tensor, errors: Tensor, limits: tuple[Tensor, Tensor], skeleton: Skeleton
) -> str | None:
    """A sentence or two on the bone that stands farthest beyond what training drew; None where none does.

    Args:
        person: in words.
        lengths: (G,) metres; NaN where unknown.
        errors: (G,) standard errors of the lengths, metres. Few frames of a person of usual proportions often
            give a length beyond the limits, so one counts that is beyond by :data:`SURE` errors.
        limits: (G,) least and greatest lengths, see :func:`poseda.method.views.drawn_lengths`.
        skeleton: of the lengths.
    """
    values, doubts, low, high = (part.tolist() for part in (lengths, errors, *limits))
    ends = [
        Range(least, most, -SURE * doubt).end(value)
        for value, doubt, least, most in zip(values, doubts, low, high, strict=True)
    ]
    beyond = {at: end for at, end in enumerate(ends) if end is not None}
    if not beyond:
        return None
    worst = max(beyond, key=lambda at: abs(values[at] / beyond[at] - 1))
    more = f" (so do {counted(len(beyond) - 1, 'other')})" if len(beyond) > 1 else ""
    return (
        f"{person}: the bone to the {skeleton.group_names[worst].replace('_', ' ')}, {values[worst]:.2f} m, "
        f"stands at the limit of {beyond[worst]:.2f} m that training drew{more}. "
        f"Check the joints, or train on a wider range (--views.build, --views.stature)."
    )


def trained_views(config: RunConfig) -> ViewsConfig:
    """The views that the wide lifters of a run were trained on."""
    return (pretrained.config() if config.packaged else config).views


def said(sentences: Sequence[str], most: int) -> list[str]:
    """The first of many sentences, and how many more there are."""
    rest = len(sentences) - most
    return [*sentences[:most], *([f"and {rest} more estimates at a limit"] if rest > 0 else [])]
