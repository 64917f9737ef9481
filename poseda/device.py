"""Where to compute: what the options ``--device`` and ``--precision`` mean."""

from __future__ import annotations

import torch

from poseda.config.near import guess
from poseda.ops import _native as native


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


def precision_of(name: str, device: torch.device) -> str:
    """What ``--precision`` means on a device: ``auto`` is tf32 on a GPU that has it, else 32-true."""
    if name != "auto":
        return name
    has = device.type == "cuda" and torch.cuda.get_device_capability(device) >= TF32_FROM
    return "tf32" if has else "32-true"


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that tensors have taken on a CUDA device at once; None on a CPU, which does not count."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
