"""Runs of seconds, for tests that train: their configuration, what they leave, and how to stop one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from poseda.config import Arm, GeneratorTrainingConfig, LifterTrainingConfig, NetworkConfig, RunConfig, preset
from poseda.runs import RunFolder


def short_run(out: Path, *arms: Arm, steps: int = 15, every: int = 5, **changes: Any) -> RunConfig:
    """The tiny preset with fewer steps still, a checkpoint every few, on the CPU."""
    values = {
        "out": out,
        "device": "cpu",
        "arms": arms or ("gpa",),
        "training": LifterTrainingConfig(pretrain_steps=steps, adapt_steps=steps, batch=32, ema=0.9),
        "generator_training": GeneratorTrainingConfig(steps=steps, batch=32),
        "log_every": every,
        "save_every": every,
    }
    return dataclasses.replace(preset("tiny"), **(values | changes))


def short_steps(steps: int) -> list[str]:
    """Options of `poseda adapt` for phases of so many steps."""
    phases = ("--training.pretrain-steps", "--training.adapt-steps", "--generator-training.steps")
    return [word for phase in phases for word in (phase, str(steps))]


def small_lifter(causal: bool = False) -> NetworkConfig:
    """A size at which every lifter trains in no time."""
    return NetworkConfig(width=16, blocks=1, causal=causal)


def weights(out: Path, arm: str, phase: str = "lifter") -> dict[str, torch.Tensor]:
    """What a phase of the first seed ended with."""
    return RunFolder(out).weights(0, arm, phase).load()[0]


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    """Whether two checkpoints are the same bits."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def as_0_1_0_left_it(out: Path) -> Path:
    """Give a run folder the names that 0.1.0 wrote: of the arm `gpa_lpa_view`, and of two files."""
    for folder in [*out.glob("seed*/gpa_lpa_view")]:
        folder.rename(folder.with_name("plus"))
    files = {
        "view_alignment.safetensors": "alignment.safetensors",
        "samples.safetensors": "gallery.safetensors",
    }
    for today, first in files.items():
        for path in [*out.rglob(today)]:
            path.rename(path.with_name(first))
    for path in (*out.glob("*.json"), *out.glob("*.jsonl")):
        path.write_text(path.read_text().replace("gpa_lpa_view", "plus"))
    for path in (out / "protocol.json", out / "gate.json"):
        if path.exists():
            record = json.loads(path.read_text())
            record.pop("evidence", None)
            path.write_text(json.dumps(record))
    clips = RunFolder(out).clips
    if clips.exists():
        tensors, notes = clips.load()
        renamed = {name.replace("gpa_lpa_view", "plus"): value for name, value in tensors.items()}
        clips.save(renamed, json.loads(json.dumps(notes).replace("gpa_lpa_view", "plus")))
    return out


class KillAt:
    """An observer that stops a run at a step of a phase, as Ctrl-C does."""

    def __init__(self, title: str, step: int) -> None:
        self.title, self.step, self.current = title, step, ""

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self.current = title

    def advanced(self, step: int) -> None:
        if self.current.startswith(self.title) and step >= self.step:
            raise KeyboardInterrupt

    def phase_finished(self, title: str) -> None:
        pass
