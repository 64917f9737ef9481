"""Device, precision and processes of a run, as Lightning Fabric sets them up."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from lightning.fabric import Fabric
from torch import Tensor

from poseda.config import RunConfig
from poseda.device import choose
from poseda.training import graphs, parallel


def start_fabric(config: RunConfig) -> Fabric:
    """Set up device and precision.

    Raises:
        ValueError: if the device is unknown, not there, or there without our kernels, or if the batch does
            not split evenly over the processes.
    """
    device = choose(config.device)
    processes = parallel.local_processes()
    if processes > 1 or parallel.machines() > 1:
        fabric = Fabric(
            accelerator=device.type,
            devices=processes,
            num_nodes=parallel.machines(),
            strategy="ddp",
            precision=config.precision,
        )
    else:
        devices = [device.index] if device.type == "cuda" else 1
        fabric = Fabric(accelerator=device.type, devices=devices, precision=config.precision)
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
