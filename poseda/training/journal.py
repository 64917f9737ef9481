"""metrics.jsonl, and the meters that fill it without making the host wait at every step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from poseda.training.checkpoint import write_atomically


class NonFiniteError(RuntimeError):
    """A loss became NaN or infinite; the message names it and the step."""


class Meters:
    """Means of named scalars, summed on the device and read back once per log line."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sum: Tensor | None = None
        self._count = 0
        self._first_bad: Tensor | None = None

    def add(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Add the scalars of one step; every step of a phase has the same names."""
        row = torch.stack([value.detach().float() for value in values.values()])
        if self._sum is None or self._first_bad is None:
            self._names = list(values)
            self._sum, self._count = torch.zeros_like(row), 0
            self._first_bad = torch.full_like(row, torch.inf)
        bad = torch.where(row.isfinite(), torch.inf, float(step))
        self._first_bad = torch.minimum(self._first_bad, bad)
        self._sum = self._sum + row
        self._count += 1

    def read(self, where: str) -> dict[str, float]:
        """Return the means since the last call and start anew.

        Raises:
            NonFiniteError: if a value was not finite; names the first such value and its step.
        """
        if self._sum is None or self._first_bad is None:
            return {}
        sums, bad = torch.stack([self._sum, self._first_bad]).tolist()
        names, count = self._names, self._count
        self._sum = self._first_bad = None
        if min(bad) != float("inf"):
            step = int(min(bad))
            culprits = ", ".join(name for name, at in zip(names, bad, strict=True) if at == step)
            raise NonFiniteError(
                f"{where}: {culprits} became non-finite at step {step}; the last checkpoint is from before it"
            )
        return {name: value / count for name, value in zip(names, sums, strict=True)}


class Journal:
    """Appends one JSON object a logged step: {step, phase, seed, arm, name: value, ...}."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, step: int, phase: str, seed: int, arm: str, values: Mapping[str, float]) -> None:
        """Append one line."""
        line = {"step": step, "phase": phase, "seed": seed, "arm": arm, **values}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, phase: str, seed: int, arm: str, step: int) -> None:
        """Drop the lines of one phase after a step, so that a resumed run does not log them twice."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # the line that a killed run was writing
            same = (entry["phase"], entry["seed"], entry["arm"]) == (phase, seed, arm)
            if not (same and entry["step"] > step):
                kept.append(line)
        write_atomically(self.path, "".join(f"{line}\n" for line in kept).encode())
