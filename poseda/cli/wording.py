"""How mistakes on a command line and in a file read: what was expected, what came, what may be meant."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.exceptions import ConsumeMultipleError

from poseda.cli.program import Program, negative_name, option_name, programs
from poseda.config.fields import Field
from poseda.config.limits import near_choice, words
from poseda.config.near import ALIKE, guess

if TYPE_CHECKING:
    from cyclopts import Token


def explain(error: CycloptsError, program: Program, arguments: list[str]) -> str:
    """One sentence on why arguments were not understood."""
    if isinstance(error, UnknownOptionError):
        return _unknown(error.token, program)
    if isinstance(error, UnusedCliTokensError):
        stray = (error.unused_tokens or ["more"])[0]
        for typed, after in pairwise(arguments):
            if after == stray and (flag := _flag(typed, program)):
                return _valueless(typed, stray, flag)
        return f"expected options, which begin with --, got {stray!r}"
    entry = _entry(error, program)
    if entry is None:
        return str(error)
    name, wanted = program.name_of(entry.name), words(entry.hint)
    if isinstance(error, ConsumeMultipleError):
        return f"{name}: expected at most one value, got {error.actual_count}"
    if isinstance(error, MissingArgumentError):
        return f"{name}: expected {wanted}, got nothing"
    if isinstance(error, CoercionError) and error.token is not None:
        if entry.kind is bool and error.token.source == "cli":
            return _valueless(error.token.keyword or name, error.token.value, entry)
        where = name if error.token.source == "cli" else f"{error.token.source}: {entry.name}"
        return f"{where}: expected {wanted}, got {error.token.value!r}{_meant(entry.kind, error.token.value)}"
    return f"{name}: {error}"


def _unknown(token: Token, program: Program) -> str:
    """An option that the program does not have, on the command line or in a file."""
    from_file = token.source != "cli"
    typed = (token.keyword or token.value).partition("=")[0]
    name = typed.strip("[]").replace("][", ".") if from_file else typed.lstrip("-").replace("-", "_")
    where = f"{token.source}: {name}" if from_file else typed
    if program.sets & {name, name.partition(".")[0]}:
        return f"{where}: expected options of the recipe, got one that the program sets itself"
    known = [entry.name for entry in program.fields()]
    if any(other.startswith(f"{name}.") for other in known):
        return f"{where}: expected options of this section, such as {_first(name, known, from_file)}"
    show = str if from_file else program.name_of
    if others := _others(name, program):
        meant = guess(name, known, show, ALIKE)
        return f"{where}: expected an option of {program.name}, got one of {' and '.join(others)}{meant}"
    return f"{where}: expected an option of {program.name}, got an unknown one{guess(name, known, show)}"


def _others(name: str, program: Program) -> list[str]:
    """Other commands that have an option of this name."""
    names = {one.name: {entry.name for entry in one.fields()} for one in programs().values()}
    return [other for other, known in names.items() if name in known and other != program.name]


def _first(section: str, known: list[str], from_file: bool) -> str:
    option = next(name for name in known if name.startswith(f"{section}."))
    return option if from_file else option_name(option)


def _flag(typed: str, program: Program) -> Field | None:
    """The flag that an argument switches on or off, if it is one."""
    name = typed.replace("_", "-")
    flags = (entry for entry in program.fields() if entry.kind is bool)
    return next((f for f in flags if name in (option_name(f.name), negative_name(f.name))), None)


def _valueless(typed: str, value: str, flag: Field) -> str:
    """A flag that was given a value."""
    on, off = option_name(flag.name), negative_name(flag.name)
    return f"{typed}: expected no value, got {value!r}; {on} switches it on, and {off} off"


def _meant(kind: Any, value: str) -> str:
    """What may be meant instead."""
    if get_origin(kind) is tuple and "," in value:
        return "; separate values with spaces"
    return near_choice(kind, value)


def _entry(error: CycloptsError, program: Program) -> Field | None:
    """The option that an error is about."""
    if error.argument is None:
        return None
    name = error.argument.field_info.name.replace("__", ".")
    return next((entry for entry in program.fields() if entry.name == name), None)
