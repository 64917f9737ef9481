"""What an eager call of `augment` costs the host: ``python -m benchmarks.op.host_path [--json FILE]``.

One pose, so that the kernel takes next to nothing, timed in alternating rounds beside what torch itself
costs: ``x + x``, and a ``torch.autograd.Function`` of one argument, forward and backward. Ratios to these
yardsticks tell more than times, which differ between machines. The same path serves every device.
"""

from __future__ import annotations

import argparse
import statistics
from operator import truediv
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poseda import ops
from poseda.bench.clock import Call, HostClock, timed_rounds
from poseda.bench.record import json_alone, machine, save_record, show_seconds
from poseda.bench.rivals import Problem
from poseda.geometry.camera import Camera
from poseda.ops.samples import LEARNED

YARDSTICKS = {
    "forward": "x + x",
    "forward, gradients recorded": "x + x",
    "forward + backward": "Function of one argument",
    "PoseAugment": "forward",
}
"""What each call of ours is divided by."""


class Doubled(torch.autograd.Function):
    """The least that an op with a gradient of its own does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x + x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad + grad


def calls(batch: int, device: str) -> dict[str, Call]:
    """The timed calls by name."""
    problem = Problem.draw(batch, device=device)
    x = problem.tensors["bone_rotation"]
    leaf = x.detach().clone().requires_grad_()
    learned = {name: problem.tensors[name].detach().requires_grad_() for name in LEARNED}
    augment, tensors = problem.bind(ops.augment), {**problem.tensors, **learned}
    tables = {name: problem.tensors[name] for name in ("focal", "center", "placement")}
    camera = Camera(tables["focal"], tables["center"])
    module = ops.PoseAugment(problem.skeleton, camera, tables["placement"]).to(device)
    weight = torch.randn_like(x)

    def doubled() -> None:
        torch.autograd.grad(Doubled.apply(leaf), leaf, weight)

    def pose_augment() -> None:
        with torch.no_grad():
            module(problem.tensors["pose_3d"])

    return {
        "x + x": lambda: x + x,
        "Function of one argument": doubled,
        "forward": problem.forward(ops.augment),
        "forward, gradients recorded": lambda: augment(**tensors),
        "forward + backward": problem.forward_backward(ops.augment),
        "PoseAugment": pose_augment,
    }


def measure(batch: int, device: str, quick: bool) -> dict[str, Any]:
    """Median seconds a call, and the median ratio of the rounds to each call's yardstick."""
    contestants = calls(batch, device)
    for call in contestants.values():
        call()  # the first call imports
    rounds = timed_rounds(contestants, HostClock(quick))
    return {
        "batch": batch,
        "device": device,
        "seconds": {name: statistics.median(times) for name, times in rounds.items()},
        "ratio": {
            name: statistics.median(map(truediv, rounds[name], rounds[yardstick]))
            for name, yardstick in YARDSTICKS.items()
        },
    }


def main() -> None:
    """Measure, print, and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 1024])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = [measure(batch, given.device, given.quick) for batch in given.batches]
    with json_alone(given.json):
        for result in results:
            print(f"batch {result['batch']:,} on {result['device']}")
            for name, seconds in result["seconds"].items():
                ratio = f"{result['ratio'][name]:6.2f} x {YARDSTICKS[name]}" if name in YARDSTICKS else ""
                print(f"  {name:30} {show_seconds(seconds):>8} {ratio}")
    save_record(given.json, {"machine": machine(given.device), "results": results})


if __name__ == "__main__":
    main()
