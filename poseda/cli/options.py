"""From arguments to records: what every program does with its command line, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING
from typing import TypeVar

from poseda.cli.program import Finished, Given, Program, UsageError
from poseda.cli.screen import say

Made = TypeVar("Made")


def read(program: Program, arguments: list[str], make: Callable[[Given], Made]) -> Made:
    """What a command line asks for.

    Args:
        program: its options are read.
        arguments: of the command line.
        make: builds the record, or a tuple of records, from what was given.

    Raises:
        UsageError: if the arguments are not understood or do not fit.
        Finished: if help or the configuration was asked for, and shown.
    """
    for flag in HELP:
        if flag in arguments:
            from poseda.cli.help import help_text

            say(help_text(program, everything=flag == "--help-all"))
            raise Finished
    given, wants_config = parse(program, arguments)
    try:
        made = make(given)
    except ValueError as error:
        raise UsageError(program.sentence(error, given.name_of)) from error
    if wants_config:
        from poseda.cli.config_file import write

        records = made if isinstance(made, tuple) else (made,)
        say(write(*records, without=program.sets, unset=program.follows - given.values.keys()).rstrip())
        raise Finished
    return made


HELP = ("--help-all", "--help", "-h")


def parse(program: Program, arguments: list[str]) -> tuple[Given, bool]:
    """What was given, and whether the configuration is to be shown.

    Raises:
        UsageError: if it is not understood, incomplete, or names a file that does not exist.
    """
    from poseda.cli.parser import read_arguments
    from poseda.cli.paths import missing_path

    values, files = read_arguments(program, arguments)
    values.pop("config", None)
    wants_config = bool(values.pop("print_config", False))
    given = Given(program, values, files)
    missing = [f.name for f in program.fields() if f.default is MISSING and f.name not in values]
    if missing:
        raise UsageError(f"expected {' and '.join(map(program.name_of, missing))}, got none")
    if absent := missing_path(given):
        raise UsageError(absent)
    return given, wants_config
