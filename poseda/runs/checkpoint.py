"""Checkpoints: one safetensors file with JSON in its header; a crash leaves the old one or the new.

A single file because two cannot be replaced at once. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from poseda.runs.atomic import RunFile, write_atomically

HEADER = "poseda"
"""Header entry of the safetensors file that holds the JSON."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message is one sentence."""


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors and notes (JSON) to one file, atomically."""
    on_host = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomically(path, save(on_host, metadata={HEADER: json.dumps(dict(notes))}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote, tensors on the host.

    Raises:
        CheckpointError: if the file is not one of ours or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {})[HEADER])
            return {name: file.get_tensor(name) for name in file.keys()}, notes  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise CheckpointError(
            f"{path}: expected a checkpoint of poseda, got a file that cannot be read ({error})"
        ) from error


class Checkpoint(RunFile):
    """A checkpoint of a run folder."""

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read tensors and notes.

        Raises:
            CheckpointError: if the file is not there, not one of ours or damaged.
        """
        return load_checkpoint(self.path)

    def save(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Replace tensors and notes.

        Raises:
            OSError: if the file cannot be written; the old checkpoint stays.
        """
        if self.writes:
            save_checkpoint(self.path, tensors, notes)


def pack_optimizer(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors under flat names; its settings come from the config, not from the file."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}.{index}.{name}": value
        for index, entries in state.items()
        for name, value in entries.items()
        if isinstance(value, Tensor)
    }


def unpack_optimizer(prefix: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`pack_optimizer` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(f"{prefix}."):
            _, index, entry = name.rsplit(".", 2)
            state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def pack_module(prefix: str, module: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers under a prefix."""
    return {f"{prefix}.{name}": value for name, value in module.state_dict().items()}


def unpack_module(prefix: str, module: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`pack_module` took; every entry must be there that the module cannot do without.

    Raises:
        CheckpointError: if one is not, or has another shape.
    """
    start = f"{prefix}."
    try:
        module.load_state_dict({k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)})
    except RuntimeError as error:
        # torch names every tensor that does not fit; the first says enough.
        reasons = " ".join(str(error).split()).partition(": ")[2]
        first = reasons.partition(". ")[0].rstrip(".")
        raise CheckpointError(
            f"expected the tensors of {prefix} in the checkpoint, got others ({first})"
        ) from error
