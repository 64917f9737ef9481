"""A finished run as reports read it: JSON and arrays, nothing that could run code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from poseda.config import arm_name
from poseda.datasets.account import Account, accounts_from_json
from poseda.runs.atomic import JsonFile
from poseda.runs.checkpoint import Checkpoint
from poseda.runs.folder import RunFolder
from poseda.runs.view_alignment import FoundAlignment

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RunRecord:
    """What a finished run left behind.

    Args:
        config: options, versions, data.
        card: the protocol card.
        results: rows, one for each arm, seed and split.
        journal: lines logged in training.
        samples, sample_notes: poses on their way through the method.
        gate: verdict of the gate, or None where the gate was not asked.
        labelfree: label-free numbers, or None in runs older than they are.
        clips, clip_notes: predictions to view, empty in runs older than they are.
        alignment: what `gpa_lpa_view` found, or None where it was no arm.
        accounts: of each path of the user's footage, by its name; none on other data.
    """

    config: dict[str, Any]
    card: dict[str, str]
    results: list[dict[str, Any]]
    journal: list[dict[str, Any]]
    samples: Arrays
    sample_notes: dict[str, Any]
    gate: dict[str, Any] | None
    labelfree: dict[str, Any] | None
    clips: Arrays
    clip_notes: dict[str, Any]
    alignment: FoundAlignment | None = None
    accounts: Mapping[str, Account] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path) -> RunRecord:
        """Read a run folder.

        Raises:
            ValueError: if a file in it is damaged; the message names it.
            OSError: if a file that every run has is missing.
        """
        folder = RunFolder(out)
        config = folder.read_record()
        samples, sample_notes = _arrays(folder.samples)
        clips, clip_notes = _clips(folder.clips)
        return cls(
            config=config,
            card=folder.card.read(),
            results=folder.results.read(),
            journal=folder.journal.read(),
            samples=samples,
            sample_notes=sample_notes,
            gate=folder.verdict.read(),
            labelfree=_labelfree(folder.labelfree),
            clips=clips,
            clip_notes=clip_notes,
            alignment=FoundAlignment.read(folder, config["config"]["seeds"]),
            accounts=accounts_from_json(folder.account.read()) if folder.account.exists() else {},
        )


def _arrays(file: Checkpoint) -> tuple[Arrays, dict[str, Any]]:
    if not file.exists():
        return {}, {}
    tensors, notes = file.load()
    return {name: value.numpy() for name, value in tensors.items()}, notes


def _clips(file: Checkpoint) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and notes of predictions, by the names that arms have today."""
    arrays, notes = _arrays(file)
    for first in notes.get("models", ()):
        arrays[f"lifted.{arm_name(first)}"] = arrays.pop(f"lifted.{first}")
    return arrays, notes | ({"models": list(map(arm_name, notes["models"]))} if notes else {})


def _labelfree(file: JsonFile) -> dict[str, Any] | None:
    """Label-free numbers by the names that arms have today."""
    if not file.exists():
        return None
    numbers: dict[str, Any] = file.read()
    return numbers | {"models": {arm_name(arm): of_arm for arm, of_arm in numbers["models"].items()}}
