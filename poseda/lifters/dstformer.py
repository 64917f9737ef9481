"""The dual-stream spatio-temporal transformer of MotionBERT (Zhu, Ma, Liu, Liu, Wu and Wang, ICCV 2023,
arXiv 2210.06551).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.attention import AttentionBlock, PoseTransformer
from poseda.lifters.registry import register_lifter, start_small


class DualStreamBlock(nn.Module):
    """Two streams, space then time and time then space, mixed with weights for each joint and frame.

    (N, T, J, C) to (N, T, J, C); equations 4 and 5 of the paper.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()

        def block() -> AttentionBlock:
            return AttentionBlock(width, heads, mlp_ratio, dropout)

        self.space_first, self.time_second = block(), block()
        self.time_first, self.space_second = block(), block()
        self.choose = nn.Linear(2 * width, 2)
        # Both streams begin with the same weight.
        nn.init.zeros_(self.choose.weight)
        nn.init.zeros_(self.choose.bias)

    def forward(self, features: Tensor) -> Tensor:
        space_time = self.time_second(self.space_first(features, "joints"), "frames")
        time_space = self.space_second(self.time_first(features, "frames"), "joints")
        weight = self.choose(torch.cat([space_time, time_space], dim=-1)).softmax(-1)
        return weight[..., :1] * space_time + weight[..., 1:] * time_space


@register_lifter("dstformer")
class DSTformer(PoseTransformer):
    """Dual-stream blocks over joints and frames, then a motion representation and a linear output.

    Differences from the paper: no bias on the output (the subtraction of the root would remove it), and 2D
    without confidence by default; ``in_channels=3`` is as published.

    Args:
        skeleton: of the poses.
        frames: T, the longest window; shorter windows are allowed.
        width: features of a joint. Published 512 (256 in the light version); 48 is quick on a CPU.
        blocks: dual-stream blocks. Published 5; 1 or 2 are quick on a CPU.
        heads: of each attention; they divide the width.
        mlp_ratio: hidden features of a block's perceptron over the width. Published 2 (4 in the light one).
        representation: features of the motion representation. Default: as many as the width.
        dropout: probability.
        in_channels: 2, or 3 with confidence.

    Raises:
        ValueError: if ``frames`` is below 1 or the heads do not divide the width.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        frames: int = 1,
        width: int = 512,
        blocks: int = 5,
        heads: int = 8,
        mlp_ratio: float = 2.0,
        representation: int | None = None,
        dropout: float = 0.0,
        in_channels: int = 2,
    ) -> None:
        super().__init__(skeleton, frames, width, in_channels)
        self.blocks = nn.Sequential(
            *(DualStreamBlock(width, heads, mlp_ratio, dropout) for _ in range(blocks))
        )
        representation = representation or width
        self.represent = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, representation), nn.Tanh())
        self.output = nn.Linear(representation, 3, bias=False)
        start_small(self.output)

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift (N, T, J, C) screen coordinates, T up to ``frames``, to (N, T, J, 3) metres, root at 0."""
        features = self.tokens(pose_2d) + self.frame_place[: pose_2d.shape[1]]
        pose: Tensor = self.output(self.represent(self.blocks(features)))
        return pose - pose[:, :, :1]
