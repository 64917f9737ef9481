"""What the user says about joints: which of ours a file's joint is, or the names of all joints in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from poseda.datasets.errors import DataError
from poseda.datasets.joint_names import OWN_JOINTS, canonical, layout_of_names, same_joint
from poseda.datasets.layouts import LAYOUTS, Layout

MAX_FILE = 1 << 20
"""Largest file of pairs, bytes."""


@dataclass
class JointMap:
    """Pairs of our joints and a file's, or the names of all joints of a file in order.

    One map may serve several files. :meth:`check` refuses what none of them has.

    Args:
        pairs: our joint to the file's name of it, or to its index.
        order: the names of all joints in the file's order; empty where pairs are given.
    """

    pairs: Mapping[str, str | int] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    _used: set[str] = field(default_factory=set)
    _seen: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Sequence[str] | Mapping[str, str | int]) -> JointMap:
        """Read what an option holds: pairs ``ours=theirs``, or one YAML or JSON file.

        Args:
            given: pairs, or the name of a file with a mapping of them or a list of names in order. From
                Python also the mapping itself.

        Raises:
            DataError: if it is none of these, or a joint is not ours; the message names the nearest.

        Example::

            >>> JointMap.read(["head_top=crown", "pelvis=0"]).pairs
            {'head_top': 'crown', 'pelvis': 0}
        """
        if isinstance(given, Mapping):
            return cls({_ours(name): theirs for name, theirs in given.items()})
        if len(given) == 1 and "=" not in given[0]:
            return cls._of_file(Path(given[0]))
        pairs: dict[str, str | int] = {}
        for text in given:
            ours, equals, theirs = (part.strip() for part in text.partition("="))
            if not (ours and equals and theirs):
                raise DataError(f"joints: expected OURS=THEIRS pairs or one file, found {text!r}")
            name = _ours(ours)
            if name in pairs:
                raise DataError(f"joints: expected each joint once, found {name} twice")
            pairs[name] = int(theirs) if theirs.isdecimal() and len(theirs) < 5 else theirs
        return cls(pairs)

    @classmethod
    def _of_file(cls, path: Path) -> JointMap:
        import yaml

        try:
            if path.stat().st_size > MAX_FILE:
                raise DataError(f"{path}: file: expected at most {MAX_FILE} bytes, found more")
            content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            wanted = "expected OURS=THEIRS pairs or a file of them"
            raise DataError(f"joints: {wanted}, found {path} ({error.strerror})") from error
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise DataError(f"{path}: file: expected YAML or JSON, found other text") from error
        if isinstance(content, list) and content and all(isinstance(name, str) for name in content):
            return cls(order=tuple(content))
        fits = isinstance(content, dict) and all(
            isinstance(ours, str) and isinstance(theirs, str | int) and not isinstance(theirs, bool)
            for ours, theirs in content.items()
        )
        if not fits or not content:
            raise DataError(f"{path}: file: expected pairs of joints or a list of names, found neither")
        return cls.read(content)

    def __bool__(self) -> bool:
        return bool(self.pairs or self.order)

    @classmethod
    def of(cls, given: JointMap | Mapping[str, str | int] | Sequence[str] | None) -> JointMap:
        """A map as it is, or what :meth:`read` makes of pairs; none means an empty one."""
        if isinstance(given, JointMap):
            return given
        return cls() if given is None else cls.read(given)

    def layout(self) -> Layout | None:
        """The layout that the names in order make, or None where pairs are given.

        Raises:
            DataError: if a joint stands twice.
        """
        if not self.order:
            return None
        try:
            return layout_of_names(self.order)
        except ValueError as error:
            raise DataError(
                f"joints: expected each joint once, found {', '.join(self.order)[:80]}"
            ) from error

    def renamed(self, layout: Layout, path: Path) -> Layout:
        """A file's joints with our names for those that the pairs name.

        Of two joints of one name, the one that a pair names keeps it.
        """
        self._saw(layout.joint_names, path)
        found = {ours: _place(theirs, layout.joint_names) for ours, theirs in self.pairs.items()}
        at = {place: ours for ours, place in found.items() if place is not None}
        self._used |= set(at.values())
        if len(at) < sum(place is not None for place in found.values()):
            raise DataError(f"{path}: joints: expected a joint of its own for each, found one named twice")
        if not at:
            return layout
        names = tuple(
            at.get(place, f"{name} of the file" if name in at.values() else name)
            for place, name in enumerate(layout.joint_names)
        )
        known = next((known for known in LAYOUTS.values() if known.joint_names == names), None)
        return known or Layout(OWN_JOINTS, names)

    def among(self, names: Sequence[str], path: Path) -> dict[str, str]:
        """The pairs whose names a file has: our joint to the file's name."""
        self._saw(names, path)
        found = {ours: _place(theirs, names) for ours, theirs in self.pairs.items()}
        there = {ours: names[place] for ours, place in found.items() if place is not None}
        self._used |= there.keys()
        return there

    def check(self) -> None:
        """Refuse pairs that no file could use.

        Raises:
            DataError: naming the file, the first such pair, and the nearest name.
        """
        for ours, theirs in self.pairs.items():
            if ours in self._used or not self._seen:
                continue
            names = [name for name in self._seen if not name.endswith("_end")]
            near = _nearest(str(theirs), names)
            hint = f"did you mean {near}?" if near else f"its joints are {', '.join(names)[:200]}"
            path = self._seen[near] if near else list(self._seen.values())[-1]
            raise DataError(
                f"{path}: joints: {ours}: expected the name of one of the file's joints, found {theirs}"
                f"; {hint}"
            )

    def _saw(self, names: Sequence[str], path: Path) -> None:
        for name in names:
            self._seen.setdefault(name, path)


def _place(theirs: str | int, names: Sequence[str]) -> int | None:
    """The index of a file's joint: by its name exactly, by its number, or by its name in another spelling."""
    if theirs in names:
        return list(names).index(str(theirs))
    if isinstance(theirs, int):
        return theirs if 0 <= theirs < len(names) else None
    return next((at for at, name in enumerate(names) if same_joint(theirs, name)), None)


def _ours(name: str) -> str:
    """Our name of a joint.

    Raises:
        DataError: if it is none; the message names the nearest.
    """
    known = {joint for layout in LAYOUTS.values() for joint in layout.joint_names}
    ours = name if name in known else canonical(name)
    if ours not in known:
        wanted = "a joint of a layout, such as left_hip or head_top"
        near = _nearest(name, sorted(known))
        hint = f"; did you mean {near}?" if near else ""
        raise DataError(f"joints: expected {wanted}, found {name}{hint}")
    return ours


def _nearest(name: str, names: Sequence[str]) -> str:
    """The name that may be meant, empty if none is near."""
    lower = {other.lower(): other for other in reversed(names)}
    close = get_close_matches(name.lower(), lower, n=1, cutoff=0.7)
    return lower[close[0]] if close else ""
