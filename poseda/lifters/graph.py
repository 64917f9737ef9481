"""Parts of the graph networks over a skeleton: neighbourhoods, normalisation and the non-local layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton


def bone_matrix(skeleton: Skeleton) -> Tensor:
    """(J, J) float: 1 at [child, parent], the rest 0."""
    matrix = torch.zeros(skeleton.num_joints, skeleton.num_joints)
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            matrix[joint, parent] = 1
    return matrix


def mirror_matrix(permutation: tuple[int, ...]) -> Tensor:
    """(n, n) float: 1 at [i, twin of i] where the twin is another node."""
    matrix = torch.eye(len(permutation))[list(permutation)]
    return matrix.fill_diagonal_(0)


def mean_over_neighbours(matrix: Tensor) -> Tensor:
    """Divide each row by its number of neighbours; rows without any stay zero."""
    return matrix / matrix.sum(-1, keepdim=True).clamp(min=1)


class NodeNorm(nn.BatchNorm1d):
    """Batch normalisation of each channel over every node of every frame: (..., C) to (..., C)."""

    def forward(self, nodes: Tensor) -> Tensor:
        normalised: Tensor = super().forward(nodes.flatten(0, -2))
        return normalised.view_as(nodes)


class NonLocal(nn.Module):
    """Every node attends to every other, with a residual (Wang et al., CVPR 2018).

    (..., n, C) to (..., n, C).

    Affinity by concatenation: ``relu(w . [theta(x_i), phi(x_j)]) / n``. The last norm starts at zero, as
    published, so that the layer starts as the identity.

    Args:
        channels: C, even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta, self.phi = nn.Linear(channels, inner), nn.Linear(channels, inner)
        self.affinity_theta, self.affinity_phi = (nn.Linear(inner, 1, bias=False) for _ in range(2))
        self.value = nn.Linear(channels, inner)
        self.output = nn.Linear(inner, channels, bias=False)
        self.norm = NodeNorm(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, nodes: Tensor) -> Tensor:
        rows = self.affinity_theta(self.theta(nodes))  # (..., n, 1)
        columns = self.affinity_phi(self.phi(nodes)).transpose(-1, -2)  # (..., 1, n)
        affinity = torch.relu(rows + columns) / nodes.shape[-2]
        return nodes + self.norm(self.output(affinity @ self.value(nodes)))
