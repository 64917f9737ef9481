"""The alternating spatial and temporal attention of MixSTE (arXiv 2203.00859).

By Zhang, Tu, Yang, Chen and Yuan, CVPR 2022. It makes the transformer of PoseFormer (Zheng et al., ICCV 2021)
map sequences to sequences.
"""

from __future__ import annotations

from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.attention import AttentionBlock, PoseTransformer
from poseda.lifters.registry import register_lifter, start_small


@register_lifter("mixste")
class MixSTE(PoseTransformer):
    """Attention over the joints of each frame, then over the frames of each joint, alternately.

    Differences from the paper: no stochastic depth, and windows may be shorter than ``frames``. No bias
    follows the last block, as the subtraction of the root would remove it.

    Args:
        skeleton: of the poses.
        frames: T, the longest window.
        width: features of a joint. Published 512; 48 is quick on a CPU.
        blocks: pairs of a spatial and a temporal block. Published 8; 2 is quick on a CPU.
        heads: of each attention; they divide the width.
        mlp_ratio: hidden features of a block's perceptron over the width.
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
        blocks: int = 8,
        heads: int = 8,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        in_channels: int = 2,
    ) -> None:
        super().__init__(skeleton, frames, width, in_channels)

        # Spatial and temporal blocks alternate.
        self.blocks = nn.ModuleList(
            AttentionBlock(width, heads, mlp_ratio, dropout) for _ in range(2 * blocks)
        )
        # One norm after every spatial block and one after every temporal block, shared by all blocks.
        self.spatial_norm, self.temporal_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.output = nn.Sequential(nn.LayerNorm(width, bias=False), nn.Linear(width, 3, bias=False))
        start_small(self.output[-1])

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift (N, T, J, C) screen coordinates, T up to ``frames``, to (N, T, J, 3) metres, root at 0."""
        features = self.tokens(pose_2d)
        for level, block in enumerate(self.blocks):
            if level % 2 == 0:
                features = self.spatial_norm(block(features, "joints"))
            else:
                features = self.temporal_norm(block(features, "frames"))
            if level == 0:
                features = features + self.frame_place[: pose_2d.shape[1]]
        pose: Tensor = self.output(features)
        return pose - pose[:, :, :1]
