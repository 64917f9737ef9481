"""A run folder as reports read it: JSON and safetensors, nothing that could run code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poseda.evaluation.gate import read_verdict
from poseda.report.alignment import FoundAlignment

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RunRecord:
    """What a finished run left behind.

    Args:
        config: config.json: options, versions, data.
        card: protocol.json.
        results: rows of results.json.
        journal: lines of metrics.jsonl.
        gallery, gallery_notes: gallery.safetensors, poses on their way through the method.
        gate: gate.json, or None where the gate was not asked.
        labelfree: labelfree.json, or None in runs older than it.
        clips, clip_notes: clips.safetensors, empty in runs older than it.
        alignment: what `gpa_lpa_view` found, or None where it was no arm.
    """

    config: dict[str, Any]
    card: dict[str, str]
    results: list[dict[str, Any]]
    journal: list[dict[str, Any]]
    gallery: Arrays
    gallery_notes: dict[str, Any]
    gate: dict[str, Any] | None
    labelfree: dict[str, Any] | None
    clips: Arrays
    clip_notes: dict[str, Any]
    alignment: FoundAlignment | None = None

    @classmethod
    def read(cls, out: Path) -> RunRecord:
        """Read a run folder.

        Raises:
            ValueError: if a checkpoint in it is damaged.
            OSError: if a file that every run has is missing.
        """

        def optional(name: str) -> Any:
            return json.loads((out / name).read_text()) if (out / name).exists() else None

        gallery, gallery_notes = _arrays(out / "gallery.safetensors")
        clips, clip_notes = _arrays(out / "clips.safetensors")
        config = json.loads((out / "config.json").read_text())
        return cls(
            config=config,
            card=json.loads((out / "protocol.json").read_text()),
            results=json.loads((out / "results.json").read_text()),
            journal=[json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()],
            gallery=gallery,
            gallery_notes=gallery_notes,
            gate=read_verdict(out),
            labelfree=optional("labelfree.json"),
            clips=clips,
            clip_notes=clip_notes,
            alignment=FoundAlignment.read(out, config["config"]["seeds"]),
        )


def _arrays(path: Path) -> tuple[Arrays, dict[str, Any]]:
    from poseda.runs.checkpoint import load_checkpoint

    if not path.exists():
        return {}, {}
    tensors, notes = load_checkpoint(path)
    return {name: value.numpy() for name, value in tensors.items()}, notes
