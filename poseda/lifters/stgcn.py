"""Spatial-temporal graph convolutions of Cai, Ge, Liu, Cai, Cham, Yuan and Thalmann (ICCV 2019).

"Exploiting Spatial-temporal Relationships for 3D Pose Estimation via Graph Convolutional Networks".
Each kind of neighbour of a joint has its own weights. Features go from joints to body parts to the whole body
and back. The text leaves layers and widths open; they are those of the network that the authors released.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.dropout import Dropout
from poseda.lifters.graph import NodeNorm, NonLocal, bone_matrix, mean_over_neighbours, mirror_matrix
from poseda.lifters.registry import Lifter, register_lifter, start_small


def joint_neighbourhoods(skeleton: Skeleton) -> Tensor:
    """(4, J, J): the joint itself, its parent (towards the root), its children, its mirror twin."""
    parents = bone_matrix(skeleton)
    kinds = [torch.eye(len(parents)), parents, parents.mT, mirror_matrix(skeleton.mirror)]
    return torch.stack([mean_over_neighbours(kind) for kind in kinds])


def part_members(skeleton: Skeleton) -> Tensor:
    """(P, J) bool: a part holds both ends of its bones; joints outside all parts form one more part."""
    members = torch.zeros(len(skeleton.parts), skeleton.num_joints, dtype=torch.bool)
    for part, bones in enumerate(skeleton.parts.values()):
        for bone in bones:
            members[part, [bone + 1, skeleton.parents[bone + 1]]] = True
    left_over = ~members.any(0)
    return torch.cat([members, left_over[None]]) if left_over.any() else members


def part_neighbourhoods(skeleton: Skeleton) -> Tensor:
    """(4, P, P): the part itself, its neighbours nearer the centre, its other neighbours, its mirror twin.

    Neighbours are parts that share a joint or a bone. The parts with most neighbours are the centre.
    """
    members = part_members(skeleton).float()
    itself = torch.eye(len(members))
    bones = bone_matrix(skeleton)
    linked = torch.eye(len(bones)) + bones + bones.mT
    touching = ((members @ linked @ members.mT) > 0).float() * (1 - itself)
    twins = (members[:, list(skeleton.mirror)][:, None] == members[None]).all(-1).float() * (1 - itself)
    distance = _steps_from_centre(touching)
    inwards = touching * (distance < distance[:, None])
    outwards = touching * (1 - inwards) * (1 - twins)
    return torch.stack([mean_over_neighbours(kind) for kind in (itself, inwards, outwards, twins)])


def _steps_from_centre(touching: Tensor) -> Tensor:
    """(P,) steps from each part to the nearest part of the centre; P if no path leads there."""
    parts, degree = len(touching), touching.sum(-1)
    distance = torch.full((parts,), parts)
    reached = degree == degree.max()
    for step in range(parts):
        distance[reached & (distance == parts)] = step
        reached = touching @ reached.float() > 0
    return distance


class GraphConv(nn.Module):
    """The sum over kinds of neighbours, each with its own weights and bias: (N, T, n, C) to (N, T, n, D).

    Args:
        neighbourhoods: (K, n, n) averaging matrices, one for each kind.
        inputs: C.
        outputs: D.
        temporal: add two kinds, the same node one frame before and one frame after.
    """

    neighbourhoods: Tensor

    def __init__(self, neighbourhoods: Tensor, inputs: int, outputs: int, temporal: bool) -> None:
        super().__init__()
        # (n * K, n), kinds innermost: one product gathers every kind, and its rows are a node's features.
        self.register_buffer("neighbourhoods", neighbourhoods.transpose(0, 1).flatten(0, 1), persistent=False)
        self.temporal, self.kinds = temporal, len(neighbourhoods)
        kinds = self.kinds + (2 if temporal else 0)
        self.weight = nn.Linear(kinds * (inputs + 1), outputs, bias=False)

    def forward(self, nodes: Tensor) -> Tensor:
        # A feature that is always 1 gives each kind a bias, at the nodes that have such a neighbour.
        nodes = pad(nodes, (0, 1), value=1.0)
        gathered = (self.neighbourhoods @ nodes).unflatten(-2, (-1, self.kinds)).flatten(-2)
        if self.temporal:
            around = pad(nodes, (0, 0, 0, 0, 1, 1))
            gathered = torch.cat([gathered, around[:, :-2], around[:, 2:]], dim=-1)
        mixed: Tensor = self.weight(gathered)
        return mixed


class GraphBlock(nn.Module):
    """A graph convolution and a layer for single nodes, with a skip: (N, T, n, C) to (N, T, n, D).

    Args:
        neighbourhoods: (K, n, n) averaging matrices, one for each kind.
        inputs: C.
        outputs: D.
        temporal: as in GraphConv.
        dropout: probability.
        skip: add the input, through a linear layer if C and D differ.
    """

    def __init__(
        self,
        neighbourhoods: Tensor,
        inputs: int,
        outputs: int,
        temporal: bool,
        dropout: float,
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            GraphConv(neighbourhoods, inputs, outputs, temporal),
            *_finish(outputs, dropout),
            nn.Linear(outputs, outputs, bias=False),
            NodeNorm(outputs),
            Dropout(dropout),
        )
        self.skip: nn.Module | None = None
        if skip:
            project = nn.Sequential(nn.Linear(inputs, outputs, bias=False), NodeNorm(outputs))
            self.skip = nn.Identity() if inputs == outputs else project

    def forward(self, nodes: Tensor) -> Tensor:
        mixed: Tensor = self.layers(nodes)
        return torch.relu(mixed if self.skip is None else self.skip(nodes) + mixed)


def _finish(width: int, dropout: float) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Norm, activation and dropout after a layer of that width."""
    return NodeNorm(width), nn.ReLU(), Dropout(dropout)


