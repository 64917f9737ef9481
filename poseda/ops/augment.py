"""The op: augment, its fake kernel and its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from poseda.geometry.symbolic import differs
from poseda.ops import _autograd as autograd
from poseda.ops import _native as native
from poseda.ops._arguments import (
    DIFFERENTIABLE,
    SHAPES,
    TABLES,
    AugmentArguments,
    AugmentedPose,
    check_augment,
    takes_augment_arguments,
)
from poseda.ops._row_sums import sort_index, sum_picked_rows, sum_rows

native.load()


@takes_augment_arguments
def augment(given: AugmentArguments) -> AugmentedPose:
    """Turn, scale and place poses, and project them: one launch forward, one backward.

    1. bones of the source pose; 2. each bone turned by its rotation vector; 3. scaled; 4. the body turned;
    5. joints again by forward kinematics; 6. the root placed; 7. projected. ``poseda.ops.reference.augment``
    says the same in plain torch. GPA and the transformations are those of Chai et al., ICCV 2023 (PoseDA).
    ``TargetPlacements.draw`` gives the arguments that place poses like people of the target.

    Sequences ``(N, T, J, 3)`` take parameters with T or 1 frames, and camera, root and placement per
    sequence. GPA places the centre frame T//2. The other frames keep their displacement from it, turned by
    its body rotation.

    Example:
        >>> from poseda import H36M16, Camera, TargetPlacements, ops
        >>> camera = Camera(torch.full((1, 2), 2.3), torch.zeros(1, 2))
        >>> targets = TargetPlacements.build(torch.rand(50, 16, 2) - 0.5, camera, H36M16)
        >>> pose_3d = torch.randn(8, 16, 3)
        >>> rotation = 0.1 * torch.randn(8, 15, 3)
        >>> pair = ops.augment(pose_3d, skeleton=H36M16, bone_rotation=rotation, **targets.draw(8))
        >>> pair.pose_2d.shape, pair.valid.dtype
        (torch.Size([8, 16, 2]), torch.bool)

    Args:
        pose_3d: (N, J, 3) or (N, T, J, 3) metres, camera frame.
        skeleton: the tree, J joints, K = J - 1 bones, G symmetric bone groups.
        camera: N cameras, or one shared; with ``placement_index`` a table of M.
        bone_rotation: (N, K, 3) rotation vectors, radians, camera frame, at most 10 000 rad long.
        bone_scale: (N, K) or (N, G) relative change of bone length, > -1.
        body_rotation: (N, 3) rotation vector about the root, radians.
        propagate: a bone's rotation turns its descendants, too (forward kinematics; needs
            ``bone_rotation``). Default: only the bone.
        root: (N, 3) metres, where the root shall stand. Default: where the source's root stands.
        placement: (N, 4), or (M, 4) with an index: root u, v and box w, h of a target pose, screen
            coordinates.
        placement_index: (N,) int64, the row of ``placement`` and camera for each pose. Out of range: invalid.
        gpa: ``closed_form`` (default, the paper's) or ``exact`` (the projected width + height equal the
            target's; needs ``placement``). A pinhole has one exact depth if the root is among the joints that
            span the box. Where there are several, Newton's method from the closed form picks one; the
            reference has its steps.
        joint_mask: (N, J) bool, the joints that span the box of ``placement``. Default: all.
        min_depth: metres, default 0.1; a joint nearer than this makes the pose invalid.
        require_in_frame: poses that leave the screen are invalid, too (needs ``camera.aspect``). Default: no.

    Any first dimension but that of the index may be 1 and is then shared by the batch.

    Returns:
        Poses, their projections and which are valid. An invalid pose (see above; also NaN or infinity, an
        empty box, no exact solution) is all zeros, has zero gradients and does not change its neighbours. A
        bone of length zero keeps it, with zero gradient through its own rotation.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
        RuntimeError: if there is not enough memory for the poses.
    """
    return run(given)


def run(given: AugmentArguments) -> AugmentedPose:
    """Call the op; what it refuses is said in words for users.

    Raises:
        TypeError, ValueError, RuntimeError: as :func:`augment`.
    """
    if torch.compiler.is_compiling():
        check_augment(given)
        return _call(given)
    try:
        return _call(given)
    except (AttributeError, IndexError, RuntimeError, TypeError) as error:
        # The op guards itself in a tenth of the time of check_augment, but not in words for users.
        raise _in_better_words(error, given) from None


def _call(given: AugmentArguments) -> AugmentedPose:
    if given.pose_3d.is_cuda:
        native.require_cuda()
    return AugmentedPose(*_augment(*given))


def _in_better_words(error: Exception, given: AugmentArguments) -> Exception:
    """What is wrong with the arguments or, if nothing is, the error itself."""
    try:
        check_augment(given)
        if given.pose_3d.is_cuda and not torch.cuda.is_current_stream_capturing():
            # After an earlier error of the device there is no memory either: it is raised here.
            torch.cuda.synchronize(given.pose_3d.device)
    except (RuntimeError, TypeError, ValueError) as better:
        return better
    return error


@torch.library.register_fake("poseda::augment")
def _augment_fake(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    given = AugmentArguments(*inputs)
    check_augment(given)
    pose = given.pose_3d
    return (
        pose.new_empty(pose.shape),
        pose.new_empty((*pose.shape[:-1], 2)),
        pose.new_empty(pose.shape[:1], dtype=torch.bool),
    )


def _augment_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    pose_3d, _, valid = output
    ctx.set_materialize_grads(False)
    ctx.settings = inputs[len(SHAPES) :]
    # Exact placement's adjoint starts at the depth that the forward pass found; nothing else is kept.
    placed_exactly = inputs[_EXACT] and inputs[_PLACEMENT] is not None
    ctx.save_for_backward(*inputs[: len(SHAPES)], valid, pose_3d if placed_exactly else None)


def _augment_backward(
    ctx: Any,
    wanted: list[int],
    grad_pose_3d: Tensor | None,
    grad_pose_2d: Tensor | None,
    _grad_valid: None,
) -> list[Tensor | None]:
    *tensors, valid, augmented = ctx.saved_tensors
    results: list[Tensor | None] = [None] * len(AugmentArguments._fields)
    bits = sum([_BIT.get(position, 0) for position in wanted])  # aspect has no gradient
    if not bits or (grad_pose_3d is None and grad_pose_2d is None):
        return results
    gradients = _gradients(grad_pose_3d, grad_pose_2d, valid, augmented, bits, *tensors, *ctx.settings)
    index, picked = tensors[_INDEX], None
    for position in wanted:
        if position not in _RESULT:
            continue
        argument, gradient = tensors[position], gradients[_RESULT[position]]
        rows = argument.shape[0]
        if index is not None and position in _TABLES and differs(rows, 1, True):
            if picked is None:
                picked = sort_index(index, rows)
            gradient = sum_picked_rows(gradient, *picked, rows)
        elif not differs(rows, 1, True) and gradient.shape[0] != 1:
            gradient = sum_rows(gradient.flatten(1)).view(argument.shape)
        results[position] = gradient
    return results


_POSITIONS = {name: position for position, name in enumerate(AugmentArguments._fields)}
_EXACT, _PLACEMENT, _INDEX = (_POSITIONS[name] for name in ("exact", "placement", "placement_index"))
_TABLES = {_POSITIONS[name] for name in TABLES}
_RESULT = {position: k for k, position in enumerate(DIFFERENTIABLE.values())}  # of augment_backward
_BIT = {position: 1 << k for position, k in _RESULT.items()}

_augment = autograd.attach(torch.ops.poseda.augment.default, _augment_backward, _augment_setup)


@torch.library.register_fake("poseda::augment_backward")
def _augment_backward_fake(
    grad_pose_3d: Tensor | None,
    grad_pose_2d: Tensor | None,
    valid: Tensor,
    augmented: Tensor | None,
    wanted: int,
    *inputs: Any,
) -> tuple[Tensor | None, ...]:
    given = AugmentArguments(*inputs)
    batch, results = given.pose_3d.shape[0], []
    for bit, position in enumerate(DIFFERENTIABLE.values()):
        argument = given.tensors[position]
        if argument is not None and wanted & 1 << bit:
            results.append(argument.new_empty((batch, *argument.shape[1:])))
        else:
            results.append(None)
    return tuple(results)


_gradients = autograd.refuse_second_derivative(torch.ops.poseda.augment_backward.default)
