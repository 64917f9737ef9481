"""How far two cameras of a rig disagree about a pose: a score without labels."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.rig import Rig
from poseda.evaluation.metrics import MILLIMETRES


class Disagreement(NamedTuple):
    """Of the poses that two cameras saw at one moment.

    Attributes:
        mean: distance of their joints in the common world, millimetres; None without such poses.
        pairs: how many pairs of poses were compared.
    """

    mean: float | None
    pairs: int


def disagreement(pose_3d: Tensor, rig: Rig, seen: Tensor) -> Disagreement:
    """Distance of the poses of one person at one moment, each lifted from another camera.

    A lifter that is right in every view has zero. So has one that errs alike in every view, in the world: the
    number is no error.

    Args:
        pose_3d: (N, J, 3) metres, relative to the root, camera axes.
        rig: of the rows; the rotations of its cameras are known.
        seen: (N, J) bool; joints that both cameras saw are compared.
    """
    assert rig.rotation is not None, "checked by the caller"
    turn = rig.rotation.to(pose_3d)[rig.camera.to(pose_3d.device)]
    world = torch.einsum("njx,nxw->njw", pose_3d, turn).double().cpu()
    camera, moment, known = rig.camera.cpu().numpy(), rig.moment.cpu().numpy(), seen.cpu()
    rows = [np.flatnonzero((camera == number) & (moment >= 0)) for number in range(len(rig.rotation))]
    total, joints, pairs = 0.0, 0, 0
    for one, other in combinations(rows, 2):
        _, at, of = np.intersect1d(moment[one], moment[other], return_indices=True)
        first, second = torch.from_numpy(one[at]), torch.from_numpy(other[of])
        both = known[first] & known[second]
        total += float((world[first] - world[second]).norm(dim=-1)[both].sum())
        joints += int(both.sum())
        pairs += len(at)
    return Disagreement(MILLIMETRES * total / joints if joints else None, pairs)
