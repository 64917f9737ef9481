"""The ops under torch.compile and torch.export. Each test is a process of its own.

What an eager call computes and keeps would hide that a compiled one cannot compute it.
"""

from __future__ import annotations

import pytest
import torch
from fresh import run_fresh


def augment_in_one_graph(device: str) -> None:
    import torch

    from poseda import ops
    from poseda.geometry.camera import Camera
    from poseda.geometry.skeleton import H36M16

    torch.manual_seed(0)
    camera = Camera(torch.full((1, 2), 2.3, device=device), torch.zeros(1, 2, device=device))
    pose = torch.randn(12, 16, 3, device=device)
    index = torch.randint(5, (12,), device=device)
    rotation = torch.randn(12, 15, 3, device=device, requires_grad=True)
    scale = (0.1 * torch.randn(12, 9, device=device)).requires_grad_()
    table = torch.tensor([[0.1, 0.0, 0.3, 0.4]], device=device).repeat(5, 1).requires_grad_()

    def call(rotation: torch.Tensor, scale: torch.Tensor, table: torch.Tensor) -> ops.AugmentedPose:
        return ops.augment(
            pose,
            skeleton=H36M16,
            camera=camera,
            bone_rotation=rotation,
            bone_scale=scale,
            placement=table,
            placement_index=index,
        )

    results = []
    for function in (torch.compile(call, fullgraph=True), call):  # the compiled one first
        pose_3d, pose_2d, valid = function(rotation, scale, table)
        gradients = torch.autograd.grad(pose_3d.sum() + pose_2d.sum(), [rotation, scale, table])
        results.append([pose_3d, pose_2d, valid, *gradients])
    for compiled, eager in zip(*results, strict=True):
        assert torch.equal(compiled, eager)


def test_augment_compiles_to_one_graph_with_the_eager_results(device: torch.device) -> None:
    run_fresh(augment_in_one_graph, device.type)


def augment_of_any_batch(device: str) -> None:
    import torch

    from poseda import ops
    from poseda.ops.samples import augment_arguments

    compiled = torch.compile(lambda **given: ops.augment(**given).pose_2d, fullgraph=True, dynamic=True)
    for batch in (3, 8, 21):
        arguments = augment_arguments(batch, give=("bone_rotation", "placement"), device=device)
        assert torch.equal(compiled(**arguments), ops.augment(**arguments).pose_2d)


def test_augment_compiles_with_a_dynamic_batch(device: torch.device) -> None:
    run_fresh(augment_of_any_batch, device.type)


def export_of_augment(strict: bool) -> None:
    import torch

    from poseda import ops
    from poseda.geometry.camera import Camera
    from poseda.geometry.skeleton import H36M16

    class Step(torch.nn.Module):
        def forward(self, pose: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, ...]:
            camera = Camera(torch.full((1, 2), 2.3), torch.zeros(1, 2))
            return ops.augment(pose, skeleton=H36M16, camera=camera, bone_scale=scale)

    given = (torch.randn(4, 16, 3) + torch.tensor([0.0, 0.0, 5.0]), torch.zeros(4, 9))
    program = torch.export.export(Step(), given, strict=strict)
    assert any("poseda.augment" in str(node.target) for node in program.graph.nodes)
    for actual, expected in zip(program.module()(*given), Step()(*given), strict=True):
        assert torch.equal(actual, expected)


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
def test_augment_exports(strict: bool) -> None:
    run_fresh(export_of_augment, strict)


