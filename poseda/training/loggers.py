"""Live curves of a run, through Lightning's loggers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from poseda.config import ConfigError, RunConfig
from poseda.runs import RunFolder


def check_logger(config: RunConfig) -> None:
    """Check that the package of ``--logger`` is there.

    Raises:
        ConfigError: with the command that installs it.
    """
    name = config.logger
    if name != "none" and find_spec(name) is None:
        wanted = f"expected the package {name}, got none; pip install 'poseda[{name}]' brings it"
        raise ConfigError("logger", wanted)


def open_logger(config: RunConfig, folder: RunFolder) -> Any:
    """Lightning's logger of that name; None where none is asked for, and in processes that only help."""
    if config.logger == "none" or not folder.writes:
        return None
    if config.logger == "tensorboard":
        from lightning.fabric.loggers import TensorBoardLogger

        return TensorBoardLogger(root_dir=config.out, name="", version="tensorboard")
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(project="poseda", name=config.out.resolve().name, save_dir=config.out)


def log(logger: Any, step: int, title: str, values: Mapping[str, Any]) -> None:
    """Give the numbers of a logged step to a logger, under the title of their phase."""
    if logger is not None:
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        logger.log_metrics({f"{title}/{name}": value for name, value in numbers.items()}, step=step)


def close(logger: Any) -> None:
    """Write what a logger still holds."""
    if logger is not None:
        logger.finalize("success")
