"""The vertical of a source: from its cameras, from its people, or taken as level; and which was told."""

from __future__ import annotations

import numpy as np
import torch

from poseda.datasets import Domains, LabelledPoses
from poseda.datasets.upright import find_up
from poseda.geometry.camera import Camera
from poseda.geometry.rotation import angle_between
from poseda.geometry.skeleton import H36M16, Skeleton


def test_rotations_of_the_cameras_tell_the_vertical(domains: Domains) -> None:
    source = domains.adaptation().source
    found = find_up(source, H36M16)
    assert found.note == "from the rotations of the source's cameras"
    wanted = torch.from_numpy(source.columns["rotation"][:, :, 2]).float()
    assert found.up.allclose(wanted, atol=1e-6)


def test_people_tell_it_where_the_cameras_do_not(domains: Domains) -> None:
    source = domains.adaptation().source
    columns = {name: value for name, value in source.columns.items() if name != "rotation"}
    found = find_up(
        LabelledPoses(source.pose_3d, source.pose_2d, source.camera, source.clip, columns), H36M16
    )
    assert "who agree on it by" in found.note and found.note.endswith("%")
    truth = torch.from_numpy(source.columns["rotation"][:, :, 2]).float()
    assert angle_between(found.up, truth).rad2deg().mean() < 12
    # One vertical for each camera of each clip.
    rows = (source.clip == source.clip[0]).numpy() & (source.columns["camera"] == source.columns["camera"][0])
    assert len(found.up[torch.from_numpy(np.flatnonzero(rows))].unique(dim=0)) == 1


def test_a_skeleton_without_ankles_and_shoulders_leaves_cameras_level() -> None:
    rope = Skeleton.declare("rope", {"a": None, "b": "a", "c": "b"}, [], {})
    pose = torch.randn(5, 3, 3) + torch.tensor([0, 0, 5.0])
    camera = Camera(torch.ones(5, 2), torch.zeros(5, 2))
    found = find_up(LabelledPoses(pose, pose[..., :2], camera, torch.zeros(5, dtype=torch.int64)), rope)
    assert found.note == "from no data: the source's cameras are taken to be level"
    assert found.up.allclose(torch.tensor([0.0, -1.0, 0.0]).expand(5, 3))
