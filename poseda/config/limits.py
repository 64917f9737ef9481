"""What the value of an option may be. Limits stand beside the field that they bound, in its annotation."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from poseda.config.near import guess


class ConfigError(ValueError):
    """A value that does not fit.

    Args:
        field: name of the option, with its section: ``training.batch``.
        problem: what was expected and what came. Other options stand in it as ``<generator.bone_scale>``.
        others: names of those other options.
    """

    def __init__(self, field: str, problem: str, *others: str) -> None:
        self.field, self.problem, self.others = field, problem, others
        super().__init__(self.naming(str))

    def naming(self, name: Callable[[str], str]) -> str:
        """The sentence, with options called as ``name`` calls them."""
        problem = self.problem
        for other in self.others:
            problem = problem.replace(f"<{other}>", name(other))
        return f"{name(self.field)}: {problem}"

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigError, (self.field, self.problem, *self.others)


class Limit:
    """What a value must be beyond its type."""

    @property
    def wanted(self) -> str:
        """The expected value, in the words of a sentence."""
        raise NotImplementedError

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type fits."""
        raise NotImplementedError


@dataclass(frozen=True)
class AtLeast(Limit):
    """A finite number not below ``low``."""

    low: float

    @property
    def wanted(self) -> str:
        return f"a number of at least {self.low:g}"

    def allows(self, value: float) -> bool:
        return self.low <= value < math.inf


@dataclass(frozen=True)
class AtMost(Limit):
    """A number not above ``high``."""

    high: float
    unit: str = ""

    @property
    def wanted(self) -> str:
        return f"at most {self.high:g}{self.unit and ' '}{self.unit}"

    def allows(self, value: float) -> bool:
        return value <= self.high


@dataclass(frozen=True)
class Above(Limit):
    """A finite number above ``low``."""

    low: float

    @property
    def wanted(self) -> str:
        return f"a number above {self.low:g}"

    def allows(self, value: float) -> bool:
        return self.low < value < math.inf


@dataclass(frozen=True)
class Below(Limit):
    """A number below ``high``."""

    high: float

    @property
    def wanted(self) -> str:
        return f"a number below {self.high:g}"

    def allows(self, value: float) -> bool:
        return value < self.high


@dataclass(frozen=True)
class Share(Limit):
    """A share from 0 to 1; ``whole`` says whether 1 itself is allowed."""

    whole: bool = False

    @property
    def wanted(self) -> str:
        return "a share from 0 to 1" if self.whole else "a share from 0 to below 1"

    def allows(self, value: float) -> bool:
        return 0 <= value < 1 or (self.whole and value == 1)


@dataclass(frozen=True)
class Odd(Limit):
    """An odd number, so that there is a middle."""

    @property
    def wanted(self) -> str:
        return "an odd number"

    def allows(self, value: int) -> bool:
        return value % 2 == 1


@dataclass(frozen=True)
class Distinct(Limit):
    """Values without repetition, ``least`` of them or more."""

    least: int = 1

    @property
    def wanted(self) -> str:
        return "at least one value, without repetition" if self.least else "values without repetition"

    def allows(self, value: Sequence[Any]) -> bool:
        return len(value) >= self.least and len(set(value)) == len(value)


@dataclass(frozen=True)
class OneOrMore:
    """A list that may be given, and is written, as one value alone, or as None where it is empty."""

    @staticmethod
    def listed(value: Any) -> Any:
        """The values as a tuple."""
        if value is None:
            return ()
        return tuple(value) if isinstance(value, list | tuple) else (value,)

    @staticmethod
    def written(values: Sequence[Any]) -> Any:
        """The values as files of runs hold them."""
        return list(values) if len(values) > 1 else values[0] if values else None


@dataclass(frozen=True)
class Gathered:
    """A list to which an option that is given again adds. Of others the later list counts."""


@dataclass(frozen=True)
class PictureSize(Limit):
    """Width and height of pictures, pixels."""

    @property
    def wanted(self) -> str:
        return "WIDTHxHEIGHT as 1280x720"

    def allows(self, value: str) -> bool:
        return re.fullmatch(r"[1-9]\d{0,8}x[1-9]\d{0,8}", value) is not None


@dataclass(frozen=True, eq=False)
class Renamed:
    """Names that a value had before, and those it has now. Both are read, the new one is kept."""

    names: dict[str, str]


@dataclass(frozen=True)
class Found:
    """A path that a command reads. The command line looks for it before any work begins.

    Args:
        holds: a file that the expected folder must have, such as config.json of a run.
        dash: whether ``-`` stands for the standard input, and ``camera:0`` for a camera.
    """

    holds: str = ""
    dash: bool = False

    def is_stream(self, path: Path) -> bool:
        """Whether a path stands for something that is no file."""
        return self.dash and (str(path) == "-" or str(path).startswith(CAMERA))


SLOWEST, FASTEST = 1e-3, 1e5
"""Frames per second of recordings; others are mistakes or damage."""

CAMERA = "camera:"
"""What begins the name of a camera: ``camera:0``."""


@dataclass(frozen=True)
class Bare:
    """A path that may be left out after its option, and the path that is then meant."""

    value: str


People = Literal["all", "largest"] | Annotated[int, AtLeast(0)]
"""People of a file: all, the largest of each clip, or the number of one."""


