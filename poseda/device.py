"""Where to compute: what the options ``--device`` and ``--precision`` mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from poseda.config.near import guess
from poseda.ops import _native as native

if TYPE_CHECKING:
    from poseda.config import RunConfig


def choose(name: str) -> torch.device:
    """The device that a name means. ``auto`` is CUDA where a GPU and our kernels for it are found.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``cuda:INDEX``.

    Raises:
        ValueError: if the device is unknown, absent, or without our kernels.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and (kind != "cuda" or not index.isdigit())):
        meant = guess(kind, ("auto", "cpu", "cuda"))
        raise ValueError(f"--device: expected auto, cpu, cuda or cuda:INDEX, got {name!r}{meant}")
    native.load()
    there = torch.cuda.device_count()
    if kind == "cpu" or (kind == "auto" and not (there and native.cuda_loaded())):
        return torch.device("cpu")
    if int(index or 0) >= there:
        has = f"{there} CUDA device{'s' * (there > 1)}" if there else "no CUDA device"
        raise ValueError(f"--device: expected a device of this machine, which has {has}, got {name!r}")
    try:
        native.require_cuda()
    except RuntimeError as error:
        raise ValueError(f"--device: {error}") from error
    return torch.device("cuda", int(index or 0))


TF32_FROM = (8, 0)
"""Compute capability from which a GPU multiplies matrices in TF32."""


BF16_FLAGS = ("avx512_bf16", "amx_bf16")
"""What a CPU has that multiplies matrices in bf16. Others only imitate it, at no gain."""


BF16_LIFTERS = frozenset({"simple_baseline", "residual", "videopose3d", "semgcn", "stgcn"})
"""Lifters that a CPU trains faster in bf16. Attention becomes slower in a CPU's sizes (benchmarks/README.md).
Layers of other people's lifters may have no such kernel."""


def precision_of(config: RunConfig, device: torch.device) -> str:
    """What ``--precision`` means for a run on a device.

    ``auto`` is tf32 on a GPU that has it. It is bf16-mixed on a CPU that multiplies matrices in bf16, where
    the run's lifters are of :data:`BF16_LIFTERS`. Else it is 32-true.
    """
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "tf32" if torch.cuda.get_device_capability(device) >= TF32_FROM else "32-true"
    gains = {config.lifter, config.wide.lifter} <= BF16_LIFTERS
    return "bf16-mixed" if gains and multiplies_bf16() else "32-true"


def multiplies_bf16() -> bool:
    """Whether this machine's CPU has instructions for matrix products in bf16."""
    has = torch.cpu.get_capabilities()
    return any(has.get(flag, False) for flag in BF16_FLAGS)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that tensors have taken on a CUDA device at once; None on a CPU, which does not count."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
