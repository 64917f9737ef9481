"""Changes of whole postures: bent trunks, and legs that motion capture leaves bent.

Markers and retargeted skeletons put knees before the line from hip to ankle. People who stand in a CMU
recording bend them by 15 degrees and more; annotators and detectors see 3 to 8. A camera from above
foreshortens such legs otherwise than straight ones, so a lifter takes it for a more level camera.
"""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.geometry.device_table import device_table
from poseda.geometry.skeleton import Skeleton

KEPT = 0.1
"""Share of a knee's bend that stays, at least."""

SIDES = ("left", "right")

LEGS = frozenset(f"{side}_{joint}" for side in SIDES for joint in ("hip", "knee", "ankle"))
"""Joints of a skeleton whose knees are straightened."""


def bent(pose_3d: Tensor, lean: Tensor, straight: Tensor, skeleton: Skeleton) -> Tensor:
    """Rotations of bones that bend the trunk and straighten the knees: (N, K, 3) radians.

    Args:
        pose_3d: (N, J, 3) metres.
        lean: (N, 1, 3) rotation vectors of all that hangs on the trunk, radians.
        straight: (N, 1, 1) radians by which both knees are straightened.
        skeleton: of the poses. One without hips, knees and ankles by these names keeps its legs.
    """
    device = pose_3d.device
    rotation = lean * _trunk(skeleton.parents, skeleton.mirror, device)
    if not LEGS.issubset(skeleton.joint_names):
        return rotation
    hips, knees, ankles, bones = _legs(skeleton.joint_names, device)
    knee = pose_3d.index_select(1, knees)
    thigh = torch.nn.functional.normalize(knee - pose_3d.index_select(1, hips), dim=-1)
    shank = torch.nn.functional.normalize(pose_3d.index_select(1, ankles) - knee, dim=-1)
    hinge = torch.linalg.cross(thigh, shank)
    sine = hinge.norm(dim=-1, keepdim=True)
    bend = torch.atan2(sine, (thigh * shank).sum(-1, keepdim=True))
    # Half of it turns the thigh towards the shank, and half turns the shank back.
    turn = hinge * (torch.minimum(straight, (1 - KEPT) * bend) / (2 * sine.clamp_min(1e-6)))
    return rotation.index_copy(1, bones, torch.cat([turn, -turn], 1))


@device_table
def _trunk(parents: tuple[int, ...], mirror: tuple[int, ...], device: torch.device) -> Tensor:
    """(K, 1) one for bones that hang on the trunk."""
    first = [_first(joint, parents) for joint in range(1, len(parents))]
    return torch.tensor([[float(mirror[joint] == joint)] for joint in first], device=device)


@device_table
def _legs(names: tuple[str, ...], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Joints of both hips, knees and ankles, and the bones of both thighs and then of both shanks."""
    hips, knees, ankles = (
        torch.tensor([names.index(f"{side}_{joint}") for side in SIDES], device=device)
        for joint in ("hip", "knee", "ankle")
    )
    return hips, knees, ankles, torch.cat([knees, ankles]) - 1


def _first(joint: int, parents: tuple[int, ...]) -> int:
    """The joint of a limb, or of the trunk, that hangs on the root."""
    while parents[joint] > 0:
        joint = parents[joint]
    return joint
