"""Which of the known names may be meant by an unknown one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

NEAR = 0.6
"""Likeness, from 0 to 1, from which a name may be meant."""

ALIKE = 0.85
"""Likeness from which a name differs by little more than its ending."""

FEWEST, LETTERS, WEIGHT = 2, 4, 0.15
"""Fewest and most letters of a common beginning that count, and what each counts of the likeness that is
missing. People mistype endings: by ``person``, ``people`` is meant and not ``json``."""


def guess(name: str, known: Iterable[str], show: Callable[[str], str] = str, least: float = NEAR) -> str:
    """The end of a sentence on an unknown name: which of the known ones may be meant, if any are near.

    Args:
        name: the unknown one.
        known: whole names; the part behind the last dot may be meant alone.
        show: how a known name is typed.
        least: likeness of a name that may be meant.
    """
    ends: dict[str, list[str]] = {}
    for whole in known:
        ends.setdefault(whole.rpartition(".")[2], []).append(whole)
    near = ends.get(name) or _nearest(name, [whole for end in ends.values() for whole in end], least)
    near = near or [whole for end in _nearest(name, ends, least) for whole in ends[end]]
    return f"; did you mean {' or '.join(map(show, near[:3]))}?" if near else ""


def _nearest(name: str, known: Iterable[str], least: float) -> list[str]:
    """The nearest of the known names, or none."""
    best = max(((likeness(name, other), other) for other in known), default=(0.0, ""))
    return [best[1]] if best[0] >= least else []


def likeness(name: str, other: str) -> float:
    """How alike two names are, from 0 to 1."""
    from difflib import SequenceMatcher

    ratio = SequenceMatcher(None, other, name).ratio()
    alike = [one == two for one, two in zip(name[:LETTERS], other[:LETTERS], strict=False)]
    begins = alike.index(False) if False in alike else len(alike)
    return ratio + (WEIGHT * begins * (1 - ratio) if begins >= FEWEST else 0.0)
