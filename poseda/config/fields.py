"""Records seen as flat lists of options: the names, types, defaults and help texts of all their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from poseda.config.limits import ConfigError, OneOrMore, hints, members, notes, parts
from poseda.config.near import guess

Record = TypeVar("Record")


@dataclass(frozen=True)
class Field:
    """One option.

    Args:
        name: with its section: ``training.batch``.
        hint: its type, with limits.
        kind: its type, without them.
        default: MISSING if there is none.
    """

    name: str
    hint: Any
    kind: Any
    default: Any

    @property
    def section(self) -> str:
        """The name of its section, empty if it has none."""
        return self.name.rpartition(".")[0]


@cache
def fields_of(record: type) -> tuple[Field, ...]:
    """All options of a record: first those without a section, then section by section."""
    own, below = [], []
    kinds = get_type_hints(record)
    for entry in dataclasses.fields(record):
        hint = hints(record)[entry.name]
        if is_dataclass(hint):
            assert isinstance(hint, type)
            below += [replace(inner, name=f"{entry.name}.{inner.name}") for inner in fields_of(hint)]
        else:
            own.append(Field(entry.name, hint, kinds[entry.name], entry.default))
    return (*own, *below)


@cache
def help_texts(record: type) -> dict[str, str]:
    """The texts under the options of a record and under its sections, each on one line."""
    from docstring_parser import parse_from_object

    found = {}
    for base in reversed(record.__mro__):
        if is_dataclass(base):
            for entry in parse_from_object(base).params:
                found[entry.arg_name] = " ".join((entry.description or "").split())
    for name, hint in hints(record).items():
        if is_dataclass(hint):
            assert isinstance(hint, type)
            found |= {f"{name}.{inner}": text for inner, text in help_texts(hint).items()}
    return found


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of :func:`flatten`, for names with at most one section."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        section, _, option = name.rpartition(".")
        (found.setdefault(section, {}) if section else found)[option] = value
    return found


def changed(record: Record, values: Mapping[str, Any]) -> Record:
    """A record with some options set to other values, checked as a whole.

    Raises:
        ConfigError: if a value does not fit.
    """
    tree = nest(values)
    for name, value in tree.items():
        if is_dataclass(section := getattr(record, name, None)):
            tree[name] = replace(section, **value)  # type: ignore[type-var]
    return replace(record, **tree)  # type: ignore[type-var]


def build(record: type[Record], values: Mapping[str, Any]) -> Record:
    """A record from the values of some of its options; the others have their defaults.

    Raises:
        ConfigError: if a value does not fit.
    """
    kind: Any = record
    sections: dict[str, Any] = {n: hint for n, hint in hints(kind).items() if is_dataclass(hint)}
    tree = nest(values)
    for name in tree.keys() & sections.keys():
        tree[name] = sections[name](**tree[name])
    return record(**tree)


def read_plain(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON and YAML hold them, in the types of a record's options.

    Raises:
        ConfigError: if a name is not an option or a value does not fit.
    """
    known = {field.name: field.hint for field in fields_of(record)}
    for name, value in values.items():
        if any(other.startswith(f"{name}.") for other in known):
            raise ConfigError(name, f"expected the options of this section, got {value!r}")
        if name not in known:
            raise ConfigError(name, f"expected the name of an option, got an unknown one{guess(name, known)}")
    return {name: _typed(known[name], value) for name, value in values.items()}


def _typed(hint: Any, value: Any) -> Any:
    """Lists become tuples and names of files become paths; all else stays."""
    if notes(hint, OneOrMore):
        value = list(OneOrMore.listed(value))
    for member in members(hint):
        bare, _ = parts(member)
        if isinstance(value, list) and get_origin(bare) is tuple:
            return tuple(_typed(get_args(bare)[0], part) for part in value)
        if isinstance(value, str) and bare is Path:
            return Path(value)
    return value
