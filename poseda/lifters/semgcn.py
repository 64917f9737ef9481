"""Semantic graph convolutions of Zhao, Peng, Tian, Kapadia and Metaxas (CVPR 2019, arXiv 1904.03345)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.dropout import Dropout
from poseda.lifters.graph import NodeNorm, NonLocal, bone_matrix
from poseda.lifters.registry import Lifter, register_lifter, start_small


class SemanticGraphConv(nn.Module):
    """A graph convolution that learns how much each edge counts: (..., J, C) to (..., J, D).

    Equation 3 of the paper, ``W X softmax(M of the edges)``, with one W for a joint itself and another for
    its neighbours. M has one number an edge, shared by all channels.
    """

    edge_index: Tensor
    apart: Tensor

    def __init__(self, skeleton: Skeleton, inputs: int, outputs: int) -> None:
        super().__init__()
        bones = bone_matrix(skeleton)
        linked = (bones + bones.mT + torch.eye(len(bones))).bool()
        edges = int(linked.sum())
        # The edge weight of each pair of joints; the last entry, -inf, is for pairs without an edge.
        index = torch.full(linked.shape, edges)
        index[linked] = torch.arange(edges)
        self.register_buffer("edge_index", index, persistent=False)
        self.register_buffer("apart", 1 - torch.eye(len(bones)), persistent=False)
        self.edge = nn.Parameter(torch.ones(edges))
        self.transform = nn.Linear(inputs, 2 * outputs, bias=False)

    def forward(self, joints: Tensor) -> Tensor:
        own, near = self.transform(joints).chunk(2, dim=-1)
        weight = torch.cat([self.edge, self.edge.new_full((1,), float("-inf"))])[self.edge_index].softmax(-1)
        near_weight = weight * self.apart
        return (weight - near_weight).sum(-1, keepdim=True) * own + near_weight @ near


def _layer(skeleton: Skeleton, inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    # No bias: the norm would remove it.
    convolution = SemanticGraphConv(skeleton, inputs, outputs)
    return nn.Sequential(convolution, NodeNorm(outputs), nn.ReLU(), Dropout(dropout))


class ResidualGraphBlock(nn.Module):
    """Two layers with a skip around them, then a non-local layer: (..., J, C) to (..., J, C)."""

    def __init__(self, skeleton: Skeleton, width: int, dropout: float, non_local: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_layer(skeleton, width, width, dropout) for _ in range(2)))
        self.global_layer = NonLocal(width) if non_local else nn.Identity()

    def forward(self, joints: Tensor) -> Tensor:
        mixed: Tensor = self.global_layer(joints + self.layers(joints))
        return mixed


@register_lifter("semgcn")
class SemGCN(Lifter):
    """One graph convolution in, residual graph blocks, one graph convolution out; single frames.

    Differences from the paper: no bias where a norm or the subtraction of the root removes it.

    Args:
        skeleton: of the poses; its bones are the edges.
        frames: 1; the network sees one frame.
        width: features of a joint, even.
        blocks: number of residual blocks.
        dropout: probability.
        non_local: let every joint attend to every other. Published sizes: 0.43 million parameters, or 0.27
            million without.
        in_channels: 2, or 3 with confidence.

    Raises:
        ValueError: if ``frames`` is not 1.
    """

    single_frame = "semgcn"

    def __init__(
        self,
        skeleton: Skeleton,
        frames: int = 1,
        width: int = 128,
        blocks: int = 4,
        dropout: float = 0.0,
        non_local: bool = True,
        in_channels: int = 2,
    ) -> None:
        super().__init__(skeleton, frames, in_channels)
        self.expand = nn.Sequential(
            _layer(skeleton, in_channels, width, dropout), NonLocal(width) if non_local else nn.Identity()
        )
        self.blocks = nn.Sequential(
            *(ResidualGraphBlock(skeleton, width, dropout, non_local) for _ in range(blocks))
        )
        self.output = SemanticGraphConv(skeleton, width, 3)
        start_small(self.output.transform)

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift (N, T, J, C) screen coordinates to (N, T, J, 3) metres, root at the origin."""
        self.check_input(pose_2d)
        pose: Tensor = self.output(self.blocks(self.expand(pose_2d)))
        return pose - pose[:, :, :1]
