"""Which way is up in the pictures of a source: from its cameras, else from its people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.records import LabelledPoses
from poseda.geometry.skeleton import Skeleton
from poseda.geometry.standing import body_axis, missing_joints


@dataclass(frozen=True)
class Upright:
    """The vertical of source poses.

    Args:
        up: (N, 3) upward unit vectors in the axes of each pose.
        note: how it was told, and how sure, in words.
    """

    up: Tensor
    note: str

    @property
    def line(self) -> str:
        """The note as a line of the source's account."""
        return f"source: which way is up comes {self.note}"


def find_up(poses: LabelledPoses, skeleton: Skeleton) -> Upright:
    """The vertical of labelled poses.

    The rotations of the cameras tell it where the source has them (world axis z is up). Otherwise it is the
    mean axis of the bodies of a clip, from ankles to shoulders, which holds where people mostly stand.
    Skeletons without these joints leave the cameras level.

    Args:
        poses: of the source.
        skeleton: of the poses.
    """
    rotation = poses.columns.get("rotation")
    if rotation is not None and rotation.shape == (len(poses), 3, 3) and np.isfinite(rotation).all():
        up = torch.from_numpy(np.ascontiguousarray(rotation[:, :, 2])).to(poses.pose_3d)
        return Upright(torch.nn.functional.normalize(up, dim=1), "from the rotations of the source's cameras")
    if missing_joints(skeleton):
        level = poses.pose_3d.new_tensor([0.0, -1.0, 0.0]).expand(len(poses), 3)
        return Upright(level, "from no data: the source's cameras are taken to be level")
    axis = body_axis(poses.pose_3d, skeleton)
    group = _cameras(poses)
    mean = axis.new_zeros(int(group.max()) + 1, 3).index_add_(0, group, axis)
    count = torch.bincount(group)
    agreement = (mean.norm(dim=1) / count)[group].mean()
    up = torch.nn.functional.normalize(mean, dim=1)[group]
    note = f"from the source's people, who agree on it by {100 * float(agreement):.0f} %"
    return Upright(up, note)


def _cameras(poses: LabelledPoses) -> Tensor:
    """(N,) number of the clip and camera of each row."""
    clip = poses.clip.cpu().numpy()
    camera = poses.columns.get("camera")
    columns = [clip] if camera is None or camera.ndim != 1 else [clip, camera]
    _, group = np.unique(np.stack(columns, 1), axis=0, return_inverse=True)
    return torch.from_numpy(group.reshape(-1)).to(poses.pose_3d.device)
