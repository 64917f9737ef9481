"""The lifter that a configuration names, and the sizes of the built-in ones."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn

from poseda import lifters
from poseda.config import WIDE_ARMS, NetworkConfig, RunConfig
from poseda.device import choose
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.wide import WideLifter

_OPTIONS = {
    "simple_baseline": {"width": "width", "blocks": "blocks", "dropout": "dropout"},
    "residual": {"width": "width", "blocks": "blocks", "dropout": "dropout"},
    "videopose3d": {"width": "channels", "dropout": "dropout", "causal": "causal"},
    "semgcn": {"width": "width", "blocks": "blocks", "dropout": "dropout"},
    "stgcn": {"width": "width", "dropout": "dropout"},
    "mixste": {"width": "width", "blocks": "blocks", "dropout": "dropout"},
    "dstformer": {"width": "width", "blocks": "blocks", "dropout": "dropout"},
}
"""Entry of NetworkConfig to option of each built-in lifter. Other lifters use their own defaults."""

SMALL = {
    "simple_baseline": NetworkConfig(width=256),
    "residual": NetworkConfig(width=256),
    "videopose3d": NetworkConfig(width=256),
    "semgcn": NetworkConfig(width=64),
    "stgcn": NetworkConfig(width=32),
    "mixste": NetworkConfig(width=48),
    "dstformer": NetworkConfig(width=48, blocks=1),
}
"""Sizes that a CPU trains in minutes, 0.06 to 1 million parameters. They are our choice, not the papers'."""

_TINY_WIDTHS = {"stgcn": 8}
"""Widths in the preset tiny of lifters with inner layers several times as wide."""


def published_size(name: str) -> NetworkConfig:
    """The size in the paper of a built-in lifter, which its class has by default."""
    defaults = lifters.options(name)
    return NetworkConfig(**{ours: defaults[theirs] for ours, theirs in _OPTIONS[name].items()})


def usual_size(config: RunConfig) -> NetworkConfig:
    """The network of a configuration in the size that suits its lifter and device; other entries stay.

    On a GPU and in the preset full, the size is that of the paper; elsewhere a CPU trains it in minutes. The
    preset tiny has a size of its own. Other packages' lifters keep the configured size.

    Raises:
        ValueError: if the device is unknown or missing.
    """
    if config.lifter not in _OPTIONS:
        return config.network
    if config.preset == "tiny":
        return replace(config.network, width=_TINY_WIDTHS.get(config.lifter, config.network.width))
    large = config.preset == "full" or choose(config.device).type == "cuda"
    size = published_size(config.lifter) if large else SMALL[config.lifter]
    return replace(config.network, width=size.width, blocks=size.blocks)


def build_lifter(config: RunConfig, skeleton: Skeleton, given: nn.Module | None = None) -> nn.Module:
    """Build the configured lifter with fresh weights, or copy the given one with its own.

    Raises:
        ValueError: if it is unknown, cannot see that many frames, or cannot look at past frames only.
    """
    if given is not None:
        return copy.deepcopy(given)
    names = _OPTIONS.get(config.lifter, {})
    if config.network.causal and "causal" not in names:
        able = ", ".join(lifter for lifter, known in _OPTIONS.items() if "causal" in known)
        raise ValueError(
            f"network.causal: expected a lifter that can look at the past only ({able}), got {config.lifter}"
        )
    options = {theirs: getattr(config.network, ours) for ours, theirs in names.items()}
    return lifters.build(config.lifter, skeleton, config.frames, **options)


def build_wide(config: RunConfig, skeleton: Skeleton) -> WideLifter:
    """Build the lifter of the wide arms with fresh weights.

    Raises:
        ValueError: if its family is unknown, or cannot see that many frames.
    """
    own = config.wide
    known = lifters.options(own.lifter)
    given = {"width": own.width, "channels": own.width, "blocks": own.blocks}
    options = {name: value for name, value in given.items() if name in known}
    return WideLifter(skeleton, own.lifter, config.frames, **options)


def build_for_arm(
    arm: str, config: RunConfig, skeleton: Skeleton, given: nn.Module | None = None
) -> nn.Module:
    """The lifter of an arm with fresh weights, or a copy of the given one; the wide arms have their own."""
    return build_wide(config, skeleton) if arm in WIDE_ARMS else build_lifter(config, skeleton, given)


def count_parameters(lifter: nn.Module) -> int:
    """Number of a lifter's parameters."""
    return sum(parameter.numel() for parameter in lifter.parameters())
