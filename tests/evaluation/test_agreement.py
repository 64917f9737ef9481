"""Disagreement between cameras: nothing for the truth, and the distance in the world otherwise."""

from __future__ import annotations

import pytest
import torch

from poseda.datasets.rig import Rig
from poseda.evaluation.agreement import disagreement
from poseda.geometry.rotation import rotation_matrix

ROTATION = rotation_matrix(torch.tensor([[0.1, 0.5, 0.0], [0.0, -0.9, 0.2]]))


def rig(moment: list[int]) -> Rig:
    count = len(moment) // 2
    camera = torch.tensor([0] * count + [1] * count)
    return Rig(camera, torch.tensor(moment), torch.zeros_like(camera), ("a",), 2, ROTATION)


def seen_by_both(world: torch.Tensor) -> torch.Tensor:
    return torch.einsum("cxw,njw->cnjx", ROTATION, world).flatten(0, 1)


def test_the_truth_agrees_and_an_error_of_one_camera_is_its_distance() -> None:
    pose = seen_by_both(torch.randn(4, 16, 3))
    seen = torch.ones(8, 16, dtype=torch.bool)
    assert disagreement(pose, rig([0, 1, 2, 3] * 2), seen).mean == pytest.approx(0, abs=1e-3)
    pose[4:] += torch.tensor([0.03, 0.0, 0.04])  # 50 mm, in one camera alone
    found = disagreement(pose, rig([0, 1, 2, 3] * 2), seen)
    assert found.mean == pytest.approx(50, abs=1e-3) and found.pairs == 4


def test_only_joints_that_both_saw_at_one_moment_are_compared() -> None:
    pose = seen_by_both(torch.randn(2, 16, 3))
    pose[0, 3] += 9.0
    seen = torch.ones(4, 16, dtype=torch.bool)
    seen[2, 3] = False
    assert disagreement(pose, rig([0, 1, 0, 1]), seen).mean == pytest.approx(0, abs=1e-3)
    assert disagreement(pose, rig([0, -1, 0, -1]), seen).pairs == 1
    assert disagreement(pose, rig([0, 1, 2, 3]), seen) == (None, 0)
