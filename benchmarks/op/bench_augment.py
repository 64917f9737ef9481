"""The op and its rivals under pytest-benchmark: ``pytest benchmarks/op/bench_augment.py``.

One contestant at a time, with pytest-benchmark's statistics and comparison with earlier runs. The published
tables come from ``poseda bench``, which times the contestants side by side; problems and rivals are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from poseda import ops
from poseda.bench.op import DIRECTIONS, check_agreement
from poseda.bench.rivals import Compiled, Problem, poseaug_style
from poseda.ops import reference

CONTESTANTS: dict[str, Callable[..., Any] | Compiled] = {
    "ours": ops.augment,
    "reference": reference.augment,
    "compiled": Compiled("default"),
    "poseaug_style": poseaug_style,
}
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def synchronised(call: Callable[[], Any], device: str) -> Callable[[], Any]:
    """``call`` that returns when the device is done: pytest-benchmark knows nothing of streams."""
    if device == "cpu":
        return call

    def wait() -> Any:
        result = call()
        torch.cuda.synchronize()
        return result

    return wait


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("batch", [1, 1024, 65_536])
@pytest.mark.parametrize("name", CONTESTANTS)
def test_augment_speed(benchmark: Any, name: str, batch: int, direction: str, device: str) -> None:
    benchmark.group = f"augment {direction}, batch {batch}, {device}"
    problem = Problem.draw(batch, device=device)
    bind = problem.forward if direction == "forward" else problem.forward_backward
    torch._dynamo.reset()
    call = synchronised(bind(CONTESTANTS[name]), device)
    check_agreement(name, call(), bind(reference.augment)())
    benchmark(call)
