"""The command line. One module per command, each with `run(arguments) -> exit code`.

The options of a command are the fields of a record of :mod:`poseda.config`, and each is declared once. A
mistake of the user ends as one sentence on stderr and exit code 2, before anything is written.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TextIO

from poseda.cli.program import COMMANDS, INTERRUPTED, Finished, UsageError
from poseda.cli.screen import complain, say
from poseda.cli.threads import wait_asleep

UNREAD = 141
"""Exit code of a program that ends with SIGPIPE, as shells count it."""

LAST = (
    "poseda adapt needs no options. poseda --version shows the version, and "
    "poseda --completion bash|zsh|fish a script that completes options in a shell."
)
"""The end of the text of --help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Returns:
        0; 1 for a run that failed, 2 for bad input, 130 for Ctrl-C, 141 if the reader of the output ended
        first.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _command(given))


def _command(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        say(command_list("poseda COMMAND", COMMANDS, LAST))
        return 0 if given else 2
    if given[0] == "--version":
        from poseda import __version__

        say(f"poseda {__version__}")
        return 0
    if given[0] == "--completion":
        from poseda.cli.completion import script

        say(script(given[1] if len(given) > 1 else "", COMMANDS))
        return 0
    check_command(given[0], COMMANDS, "a command")
    if given[0] != "bench":  # which times threads as torch has them
        wait_asleep()
    code: int = import_module(f"poseda.cli.{given[0]}").run(given[1:])
    return code


def attempt(command: Callable[[], int], program: str = "poseda") -> int:
    """Run a command. An early end becomes one sentence and an exit code, as :func:`main` lists them.

    Args:
        command: returns an exit code.
        program: what the sentence begins with.
    """
    try:
        with _warnings_in_words(program):
            code = command()
        sys.stdout.flush()  # here, where a closed pipe is caught
        return code
    except Finished:
        return 0
    except UsageError as error:
        complain(str(error), program)
        return 2
    except ImportError as error:
        # By name: importing the class needs torch, and torch may be missing.
        if type(error).__name__ != "LibraryError":
            raise
        complain(str(error), program)
        return 1
    except KeyboardInterrupt as stop:
        complain(str(stop) or "interrupted", program)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output, such as head, has ended. Python still flushes stdout when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


@contextmanager
def _warnings_in_words(program: str) -> Iterator[None]:
    """Our own warnings are sentences on stderr. Others' stay as Python shows them."""
    others, ours = warnings.showwarning, f"{Path(__file__).parents[1]}{os.sep}"

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if filename.startswith(ours) and issubclass(category, UserWarning):
            complain(str(message), program)
        else:
            others(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def check_command(given: str, commands: dict[str, str], what: str) -> None:
    """Refuse a command that does not exist.

    Raises:
        UsageError: naming those that exist, and the one that may be meant.
    """
    if given not in commands:
        from poseda.config.near import guess

        known = ", ".join(commands)
        raise UsageError(f"expected {what} among {known}, got {given!r}{guess(given, commands)}")


def command_list(usage: str, commands: dict[str, str], last: str) -> str:
    """The text of --help of a program with commands."""
    from shutil import get_terminal_size
    from textwrap import fill

    width, column = min(get_terminal_size((80, 24)).columns, 110), max(map(len, commands)) + 4
    lines = [
        fill(does, width, initial_indent=f"  {name}".ljust(column), subsequent_indent=" " * column)
        for name, does in commands.items()
    ]
    more = fill(f"{usage} --help lists the options of one. {last}", width)
    return "\n".join([f"usage: {usage} [options]", "", *lines, "", more])
