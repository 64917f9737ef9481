"""The specification of `augment`, in plain torch, step by step and nothing optimised.

The fused kernels are tested against this file, and this file against numbers worked by hand. The steps have
the numbers of :func:`poseda.ops.augment`'s docstring. GPA and LPA are Chai et al., "Global Adaptation meets
Local Generalization", ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from poseda.geometry.camera import Camera, distort, project, sees, undistort
from poseda.geometry.rotation import rotation_matrix
from poseda.geometry.skeleton import Skeleton
from poseda.ops._arguments import (
    MAX_ROTATION,
    SHAPES,
    AugmentArguments,
    AugmentedPose,
    check_augment,
    takes_augment_arguments,
)

DEPTH_STEPS = 24
"""Steps of the exact placement's solver, of which two or three are usual."""

SOLVED = {torch.float32: 1e-4, torch.float64: 1e-9}
"""Relative misfit of the exact placement's equation above which it is not solved."""

LAST_STEP = {torch.float32: 1e-5, torch.float64: 1e-8}
"""Relative step after which Newton's method, which squares the error, is at the limit of rounding."""

BRACKET_SLACK = 512
"""Units in the last place by which a step may leave its bracket: a flat body's depth is the bracket's end."""

DISTORTED_BRACKET = 4.0
"""With distortion the depth is searched for between closed form / 4 and closed form * 4."""


