"""Files that a command reads are looked for before any work begins: a mistyped name costs no time."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from poseda.config.limits import Found, notes

if TYPE_CHECKING:
    from poseda.cli.program import Given

SEARCHED = 10_000
"""Most files of a folder among which a similar name is looked for."""


def missing_path(given: Given) -> str | None:
    """A sentence on the first path that is not there, None if all are."""
    for entry in given.program.fields():
        found, path = notes(entry.hint, Found), given.values.get(entry.name)
        if path is None or not found or (isinstance(path, Path) and found[0].is_stream(path)):
            continue
        name = given.name_of(entry.name)
        for one in path if isinstance(path, tuple) else (path,):
            if problem := _problem(one, found[0].holds):
                return f"{name}: {problem}"
    return None


def _problem(path: Path, holds: str) -> str | None:
    wanted = "the folder of a run" if holds else "a file or folder"
    if not _exists(path):
        return f"expected {wanted}, got {path}, which does not exist{near(path)}"
    if holds and not _exists(path / holds):
        return f"expected {wanted}, got {path} without {holds}"
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def near(path: Path) -> str:
    """Which file beside a missing one may be meant."""
    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return ""
    if len(names) > SEARCHED:
        return ""
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    close = close or sorted(name for name in names if Path(name).stem == path.stem)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""
