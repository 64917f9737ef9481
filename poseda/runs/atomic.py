"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that readers and crashes see either the old content or the new, never a part.

    Raises:
        OSError: if it cannot be written, a full disk among other reasons; the old content is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk it would only be in the way
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name must survive a power cut as well
    finally:
        os.close(folder)


def is_leftover(path: Path) -> bool:
    """Whether a file is what :func:`write_atomically` leaves when it is killed."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


@dataclass(frozen=True)
class RunFile:
    """A file of a run folder.

    Args:
        path: of the file.
        writes: false in all but one of several processes of a run; writing then has no effect.
    """

    path: Path
    writes: bool = True

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def remove(self) -> None:
        """Remove the file, if it is there."""
        if self.writes:
            self.path.unlink(missing_ok=True)


class JsonFile(RunFile):
    """A JSON file of a run folder."""

    def read(self) -> Any:
        """The content.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it holds no JSON, or a name twice; the message names the file.
        """
        try:
            return json.loads(self.path.read_text(), object_pairs_hook=_once)
        except ValueError as error:
            raise ValueError(
                f"{self.path}: expected JSON, found a file that cannot be read ({error})"
            ) from error

    def write(self, content: Any) -> None:
        """Replace the content.

        Raises:
            OSError: if the file cannot be written; the old content stays.
        """
        if self.writes:
            write_json(self.path, content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, of which no name may be there twice: a reader could not say which value counts."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(twice)}: given twice")
    return dict(pairs)
