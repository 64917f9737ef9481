"""The fused ops: public functions, their fake kernels and their gradients.

Schemas stand in csrc/library.cpp, CPU kernels in csrc/cpu, CUDA kernels in csrc/cuda. Every op works in
float32 and float64 (half precision is computed in and returned as float32) on CPU and CUDA, for any strides
and empty batches, under ``torch.compile(fullgraph=True)`` and inside CUDA graphs; none waits for the device.
Where a second derivative or a function transform is not there, it is refused by name.
"""

from poseda.ops._arguments import AugmentedPose
from poseda.ops.augment import augment
from poseda.ops.kinematics import bones, forward_kinematics, kinematic_chain_space
from poseda.ops.procrustes import procrustes_align
from poseda.ops.projection import project
from poseda.ops.random import (
    PoseAugment,
    RandomParameters,
    RandomRanges,
    random_augment,
    random_parameters,
    random_state,
)

__all__ = [
    "AugmentedPose",
    "PoseAugment",
    "RandomParameters",
    "RandomRanges",
    "augment",
    "bones",
    "forward_kinematics",
    "kinematic_chain_space",
    "procrustes_align",
    "project",
    "random_augment",
    "random_parameters",
    "random_state",
]
