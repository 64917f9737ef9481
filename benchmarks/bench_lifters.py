"""Lifters under pytest-benchmark: ``pytest benchmarks/bench_lifters.py``.

Two numbers a lifter, eager and compiled: how long one pose of a stream takes (evaluation mode), and how long
a training step of 1 024 poses takes (forward, backward, Adam). Small sizes, 0.06 to 0.3 million parameters,
so that a CPU shows all of them in minutes; ``-k`` chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from poseda import lifters
from poseda.skeleton import H36M16

SMALL: dict[str, dict[str, Any]] = {
    "simple_baseline": {"width": 256},
    "videopose3d": {"channels": 256},
    "semgcn": {"width": 64, "blocks": 2},
    "stgcn": {"width": 48},
    "mixste": {"width": 64, "blocks": 2},
    "dstformer": {"width": 64, "blocks": 1, "representation": 64},
}
TRAINING_BATCH = 1024
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def build(name: str, mode: str, device: str) -> nn.Module:
    """The small lifter of that name for single frames, compiled if asked for."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    lifter = lifters.build(name, H36M16, **SMALL[name]).to(device)
    if mode == "compiled":
        lifter.compile(fullgraph=True)
    return lifter


def synchronised(call: Callable[[], Any], device: str) -> Callable[[], Any]:
    """``call`` that returns when the device is done: pytest-benchmark knows nothing of streams."""

    def wait() -> None:
        call()
        if device == "cuda":
            torch.cuda.synchronize()

    return wait


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["eager", "compiled"])
@pytest.mark.parametrize("name", SMALL)
def test_streaming_latency(benchmark: Any, name: str, mode: str, device: str) -> None:
    benchmark.group = f"latency of one frame, {device}"
    lifter = build(name, mode, device).eval()
    pose_2d = torch.randn(1, 1, H36M16.num_joints, 2, device=device)

    @torch.inference_mode()
    def lift() -> torch.Tensor:
        return lifter(pose_2d)

    assert lift().isfinite().all()
    benchmark(synchronised(lift, device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["eager", "compiled"])
@pytest.mark.parametrize("name", SMALL)
def test_training_step(benchmark: Any, name: str, mode: str, device: str) -> None:
    benchmark.group = f"training step of {TRAINING_BATCH}, {device}"
    lifter = build(name, mode, device).train()
    optimizer = torch.optim.AdamW(lifter.parameters(), fused=True)
    pose_2d = torch.randn(TRAINING_BATCH, 1, H36M16.num_joints, 2, device=device)
    pose_3d = torch.randn(TRAINING_BATCH, 1, H36M16.num_joints, 3, device=device)

    def step() -> torch.Tensor:
        loss = (lifter(pose_2d) - pose_3d).norm(dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    assert step().isfinite()
    benchmark.pedantic(synchronised(step, device), rounds=10, warmup_rounds=1)
