"""The text of --help, with the options that most people use, and of --help-all, with every option."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path, PurePath
from textwrap import wrap
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from poseda.cli.program import Program, negative_name
from poseda.config import FileConfig
from poseda.config.fields import Field, fields_of, help_texts
from poseda.config.limits import Bare, PictureSize, choices, members, notes, parts

INDENT, COLUMN, WIDEST = 2, 26, 110
"""Columns before an option, columns before its text, and the most that a line has."""

SHORT = 24
"""Longest list of choices that stands beside an option's name; a longer one stands in its text."""


def help_text(program: Program, everything: bool = False, width: int | None = None) -> str:
    """How a program is called and what its options mean, in lines that fit the terminal.

    Args:
        program: the help is of this one.
        everything: show every option, by section, and not the common ones alone.
        width: of a line, default that of the terminal.
    """
    width = min(width or shutil.get_terminal_size((80, 24)).columns, WIDEST)
    fields, texts = program.fields(), _texts(program)
    common = (*program.common, *(entry.name for entry in fields_of(FileConfig)))
    shown = fields
    if program.common and not everything:
        shown = sorted((f for f in fields if f.name in common), key=lambda entry: common.index(entry.name))
    positional = f" {program.name_of(program.positional)}" if program.positional else ""
    lines = [f"usage: {program.name}{positional} [options]", "", *wrap(program.about, width)]
    for section, entries in groupby(shown, lambda entry: entry.section if everything else ""):
        lines += ["", *wrap(f"{section}: {texts[section]}" if section else "options:", width)]
        for entry in entries:
            lines += _lines(_usage(entry, program), _description(entry, texts[entry.name]), width)
    lines += [""] if everything else []
    lines += _lines("-h, --help", "Show the options that most people need.", width)
    if program.common:
        lines += _lines("--help-all", f"Show all {len(fields)} options.", width)
    return "\n".join(lines)


def _texts(program: Program) -> dict[str, str]:
    """What options and sections are for, by name."""
    found: dict[str, str] = {}
    for record in (FileConfig, *reversed(program.records)):
        found |= help_texts(record)
    return found


def _lines(name: str, text: str, width: int) -> Iterator[str]:
    """An option's name and its text beside it, or below it where the name is long."""
    described = wrap(text.replace("`", ""), max(width - COLUMN, 20), break_on_hyphens=False)
    head = " " * INDENT + name
    if len(head) < COLUMN - 1 and described:
        head = f"{head:<{COLUMN}}{described.pop(0)}"
    yield head
    for line in described:
        yield " " * COLUMN + line


def _usage(entry: Field, program: Program) -> str:
    """An option as it is typed, with what follows it."""
    name = program.name_of(entry.name)
    if entry.name == program.positional:
        return name
    if entry.default is True:
        return f"{name}, {negative_name(entry.name)}"
    value = _value(entry.hint)
    return f"{name} [{value}]" if notes(entry.hint, Bare) else f"{name} {value}".rstrip()


_VALUES = {int: "N", float: "X", bool: "", str: "NAME", Path: "PATH"}


def _value(hint: Any) -> str:
    """What stands for a value of a type, empty for a flag."""
    shown = []
    for member in members(hint):
        kind, limits = parts(member)
        if kind is NoneType:
            continue
        if get_origin(kind) is tuple:
            shown.append(f"{_value(get_args(kind)[0])} ...")
        elif any(isinstance(limit, PictureSize) for limit in limits):
            shown.append("WIDTHxHEIGHT")
        elif get_origin(kind) is Literal:
            listed = "|".join(choices(kind))
            shown.append(listed if len(listed) <= SHORT else "NAME")
        else:
            shown.append(_VALUES.get(kind, "PATH"))
    return "|".join(shown)


def _description(entry: Field, text: str) -> str:
    """The text of an option, with choices that are not beside its name, and its default."""
    listed = choices(entry.hint)
    if len("|".join(listed)) > SHORT and not all(choice in text for choice in listed):
        text += f" One of {', '.join(listed)}."
    default = _shown(entry.default)
    return text if not default or "Default:" in text or "Default of" in text else f"{text} [{default}]"


def _shown(default: Any) -> str:
    """A default as it would be typed; empty where the help shows none."""
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    known = isinstance(default, int | float | str | PurePath) and not isinstance(default, bool)
    return str(default) if known else ""
