"""A program and what it was given: its options are the fields of its records.

Values come from three places. A preset gives the defaults, a file of --config changes them, and options
change both, wherever they stand. Of an option that is given again, the later value counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from poseda.config.fields import Field

Record = TypeVar("Record")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells give it."""

COMMANDS = {
    "adapt": "adapt a lifter to footage without labels and compare the arms of the method",
    "lift": "lift 2D detections with the lifter of a run, from files or line by line",
    "view": "open the report of a run, or play lifted poses, in the browser",
    "inspect": "account for files of 2D detections, without a model",
    "evaluate": "evaluate the lifters of a run on a domain file or by a published protocol",
    "export": "write lifted poses in other formats, or a lifter of a run as an ONNX file",
    "bench": "time the fused op against its rivals",
    "doctor": "test whether all that is installed works",
    "info": "show versions, instruction set, CUDA library, threads and the lifter of the package",
}
"""What each command does; its module has the same name."""


def programs(commands: Iterable[str] = tuple(COMMANDS)) -> dict[str, Program]:
    """The program of each command, which its module holds."""
    return {name: import_module(f"poseda.cli.{name}").PROGRAM for name in commands}


class UsageError(Exception):
    """A mistake of the user's; the message is one sentence."""


class Finished(Exception):
    """All that was asked for has been shown, as with --help."""


def option_name(name: str) -> str:
    """An option as it is typed: ``--training.adapt-steps``."""
    return f"--{name.replace('_', '-')}"


def negative_name(name: str) -> str:
    """The opposite of a flag as it is typed: ``--training.no-flip``."""
    section, dot, flag = name.rpartition(".")
    return option_name(f"{section}{dot}no-{flag}")


@dataclass(frozen=True)
class Program:
    """A command line: its name and its options.

    Args:
        name: as it is typed: ``poseda adapt``.
        about: what it does, a sentence.
        records: their fields are the options. Of fields with one name, that of the first record counts.
        common: options that --help shows. Empty: all.
        positional: the option that is given without its name, if there is one.
        sets: options and sections that the program sets itself and refuses.
        of_run: options that mean the same in the config.json of a run, which --config then reads.
        follows: options that follow from the data where they are not given. --print-config leaves them open.
    """

    name: str
    about: str
    records: tuple[type, ...]
    common: tuple[str, ...] = ()
    positional: str = ""
    sets: frozenset[str] = frozenset()
    of_run: tuple[str, ...] = ()
    follows: frozenset[str] = frozenset()

    @property
    def caller(self) -> str:
        """What its sentences on stderr begin with."""
        return self.name.removeprefix("python -m ").partition(" ")[0]

    def fields(self) -> list[Field]:
        """All options, those without a section first."""
        from poseda.config import FileConfig
        from poseda.config.fields import fields_of

        found: dict[str, Field] = {}
        for at, record in enumerate((*self.records, FileConfig)):
            for entry in fields_of(record):
                if not (at and self.sets & {entry.name, entry.section}):
                    found.setdefault(entry.name, entry)
        return sorted(found.values(), key=lambda entry: entry.section != "")

    def name_of(self, option: str) -> str:
        """An option as it is typed here."""
        return option.upper() if option == self.positional else option_name(option)

    def takes_of_run(self, option: str) -> bool:
        """Whether it takes an option from the config.json of a run.

        Programs with all options of `poseda adapt` do, but for those that they set or define themselves.
        """
        from poseda.config import RunConfig
        from poseda.config.fields import fields_of

        if RunConfig not in self.records:
            return option in self.of_run
        before = self.records[: self.records.index(RunConfig)]
        own = {entry.name for record in before for entry in fields_of(record)}
        return not (own | self.sets) & {option, option.rpartition(".")[0]}

    def refusal(self, error: Exception) -> UsageError:
        """A mistake that was found later, with its option named as it is typed."""
        return UsageError(self.sentence(error, self.name_of))

    def sentence(self, error: Exception, name_of: Callable[[str], str]) -> str:
        """What an error says, with options called as ``name_of`` calls them."""
        from poseda.config.limits import ConfigError

        if isinstance(error, ConfigError):
            return error.naming(name_of)
        name, colon, rest = str(error).partition(":")
        if colon and name in {entry.name for entry in self.fields()}:
            return f"{name_of(name)}:{rest}"
        return str(error)


@dataclass(frozen=True)
class Given:
    """What was given to a program.

    Args:
        program: which one.
        values: of the given options alone, by name.
        files: names of the files that options come from, by option.
    """

    program: Program
    values: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)

    def build(self, record: type[Record]) -> Record:
        """A record with the given values, and its own defaults elsewhere."""
        from poseda.config.fields import build

        rest = self.without(record)
        return build(record, {name: value for name, value in self.values.items() if name not in rest})

    def without(self, record: Any) -> dict[str, Any]:
        """The given values that do not belong to a record."""
        from poseda.config.fields import fields_of

        own = {entry.name for entry in fields_of(record)}
        return {name: value for name, value in self.values.items() if name not in own}

    def name_of(self, option: str) -> str:
        """An option as it was given: on the command line or in a file."""
        if option in self.files:
            return f"{self.files[option]}: {option}"
        return self.program.name_of(option)
