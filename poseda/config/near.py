"""Which of the known names may be meant by an unknown one."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def guess(name: str, known: Iterable[str], show: Callable[[str], str] = str) -> str:
    """The end of a sentence on an unknown name: which of the known ones may be meant, if any are near."""
    from difflib import get_close_matches

    ends: dict[str, list[str]] = {}
    for whole in known:
        ends.setdefault(whole.rpartition(".")[2], []).append(whole)
    near = ends.get(name) or get_close_matches(name, [whole for end in ends.values() for whole in end], n=1)
    near = near or [whole for end in get_close_matches(name, ends, n=1) for whole in ends[end]]
    return f"; did you mean {' or '.join(map(show, near[:3]))}?" if near else ""
