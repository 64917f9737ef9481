"""The ops ahead of time: exported, compiled to a package and loaded again, without Python's part of them."""

from __future__ import annotations

from fresh import run_fresh


def every_op_from_a_package() -> None:
    import warnings
    from typing import Any

    import torch

    from poseda import ops
    from poseda.geometry.camera import Camera
    from poseda.geometry.skeleton import H36M16, Skeleton

    # No symmetric groups, no parts: AOTInductor hands an op None for an empty list.
    bare = Skeleton.declare("bare", {"root": None, "a": "root", "b": "a"}, parts={})

    class Step(torch.nn.Module):
        def __init__(self, skeleton: Skeleton) -> None:
            super().__init__()
            self.skeleton = skeleton

        def forward(self, pose: torch.Tensor, bone: torch.Tensor, group: torch.Tensor) -> tuple[Any, ...]:
            given = {"skeleton": self.skeleton, "camera": Camera(torch.full((1, 2), 2.3), torch.zeros(1, 2))}
            return (
                *ops.augment(pose, **given),
                *ops.augment(pose, **given, bone_scale=bone),
                *ops.augment(pose, **given, bone_scale=group),
                ops.bones(pose, self.skeleton),
                ops.project(pose, given["camera"]),
                ops.kinematic_chain_space(pose, self.skeleton),
                ops.procrustes_align(pose, pose.flip(0)),
            )

    torch._inductor.config.cpp.threads = 1
    for skeleton in (bare, H36M16):
        shift = torch.tensor([0.0, 0.0, 5.0])
        pose = 0.3 * torch.randn(4, skeleton.num_joints, 3) + shift
        given = (pose, 0.1 * torch.randn(4, skeleton.num_bones), 0.1 * torch.randn(4, skeleton.num_groups))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = torch._inductor.aoti_compile_and_package(torch.export.export(Step(skeleton), given))
            loaded = torch._inductor.aoti_load_package(package)
        for actual, expected in zip(loaded(*given), Step(skeleton)(*given), strict=True):
            assert torch.equal(actual, expected)


def test_every_op_runs_from_a_package_also_of_a_skeleton_without_groups_or_parts() -> None:
    run_fresh(every_op_from_a_package)
