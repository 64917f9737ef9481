"""Lifters as ONNX files, for runtimes without torch."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter

OPSET = 18


def export_onnx(
    lifter: nn.Module,
    path: str | Path,
    skeleton: Skeleton,
    frames: int = 1,
    in_channels: int = 2,
    any_frames: bool | None = None,
) -> Path:
    """Write a lifter in evaluation mode to an ONNX file.

    Input ``pose_2d`` (batch, frames, J, C), output ``pose_3d`` (batch, frames or 1, J, 3), float32. The batch
    size is free. The number of frames is free if the lifter allows it; transformers take up to ``frames``.
    Wrap the lifter in :class:`poseda.lifters.FlipAverage` to have the test-time flip in the file. Metadata:
    ``skeleton``, ``joint_names`` (JSON), ``frames``.

    Args:
        lifter: (N, T, J, C) to (N, T or 1, J, 3); it does not change.
        path: of the file, which is overwritten.
        skeleton: of the poses.
        frames: T of the example, and of every input unless the number of frames is free.
        in_channels: C.
        any_frames: whether the number of frames is free. Default: the lifter's ``any_frames``, or false.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: if onnx and onnxscript are not installed.
    """
    free = bool(getattr(lifter, "any_frames", False)) if any_frames is None else any_frames
    # The exporter takes a size of 1 for a constant.
    length = max(frames, 2) if free else frames
    example = torch.zeros(2, length, skeleton.num_joints, in_channels)
    program = _program(lifter, (example,), ["pose_2d"], ["pose_3d"], free)
    return _saved(program, path, skeleton, frames)


class _WideInputs(nn.Module):
    """A wide lifter as a function of tensors: rays and mask in, poses and expected errors out."""

    def __init__(self, lifter: WideLifter) -> None:
        super().__init__()
        self.lifter = lifter

    def forward(self, rays: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        groups = len(self.lifter.usual_lengths)
        unknown = torch.zeros_like(seen[:, 0, 0])
        batch = rays.shape[0]  # len() would make the example's batch a constant
        up, lengths = rays.new_zeros(batch, 3), rays.new_zeros(batch, groups)
        lifted = self.lifter.averaged(Observation(rays, seen, up, unknown, lengths, unknown))
        return root_relative(lifted.pose_3d), lifted.log_error.exp()


def export_wide_onnx(lifter: WideLifter, path: str | Path) -> Path:
    """Write the lifter of the arm ``wide`` to an ONNX file: its first pass, averaged with the mirrored one.

    Inputs: ``rays`` (batch, T, J, 2) float32, x/z and y/z of undistorted picture points in camera axes, and
    ``seen`` (batch, T, J) bool; rays of unseen joints are not read. Outputs: ``pose_3d`` (batch, T or 1, J,
    3) metres, root at the origin, and ``error`` (batch, J) metres. Metadata: those of :func:`export_onnx`.

    Raises:
        ModuleNotFoundError: if onnx and onnxscript are not installed.
    """
    skeleton, frames = lifter.skeleton, lifter.frames
    rays = torch.rand(2, frames, skeleton.num_joints, 2) - 0.5
    program = _program(
        _WideInputs(lifter),
        (rays, torch.ones(rays.shape[:3], dtype=torch.bool)),
        ["rays", "seen"],
        ["pose_3d", "error"],
    )
    return _saved(program, path, skeleton, frames)


def _saved(program: torch.onnx.ONNXProgram, path: str | Path, skeleton: Skeleton, frames: int) -> Path:
    program.model.metadata_props.update(
        skeleton=skeleton.name, joint_names=json.dumps(skeleton.joint_names), frames=str(frames)
    )
    program.save(path)
    return Path(path)


def _program(
    lifter: nn.Module,
    examples: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    any_frames: bool = False,
) -> torch.onnx.ONNXProgram:
    """Trace a copy of a lifter on the CPU; its batch is free, and its number of frames if asked for."""
    dynamic = {0: torch.export.Dim("batch")}
    if any_frames:
        dynamic[1] = torch.export.Dim("frames")
    with _quiet():
        program = torch.onnx.export(
            copy.deepcopy(lifter).cpu().float().eval(),
            examples,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=tuple(dict(dynamic) for _ in examples),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    check_batch(program.model.graph.inputs)
    return program


def check_batch(inputs: Iterable[Any]) -> None:
    """Check that the batch of every input of a program is free.

    Raises:
        ValueError: if the exporter took the example's batch for a constant.
    """
    for entry in inputs:
        if entry.shape is None or isinstance(entry.shape[0], int):
            wanted = f"expected torch's exporter to leave the batch of {entry.name} free"
            raise ValueError(f"{wanted}, got {entry.shape}; another version of torch may do it")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings of torch's exporter about itself and about the missing torchvision."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*", category=FutureWarning)
            warnings.filterwarnings("ignore", module=r"torch\..*", category=UserWarning)
            yield
    finally:
        logger.setLevel(level)
