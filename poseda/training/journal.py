"""metrics.jsonl, and the meters that fill it without making the host wait at every step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from poseda.files import write_atomically


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
    """Means of named scalars, summed on the device and read back once per log line."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Add the scalars of one step; a phase need not give every name at every step."""
        for name, value in values.items():
            value = value.detach().float()
            # Sum, count, and the first step at which the value was not finite.
            row = torch.stack([value, torch.ones_like(value), torch.where(value.isfinite(), torch.inf, step)])
            if name in self._sums:
                before = self._sums[name]
                row = torch.cat([before[:2] + row[:2], torch.minimum(before[2:], row[2:])])
            self._sums[name] = row

    def read(self, where: str, gradient: tuple[int, str] | None = None) -> dict[str, float]:
        """Return the means since the last call and start anew.

        Args:
            where: what is trained, for complaints.
            gradient: the first step with a gradient that was not finite, and its name.

        Raises:
            NonFiniteError: if a value or gradient was not finite; names the first one and its step.
            NothingValidError: if the share of valid poses, ``valid_share``, was zero at every step.
        """
        if not self._sums:
            return {}
        rows = dict(zip(self._sums, torch.stack(list(self._sums.values())).tolist(), strict=True))
        self._sums = {}
        first = min(bad for _, _, bad in rows.values())
        culprits = ", ".join(name for name, (_, _, bad) in rows.items() if bad == first)
        if gradient is not None and gradient[0] < first:  # at the same step, the value was first
            first, culprits = gradient
        if first != float("inf"):
            raise NonFiniteError(
                f"{where}: {culprits} became non-finite at step {int(first)}; "
                f"the last checkpoint is from before it"
            )
        share, steps, _ = rows.get("valid_share", (1.0, 1.0, 0.0))
        if share == 0:
            raise NothingValidError(
                f"{where}: valid_share: expected valid poses, found none in the last {int(steps)} steps; "
                f"source poses must lie before the camera and target poses be large enough to be met"
            )
        return {name: total / count for name, (total, count, _) in rows.items()}


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
