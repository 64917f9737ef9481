"""Where a run keeps its weights and its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from poseda import lifters
from poseda.config import RunConfig
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.sizes import build_lifter
from poseda.runs import checkpoint

RESULTS = "results.json"
"""The file of a run folder that holds a row for each arm, seed and split."""


def read_results(out: Path) -> list[dict[str, Any]]:
    """The rows of results.json so far; none where no arm is finished."""
    path = out / RESULTS
    return json.loads(path.read_text()) if path.exists() else []


def weights_path(out: Path, seed: int, arm: str, phase: str) -> Path:
    """Where the weights of an arm's lifter or generator are kept in a run folder."""
    return out / f"seed{seed}" / arm / f"{phase}.safetensors"


def adapted_lifter(
    out: Path,
    seed: int,
    arm: str,
    config: RunConfig,
    skeleton: Skeleton,
    given: nn.Module | None = None,
) -> nn.Module:
    """The lifter that an arm of a run folder ended with; a copy of the given one, if it was adapted.

    Raises:
        ValueError: if its file is not there or damaged, or the run adapted a module that is not given.
    """
    if given is None and config.lifter not in lifters.names():
        known = ", ".join(lifters.names())
        raise ValueError(
            f"lifter: expected one of {known}, or the module that a program gave the run, "
            f"got {config.lifter!r}"
        )
    lifter = build_lifter(config, skeleton, given)
    weights, _ = checkpoint.load_checkpoint(weights_path(out, seed, arm, "lifter"))
    checkpoint.unpack_module("lifter", lifter, weights)
    return lifter
