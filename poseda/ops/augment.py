"""The op: augment, its fake kernel and its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton
from poseda.ops import _autograd as autograd
from poseda.ops import _native as native
from poseda.ops._arguments import (
    AugmentArguments,
    AugmentedPose,
    check_settings,
    check_shapes,
    check_tensors,
    gather,
)

native.load()


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
    """Turn, stretch and place poses, and project them: one launch forward, one backward.

    1. bones of the source pose; 2. each bone turned by its rotation vector; 3. scaled; 4. the body turned;
    5. joints again by forward kinematics; 6. the root placed; 7. projected. ``poseda.ops.reference.augment``
    says the same in plain torch. GPA and the transformations are those of Chai et al., ICCV 2023 (PoseDA).

    Sequences ``(N, T, J, 3)`` take parameters with T or 1 frames, and camera, root and placement per
    sequence: GPA places the centre frame T//2, the other frames keep their displacement from it, turned by
    its body rotation.

    Args:
        pose_3d: (N, J, 3) or (N, T, J, 3) metres, camera frame.
        skeleton: the tree, J joints, K = J - 1 bones, G symmetric bone groups.
        camera: N cameras, or one shared; with ``placement_index`` a table of M.
        bone_rotation: (N, K, 3) rotation vectors, radians, camera frame, at most 10 000 rad long.
        bone_scale: (N, K) or (N, G) relative change of bone length, > -1.
        body_rotation: (N, 3) rotation vector about the root, radians.
        propagate: turn what hangs from a bone along with it (forward kinematics) instead of each bone alone.
        root: (N, 3) metres, where the root shall stand. Default: where the source's root stands.
        placement: (N, 4), or (M, 4) with an index: root u, v and box w, h of a target pose, screen
            coordinates.
        placement_index: (N,) int64, the row of ``placement`` and camera for each pose. Out of range: invalid.
        gpa: ``closed_form`` (the paper's) or ``exact`` (the projected width + height equal the target's).
        joint_mask: (N, J) bool, the joints that span the box. Default: all.
        min_depth: metres; a joint nearer than this makes the pose invalid.
        require_in_frame: also make poses invalid that leave the screen (needs ``camera.aspect``).

    Any first dimension may be 1 and is then shared by the batch.

    Returns:
        Poses, their projections and which are valid. An invalid pose (see above; also NaN or infinity, an
        empty box, no exact solution) is all zeros with zero gradients and does not touch its neighbours.
        Zero-length bones stay so, with zero gradient through their own rotation.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    check_settings(skeleton, camera, gpa, min_depth, propagate, require_in_frame)
    given = gather(
        pose_3d,
        camera,
        bone_rotation,
        bone_scale,
        body_rotation,
        root,
        placement,
        placement_index,
        joint_mask,
    )
    settings = (propagate, gpa == "exact", min_depth, require_in_frame)
    if not torch.compiler.is_compiling():
        try:
            return _call(given, skeleton, settings)
        except (AttributeError, IndexError, RuntimeError, TypeError):
            # The op guards itself in a tenth of the time that check_tensors takes, but not in words for
            # users. Half precision comes by here as well.
            pass
    return _call(check_tensors(given, skeleton, require_in_frame), skeleton, settings)


def _call(given: AugmentArguments, skeleton: Skeleton, settings: tuple[Any, ...]) -> AugmentedPose:
    if given.pose_3d.is_cuda:
        native.require_cuda()
    grouped = given.bone_scale is not None and given.bone_scale.shape[-1] != skeleton.num_bones
    groups = skeleton.bone_groups if grouped else ()
    return AugmentedPose(*_augment(*given, skeleton.parents, groups, *settings))


@torch.library.register_fake("poseda::augment")
def _augment_fake(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    given, parents, groups = AugmentArguments(*inputs[:12]), inputs[12], inputs[13]
    scales = (max(groups) + 1,) if groups else (len(parents) - 1,)
    check_shapes(given, len(parents), scales, require_in_frame=inputs[17])
    pose = given.pose_3d
    return (
        pose.new_empty(pose.shape),
        pose.new_empty((*pose.shape[:-1], 2)),
        pose.new_empty(pose.shape[:1], dtype=torch.bool),
    )


# Arguments with a gradient, in the order of augment_backward's results and of `wanted`'s bits.
_DIFFERENTIABLE = (
    "pose_3d",
    "focal",
    "center",
    "distortion",
    "bone_rotation",
    "bone_scale",
    "body_rotation",
    "root",
    "placement",
)
_POSITION = [AugmentArguments._fields.index(name) for name in _DIFFERENTIABLE]
_GATHERED = ("focal", "center", "distortion", "placement")


def _augment_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)
    ctx.settings = inputs[12:]
    exact = inputs[15] and inputs[9] is not None
    # Exact placement's adjoint starts at the depth that the forward pass found; nothing else is kept.
    ctx.save_for_backward(*inputs[:12], output[2], output[0] if exact else None)


def _augment_backward(
    ctx: Any, grad_pose_3d: Tensor | None, grad_pose_2d: Tensor | None, _grad_valid: None
) -> tuple[Tensor | None, ...]:
    *saved, valid, augmented = ctx.saved_tensors
    given = AugmentArguments(*saved)
    results: list[Tensor | None] = [None] * 18
    needs = ctx.needs_input_grad  # each look at it builds a tuple
    wanted = sum([1 << bit for bit, position in enumerate(_POSITION) if needs[position]])
    if not wanted or (grad_pose_3d is None and grad_pose_2d is None):
        return tuple(results)
    gradients = _gradients(grad_pose_3d, grad_pose_2d, valid, augmented, wanted, *given, *ctx.settings)
    picked: tuple[Tensor, Tensor] | None = None
    for gradient, name, position in zip(gradients, _DIFFERENTIABLE, _POSITION, strict=True):
        if not needs[position]:
            continue
        argument = saved[position]
        rows = argument.shape[0]
        if name in _GATHERED and given.placement_index is not None and rows != 1:
            if picked is None:
                picked = torch.sort(given.placement_index, stable=True)
            gradient = torch.ops.poseda.sum_picked_rows(gradient, *picked, rows)
        elif rows == 1 and gradient.shape[0] != 1:
            gradient = torch.ops.poseda.sum_rows(gradient.flatten(1)).view(argument.shape)
        results[position] = gradient
    return tuple(results)


_augment = autograd.attach(torch.ops.poseda.augment.default, _augment_backward, _augment_setup)


@torch.library.register_fake("poseda::augment_backward")
def _augment_backward_fake(
    grad_pose_3d: Tensor | None,
    grad_pose_2d: Tensor | None,
    valid: Tensor,
    augmented: Tensor | None,
    wanted: int,
    *inputs: Any,
) -> tuple[Tensor, ...]:
    batch = inputs[0].shape[0]
    results = []
    for bit, position in enumerate(_POSITION):
        argument = inputs[position]
        given = argument is not None and wanted & 1 << bit
        results.append(argument.new_empty((batch, *argument.shape[1:])) if given else inputs[0].new_empty(0))
    return tuple(results)


_gradients = autograd.refuse_second_derivative(torch.ops.poseda.augment_backward.default)


@torch.library.register_fake("poseda::sum_rows")
def _sum_rows_fake(rows: Tensor) -> Tensor:
    return rows.new_empty((1, rows.shape[1]))


@torch.library.register_fake("poseda::sum_picked_rows")
def _sum_picked_rows_fake(rows: Tensor, sorted_index: Tensor, order: Tensor, table_rows: int) -> Tensor:
    return rows.new_empty((table_rows, rows.shape[1]))
