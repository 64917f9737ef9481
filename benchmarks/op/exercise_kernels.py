"""Every CUDA kernel, at a size that cuts a block: what compute-sanitizer watches."""

from __future__ import annotations

import itertools
from typing import get_args

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.skeleton import BUILT_IN, H36M16, H36M17
from poseda.ops import samples

DEVICE = torch.device("cuda")


def differentiate(results: tuple[Tensor, ...], inputs: list[Tensor]) -> None:
    """Run the backward kernels for all inputs."""
    torch.autograd.grad([result.square().sum() for result in results], inputs, allow_unused=True)


def exercise_augment() -> None:
    gives = (
        samples.EVERYTHING,
        ("placement", "shared_camera", "shared_parameters", "bone_rotation"),
        ("root",),
    )
    shapes = itertools.product(
        (H36M16, H36M17, samples.CHAIN64), (torch.float32, torch.float64), (None, 3), gives
    )
    for skeleton, dtype, frames, give in shapes:
        arguments = samples.augment_arguments(
            67, skeleton, give=give, dtype=dtype, device=DEVICE, frames=frames, rows=50
        )
        camera = arguments["camera"]
        floats = {
            name: value
            for name, value in {**arguments, "focal": camera.focal, "center": camera.center}.items()
            if isinstance(value, Tensor) and value.is_floating_point()
        }
        turned = (False, True) if "bone_rotation" in give else (False,)
        placed: tuple[ops.Gpa, ...] = get_args(ops.Gpa) if "placement" in give else ("closed_form",)
        # Which gradients are wanted decides on the kernel.
        for wanted in (tuple(floats), ("pose_3d", *samples.LEARNED), samples.LEARNED):
            inputs = [value for name, value in floats.items() if name in wanted]
            for name, value in floats.items():
                value.requires_grad_(name in wanted)
            for propagate, gpa in itertools.product(turned, placed):
                done = ops.augment(**arguments, propagate=propagate, gpa=gpa)
                if inputs:
                    differentiate((done.pose_3d, done.pose_2d), inputs)


def exercise_siblings() -> None:
    for skeleton, dtype in itertools.product(BUILT_IN.values(), (torch.float32, torch.float64)):
        pose = torch.randn(67, skeleton.num_joints, 3, dtype=dtype, device=DEVICE, requires_grad=True)
        bones = ops.bones(pose, skeleton)
        differentiate((ops.forward_kinematics(pose[:, 0], bones, skeleton),), [pose])
        differentiate((ops.kinematic_chain_space(pose, skeleton),), [pose])
        camera = samples.augment_arguments(67, skeleton, dtype=dtype, device=DEVICE, rows=67)["camera"]
        differentiate((ops.project(pose + 5, camera),), [pose])
        ops.procrustes_align(pose.detach(), pose.detach().flip(0))
        state = ops.random_state(1, DEVICE)
        ops.random_parameters(state, 67, skeleton, table_rows=50, dtype=dtype)


if __name__ == "__main__":
    exercise_augment()
    exercise_siblings()
    torch.cuda.synchronize()
    print("every kernel ran")
