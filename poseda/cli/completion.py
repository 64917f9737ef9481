"""Completion of commands and options in a shell.

``source <(poseda --completion bash)`` in ``~/.bashrc`` or ``~/.zshrc`` (with ``zsh`` for ``bash``), and
``poseda --completion fish | source`` in ``~/.config/fish/config.fish``. It completes commands, options, files
and the values of closed sets; of an option with several values, the first. A test tries it in bash. It was
not tried in zsh and fish.
"""

from __future__ import annotations

from cyclopts import App

from poseda.cli.parser import parser
from poseda.cli.program import UsageError, programs
from poseda.config.near import guess

SHELLS = ("bash", "zsh", "fish")


def script(shell: str, commands: dict[str, str]) -> str:
    """The script that completes commands and options.

    Args:
        shell: one of :data:`SHELLS`.
        commands: what each command does; its module holds its ``PROGRAM``.

    Raises:
        UsageError: if the shell is not known.
    """
    if shell not in SHELLS:
        known = ", ".join(SHELLS)
        raise UsageError(f"--completion: expected one of {known}, got {shell!r}{guess(shell, SHELLS)}")
    app = App(name="poseda", help_flags=(), version_flags=("--version",))
    for name, program in programs(commands).items():
        app.command(parser(program, program.fields()), name=name)
    return str(app.generate_completion(shell=shell))  # type: ignore[arg-type]