def bones(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Bone vectors, child minus parent: (..., J, 3) to (..., K, 3)."""
    return _bones(pose_3d, skeleton.parents)


def forward_kinematics(root: Tensor, bones: Tensor, skeleton: Skeleton) -> Tensor:
    """Joints from the root (..., 3) and the bones (..., K, 3): (..., J, 3)."""
    return _joints(root, bones, skeleton.parents)


def _bones(pose_3d: Tensor, parents: Sequence[int]) -> Tensor:
    return pose_3d[..., 1:, :] - pose_3d[..., list(parents[1:]), :]


def _joints(root: Tensor, bones: Tensor, parents: Sequence[int]) -> Tensor:
    joints = [root]
    for bone, parent in enumerate(parents[1:]):
        joints.append(joints[parent] + bones[..., bone, :])
    return torch.stack(joints, -2)


@takes_augment_arguments
def augment(given: AugmentArguments) -> AugmentedPose:
    """Same arguments, result and errors as :func:`poseda.ops.augment`, which documents them."""
    check_augment(given)
    if given.pose_3d.dim() == 4:
        return _augment(given)
    framed = [
        value.unsqueeze(1) if value is not None and "T" in shape.dimensions else value
        for value, shape in zip(given.tensors, SHAPES.values(), strict=True)
    ]
    pose_3d, pose_2d, valid = _augment(AugmentArguments(*framed, *given.settings))
    return AugmentedPose(pose_3d[:, 0], pose_2d[:, 0], valid)


def _augment(given: AugmentArguments) -> AugmentedPose:
    """The same for sequences (N, T, J, 3)."""
    pose = given.pose_3d
    centre = pose.shape[1] // 2
    camera, placement, valid = _picked(given)
    local, turn, posable = _posed(given)
    valid = valid & posable
    # 6. Place: the centre frame by GPA or at the given root, the others at their displacement from it.
    placed = given.root
    if placement is not None:
        mask = pose.new_ones(1, pose.shape[2], dtype=torch.bool)
        if given.joint_mask is not None:
            mask = given.joint_mask
        placed, solved = place(local[:, centre], camera, placement, mask, exact=given.exact)
        valid = valid & solved
    root = pose[:, :, 0]
    if placed is not None:
        displacement = root - root[:, centre : centre + 1]
        if turn is not None:
            displacement = (turn[:, centre : centre + 1] @ displacement[..., None])[..., 0]
        root = placed[:, None] + displacement
    pose_3d = local + root[:, :, None]
    # 7. Project.
    pose_2d = project(pose_3d, camera)

    with torch.no_grad():
        valid = valid & (pose_3d[..., 2] >= given.min_depth).flatten(1).all(1)
        valid = valid & pose_3d.isfinite().flatten(1).all(1) & pose_2d.isfinite().flatten(1).all(1)
        if given.require_in_frame and camera.aspect is not None:
            edge = torch.stack([torch.ones_like(camera.aspect), camera.aspect], -1)
            valid = valid & (pose_2d.abs() <= edge[:, None, None]).flatten(1).all(1)
    return AugmentedPose(_keep(pose_3d, valid), _keep(pose_2d, valid), valid)


def _picked(given: AugmentArguments) -> tuple[Camera, Tensor | None, Tensor]:
    """Camera and placement of each pose, and whether its index is in the table."""
    camera = Camera(given.focal, given.center, given.distortion, given.aspect)
    index, placement = given.placement_index, given.placement
    if index is None or placement is None:
        return camera, placement, given.pose_3d.new_ones(given.pose_3d.shape[0], dtype=torch.bool)
    inside = (index >= 0) & (index < placement.shape[0])
    index = torch.where(inside, index, 0)
    return camera.rows(index), placement[index], inside


def _posed(given: AugmentArguments) -> tuple[Tensor, Tensor | None, Tensor]:
    """The posed body (N, T, J, 3), its root at the origin; its rotation (N, T, 3, 3); whether valid (N,)."""
    pose, parents = given.pose_3d, given.parents
    valid = pose.new_ones(pose.shape[0], dtype=torch.bool)
    # 1. Bones of the source pose.
    bone = _bones(pose, parents)
    # 2. Rotate each bone, alone or with all its descendants.
    if given.bone_rotation is not None:
        turn = rotation_matrix(given.bone_rotation)
        if given.propagate:
            turns: list[Tensor] = []
            for k, parent in enumerate(parents[1:]):
                turns.append(turn[..., k, :, :] if parent == 0 else turns[parent - 1] @ turn[..., k, :, :])
            turn = torch.stack(turns, -3)
        bone = (turn @ bone[..., None])[..., 0]
        valid = valid & (given.bone_rotation.norm(dim=-1) <= MAX_ROTATION).flatten(1).all(1)
    # 3. Scale each bone.
    if given.bone_scale is not None:
        scale = given.bone_scale[..., list(given.groups)] if given.groups else given.bone_scale
        bone = (1 + scale)[..., None] * bone
        valid = valid & (scale > -1).flatten(1).all(1)
    # 4. Rotate the body.
    body = None
    if given.body_rotation is not None:
        body = rotation_matrix(given.body_rotation).expand(*pose.shape[:2], 3, 3)
        bone = (body[:, :, None] @ bone[..., None])[..., 0]
        valid = valid & (given.body_rotation.norm(dim=-1) <= MAX_ROTATION).flatten(1).all(1)
    # 5. Forward kinematics, the root at the origin.
    return _joints(torch.zeros_like(bone[..., 0, :]), bone, parents), body, valid


def _keep(value: Tensor, valid: Tensor) -> Tensor:
    """Zeros where invalid. The gradient is zero only if the value's is finite: tests compare valid poses."""
    return torch.where(valid[:, None, None, None], value, torch.zeros_like(value))


def place(
    local: Tensor, camera: Camera, placement: Tensor, mask: Tensor, exact: bool
) -> tuple[Tensor, Tensor]:
    """GPA: where the root must stand for the projected pose to match a target's place and size.

    Args:
        local: (N, J, 3) posed body, root at the origin, metres.
        camera: N cameras or one shared.
        placement: (N or 1, 4) root u, v and box w, h of the target, screen coordinates.
        mask: (N or 1, J) joints that span the box.
        exact: solve for the projected box instead of the paper's closed form.

    Returns:
        root (N, 3) metres and whether it could be found (N,).
    """
    target = placement[:, 2] + placement[:, 3]
    ray = undistort((placement[:, :2] - camera.center) / camera.focal, camera.distortion)  # (x0, y0) on z = 1
    extent = torch.stack([_extent(local[..., axis], mask) for axis in (0, 1)], -1)
    # Chai et al., section 3.2: the pose seen as flat at the root's depth.
    depth = (camera.focal * extent).sum(-1) / target
    found = torch.isfinite(depth) & (placement[:, 2] >= 0) & (placement[:, 3] >= 0) & (target > 0)
    if camera.distortion is not None:
        found = found & sees(ray, (placement[:, :2] - camera.center) / camera.focal, camera.distortion)
    if exact:
        depth, solved = _solve_depth(local, camera, ray, mask, target, depth)
        found = found & solved
    ray = torch.cat([ray, torch.ones_like(ray[:, :1])], -1)
    return depth[:, None] * ray, found


def _extent(values: Tensor, mask: Tensor) -> Tensor:
    """Largest minus smallest of the masked values (N, J); at a tie the first joint carries the gradient."""
    mask = mask.expand_as(values)
    first_max = values.masked_fill(~mask, -torch.inf).argmax(-1, keepdim=True)
    first_min = values.masked_fill(~mask, torch.inf).argmin(-1, keepdim=True)
    return (values.gather(-1, first_max) - values.gather(-1, first_min))[:, 0]


def _solve_depth(
    local: Tensor, camera: Camera, ray: Tensor, mask: Tensor, target: Tensor, closed_form: Tensor
) -> tuple[Tensor, Tensor]:
    """Depth z at which projected width + height equals the target's, by Newton's method within a bracket.

    A step starts at the closed form, and halves the bracket where Newton's would leave it. So where several
    depths solve the equation, the one that this reaches is the result.
    """
    line = torch.cat([ray, torch.ones_like(ray[:, :1])], -1)

    def size(depth: Tensor) -> Tensor:
        joints = local + (depth[:, None] * line)[:, None]
        screen = camera.focal[:, None] * distort(joints[..., :2] / joints[..., 2:], camera.distortion)
        return _extent(screen[..., 0], mask) + _extent(screen[..., 1], mask)

    def size_and_slope(depth: Tensor) -> tuple[Tensor, Tensor]:
        found = torch.func.jvp(size, (depth,), (torch.ones_like(depth),))
        return found[0], found[1]

    with torch.no_grad():
        low, high = _depth_bracket(local, camera, ray, mask, target, closed_form)
        slack = BRACKET_SLACK * torch.finfo(local.dtype).eps * high.abs()
        depth = torch.where((closed_form > low) & (closed_form < high), closed_form, (low + high) / 2)
        moving = torch.isfinite(closed_form) & (target > 0)
        solved = torch.zeros_like(moving)
        for _ in range(DEPTH_STEPS):
            reached, slope = size_and_slope(depth)
            larger = reached > target
            low, high = torch.where(larger, depth, low), torch.where(larger, high, depth)
            # Newton's step for 1/size - 1/target, which is nearly linear in z: the size falls like 1/z.
            step = reached * (target - reached) / (slope * target)
            inside = (depth + step >= low - slack) & (depth + step <= high + slack)
            close = (step.abs() <= LAST_STEP[local.dtype] * depth.abs()) & (
                (reached - target).abs() <= SOLVED[local.dtype] * target
            )
            depth = torch.where(moving, torch.where(inside, depth + step, (low + high) / 2), depth)
            solved = solved | (moving & inside & close)
            moving = moving & ~solved
        _, slope = size_and_slope(depth)
    # Implicit differentiation: one more step with the slope held fixed.
    return depth - (size(depth) - target) / slope, solved


def _depth_bracket(
    local: Tensor, camera: Camera, ray: Tensor, mask: Tensor, target: Tensor, closed_form: Tensor
) -> tuple[Tensor, Tensor]:
    """The depths between which the exact solution lies; with distortion, between which it is looked for."""
    nearest = local[..., 2].masked_fill(~mask, torch.inf).amin(-1)
    if camera.distortion is not None:
        low = torch.maximum(-nearest, closed_form / DISTORTED_BRACKET)
        return low, closed_form * DISTORTED_BRACKET
    # Offsets from the ray bound the size from above by (their span) / (z + min Z).
    offset = local[..., :2] - local[..., 2:] * ray[:, None]
    offset = offset.masked_fill(~mask[..., None], 0.0)
    span = (camera.focal * (offset.amax(1).clamp_min(0) - offset.amin(1).clamp_max(0))).sum(-1)
    return -nearest, span / target - nearest
