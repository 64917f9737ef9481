"""The command line. One module a command, each with `run(arguments) -> exit code`.

Options of a command are the fields of a record of :mod:`poseda.config`; nothing is declared twice. Whatever a
user can get wrong ends as one sentence on stderr and exit code 2, before anything is written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from poseda.cli.options import INTERRUPTED, UsageError

UNREAD = 141
"""Exit code of a program that ends with SIGPIPE, as shells count it."""

COMMANDS = {
    "adapt": "adapt a lifter to footage without labels and compare the arms of the method",
    "lift": "lift 2D detections with the lifter of a run, from files or line by line",
    "evaluate": "evaluate the lifters of a run on a domain file or by a published protocol",
    "bench": "time the fused op against its rivals",
    "info": "versions, instruction set, CUDA library, threads",
}
"""What each command does; its module has the same name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Returns:
        0; 1 for a run that failed, 2 for bad input, 130 for Ctrl-C, 141 for output that nobody reads.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_usage(), end="")
        return 0 if given else 2
    if given[0] not in COMMANDS:
        return _complain(f"expected a command among {', '.join(COMMANDS)}, got {given[0]!r}", 2)
    return attempt(lambda: import_module(f"poseda.cli.{given[0]}").run(given[1:]))


def attempt(command: Callable[[], int]) -> int:
    """Run a command; whatever ends it early becomes one sentence and an exit code, as :func:`main` says."""
    try:
        code = command()
        sys.stdout.flush()  # here, where a reader who has left is caught
        return code
    except UsageError as error:
        return _complain(str(error), 2)
    except ImportError as error:
        # By name: importing the class needs torch, which may be what is missing.
        if type(error).__name__ != "LibraryError":
            raise
        return _complain(str(error), 1)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output, such as head, has seen enough. What is left to flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            "usage: poseda COMMAND [options]",
            "",
            *lines,
            "",
            "poseda COMMAND --help lists the options of a command. `poseda adapt` needs none.",
            "",
        ]
    )


def _complain(sentence: str, code: int) -> int:
    print(f"poseda: {' '.join(sentence.split())}", file=sys.stderr)
    return code
