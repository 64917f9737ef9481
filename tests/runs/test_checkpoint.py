"""Checkpoints and the journal: whole or not at all, and never read twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from poseda.runs import checkpoint
from poseda.runs.journal import Journal
from poseda.training.errors import NonFiniteError
from poseda.training.meters import Meters


def test_tensors_and_notes_come_back_as_they_went(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).T, "flag": torch.tensor(True), "rng": torch.get_rng_state()}
    checkpoint.save_checkpoint(tmp_path / "deep" / "x.safetensors", tensors, {"step": 7, "arm": "gpa"})
    back, notes = checkpoint.load_checkpoint(tmp_path / "deep" / "x.safetensors")
    assert notes == {"step": 7, "arm": "gpa"} and back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)


def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save_checkpoint(path, {"a": torch.ones(2)}, {"step": 1})

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save_checkpoint(path, {"a": torch.zeros(2)}, {"step": 2})
    monkeypatch.undo()
    tensors, notes = checkpoint.load_checkpoint(path)
    assert notes["step"] == 1 and tensors["a"].sum() == 2


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint at all", None], ids=["empty", "text", "truncated"]
)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save_checkpoint(path, {"a": torch.ones(200)}, {})
    path.write_bytes(path.read_bytes()[:500] if content is None else content)
    with pytest.raises(ValueError, match=r"x\.safetensors: expected a checkpoint"):
        checkpoint.load_checkpoint(path)


def test_an_optimizer_continues_as_if_never_interrupted() -> None:
    def make() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 4)
        return layer, torch.optim.AdamW(layer.parameters(), 0.1, fused=True)

    def train(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
        for step in range(first, last):
            optimizer.zero_grad()
            (layer(torch.full((2, 4), float(step))) ** 2).sum().backward()
            optimizer.step()

    straight, optimizer = make()
    train(straight, optimizer, 0, 6)
    left, optimizer = make()
    train(left, optimizer, 0, 3)
    packed = checkpoint.pack_optimizer("o", optimizer) | checkpoint.pack_module("m", left)
    taken, optimizer = make()
    checkpoint.unpack_module("m", taken, packed)
    checkpoint.unpack_optimizer("o", optimizer, packed)
    train(taken, optimizer, 3, 6)
    assert torch.equal(straight.weight, taken.weight)


def test_meters_average_each_name_over_the_steps_that_gave_it() -> None:
    meters = Meters()
    for step in range(4):
        values = {"a": torch.tensor(float(step))}
        meters.add(step, values | ({"b": torch.tensor(10.0 * step)} if step % 2 else {}))
    assert meters.read("here") == {"a": 1.5, "b": 20.0}
    assert meters.read("here") == {}


def test_a_non_finite_loss_stops_with_its_name_and_first_step() -> None:
    meters = Meters()
    for step in range(10, 20):
        bad = float("nan") if step in (14, 17) else 1.0
        meters.add(step, {"fine": torch.tensor(1.0), "lifter_loss": torch.tensor(bad)})
    with pytest.raises(NonFiniteError, match="gpa: lifter_loss became non-finite at step 14;"):
        meters.read("gpa")


def test_rewinding_drops_one_phase_after_a_step_and_half_written_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    for step in (20, 40, 60):
        journal.write(step, "lifter", 0, "gpa", {"loss": 1.0})
        journal.write(step, "lifter", 1, "gpa", {"loss": 1.0})
    journal.path.write_text(journal.path.read_text() + '{"step": 80, "ph')
    journal.rewind("lifter", 0, "gpa", 20)
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [line["step"] for line in lines if line["seed"] == 0] == [20]
    assert [line["step"] for line in lines if line["seed"] == 1] == [20, 40, 60]