def small_ops_in_one_graph(device: str) -> None:
    import torch

    from poseda import ops
    from poseda.geometry.camera import Camera
    from poseda.geometry.skeleton import H36M16

    lens = torch.tensor([[-0.2, 0.24, -0.002, -0.001, -0.003]], device=device)
    camera = Camera(torch.full((1, 2), 2.3, device=device), torch.zeros(1, 2, device=device), lens)
    pose = torch.randn(4, 16, 3, device=device) + torch.tensor([0.0, 0.0, 5.0], device=device)

    def everything(value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        bones = ops.bones(value, H36M16)
        return (
            ops.forward_kinematics(value[:, 0], bones, H36M16),
            ops.project(value, camera),
            ops.kinematic_chain_space(value, H36M16),
            ops.procrustes_align(value, value.flip(0)),
        )

    compiled = torch.compile(everything, fullgraph=True)(pose)
    for actual, expected in zip(compiled, everything(pose), strict=True):
        assert torch.equal(actual, expected)

    def learned(value: torch.Tensor) -> torch.Tensor:
        return ops.project(value, camera).sum() + ops.kinematic_chain_space(value, H36M16).sin().sum()

    leaf = pose.clone().requires_grad_()
    (expected,) = torch.autograd.grad(learned(leaf), leaf)
    (actual,) = torch.autograd.grad(torch.compile(learned, fullgraph=True, backend="aot_eager")(leaf), leaf)
    assert torch.equal(actual, expected)


def test_the_small_ops_compile_to_one_graph(device: torch.device) -> None:
    run_fresh(small_ops_in_one_graph, device.type)


def sizes_that_depend_on_data(device: str) -> None:
    from collections.abc import Callable

    import torch

    from poseda import ops
    from poseda.geometry.placements import TargetPlacements
    from poseda.geometry.skeleton import H36M16
    from poseda.ops.samples import augment_arguments

    torch._dynamo.config.capture_dynamic_output_shape_ops = True
    given = augment_arguments(
        12, give=("bone_rotation", "group_scale", "placement", "distortion"), device=device
    )
    pose, camera, placement = given["pose_3d"], given["camera"], given["placement"]
    targets = TargetPlacements.build(
        torch.rand(20, 16, 2, device=device), camera.rows(torch.zeros(20).long()), H36M16
    )
    module = ops.PoseAugment.of_targets(H36M16, targets)
    keep = torch.arange(12, device=device) % 3 != 0
    weight = torch.ones((), device=device, requires_grad=True)

    def augmented(pose: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        rows = keep.nonzero()[:, 0]
        return ops.augment(
            pose[rows],
            skeleton=H36M16,
            camera=camera.rows(rows),
            bone_rotation=given["bone_rotation"][rows] * weight,
            bone_scale=given["bone_scale"][rows],
            placement=placement[rows],
        ).pose_2d

    def picked(pose: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        index = torch.arange(12, device=device) % 3
        rows = {"camera": camera[keep], "placement": placement[keep], "placement_index": index}
        return ops.augment(pose * weight, skeleton=H36M16, **rows).pose_2d

    programs: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = [
        augmented,
        picked,
        lambda pose, keep: (
            ops.augment(pose[keep] * weight, skeleton=H36M16, **targets.draw(pose[keep].shape[0])).pose_2d
        ),
        lambda pose, keep: module(pose[keep] * weight).pose_2d,
        lambda pose, keep: ops.project(pose[keep] * weight, camera.rows(keep)),
        lambda pose, keep: ops.kinematic_chain_space(pose[keep] * weight, H36M16),
        lambda pose, keep: ops.bones(pose[keep] * weight, H36M16),
        lambda pose, keep: ops.forward_kinematics(pose[keep][:, 0], pose[keep][:, 1:] * weight, H36M16),
        lambda pose, keep: ops.procrustes_align(pose[keep], pose[keep].flip(0)) * weight,
    ]
    for program in programs:
        compiled = torch.compile(program, fullgraph=True, backend="aot_eager")
        for kept in (keep, ~keep):
            results = []
            for function in (compiled, program):
                torch.manual_seed(0)
                module.reseed(0)
                value = function(pose, kept)
                results.append((value, torch.autograd.grad(value.sin().sum(), weight)[0]))
            for actual, expected in zip(*results, strict=True):
                torch.testing.assert_close(actual, expected)


def test_sizes_that_the_compiler_does_not_know_compile_to_one_graph(device: torch.device) -> None:
    run_fresh(sizes_that_depend_on_data, device.type)


def readme_loop_in_one_graph(device: str) -> None:
    import torch

    from poseda import ops
    from poseda.geometry.camera import Camera
    from poseda.geometry.placements import TargetPlacements
    from poseda.geometry.skeleton import H36M16

    camera = Camera(torch.full((1, 2), 2.3, device=device), torch.zeros(1, 2, device=device))
    seen = torch.rand(50, 16, device=device) < 0.9
    seen[:, 0] = True
    targets = TargetPlacements.build(torch.rand(50, 16, 2, device=device), camera, H36M16, seen)

    def step(pose: torch.Tensor, rotation: torch.Tensor) -> ops.AugmentedPose:
        return ops.augment(pose, skeleton=H36M16, bone_rotation=rotation, **targets.draw(len(pose)))

    pose = torch.randn(12, 16, 3, device=device)
    rotation = torch.randn(12, 15, 3, device=device, requires_grad=True)
    results = []
    for function in (torch.compile(step, fullgraph=True, backend="aot_eager"), step):
        torch.manual_seed(3)
        pair = function(pose, rotation)
        results.append([*pair, *torch.autograd.grad(pair.pose_2d.sum(), rotation)])
    for compiled, eager in zip(*results, strict=True):
        assert torch.equal(compiled, eager)


def test_drawing_targets_compiles_with_the_op_to_one_graph(device: torch.device) -> None:
    run_fresh(readme_loop_in_one_graph, device.type)


def random_augmentation_in_one_graph(device: str) -> None:
    import torch

    from poseda.geometry.camera import Camera
    from poseda.geometry.skeleton import H36M16
    from poseda.ops import PoseAugment

    camera = Camera(torch.full((1, 2), 2.3), torch.zeros(1, 2))
    placement = torch.tensor([[0.1, 0.0, 0.3, 0.4], [0.0, 0.2, 0.5, 0.2]])
    module, twin = (PoseAugment(H36M16, camera, placement).to(device) for _ in range(2))
    pose = torch.randn(6, 16, 3, device=device)
    compiled = torch.compile(module, fullgraph=True)
    for _ in range(3):
        assert torch.equal(compiled(pose).pose_2d, twin(pose).pose_2d)
    assert module.rng_state.tolist() == [0, 3]
    for batch in (7, 9, 11):  # the batch becomes a symbol: no new program for each
        with torch.compiler.set_stance("default" if batch == 7 else "fail_on_recompile"):
            assert torch.equal(
                compiled(pose.repeat(2, 1, 1)[:batch]).pose_2d, twin(pose.repeat(2, 1, 1)[:batch]).pose_2d
            )


def test_pose_augment_compiles_and_advances_its_state(device: torch.device) -> None:
    run_fresh(random_augmentation_in_one_graph, device.type)


def augment_on_a_stand_in_for_cuda() -> None:
    import os
    from pathlib import Path
    from typing import NoReturn

    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from poseda import ops
    from poseda.geometry.camera import Camera
    from poseda.geometry.skeleton import H36M16
    from poseda.ops import _native as native

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a call looks at a file")

    def call(pose: torch.Tensor, focal: torch.Tensor, center: torch.Tensor) -> ops.AugmentedPose:
        return ops.augment(pose, skeleton=H36M16, camera=Camera(focal, center))

    native._cuda_missing = None  # as if the kernels were loaded
    compiled = torch.compile(call, fullgraph=True, backend="eager")
    with FakeTensorMode():
        given = [torch.empty(shape, device="cuda") for shape in ((4, 16, 3), (1, 2), (1, 2))]
        assert compiled(*given).pose_2d.device.type == "cuda"
        native._folder, Path.exists, Path.stat, os.stat = (refuse,) * 4
        assert call(*given).pose_2d.shape == compiled(*given).pose_2d.shape == (4, 16, 2)


def test_no_call_looks_at_a_file_on_cuda() -> None:
    run_fresh(augment_on_a_stand_in_for_cuda)
