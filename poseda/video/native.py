"""What libraries of C++ say on stderr, kept back until something fails."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TextIO

STDERR = 2
"""The file descriptor that C++ writes to."""


class NativeStderr:
    """Keeps back what is written to the descriptor of stderr. Python's own ``sys.stderr`` stays as it is.

    It begins when it is made. MediaPipe speaks from threads of its own, between its calls too, so nothing
    less than its whole life will do.
    """

    def __init__(self) -> None:
        self._before = sys.stderr
        try:
            self._before.flush()
            self._real = os.dup(STDERR)
        except (AttributeError, OSError, ValueError):  # there is no stderr
            self._kept = None
            return
        self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end
        os.dup2(self._kept.fileno(), STDERR)
        self._own: TextIO | None = None
        if _descriptor(self._before) == STDERR:
            encoding, errors = self._before.encoding, self._before.errors
            self._own = os.fdopen(os.dup(self._real), "w", 1, encoding, errors)
            sys.stderr = self._own

    def end(self, shown: bool = False) -> None:
        """Let the descriptor lead to stderr again; without effect the second time.

        Args:
            shown: write there what was kept back.
        """
        if self._kept is None:
            return
        kept, self._kept = self._kept, None
        os.dup2(self._real, STDERR)
        os.close(self._real)
        if self._own is not None and sys.stderr is self._own:  # a progress bar may have put itself before it
            sys.stderr = self._before
            self._own.close()
        with kept:
            kept.seek(0)
            content = kept.read()
        if shown and content:
            os.write(STDERR, content)


def _descriptor(stream: object) -> int | None:
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
