"""Device, precision and processes of a run, as Lightning Fabric sets them up."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning_utilities.core import rank_zero
from torch import Tensor

from poseda.config import RunConfig
from poseda.device import choose, precision_of
from poseda.training import graphs, parallel


@contextmanager
def layer_precision(config: RunConfig, device: torch.device) -> Iterator[None]:
    """The matrix products of layers as the configuration asks for, for the training steps within.

    Evaluation and the fit are outside: all of theirs is float32.
    """
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = "tf32" if precision_of(config, device) == "tf32" else "ieee"
    try:
        yield
    finally:
        products.fp32_precision = before


HINTS = ("torch.set_float32_matmul_precision", "Automatic Mixed Precision")
"""Parts of what Lightning says of the precision of matrix products, which --precision decides."""


@contextmanager
def _without_hints() -> Iterator[None]:
    """Without what Lightning says of precision."""
    logger = rank_zero.log

    def wanted(record: logging.LogRecord) -> bool:
        return not any(hint in record.getMessage() for hint in HINTS)

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def start_fabric(config: RunConfig) -> Fabric:
    """Set up device and precision.

    Raises:
        ValueError: if the device is unknown, not there, or there without our kernels, or if the batch does
            not split evenly over the processes.
    """
    device = choose(config.device)
    precision: Any = precision_of(config, device)
    precision = "32-true" if precision == "tf32" else precision
    processes = parallel.local_processes()
    with _without_hints():
        if processes > 1 or parallel.machines() > 1:
            fabric = Fabric(
                accelerator=device.type,
                devices=processes,
                num_nodes=parallel.machines(),
                strategy="ddp",
                precision=precision,
            )
        else:
            devices = [device.index] if device.type == "cuda" else 1
            fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)
        fabric.launch()
    parallel.leave_at_exit()
    parallel.check_batch(config.training.batch, fabric)
    graphs.check(config, fabric)
    return fabric


def pack_scaler(fabric: Fabric) -> dict[str, Tensor]:
    """State of the gradient scaler of 16-mixed; empty under other precisions."""
    state = fabric.strategy.precision.state_dict()
    return {f"scaler.{name}": torch.tensor(value, dtype=torch.float64) for name, value in state.items()}


def unpack_scaler(fabric: Fabric, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`pack_scaler` took."""
    state = fabric.strategy.precision.state_dict()
    if state:
        kept = {name: type(value)(tensors[f"scaler.{name}"].item()) for name, value in state.items()}
        fabric.strategy.precision.load_state_dict(kept)
