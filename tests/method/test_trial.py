"""Directions put to the test: the true one lets poses fit their pictures, and the vote profits."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from torch import Tensor

from poseda import pretrained
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.datasets.upright import find_up
from poseda.geometry.camera import Camera, project, tilted_up
from poseda.geometry.kinematics import root_relative
from poseda.geometry.rotation import angle_between, rotation_matrix, shortest_rotation
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.lifters.directions import CANDIDATES, Evidence
from poseda.lifters.observation import Observation
from poseda.method.trial import TRIED_PITCHES, TRIED_ROLLS, evidence
from poseda.method.two_passes import Told, lift_frames

pytestmark = pytest.mark.usefixtures("one_thread")

RAYS = Camera(torch.ones(1, 2), torch.zeros(1, 2))


@lru_cache
def embedded_poses(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(N, 16, 3) poses of the embedded target and (N, 3) upward in their axes."""
    poses = EmbeddedDomains(size=0.2).evaluation()
    rows = torch.randperm(len(poses), generator=torch.Generator().manual_seed(seed))[:count]
    return poses.rows(rows).root_relative, find_up(poses, H36M16).up[rows]


def filmed(pitch: float, roll: float, seed: int) -> tuple[Tensor, Observation]:
    """Upward (3,) and what a camera of this tilt sees of 64 people who stand and move, degrees."""
    pose, up = embedded_poses(64, seed)
    wanted = tilted_up(torch.deg2rad(torch.tensor([pitch, roll])))
    turned = torch.einsum("nij,nkj->nki", rotation_matrix(shortest_rotation(up, wanted.expand_as(up))), pose)
    rays = project(turned + torch.tensor([0.0, 0.0, 4.0]), RAYS)
    return wanted, Observation.of(rays, RAYS, None, H36M16.num_groups)


def test_evidence_is_linear_between_its_tilts_and_constant_beyond() -> None:
    found = Evidence(torch.tensor([[0.0, 1.0], [2.0, 5.0]]), range(0, 11, 10), range(-10, 11, 20))
    tilts = torch.tensor([[0.0, -10.0], [10.0, 10.0], [5.0, 0.0], [0.0, 5.0], [-20.0, -40.0], [60.0, 30.0]])
    values = found.of(tilted_up(torch.deg2rad(tilts)))
    assert values.tolist() == pytest.approx([0, 5, 2, 0.75, 0, 5], abs=1e-4)


def test_poses_that_are_true_under_one_direction_alone_name_it() -> None:
    up, frames = filmed(36.0, 10.0, 0)
    truth = embedded_poses(64, 0)[0]

    def lift(some: Observation) -> Tensor:
        """The true pose, stretched by how wrong the direction is."""
        wrong = 1 + angle_between(some.up, up.expand_as(some.up))
        turn = rotation_matrix(shortest_rotation(embedded_poses(64, 0)[1], up.expand(64, 3)))
        pose = torch.einsum("nij,nkj->nki", turn, truth).repeat(len(some) // 64, 1, 1)
        return root_relative(pose * torch.stack([wrong, 1 / wrong, wrong], 1)[:, None])

    found = evidence(lift, frames, worth=10.0)
    best = int(found.table.argmax())
    assert TRIED_PITCHES[best // len(TRIED_ROLLS)] == 36 and TRIED_ROLLS[best % len(TRIED_ROLLS)] == 10


def test_the_packages_lifter_finds_tilts_with_the_trial_and_without() -> None:
    lifter = AdaptedLifter.load(pretrained.FOLDER, device="cpu").lifter
    one = torch.zeros(64, dtype=torch.int64)
    off: dict[bool, list[float]] = {True: [], False: []}
    for seed, (pitch, roll) in enumerate([(0.0, 0.0), (20.0, -8.0), (35.0, 5.0), (50.0, 0.0)]):
        up, frames = filmed(pitch, roll, seed)
        for tried, errors in off.items():
            lifted = lift_frames(lifter, frames, one, one, Told(find_lengths=False, tried=tried))  # type: ignore[arg-type]
            errors.append(float(angle_between(lifted.up[0], up).rad2deg()))
    assert max(off[True]) < 8 and max(off[False]) < 8
    assert off[True] != off[False]


def test_all_candidates_have_evidence() -> None:
    found = Evidence(torch.zeros(len(TRIED_PITCHES), len(TRIED_ROLLS)), TRIED_PITCHES, TRIED_ROLLS)
    assert found.of(CANDIDATES).shape == (len(CANDIDATES),) and found.of(CANDIDATES).isfinite().all()
