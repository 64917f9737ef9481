"""The specification of `augment`, in plain torch, one step a line and nothing optimised.

The fused kernels are tested against this file and this file against numbers worked by hand. Step numbers are
those of :func:`augment`'s docstring; GPA and LPA are Chai et al., "Global Adaptation meets Local
Generalization", ICCV 2023.
"""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.geometry.camera import Camera, distort, project, sees, undistort
from poseda.geometry.rotation import rotation_matrix
from poseda.geometry.skeleton import Skeleton
from poseda.ops._arguments import MAX_ROTATION, AugmentedPose, check_augment

BISECTIONS = 200
"""Enough halvings to exhaust float64 from any starting bracket."""

SOLVED = {torch.float32: 1e-4, torch.float64: 1e-9}
"""Relative misfit of the exact placement's equation above which the pose is invalid."""

DISTORTED_BRACKET = 4.0
"""With distortion the depth is sought between closed form / 4 and closed form * 4."""


def bones(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Bone vectors, child minus parent: (..., J, 3) to (..., K, 3)."""
    return pose_3d[..., 1:, :] - pose_3d[..., list(skeleton.parents[1:]), :]


def forward_kinematics(root: Tensor, bones: Tensor, skeleton: Skeleton) -> Tensor:
    """Joints from the root (..., 3) and the bones (..., K, 3): (..., J, 3)."""
    joints = [root]
    for bone, parent in enumerate(skeleton.parents[1:]):
        joints.append(joints[parent] + bones[..., bone, :])
    return torch.stack(joints, -2)


def augment(
    pose_3d: Tensor,
    *,
    skeleton: Skeleton,
    camera: Camera,
    bone_rotation: Tensor | None = None,
    bone_scale: Tensor | None = None,
    body_rotation: Tensor | None = None,
    propagate: bool = False,
    root: Tensor | None = None,
    placement: Tensor | None = None,
    placement_index: Tensor | None = None,
    gpa: str = "closed_form",
    joint_mask: Tensor | None = None,
    min_depth: float = 0.1,
    require_in_frame: bool = False,
) -> AugmentedPose:
    """Same arguments, result and errors as :func:`poseda.ops.augment`, which documents them."""
    given = check_augment(
        pose_3d,
        skeleton=skeleton,
        camera=camera,
        bone_rotation=bone_rotation,
        bone_scale=bone_scale,
        body_rotation=body_rotation,
        propagate=propagate,
        root=root,
        placement=placement,
        placement_index=placement_index,
        gpa=gpa,
        joint_mask=joint_mask,
        min_depth=min_depth,
        require_in_frame=require_in_frame,
    )
    single = given.pose_3d.dim() == 3

    def with_frames(value: Tensor | None) -> Tensor | None:
        return value.unsqueeze(1) if single and value is not None else value

    pose = given.pose_3d.unsqueeze(1) if single else given.pose_3d  # (N, T, J, 3)
    batch, frames, joints, _ = pose.shape
    omega, gamma, rho = map(with_frames, (given.bone_rotation, given.bone_scale, given.body_rotation))
    camera = Camera(given.focal, given.center, given.distortion, given.aspect)
    if given.placement is not None and given.placement_index is not None:
        camera = camera.rows(given.placement_index)
        placement = given.placement[given.placement_index if given.placement.shape[0] > 1 else [0] * batch]
    else:
        placement = given.placement
    centre = frames // 2
    valid = torch.ones(batch, dtype=torch.bool, device=pose.device)

    # 1. Bones of the source pose.
    bone = bones(pose, skeleton)
    # 2. Rotate each bone, alone or with all that hangs from it.
    if omega is not None:
        turn = rotation_matrix(omega)
        if propagate:
            turns: list[Tensor] = []
            for k, parent in enumerate(skeleton.parents[1:]):
                turns.append(turn[..., k, :, :] if parent == 0 else turns[parent - 1] @ turn[..., k, :, :])
            turn = torch.stack(turns, -3)
        bone = (turn @ bone[..., None])[..., 0]
        valid = valid & (omega.norm(dim=-1) <= MAX_ROTATION).flatten(1).all(1)
    # 3. Scale each bone.
    if gamma is not None:
        if gamma.shape[-1] != skeleton.num_bones:
            gamma = gamma[..., list(skeleton.bone_groups)]
        bone = (1 + gamma)[..., None] * bone
        valid = valid & (gamma > -1).flatten(1).all(1)
    # 4. Rotate the body.
    body = None
    if rho is not None:
        body = rotation_matrix(rho).expand(batch, frames, 3, 3)
        bone = (body[:, :, None] @ bone[..., None])[..., 0]
        valid = valid & (rho.norm(dim=-1) <= MAX_ROTATION).flatten(1).all(1)
    # 5. Forward kinematics, the root at the origin.
    local = forward_kinematics(torch.zeros_like(bone[..., 0, :]), bone, skeleton)
    # 6. Place: the centre frame by GPA or at the given root, the others at their displacement from it.
    placed = given.root
    if placement is not None:
        mask = (
            torch.ones(1, joints, dtype=torch.bool, device=pose.device) if joint_mask is None else joint_mask
        )
        placed, solved = place(local[:, centre], camera, placement, mask, exact=gpa == "exact")
        valid = valid & solved
    if placed is None:
        root_t = pose[:, :, 0]
    else:
        displacement = pose[:, :, 0] - pose[:, centre : centre + 1, 0]
        if body is not None:
            displacement = (body[:, centre : centre + 1] @ displacement[..., None])[..., 0]
        root_t = placed[:, None] + displacement
    out_3d = local + root_t[:, :, None]
    # 7. Project.
    out_2d = project(out_3d, camera)

    with torch.no_grad():
        valid = valid & (out_3d[..., 2] >= min_depth).flatten(1).all(1)
        valid = valid & out_3d.isfinite().flatten(1).all(1) & out_2d.isfinite().flatten(1).all(1)
        if require_in_frame and camera.aspect is not None:
            edge = torch.stack([torch.ones_like(camera.aspect), camera.aspect], -1)
            valid = valid & (out_2d.abs() <= edge[:, None, None]).flatten(1).all(1)
    out_3d = _keep(out_3d, valid)
    out_2d = _keep(out_2d, valid)
    return (
        AugmentedPose(out_3d[:, 0], out_2d[:, 0], valid) if single else AugmentedPose(out_3d, out_2d, valid)
    )


def _keep(value: Tensor, valid: Tensor) -> Tensor:
    """Zeros where invalid. Its gradient is zero there only if the discarded branch has a finite one; tests of
    invalid neighbours therefore compare the valid poses only."""
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
    """Depth z at which projected width + projected height equals the target's, by bisection."""
    line = torch.cat([ray, torch.ones_like(ray[:, :1])], -1)

    def size(depth: Tensor) -> Tensor:
        joints = local + (depth[:, None] * line)[:, None]
        screen = camera.focal[:, None] * distort(joints[..., :2] / joints[..., 2:], camera.distortion)
        return _extent(screen[..., 0], mask) + _extent(screen[..., 1], mask)

    with torch.no_grad():
        nearest = local[..., 2].masked_fill(~mask, torch.inf).amin(-1)
        if camera.distortion is None:
            # Offsets from the ray bound the size from above by (their span) / (z + min Z).
            offset = local[..., :2] - local[..., 2:] * ray[:, None]
            offset = offset.masked_fill(~mask[..., None], 0.0)
            span = (camera.focal * (offset.amax(1).clamp_min(0) - offset.amin(1).clamp_max(0))).sum(-1)
            low, high = -nearest, span / target - nearest
        else:
            low = torch.maximum(-nearest, closed_form / DISTORTED_BRACKET)
            high = closed_form * DISTORTED_BRACKET
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            larger = size(middle) > target
            low, high = torch.where(larger, middle, low), torch.where(larger, high, middle)
        depth = (low + high) / 2
        solved = (size(depth) - target).abs() <= SOLVED[local.dtype] * target
        step = (depth.abs() + 1) * torch.finfo(depth.dtype).eps ** (1 / 3)
        slope = (size(depth + step) - size(depth - step)) / (2 * step)
    # Implicit differentiation: one Newton step with the slope held fixed.
    return depth - (size(depth) - target) / slope, solved
