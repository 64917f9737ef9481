"""Within a training step the host never waits for the device; values are read back once a log line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import short_run, small_lifter
from syncs import HostSyncError, no_cuda_syncs, no_syncs
from torch import Tensor

from poseda import training
from poseda.config import ARMS, AdversaryConfig, Arm, LifterTrainingConfig, PlacementConfig
from poseda.datasets import Domains
from poseda.training.graphs import WARM_UP
from poseda.training.meters import Meters
from poseda.training.stage import Phase, Stage

pytestmark = pytest.mark.usefixtures("one_thread")

WARM = 2
"""Steps before the first one that is watched: the first step creates and keeps tables."""

REPLAYED = 2 * (WARM_UP + 1)
"""Steps until both kinds of a generator's steps are captured, with discriminators and without."""


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: float(x[0]),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        lambda x: x.tolist(),
        lambda x: x.to("meta"),
        lambda x: torch.tensor([1.0]) + x,
        lambda x: x.where(x > 0, 0.0),
        lambda x: x.unique(),
    ],
)
def test_what_makes_the_host_wait_is_caught(
    monkeypatch: pytest.MonkeyPatch, wait: Callable[[Tensor], Any]
) -> None:
    with no_syncs(monkeypatch), pytest.raises(HostSyncError):
        wait(torch.ones(3))
    with no_syncs(monkeypatch):
        assert (torch.ones(3).cumsum(0) * 2).shape == (3,)


class Watched:
    """A phase whose steps and log values are under watch.

    Args:
        phase: to watch.
        watch: makes the context of a step.
        seen: called at each watched step.
        warm: steps before the first one that is watched.
    """

    def __init__(self, phase: Phase, watch: Callable[[], Any], seen: Callable[[], None], warm: int) -> None:
        self.phase, self.watched, self.seen, self.meters = phase, watch, seen, Meters()
        self.warm = warm

    def __getattr__(self, name: str) -> Any:
        return getattr(self.phase, name)

    def step(self, step: int) -> dict[str, Tensor]:
        if step < self.warm:
            return self.phase.step(step)
        with self.watched():
            values = self.phase.step(step)
            self.meters.add(step, values)
        self.seen()
        return values


Watch = Callable[..., set[str]]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, domains: Domains) -> Watch:
    """Train an arm under watch; return the phases that were seen."""

    def train(arm: Arm, **changes: Any) -> set[str]:
        warm = REPLAYED if changes.get("graphs") == "on" else WARM
        config = short_run(tmp_path / "r", arm, steps=warm + 4, every=warm + 4, **changes)
        seen: set[str] = set()
        context = no_cuda_syncs if config.device == "cuda" else partial(no_syncs, monkeypatch)
        make = Stage._make

        def watched(stage: Stage, start: str) -> Any:
            return Watched(make(stage, start), context, lambda: seen.add(stage.name), warm)

        with monkeypatch.context() as patch:
            patch.setattr(Stage, "_make", watched)
            training.prepare(config, domains).train_arm(0, arm)
        return seen

    return train


PHASES = {arm: {"lifter"} for arm in ARMS} | {
    "lpa": {"lifter", "generator"},
    "gpa_lpa": {"lifter", "generator"},
    "poseaug": {"lifter", "generator"},
    "gpa_lpa_view": {"lifter", "generator", "scout"},
    "wide_target": {"round1", "lifter"},
}


@pytest.mark.parametrize("arm", ARMS)
def test_no_step_of_any_arm_waits(watch: Watch, arm: Arm) -> None:
    assert watch(arm) == PHASES[arm]


@pytest.mark.needs_cuda
@pytest.mark.parametrize("arm", ARMS)
def test_no_step_of_any_arm_waits_for_a_gpu(watch: Watch, arm: Arm) -> None:
    assert watch(arm, device="cuda") == PHASES[arm]


@pytest.mark.needs_cuda
@pytest.mark.parametrize("arm", ["gpa_lpa", "poseaug", "oracle"])
def test_no_replayed_step_waits_for_a_gpu(watch: Watch, arm: Arm) -> None:
    assert watch(arm, device="cuda", graphs="on") == PHASES[arm]


@pytest.mark.parametrize(
    "changes",
    [
        {"adversary": AdversaryConfig(anchor="target_2d", pairing="paired", feedback="hard_ratio", pool=64)},
        {"placement": PlacementConfig(gpa="exact")},
        {
            "training": LifterTrainingConfig(
                pretrain_steps=6, adapt_steps=6, batch=32, noise_2d=0.01, loss="squared"
            )
        },
        {"precision": "bf16-mixed"},
    ],
    ids=["paired", "exact", "noise", "bf16"],
)
def test_no_knob_makes_a_step_wait(watch: Watch, changes: dict[str, Any]) -> None:
    assert watch("gpa_lpa", **changes) == {"lifter", "generator"}


@pytest.mark.parametrize("lifter", ["videopose3d", "semgcn", "stgcn", "mixste", "dstformer"])
def test_no_lifter_makes_a_step_wait(watch: Watch, lifter: str) -> None:
    frames = 1 if lifter == "semgcn" else 3
    assert watch("gpa", lifter=lifter, frames=frames, network=small_lifter()) == {"lifter"}
