"""Detects on a CPU where the host would wait for a GPU: operators whose results or sizes the host needs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

READ_BACK = {
    aten._local_scalar_dense,  # item(), bool(), float(), tensors that index or bound a Python range
    aten.equal,
    aten.nonzero,
    aten.masked_select,
    aten.repeat_interleave,
    aten.unique_dim,
    aten.unique_consecutive,
    aten._unique2,
    aten.bincount,
}
"""Operators that read numbers back, or the size of their result."""

CONVERSIONS = ("numpy", "tolist", "cpu", "cuda", "__array__", "pin_memory")
"""Methods that copy from the device without an operator of their own."""


class HostSyncError(AssertionError):
    """A step that made the host wait."""


class RefuseSyncs(TorchDispatchMode):
    """Raises where an operator would make the host wait for a GPU, or wait for a copy to it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, packet = kwargs or {}, func.overloadpacket
        if packet in READ_BACK:
            raise HostSyncError(f"{func}: reads back from the device")
        if packet is aten.lift_fresh:
            raise HostSyncError("torch.tensor(...): copies numbers of the host to the device")
        # Gradients of torch's own name devices, as that of a cast, and numbers that are made on the device.
        backward = torch._C._current_graph_task_id() != -1
        if packet is aten._to_copy and kwargs.get("device") is not None and not backward:
            raise HostSyncError(f"{func}: copies between devices")
        if packet in (aten.index, aten.index_put, aten.index_put_):
            for index in args[1]:
                if index is not None and index.dtype in (torch.bool, torch.uint8):
                    raise HostSyncError(f"{func}: an index of booleans has a size that the host must know")
        if packet is aten.where and not backward and any(value.dim() == 0 for value in args[1:]):
            raise HostSyncError("torch.where with a number: copies it to the device")
        return func(*args, **kwargs)


@contextmanager
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, an operator that would make the host wait for a GPU raises :class:`HostSyncError`."""

    def refuse(name: str) -> Any:
        def refused(self: Tensor, *_: Any, **__: Any) -> Any:
            raise HostSyncError(f"Tensor.{name}: reads back from the device")

        return refused

    with monkeypatch.context() as patch, RefuseSyncs():
        for name in CONVERSIONS:
            patch.setattr(Tensor, name, refuse(name))
        yield


@contextmanager
def no_cuda_syncs() -> Iterator[None]:
    """Within, CUDA raises RuntimeError where the host would wait for it, as far as torch can tell."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
