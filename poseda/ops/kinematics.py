"""Bones, joints and kinematic chain space."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from poseda.geometry.skeleton import Skeleton
from poseda.ops import _autograd as autograd
from poseda.ops import _native as native
from poseda.ops._arguments import check_poses, check_skeleton

native.load()


def bones(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Bone vectors, child minus parent.

    Example:
        >>> from poseda import H36M16, ops
        >>> ops.bones(torch.randn(8, 16, 3), H36M16).shape
        torch.Size([8, 15, 3])

    Args:
        pose_3d: (..., J, 3) metres.
        skeleton: the tree.

    Returns:
        (..., K, 3) metres; bone k ends at joint k + 1. Differentiable any number of times.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_skeleton(skeleton)
    pose_3d = check_poses("pose_3d", pose_3d, skeleton.num_joints)
    rows = pose_3d.reshape(-1, skeleton.num_joints, 3)
    return _tree_transform(rows, skeleton.parents, False, False).view(pose_3d.shape)[..., 1:, :]


def forward_kinematics(root: Tensor, bones: Tensor, skeleton: Skeleton) -> Tensor:
    """Joints from the root and the bones; inverse of :func:`bones`.

    Example:
        >>> from poseda import H36M16, ops
        >>> pose = torch.randn(8, 16, 3)
        >>> back = ops.forward_kinematics(pose[:, 0], ops.bones(pose, H36M16), H36M16)
        >>> torch.allclose(back, pose, atol=1e-5)
        True

    Args:
        root: (..., 3) metres.
        bones: (..., K, 3) metres, the same leading dimensions.
        skeleton: the tree.

    Returns:
        (..., J, 3) metres. Differentiable any number of times.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_skeleton(skeleton)
    bones = check_poses("bones", bones, skeleton.num_bones)
    if not isinstance(root, Tensor) or root.shape != (*bones.shape[:-2], 3):
        came = tuple(root.shape) if isinstance(root, Tensor) else type(root).__name__
        raise ValueError(f"root: expected shape {(*bones.shape[:-2], 3)}, got {came}")
    rows = torch.cat([root.to(bones.dtype).unsqueeze(-2), bones], -2)
    joints = _tree_transform(rows.reshape(-1, skeleton.num_joints, 3), skeleton.parents, True, False)
    return joints.view(rows.shape)


@torch.library.register_fake("poseda::tree_transform")
def _tree_transform_fake(rows: Tensor, parents: Sequence[int], inverse: bool, transpose: bool) -> Tensor:
    return rows.new_empty(rows.shape)


def _tree_transform_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.parents, ctx.inverse, ctx.transpose = inputs[1:]


def _tree_transform_backward(ctx: Any, _wanted: list[int], grad: Tensor) -> tuple[Tensor | None, ...]:
    # A linear map's gradient is its transpose, whose gradient is the map again: any order works.
    return _tree_transform(grad, ctx.parents, ctx.inverse, not ctx.transpose), None, None, None


_tree_transform = autograd.attach(
    torch.ops.poseda.tree_transform.default, _tree_transform_backward, _tree_transform_setup
)


def kinematic_chain_space(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Cosines between the bones of each body part.

    They are the strict upper triangles of the parts' Gram matrices of unit bones, in the order of
    ``skeleton.parts``, rows first. They do not change with the body's rotation or its bones' lengths. After
    Wandt et al., "A Kinematic Chain Space for Monocular Motion Capture" (2018), part by part as Gong et al.,
    PoseAug (2021).

    Example:
        >>> from poseda import H36M16, ops
        >>> ops.kinematic_chain_space(torch.randn(8, 16, 3), H36M16).shape
        torch.Size([8, 33])

    Args:
        pose_3d: (..., J, 3) metres.
        skeleton: the tree and its parts.

    Returns:
        (..., F), F = sum over parts of n (n - 1) / 2. A bone without length has cosine 0 with every other and
        passes no gradient. Differentiable any number of times.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_skeleton(skeleton)
    pose_3d = check_poses("pose_3d", pose_3d, skeleton.num_joints)
    if not skeleton.part_bones:
        return pose_3d[..., 0, :0]  # AOTInductor cannot pass an empty list
    rows = pose_3d.reshape(-1, skeleton.num_joints, 3)
    parts = skeleton.part_bones, skeleton.part_sizes
    features = _kinematic_chain_space(rows, skeleton.parents, *parts)
    return features.view(*pose_3d.shape[:-2], features.shape[-1])


@torch.library.register_fake("poseda::kinematic_chain_space")
def _kinematic_chain_space_fake(
    pose_3d: Tensor, parents: Sequence[int], part_bones: Sequence[int], part_sizes: Sequence[int]
) -> Tensor:
    return pose_3d.new_empty((pose_3d.shape[0], sum(size * (size - 1) // 2 for size in part_sizes)))


@torch.library.register_fake("poseda::kinematic_chain_space_backward")
def _kinematic_chain_space_backward_fake(grad: Tensor, pose_3d: Tensor, *_: Any) -> Tensor:
    return pose_3d.new_empty(pose_3d.shape)


def _kinematic_chain_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.tree = inputs[1:]


def _kinematic_chain_backward(ctx: Any, _wanted: list[int], grad: Tensor) -> tuple[Tensor | None, ...]:
    (pose_3d,) = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True
        plain = functools.partial(_plain_kinematic_chain, tree=ctx.tree)
        return *autograd.differentiate_again(plain, pose_3d, grad=grad), None, None, None
    return _chain_gradient(grad, pose_3d, *ctx.tree), None, None, None


def _plain_kinematic_chain(
    pose_3d: Tensor, tree: tuple[Sequence[int], Sequence[int], Sequence[int]]
) -> Tensor:
    """The op (R, J, 3) to (R, F) in plain torch."""
    parents, part_bones, part_sizes = tree
    bone = pose_3d[:, 1:] - pose_3d[:, list(parents[1:])]
    none = (bone * bone).sum(-1, keepdim=True) == 0
    # Cosines do not depend on the scale. In it, the gradients of the square root stay in range.
    largest = bone.detach().abs().amax(-1, keepdim=True)
    bone = bone / largest.masked_fill(none, 1.0)
    squared = (bone * bone).sum(-1, keepdim=True)
    unit = torch.where(none, torch.zeros_like(bone), bone / torch.where(none, 1.0, squared).sqrt())
    firsts, seconds, begin = [], [], 0
    for size in part_sizes:
        pairs = list(itertools.combinations(part_bones[begin : begin + size], 2))
        firsts += [first for first, _ in pairs]
        seconds += [second for _, second in pairs]
        begin += size
    return (unit[:, firsts] * unit[:, seconds]).sum(-1)


_kinematic_chain_space = autograd.attach(
    torch.ops.poseda.kinematic_chain_space.default, _kinematic_chain_backward, _kinematic_chain_setup
)
_chain_gradient = autograd.refuse_second_derivative(torch.ops.poseda.kinematic_chain_space_backward.default)
