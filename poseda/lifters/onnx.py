"""Lifters as ONNX files, for runtimes without torch."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from poseda.geometry.skeleton import Skeleton

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
    program = _program(lifter, torch.zeros(2, length, skeleton.num_joints, in_channels), free)
    program.model.metadata_props.update(
        skeleton=skeleton.name, joint_names=json.dumps(skeleton.joint_names), frames=str(frames)
    )
    program.save(path)
    return Path(path)


def _program(lifter: nn.Module, example: Tensor, any_frames: bool) -> torch.onnx.ONNXProgram:
    """Trace a copy of a lifter on the CPU; its batch is free, and its number of frames if asked for."""
    dynamic = {0: torch.export.Dim("batch")}
    if any_frames:
        dynamic[1] = torch.export.Dim("frames")
    with _quiet():
        program = torch.onnx.export(
            copy.deepcopy(lifter).cpu().float().eval(),
            (example,),
            input_names=["pose_2d"],
            output_names=["pose_3d"],
            dynamic_shapes=(dynamic,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings of torch's exporter about itself and about the missing torchvision."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)
