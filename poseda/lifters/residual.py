"""A residual network with layer normalisation, for single frames: it keeps what masks leave of a pose."""

from __future__ import annotations

from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.dropout import Dropout
from poseda.lifters.registry import SingleFrameLifter, register_lifter, start_small


def layer(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """Linear layer, layer normalisation, GELU, dropout."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU(), Dropout(dropout))


class Block(nn.Module):
    """Two layers with a skip around them: (N, width) to (N, width)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(layer(width, width, dropout), layer(width, width, dropout))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


@register_lifter("residual")
class Residual(SingleFrameLifter):
    """Like :class:`SimpleBaseline`, but each sample is normalised by itself, not with its batch.

    A batch of wide views mixes near and far, whole and half-hidden people, whose statistics no single view
    has.

    Args:
        skeleton: of the poses.
        frames: 1; the network sees one frame.
        width: features of each hidden layer.
        blocks: number of residual blocks.
        dropout: probability.
        in_channels: numbers for each joint.

    Raises:
        ValueError: if ``frames`` is not 1.
    """

    single_frame = "residual"

    def __init__(
        self,
        skeleton: Skeleton,
        frames: int = 1,
        width: int = 512,
        blocks: int = 2,
        dropout: float = 0.05,
        in_channels: int = 2,
    ) -> None:
        super().__init__(skeleton, frames, in_channels)
        self.network = nn.Sequential(
            layer(self.joints * in_channels, width, dropout),
            *(Block(width, dropout) for _ in range(blocks)),
            nn.Linear(width, (self.joints - 1) * 3),
        )
        start_small(self.network[-1])
