"""The single-frame residual network of Martinez, Hossain, Romero and Little (ICCV 2017, arXiv 1705.03098)."""

from __future__ import annotations

from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.dropout import Dropout
from poseda.lifters.registry import SingleFrameLifter, register_lifter, start_small


def _layer(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), Dropout(dropout)]


class ResidualBlock(nn.Module):
    """Two layers with a skip around them: (N, width) to (N, width)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_layer(width, width, dropout), *_layer(width, width, dropout))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


@register_lifter("simple_baseline")
class SimpleBaseline(SingleFrameLifter):
    """One linear layer in, residual blocks, one linear layer out; single frames.

    Differences from the paper: no max-norm constraint on the weights, and metres instead of standardised
    coordinates on either side (the first batch norm standardises).

    Args:
        skeleton: of the poses.
        frames: 1; the network sees one frame.
        width: features of each hidden layer.
        blocks: number of residual blocks.
        dropout: probability.
        in_channels: 2, or 3 with confidence.

    Raises:
        ValueError: if ``frames`` is not 1.
    """

    single_frame = "simple_baseline"

    def __init__(
        self,
        skeleton: Skeleton,
        frames: int = 1,
        width: int = 1024,
        blocks: int = 2,
        dropout: float = 0.5,
        in_channels: int = 2,
    ) -> None:
        super().__init__(skeleton, frames, in_channels)
        self.network = nn.Sequential(
            *_layer(self.joints * in_channels, width, dropout),
            *(ResidualBlock(width, dropout) for _ in range(blocks)),
            nn.Linear(width, (self.joints - 1) * 3),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        start_small(self.network[-1])
