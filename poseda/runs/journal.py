"""metrics.jsonl, and the meters that fill it without making the host wait at every step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from poseda.runs.files import write_atomically


class TrainingError(RuntimeError):
    """Training that cannot go on; the message is one sentence."""


class NonFiniteError(TrainingError):
    """A loss, gradient or weight became NaN or infinite; the message names it and the step."""


class CollapseError(TrainingError):
    """Every new start of a phase collapsed; the message says how.

    Args:
        message: one sentence.
        step: of the last collapse.
        reason: what showed it.
    """

    def __init__(self, message: str, step: int, reason: str) -> None:
        super().__init__(message)
        self.step, self.reason = step, reason


class NothingValidError(TrainingError):
    """Not one training pair was valid, so nothing was learned."""


class Meters:
    """Means of named scalars, kept on the device and read back once per log line."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, tuple[str, ...], Tensor]] = []

    def add(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Add the scalars of one step; a phase need not give every name at every step."""
        row = torch.stack([value.detach().float() for value in values.values()])
        self._kept.append((step, tuple(values), row))

    def read(self, where: str, gradient: tuple[int, str] | None = None) -> dict[str, float]:
        """Return the means since the last call and start anew.

        Args:
            where: what is trained, for complaints.
            gradient: the first step with a gradient that was not finite, and its name.

        Raises:
            NonFiniteError: if a value or gradient was not finite; names the first one and its step.
            NothingValidError: if the share of valid poses, ``valid_share``, was zero at every step.
        """
        if not self._kept:
            return {}
        kept, self._kept = self._kept, []
        numbers = iter(torch.cat([row for *_, row in kept]).tolist())
        series: dict[str, list[float]] = {}
        for step, names, _ in kept:
            row = dict(zip(names, numbers, strict=False))
            culprits = ", ".join(name for name, value in row.items() if not isfinite(value))
            if gradient is not None and gradient[0] <= step and not culprits:
                step, culprits = gradient  # at the same step, the value was first
            if culprits:
                raise NonFiniteError(
                    f"{where}: {culprits} became non-finite at step {step}; "
                    f"the last checkpoint is from before it"
                )
            for name, value in row.items():
                series.setdefault(name, []).append(value)
        if "valid_share" in series and not any(series["valid_share"]):
            raise NothingValidError(
                f"{where}: valid_share: expected valid poses, found none in the last "
                f"{len(series['valid_share'])} steps; "
                f"source poses must lie before the camera and target poses be large enough to be met"
            )
        return {name: fmean(values) for name, values in series.items()}


class Journal:
    """Appends one JSON object a logged step: {step, phase, seed, arm, name: value, ...}.

    A new start after a collapse is a line, too: its number as ``restart``, ``collapsed_at`` and ``reason``.

    Args:
        path: of the file.
        writes: false in all but one of several processes.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path, self.writes = path, writes

    def write(self, step: int, phase: str, seed: int, arm: str, values: Mapping[str, float | str]) -> None:
        """Append one line."""
        if not self.writes:
            return
        line = {"step": step, "phase": phase, "seed": seed, "arm": arm, **values}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, phase: str, seed: int, arm: str, step: int, restarts: int = 0) -> None:
        """Drop the lines of one phase after a step, so that a resumed run does not log them twice.

        New starts up to number ``restarts`` stay.
        """
        if not self.writes or not self.path.exists():
            return
        kept = []
        for line in self.path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # the line that a killed run was writing
            same = (entry["phase"], entry["seed"], entry["arm"]) == (phase, seed, arm)
            later = entry["step"] > step if "restart" not in entry else entry["restart"] > restarts
            if not (same and later):
                kept.append(line)
        write_atomically(self.path, "".join(f"{line}\n" for line in kept).encode())
