"""Changes of whole postures: bent trunks, and legs that motion capture leaves bent.

Markers and retargeted skeletons put knees before the line from hip to ankle. People who stand in a CMU
recording bend them by 15 degrees and more; annotators and detectors see 3 to 8. A camera from above
foreshortens such legs otherwise than straight ones, so a lifter takes it for a more level camera.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from poseda.geometry.skeleton import Skeleton

KEPT = 0.1
"""Share of a knee's bend that stays, at least."""

SIDES = ("left", "right")


def bent(pose_3d: Tensor, lean: Tensor, straight: Tensor, skeleton: Skeleton) -> Tensor:
    """Rotations of bones that bend the trunk and straighten the knees: (N, K, 3) radians.

    Args:
        pose_3d: (N, J, 3) metres.
        lean: (N, 1, 3) rotation vectors of all that hangs on the trunk, radians.
        straight: (N, 1, 1) radians by which both knees are straightened.
        skeleton: of the poses. One without hips, knees and ankles by these names keeps its legs.
    """
    upper, legs = _tables(skeleton, pose_3d.device)
    rotation = lean * upper
    if legs is None:
        return rotation
    hips, knees, ankles, bones = legs
    knee = pose_3d.index_select(1, knees)
    thigh = torch.nn.functional.normalize(knee - pose_3d.index_select(1, hips), dim=-1)
    shank = torch.nn.functional.normalize(pose_3d.index_select(1, ankles) - knee, dim=-1)
    hinge = torch.linalg.cross(thigh, shank)
    sine = hinge.norm(dim=-1, keepdim=True)
    bend = torch.atan2(sine, (thigh * shank).sum(-1, keepdim=True))
    # Half of it turns the thigh towards the shank, and half turns the shank back.
    turn = hinge * (torch.minimum(straight, (1 - KEPT) * bend) / (2 * sine.clamp_min(1e-6)))
    return rotation.index_copy(1, bones, torch.cat([turn, -turn], 1))


@lru_cache(maxsize=32)
def _tables(skeleton: Skeleton, device: torch.device) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """Of a skeleton, on the device at once: a copy in a step would make the host wait.

    (K, 1) one for bones that hang on the trunk; and joints of hips, knees and ankles with the bones of thighs
    and shanks, or None.
    """
    paired = {joint for pair in skeleton.symmetric_joints for joint in pair}
    joints = range(1, skeleton.num_joints)
    upper = torch.tensor([[float(_first(joint, skeleton) not in paired)] for joint in joints])
    names = [[f"{side}_{joint}" for side in SIDES] for joint in ("hip", "knee", "ankle")]
    if not {name for row in names for name in row} <= set(skeleton.joint_names):
        return upper.to(device), None
    hips, knees, ankles = (torch.tensor([skeleton.joint(name) for name in row]) for row in names)
    bones = torch.cat([knees, ankles]) - 1
    return upper.to(device), tuple(table.to(device) for table in (hips, knees, ankles, bones))


def _first(joint: int, skeleton: Skeleton) -> int:
    """The joint of a limb, or of the trunk, that hangs on the root."""
    while skeleton.parents[joint] > 0:
        joint = skeleton.parents[joint]
    return joint
