"""metrics.jsonl: what was logged while a run trained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from poseda.runs.atomic import write_atomically
from poseda.runs.renamed import with_arm_of_today


class Journal:
    """Appends one JSON object a logged step: {step, phase, seed, arm, name: value, ...}.

    A restart after a collapse is a line, too: its number as ``restart``, ``collapsed_at`` and ``reason``.

    Args:
        path: of the file.
        writes: false in all but one of several processes of a run; writing then has no effect.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path, self.writes = path, writes

    def read(self) -> list[dict[str, Any]]:
        """All lines, in the order in which they were written; none where nothing was logged."""
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

        Restarts up to number ``restarts`` stay.
        """
        if not self.writes or not self.path.exists():
            return
        kept = []
        for line, entry in self._lines():
            same = (entry["phase"], entry["seed"], entry["arm"]) == (phase, seed, arm)
            later = entry["step"] > step if "restart" not in entry else entry["restart"] > restarts
            if not (same and later):
                kept.append(line)
        write_atomically(self.path, "".join(f"{line}\n" for line in kept).encode())

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each line of the file, as text and as an object."""
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                entry = with_arm_of_today(json.loads(line))
                complete = {"step", "phase", "seed", "arm"} <= entry.keys()
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # the line that a killed run was writing
            if complete:
                yield line, entry
