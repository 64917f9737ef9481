"""One writer for a run folder: a lock that the kernel lets go of when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import weakref
from pathlib import Path

NAME = ".lock"
"""The lock's file in a run folder. It stays behind: removing it would let two runs lock two files."""


class FolderError(ValueError):
    """A run folder that cannot be used; the message is one sentence."""


class FolderLock:
    """The right to write to a run folder, for as long as the object or a ``with`` block of it lives.

    Args:
        out: the run folder; made by :meth:`take` where it is missing.
        wanted: false in all but one of several processes of a run: taking it is then without effect.
    """

    def __init__(self, out: Path, wanted: bool = True) -> None:
        self.out, self.wanted = out, wanted
        self._depth = 0
        self._close: weakref.finalize | None = None

    def take(self) -> None:
        """Take the lock, unless this object has it.

        Raises:
            FolderError: if another run has it; names its process and host.
            OSError: if the folder cannot be written or its file system has no locks.
        """
        if not self.wanted or (self._close is not None and self._close.alive):
            return
        self.out.mkdir(parents=True, exist_ok=True)
        file = os.open(self.out / NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps({"pid": os.getpid(), "host": platform.node()}).encode(), 0)
        except BlockingIOError as error:
            holder = _describe(os.pread(file, 4096, 0))
            os.close(file)
            raise FolderError(
                f"--out: expected a folder that no other run writes to, got {self.out}, in use by {holder}"
            ) from error
        except OSError:
            os.close(file)
            raise
        self._close = weakref.finalize(self, os.close, file)

    def release(self) -> None:
        """Release the lock; without effect where it is not held."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> FolderLock:
        self.take()
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.release()


def _describe(record: bytes) -> str:
    """The holder, as it wrote itself down; it may be about to."""
    try:
        holder = json.loads(record)
        return f"process {int(holder['pid'])} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