def picture_size(text: str | None) -> tuple[int, int] | None:
    """Width and height in pixels from ``1280x720``, None from None.

    Raises:
        ConfigError: if the text is something else.
    """
    if text is None:
        return None
    if wrong := problem(Annotated[str, PictureSize()], text):
        raise ConfigError("image_size", wrong)
    width, height = map(int, text.split("x"))
    return width, height


def for_each(option: str, values: Sequence[Any], paths: int, of: str = "target") -> list[Any]:
    """The value of an option for each path of another one: one for all, one each, or None.

    Raises:
        ConfigError: if there are other numbers of values.
    """
    if len(values) not in (0, 1, paths):
        several = f"one value, or one for each of the {paths} paths of <{of}>"
        wanted = several if paths > 1 else f"one value, as <{of}> is one path"
        raise ConfigError(option, f"expected {wanted}, got {len(values)}", of)
    return list(values) if len(values) == paths else [*(values or (None,))] * paths


def parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations, and the annotations."""
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        return bare, tuple(notes)
    return hint, ()


def members(hint: Any) -> tuple[Any, ...]:
    """The types that a value may have, None among them where it may be absent."""
    bare, _ = parts(hint)
    return get_args(bare) if get_origin(bare) in (Union, UnionType) else (hint,)


def notes(hint: Any, kind: type) -> list[Any]:
    """All annotations of a kind, wherever in a type they stand."""
    bare, own = parts(hint)
    inner = [] if get_origin(bare) is Literal else get_args(bare)
    return [note for note in own if isinstance(note, kind)] + [
        note for part in inner for note in notes(part, kind)
    ]


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
_MANY_WORDS = {int: "whole numbers", float: "numbers", str: "names", Path: "paths"}


def words(hint: Any) -> str:
    """How a type reads after "expected"."""
    bare, _ = parts(hint)
    alternatives = [member for member in members(bare) if member is not NoneType]
    if len(alternatives) > 1:
        return " or ".join(map(words, alternatives))
    (bare, _) = parts(alternatives[0])
    if get_origin(bare) is Literal:
        listed = get_args(bare)
        return listed[0] if len(listed) == 1 else f"one of {', '.join(listed)}"
    if get_origin(bare) is tuple:
        element, _ = parts(get_args(bare)[0])
        return _MANY_WORDS.get(element) or words(element)
    return _WORDS.get(bare, bare.__name__)


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value has a type, apart from its limits."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, Sequence) and not isinstance(value, str)
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    accepted: dict[Any, Any] = {int: Integral, float: Real, Path: str | PathLike}
    return isinstance(value, accepted.get(kind, kind))


def problem(hint: Any, value: Any) -> str | None:
    """Why a value does not fit a type with its limits, None if it does."""
    bare, own = parts(hint)
    alternatives = members(bare)
    if len(alternatives) > 1:
        of_type = [member for member in alternatives if _is_of(parts(member)[0], value)]
        expected = f"expected {words(bare)}, got {value!r}{near_choice(bare, value)}"
        found = [problem(member, value) for member in of_type] or [expected]
        return None if None in found else found[0]
    if not _is_of(bare, value):
        return f"expected {words(bare)}, got {value!r}{near_choice(bare, value)}"
    if get_origin(bare) is tuple:
        for part in value:
            if inner := problem(get_args(bare)[0], part):
                return inner
    for limit in own:
        if isinstance(limit, Limit) and not limit.allows(value):
            return f"expected {limit.wanted}, got {_as_typed(value)}"
    return None


def _as_typed(value: Any) -> str:
    """A value as it is typed on a command line."""
    if isinstance(value, tuple):
        return " ".join(part if isinstance(part, str) else _as_typed(part) for part in value) or "nothing"
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value) if isinstance(value, Path) else repr(value)


def near_choice(hint: Any, value: Any) -> str:
    """The end of a sentence on a value that is not among those of a type: which one may be meant."""
    return guess(value, choices(hint)) if isinstance(value, str) else ""


def choices(hint: Any) -> list[str]:
    """The values that a type lists, wherever in it they stand."""
    bare, _ = parts(hint)
    inner = get_args(bare)
    return list(inner) if get_origin(bare) is Literal else [one for part in inner for one in choices(part)]


@cache
def hints(record: Any) -> dict[str, Any]:
    """The annotation of each field of a type of records, with its limits."""
    found = get_type_hints(record, include_extras=True)
    return {entry.name: found[entry.name] for entry in dataclasses.fields(record)}


def check_fields(record: Any, prefix: str = "") -> None:
    """Check every field of a record and of its sections; give renamed values their new names.

    Raises:
        ConfigError: naming the first field that does not fit.
    """
    kind: Any = type(record)
    for name, hint in hints(kind).items():
        value = getattr(record, name)
        if dataclasses.is_dataclass(value):
            check_fields(value, f"{prefix}{name}.")
            continue
        for renamed in notes(hint, Renamed):
            value = _renamed(value, renamed.names)
            object.__setattr__(record, name, value)
        if notes(hint, OneOrMore):
            value = OneOrMore.listed(value)
            object.__setattr__(record, name, value)
        if found := problem(hint, value):
            raise ConfigError(prefix + name, found)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    return tuple(names.get(part, part) for part in value) if isinstance(value, Sequence) else value
