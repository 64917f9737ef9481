"""metrics.jsonl: what was logged while a run trained."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from poseda.runs.atomic import RunFile, write_atomically
from poseda.runs.renamed import with_arm_of_today


class Journal(RunFile):
    """Appends one JSON object a logged step: {step, phase, seed, arm, name: value, ...}.

    A restart after a collapse is a line, too: its number as ``restart``, ``collapsed_at`` and ``reason``.
    """

    def read(self) -> list[dict[str, Any]]:
        """All lines, in the order in which they were written; none where nothing was logged.

        Damaged lines are left out. A warning counts them.
        """
        return [entry for _, entry in self._lines()]

    def write(self, step: int, phase: str, seed: int, arm: str, values: Mapping[str, float | str]) -> None:
        """Append one line."""
        if not self.writes:
            return
        line = {"step": step, "phase": phase, "seed": seed, "arm": arm, **values}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, phase: str, seed: int, arm: str, step: int, restarts: int = 0) -> None:
        """Drop the lines of one phase after a step, so that a resumed run does not log them again.

        Restarts up to number ``restarts`` stay. Damaged lines go, and a warning counts them.
        """
        if not self.writes or not self.path.exists():
            return
        kept = []
        for line, entry in self._lines():
            same = (entry["phase"], entry["seed"], entry["arm"]) == (phase, seed, arm)
            later = entry["step"] > step if "restart" not in entry else entry["restart"] > restarts
            if not (same and later):
                kept.append(line)
        write_atomically(self.path, b"".join(line + b"\n" for line in kept))

    def _lines(self) -> list[tuple[bytes, dict[str, Any]]]:
        """Each line of the file, as it stands there and as an object."""
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        entries = [_entry(line) for line in lines]
        # A last line without its end is what a killed run was writing, and no damage.
        damaged = [at for at, entry in enumerate(entries[:-1], 1) if entry is None and lines[at - 1].strip()]
        if damaged:
            warnings.warn(
                f"{self.path}: expected JSON of a logged step in each line, left out {len(damaged)} of "
                f"{len(lines) - 1} lines that hold something else, the first in line {damaged[0]}",
                stacklevel=1,
            )
        return [(line, entry) for line, entry in zip(lines, entries, strict=True) if entry is not None]


def _entry(line: bytes) -> dict[str, Any] | None:
    """A line as an object; None where it is not one of ours."""
    try:
        entry = with_arm_of_today(json.loads(line))
        numbers = isinstance(entry["step"], int) and isinstance(entry.get("restart", 0), int)
        return entry if numbers and {"phase", "seed"} <= entry.keys() else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