@register_lifter("stgcn")
class STGCN(Lifter):
    """Graph convolutions over joints and frames, from local to global and back.

    Differences from the released network:

    - no pose refinement after the output;
    - every frame of the window is lifted, not only its middle;
    - neighbours are averaged kind by kind: a joint's parent and its children, not the joints nearer to and
      farther from the spine;
    - a part holds both ends of its bones, so that parts of any tree touch;
    - affinity by concatenation in the non-local layer;
    - one dropout for all layers.

    A window has (T J)^2 affinities: the lifter suits windows of a few frames, up to 7 in the paper.

    Args:
        skeleton: of the poses; bones are edges, and joints are pooled to body parts.
        frames: T, the usual length of a window; other lengths are allowed. With 1 there is no temporal edge.
        width: features of a joint in the first blocks. The last joint block has twice as many, parts and body
            four times as many.
        dropout: probability.
        in_channels: 2, or 3 with confidence.

    Raises:
        ValueError: if ``frames`` is below 1.
    """

    members: Tensor
    parts_of_joint: Tensor

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
        self.register_buffer("parts_of_joint", mean_over_neighbours(members.mT.float()), persistent=False)
        joint, part, temporal = 2 * width, 4 * width, frames > 1
        kinds, how = joint_neighbourhoods(skeleton), (temporal, dropout)
        self.normalise = NodeNorm(skeleton.num_joints * in_channels)
        self.joint_blocks = nn.Sequential(
            GraphBlock(kinds, in_channels, width, *how, skip=False),
            GraphBlock(kinds, width, width, *how),
            GraphBlock(kinds, width, joint, *how),
        )
        kinds = part_neighbourhoods(skeleton)
        self.part_blocks = nn.Sequential(
            GraphBlock(kinds, joint, part, *how), GraphBlock(kinds, part, part, *how)
        )
        self.body_block = nn.Sequential(
            GraphConv(torch.ones(1, 1, 1), part, part, temporal), *_finish(part, dropout)
        )
        self.from_body = nn.Sequential(nn.Linear(2 * part, joint, bias=False), *_finish(joint, dropout))
        self.non_local = NonLocal(2 * joint)
        # No bias: it would be the same for every joint, and the root is subtracted.
        self.output = nn.Sequential(Dropout(dropout), nn.Linear(2 * joint, 3, bias=False))
        start_small(self.output[-1])

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift (N, T, J, C) screen coordinates to (N, T, J, 3) metres, root at the origin."""
        self.check_input(pose_2d)
        joints = self.joint_blocks(self.normalise(pose_2d.flatten(-2)).view_as(pose_2d))
        parts = self.part_blocks(self._pool(joints))
        body = self.body_block(parts.amax(-2, keepdim=True))
        parts = self.from_body(torch.cat([body.expand_as(parts), parts], dim=-1))
        # Each joint gets the mean of the parts that hold it. Then it attends to all joints, of all frames if
        # T > 1.
        joints = torch.cat([joints, self.parts_of_joint @ parts], dim=-1)
        seen = joints.flatten(1, 2) if self.frames > 1 else joints
        pose: Tensor = self.output(self.non_local(seen).view_as(joints))
        return pose - pose[:, :, :1]

    def _pool(self, joints: Tensor) -> Tensor:
        """Maximum of each feature over a part's joints: (N, T, J, C) to (N, T, P, C)."""
        outside = ~self.members[:, :, None]
        return joints[:, :, None].masked_fill(outside, float("-inf")).amax(-2)
