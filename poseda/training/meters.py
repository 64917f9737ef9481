"""Means of what training logs, without making the host wait at every step."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from statistics import fmean

import torch
from torch import Tensor

from poseda.training.errors import NonFiniteError, NothingValidError


class Meters:
    """Means of named scalars, kept on the device and read back once per log line."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, tuple[str, ...], Tensor]] = []

    def add(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Add the scalars of one step; a phase need not give every name at every step."""
        row = torch.stack([value.detach().float() for value in values.values()])
        self._kept.append((step, tuple(values), row))

    def read(self, where: str, gradient: tuple[int, str] | None = None) -> dict[str, float]:
        """Return the means since the last call and start again.

        Args:
            where: the phase, for messages.
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
                f"source poses must lie before the camera, and target poses must have a size"
            )
        return {name: fmean(values) for name, values in series.items()}
