"""What programs that measure do first: show an earlier record, or check where they compute and write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from poseda.cli.program import UsageError
from poseda.cli.screen import say


class Measuring(Protocol):
    """The options that these programs share."""

    @property
    def device(self) -> str: ...

    @property
    def json(self) -> Path | None: ...

    @property
    def markdown(self) -> Path | None: ...


def device_to_measure(options: Measuring, draw: Callable[[dict[str, Any]], str]) -> str | None:
    """The device to measure on, such as ``cuda:0``; None where a record was shown instead.

    Args:
        options: of the program.
        draw: makes Markdown of a record.

    Raises:
        UsageError: if the device is not there, the record is damaged, or --json cannot be written.
    """
    from poseda.bench.record import read_record
    from poseda.device import choose

    try:
        if options.markdown is not None:
            say(read_record(options.markdown, draw))
            return None
        device = str(choose(options.device))
    except ValueError as error:
        raise UsageError(str(error)) from error
    check_record_path(options.json)
    return device


def check_record_path(path: Path | None) -> None:
    """Check before measuring that --json can be written; ``-`` is the standard output.

    Raises:
        UsageError: if it cannot.
    """
    from poseda.bench.record import check_writable

    try:
        if path is not None and str(path) != "-":
            check_writable(path)
    except ValueError as error:
        raise UsageError(str(error)) from error
