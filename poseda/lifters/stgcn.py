"""Spatial-temporal graph convolutions of Cai, Ge, Liu, Cai, Cham, Yuan and Thalmann (ICCV 2019).

Written from the paper ("Exploiting Spatial-temporal Relationships for 3D Pose Estimation via Graph
Convolutional Networks"). Neighbours are told apart by what they are to a joint, each kind with its own
weights; features go from joints to body parts to the whole body and back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from poseda.lifters.dropout import Dropout
from poseda.lifters.graph import NodeNorm, NonLocal, bone_matrix, mean_over_neighbours, mirror_matrix
from poseda.lifters.registry import Lifter, register_lifter, start_small
from poseda.skeleton import Skeleton


def joint_neighbourhoods(skeleton: Skeleton) -> Tensor:
    """(4, J, J): the joint itself, its parent (towards the root), its children, its mirror twin."""
    parents = bone_matrix(skeleton)
    kinds = [torch.eye(len(parents)), parents, parents.mT, mirror_matrix(skeleton.mirror)]
    return torch.stack([mean_over_neighbours(kind) for kind in kinds])


def part_members(skeleton: Skeleton) -> Tensor:
    """(P, J) bool: a part holds both ends of its bones; joints of no part form one of their own."""
    members = torch.zeros(len(skeleton.parts), skeleton.num_joints, dtype=torch.bool)
    for part, bones in enumerate(skeleton.parts.values()):
        for bone in bones:
            members[part, [bone + 1, skeleton.parents[bone + 1]]] = True
    left_over = ~members.any(0)
    return torch.cat([members, left_over[None]]) if left_over.any() else members


def part_neighbourhoods(skeleton: Skeleton) -> Tensor:
    """(3, P, P): the part itself, parts that share a joint or a bone with it, its mirror twin."""
    members = part_members(skeleton).float()
    itself = torch.eye(len(members))
    bones = bone_matrix(skeleton)
    linked = torch.eye(len(bones)) + bones + bones.mT
    touching = ((members @ linked @ members.mT) > 0).float() * (1 - itself)
    twins = (members[:, list(skeleton.mirror)][:, None] == members[None]).all(-1).float() * (1 - itself)
    return torch.stack([mean_over_neighbours(kind) for kind in (itself, touching, twins)])


class GraphConv(nn.Module):
    """One weight matrix a kind of neighbour, then norm and ReLU: (N, T, n, C) to (N, T, n, D).

    Args:
        neighbourhoods: (K, n, n) averaging matrices, one a kind.
        inputs: C.
        outputs: D.
        temporal: two more kinds, the same node one frame before and one after; none beyond the ends.
        dropout: probability.
    """

    neighbourhoods: Tensor

    def __init__(
        self, neighbourhoods: Tensor, inputs: int, outputs: int, temporal: bool, dropout: float
    ) -> None:
        super().__init__()
        # (n * K, n), kinds innermost: one product gathers every kind, and its rows are a node's features.
        self.register_buffer("neighbourhoods", neighbourhoods.transpose(0, 1).flatten(0, 1), persistent=False)
        self.temporal, self.kinds = temporal, len(neighbourhoods)
        kinds = self.kinds + (2 if temporal else 0)
        self.weight = nn.Linear(kinds * inputs, outputs, bias=False)
        self.after = nn.Sequential(NodeNorm(outputs), nn.ReLU(), Dropout(dropout))

    def forward(self, nodes: Tensor) -> Tensor:
        gathered = (self.neighbourhoods @ nodes).unflatten(-2, (-1, self.kinds)).flatten(-2)
        if self.temporal:
            around = pad(nodes, (0, 0, 0, 0, 1, 1))
            gathered = torch.cat([gathered, around[:, :-2], around[:, 2:]], dim=-1)
        mixed: Tensor = self.after(self.weight(gathered))
        return mixed


class GraphBlock(nn.Module):
    """Two graph convolutions with a skip around them: (N, T, n, C) to (N, T, n, D)."""

    def __init__(
        self, neighbourhoods: Tensor, inputs: int, outputs: int, temporal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            GraphConv(neighbourhoods, inputs, outputs, temporal, dropout),
            GraphConv(neighbourhoods, outputs, outputs, temporal, dropout),
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs, bias=False)

    def forward(self, nodes: Tensor) -> Tensor:
        mixed: Tensor = self.skip(nodes) + self.layers(nodes)
        return mixed


@register_lifter("stgcn")
class STGCN(Lifter):
    """Graph convolutions over joints and frames, from local to global and back.

    Differences from the paper, whose text leaves layer counts open: one residual block a scale and direction,
    no pose refinement after the output, and every frame of the window is lifted, not only its middle.

    Args:
        skeleton: of the poses; bones are edges, body parts are what joints are pooled to.
        frames: T, the usual length of a window; any other is taken, too. With 1 there is no temporal edge.
        width: features of a joint or part, even; the whole body has twice as many.
        dropout: probability.
        in_channels: 2, or 3 with confidence.

    Raises:
        ValueError: if ``frames`` is below 1.
    """

    members: Tensor
    spread: Tensor

    def __init__(
        self,
        skeleton: Skeleton,
        frames: int = 1,
        width: int = 128,
        dropout: float = 0.1,
        in_channels: int = 2,
    ) -> None:
        super().__init__(skeleton, frames, in_channels)
        members = part_members(skeleton)
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("spread", mean_over_neighbours(members.mT.float()), persistent=False)
        joints, parts = joint_neighbourhoods(skeleton), part_neighbourhoods(skeleton)
        body, how = torch.ones(1, 1, 1), (frames > 1, dropout)
        self.expand = GraphConv(joints, in_channels, width, *how)
        self.joints_down = GraphBlock(joints, width, width, *how)
        self.non_local = NonLocal(width)
        self.parts_down = GraphBlock(parts, width, width, *how)
        self.body = GraphBlock(body, width, 2 * width, *how)
        self.parts_up = GraphBlock(parts, 3 * width, width, *how)
        self.joints_up = GraphBlock(joints, 2 * width, width, *how)
        # No bias: it would be the same for every joint, and the root is subtracted.
        self.output = nn.Linear(width, 3, bias=False)
        start_small(self.output)

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift (N, T, J, C) screen coordinates to (N, T, J, 3) metres, root at the origin."""
        self.check_input(pose_2d)
        joints = self.non_local(self.joints_down(self.expand(pose_2d)))
        parts = self.parts_down(self._pool(joints))
        body = self.body(parts.amax(-2, keepdim=True))
        parts = self.parts_up(torch.cat([parts, body.expand(*parts.shape[:-1], -1)], dim=-1))
        # Each joint sees the mean of the parts that hold it.
        joints = self.joints_up(torch.cat([joints, self.spread @ parts], dim=-1))
        pose: Tensor = self.output(joints)
        return pose - pose[:, :, :1]

    def _pool(self, joints: Tensor) -> Tensor:
        """Largest feature over a part's joints: (N, T, J, C) to (N, T, P, C)."""
        outside = ~self.members[:, :, None]
        return joints[:, :, None].masked_fill(outside, float("-inf")).amax(-2)
