"""A residual network normalised inside its blocks, for single frames: it keeps what masks leave of a pose."""

from __future__ import annotations

from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.dropout import Dropout
from poseda.lifters.registry import SingleFrameLifter, register_lifter, start_small


class Block(nn.Module):
    """Layer normalisation and two layers with a skip around them: (N, width) to (N, width).

    The skip is never normalised, and at first the block adds a constant: so many blocks learn as soon as one
    (Xiong et al., ICML 2020, arXiv 2002.04745).
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        inner, output = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(output.weight)
        self.layers = nn.Sequential(nn.LayerNorm(width), inner, nn.GELU(), Dropout(dropout), output)

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
        width: int = 384,
        blocks: int = 6,
        dropout: float = 0.0,
        in_channels: int = 2,
    ) -> None:
        super().__init__(skeleton, frames, in_channels)
        self.network = nn.Sequential(
            nn.Linear(self.joints * in_channels, width),
            *(Block(width, dropout) for _ in range(blocks)),
            nn.LayerNorm(width),
            nn.Linear(width, (self.joints - 1) * 3),
        )
        start_small(self.network[-1])
