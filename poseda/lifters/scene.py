"""The network beside a wide lifter: how far off each joint may be, and which direction is upward."""

from __future__ import annotations

from torch import Tensor, nn

WIDTH = 256
"""Features of the hidden layers."""


def layer(inputs: int, outputs: int) -> nn.Sequential:
    """Linear layer, layer normalisation, GELU."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU())


class Skip(nn.Module):
    """Two layers with a skip around them: (N, width) to (N, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(layer(width, width), layer(width, width))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def scene_network(inputs: int, outputs: int) -> nn.Sequential:
    """A network (N, inputs) to (N, outputs) whose every layer is normalised.

    With a block of `residual` in its place, trained with the lifter, the package's lifter found the tilt of
    21 real views to 8.7 degrees. With this one, trained by itself, it is 8.0.
    """
    return nn.Sequential(layer(inputs, WIDTH), Skip(WIDTH), nn.Linear(WIDTH, outputs))
