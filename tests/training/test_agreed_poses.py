"""The arm wide_target learns the poses that the cameras of a rig agree on, some in their own pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from poseda.config import RunConfig, WideConfig
from poseda.datasets import own_domains
from poseda.geometry.rotation import angle_between
from poseda.inference import AdaptedLifter
from poseda.method.views import DISTANCE
from poseda.runs.card import protocol_card
from poseda.training.found_poses import FoundPoses, with_found
from poseda.training.pairs import TrainingData
from tests.shared.rigs import FilmedRig, film_rig

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> FilmedRig:
    return film_rig(tmp_path_factory.mktemp("rig") / "rig", ((10, 0), (35, 5), (20, -4)), frames=30)


@pytest.fixture(scope="module")
def together(rig: FilmedRig) -> FoundPoses:
    return found(rig, agreed=True)


def found(rig: FilmedRig, agreed: bool, calibrated: bool = True) -> FoundPoses:
    """What the package's lifter finds in a rig."""
    config = RunConfig(wide=WideConfig(agreed=agreed))
    data = TrainingData.load(
        own_domains(rig.source, rig.paths, intrinsics=rig.calibration).adaptation(), torch.device("cpu")
    )
    assert data.target is not None and data.target.rig is not None
    if not calibrated:
        target = replace(data.target, rig=replace(data.target.rig, rotation=None))
        data = replace(data, target=target)
    return with_found(data, AdaptedLifter.load().lifter, 0.5, 0, config)


def test_poses_agreed_on_are_nearer_the_truth_and_come_with_their_pictures(
    rig: FilmedRig, together: FoundPoses
) -> None:
    alone = found(rig, agreed=False)
    taught = len(together.data.source) - together.own
    assert together.pictures is not None and len(together.pictures) == taught
    assert alone.pictures is None and len(alone.data.source) == len(together.data.source)
    truth = rig.pose_3d.flatten(0, 1).float()
    errors = {}
    for name, poses in (("together", together), ("alone", alone)):
        pose = poses.data.source.pose_3d[poses.own :] - torch.tensor([0.0, 0.0, DISTANCE])
        shown = poses.data.source.pose_2d[poses.own :]  # tells which frame of which camera it is
        at = torch.cdist(shown.flatten(1), found_in(rig)).argmin(1)
        errors[name] = float((pose - truth[at]).norm(dim=-1).mean())
    assert errors["together"] < 0.8 * errors["alone"]


def found_in(rig: FilmedRig) -> torch.Tensor:
    """The 2D (C * F, J * 2) of all cameras, in the order of the truth."""
    target = own_domains(rig.source, rig.paths, intrinsics=rig.calibration).adaptation().target
    assert target.rig is not None
    order = (target.rig.camera * 1000 + target.rig.moment).argsort()
    return target.pose_2d[order].flatten(1)


def test_cameras_that_are_not_calibrated_to_each_other_teach_by_themselves(rig: FilmedRig) -> None:
    assert found(rig, agreed=True, calibrated=False).pictures is None


def test_the_card_counts_the_rows_that_other_cameras_saw_too(rig: FilmedRig) -> None:
    config = RunConfig(arms=("wide", "wide_target"))
    domains = own_domains(rig.source, rig.paths, intrinsics=rig.calibration)
    card = protocol_card(config, domains, ())
    assert card["agreed poses"].startswith(
        "wide_target learns the pose that cameras agree on from 90 of 90 rows"
    )
    alone = replace(config, wide=WideConfig(agreed=False))
    assert "agreed poses" not in protocol_card(alone, domains, ())


def test_the_direction_upward_of_every_pose_is_that_of_its_camera(
    rig: FilmedRig, together: FoundPoses
) -> None:
    up = together.up[together.own :]
    off = angle_between(up[:, None], rig.up.float()[None]).rad2deg().amin(1)
    assert float(off.max()) < 12
