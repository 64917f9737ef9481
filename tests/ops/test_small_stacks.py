"""The ops in threads whose stacks are small, as those of some servers and of musl are."""

from __future__ import annotations

from fresh import run_fresh


def every_op_on_a_small_stack() -> None:
    import threading

    import torch

    from poseda import ops
    from poseda.geometry.skeleton import H36M16, MAX_JOINTS, Skeleton
    from poseda.ops.samples import augment_arguments

    # One part of all bones: the most numbers that kinematic chain space can have.
    tree = {f"j{i}": f"j{i - 1}" if i else None for i in range(MAX_JOINTS)}
    longest = Skeleton.declare("longest", tree)
    finished = []

    def every_op() -> None:
        for skeleton in (H36M16, longest):
            for dtype in (torch.float32, torch.float64):
                give = ("bone_rotation", "placement", "distortion")
                arguments = augment_arguments(100, skeleton, give=give, dtype=dtype)
                pose = arguments["pose_3d"].requires_grad_()
                bones = ops.bones(pose, skeleton)
                results = [
                    bones,
                    ops.forward_kinematics(pose[:, 0], bones, skeleton),
                    ops.project(pose, arguments["camera"]),
                    ops.kinematic_chain_space(pose, skeleton),
                    ops.augment(**arguments, gpa="exact", propagate=True).pose_2d,
                ]
                torch.autograd.backward([result.sum() for result in results])
                ops.procrustes_align(pose.detach(), pose.detach().flip(0))
                ops.random_parameters(ops.random_state(0), 100, skeleton, dtype=dtype)
                finished.append((skeleton.name, dtype))

    threading.stack_size(512 * 1024)
    thread = threading.Thread(target=every_op)
    thread.start()
    thread.join()
    assert len(finished) == 4, finished


def test_every_op_runs_on_a_stack_of_512_kib() -> None:
    run_fresh(every_op_on_a_small_stack)
