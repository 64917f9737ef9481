"""The fused ops: public functions, their fake kernels and their gradients.

csrc/library.cpp has the schemas, csrc/cpu and csrc/cuda the kernels. Every op works in float32 and float64 on
CPU and CUDA; half precision is computed in and returned as float32. Strides may be any and batches empty. The
ops compile under ``torch.compile(fullgraph=True)``, run inside CUDA graphs, and do not wait for the device. A
missing derivative or function transform is refused by name: ``augment`` has first derivatives, the others any
number. ``torch.func.grad`` and ``vjp`` work, ``vmap`` and forward mode do not.
"""

from poseda.ops._arguments import AugmentedPose, Gpa
from poseda.ops.augment import augment
from poseda.ops.kinematics import bones, forward_kinematics, kinematic_chain_space
from poseda.ops.pose_augment import PoseAugment
from poseda.ops.procrustes import procrustes_align
from poseda.ops.projection import project
from poseda.ops.random import (
    RandomParameters,
    RandomRanges,
    random_augment,
    random_parameters,
    random_state,
)

__all__ = [
    "AugmentedPose",
    "Gpa",
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
