"""Lengths of the bones of bodies, left and right together."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.device_table import device_table
from poseda.geometry.kinematics import SHORTEST
from poseda.geometry.skeleton import Skeleton


def group_lengths(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """Mean length of the bones of each symmetric group: (N, J, 3) to (N, G), metres."""
    lengths = ops.bones(pose_3d.contiguous(), skeleton=skeleton).norm(dim=-1)
    # In double precision, because a GPU may round the factors of a float32 product.
    mean = lengths.double() @ _shares(skeleton.bone_groups, torch.float64, lengths.device)
    return mean.to(lengths.dtype)


JOINT_CENTRES = {"knee": 0.395, "ankle": 0.433, "elbow": 0.278, "wrist": 0.267}
"""Metres between joint centres, by the joint at the lower end: means of women and men, 1.74 m tall."""

TRUNK = ("thorax", 0.531)
"""A joint of the trunk, and metres from the middle of the hips to it, likewise.

P. de Leva, "Adjustments to Zatsiorsky-Seluyanov's segment inertia parameters", J. Biomechanics 29 (1996).
"""


def anatomical_scale(lengths: Tensor, skeleton: Skeleton) -> Tensor:
    """What brings usual lengths (G,) to those between joint centres of the anatomical literature.

    Markers and retargeting leave the bones of motion capture too long or too short. A group whose joints are
    not in :data:`JOINT_CENTRES` keeps its length: its factor is 1.
    """
    scale = torch.ones_like(lengths)
    for joint, parent in enumerate(skeleton.parents):
        name = skeleton.joint_names[joint].removeprefix("left_").removeprefix("right_")
        if parent >= 0 and name in JOINT_CENTRES:
            group = skeleton.bone_groups[joint - 1]
            scale[group] = JOINT_CENTRES[name] / lengths[group].clamp_min(SHORTEST)
    top, length = TRUNK
    if top in skeleton.joint_names:
        path, joint = [], skeleton.joint(top)
        while joint > 0:
            path.append(skeleton.bone_groups[joint - 1])
            joint = skeleton.parents[joint]
        scale[path] = length / lengths[path].sum().clamp_min(SHORTEST)
    return scale.clamp(1 / MOST, MOST)


MOST = 1.5
"""Largest factor that a length is brought to anatomy by. A skeleton that asks for more has other joints."""


@device_table
def _shares(groups: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(K, G) share of each bone in its group's mean."""
    member = torch.nn.functional.one_hot(torch.tensor(groups)).to(dtype)
    return (member / member.sum(0)).to(device)
