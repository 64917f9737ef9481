"""Where to compute: what the command line's ``--device`` means."""

from __future__ import annotations

import torch

from poseda.ops import _native as native


def choose(name: str) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:INDEX``; ``auto`` is CUDA only with our kernels loaded.

    Raises:
        ValueError: if the device is unknown, not there, or there but without our kernels.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and (kind != "cuda" or not index.isdigit())):
        raise ValueError(f"--device: expected auto, cpu, cuda or cuda:INDEX, got {name!r}")
    native.load()
    there = torch.cuda.device_count()
    if kind == "cpu" or (kind == "auto" and not (there and native.cuda_loaded())):
        return torch.device("cpu")
    if int(index or 0) >= there:
        raise ValueError(f"--device: expected one that is there, got {name!r} of {there} CUDA devices")
    try:
        native.require_cuda()
    except RuntimeError as error:
        raise ValueError(f"--device: {error}") from error
    return torch.device("cuda", int(index or 0))


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that tensors have taken on a CUDA device at once; None on a CPU, which does not count."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
