"""Label-free measures against poses whose answer is known, any skeleton, unseen joints masked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from poseda.config import RunConfig, ViewsConfig
from poseda.datasets import UnlabelledPoses, own_domains
from poseda.evaluation import labelfree, labelfree_run
from poseda.evaluation.evaluate import told_in
from poseda.geometry.camera import Camera, project
from poseda.geometry.placements import REFINEMENTS, locate
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.inference import AdaptedLifter
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import lift_poses
from tests.shared.rigs import film_rig

LENS = Camera(
    focal=torch.tensor([[1.5, 1.52]], dtype=torch.float64),
    center=torch.tensor([[0.02, -0.01]], dtype=torch.float64),
    distortion=torch.tensor([[-0.1, 0.02, 0.0, 0.001, -0.001]], dtype=torch.float64),
    aspect=torch.tensor([0.75], dtype=torch.float64),
)
FORK = Skeleton.declare(
    "fork", {"base": None, "left": "base", "right": "base"}, [("left", "right")]
)  # two bones, twins


def people(count: int) -> tuple[Tensor, Tensor]:
    """Root-relative poses (N, 16, 3) and roots (N, 3), metres."""
    local = 0.3 * torch.randn(count, 16, 3, dtype=torch.float64)
    local = local - local[:, :1]
    root = torch.tensor([0.3, -0.2, 4.0]) + 0.3 * torch.randn(count, 3, dtype=torch.float64)
    return local, root


def seen_from(local: Tensor, root: Tensor, visible: Tensor | None = None) -> UnlabelledPoses:
    screen = project(local + root[:, None], LENS)
    if visible is not None:
        screen = screen.where(visible[..., None], torch.zeros_like(screen))
    return UnlabelledPoses(screen, LENS.expand(len(local)), torch.arange(len(local)) // 5, visible)


def test_a_pose_is_placed_where_it_stood() -> None:
    local, root = people(20)
    screen = project(local + root[:, None], LENS)
    torch.testing.assert_close(locate(local, screen, LENS), root, rtol=1e-6, atol=1e-8)
    seen = torch.rand(20, 16) > 0.4
    screen = screen.where(seen[..., None], torch.full_like(screen, torch.nan))
    torch.testing.assert_close(locate(local, screen, LENS, seen, REFINEMENTS), root, rtol=1e-6, atol=1e-8)


def test_refined_placement_fits_the_picture_better_than_any_step_aside() -> None:
    local, root = people(30)
    lens = dataclasses.replace(LENS, distortion=None)
    screen = project(local + root[:, None], lens) + 0.02 * torch.randn(30, 16, 2, dtype=torch.float64)

    def misfit(place: Tensor) -> Tensor:
        return (project(local + place[:, None], lens) - screen).square().sum((1, 2))

    best = locate(local, screen, lens, refinements=REFINEMENTS)
    assert misfit(best).mean() < misfit(locate(local, screen, lens)).mean()
    for axis in range(3):
        for step in (-0.001, 0.001):
            aside = best.clone()
            aside[:, axis] += step
            assert (misfit(aside) > misfit(best)).all()


def test_what_fixes_no_place_is_not_a_number() -> None:
    local, root = people(3)
    screen = project(local + root[:, None], LENS)
    seen = torch.ones(3, 16, dtype=torch.bool)
    seen[0, 1:] = False
    assert locate(local, screen, LENS, seen).isnan().all(1).tolist() == [True, False, False]
    # The mirror image of a body would have to stand behind the camera.
    assert locate(-local, screen, LENS).isnan().all()


def test_reprojection_counts_pixels_at_a_thousand_and_shares_of_the_body() -> None:
    local, root = people(8)
    target = seen_from(local, root)
    pixels, percent = labelfree.reprojection(local, target, H36M16)
    assert pixels.max() < 1e-6 and percent.max() < 1e-6
    # One joint of 16 off by 0.02 half widths, 10 of 1000 pixels: at best the squares sum to a little below
    # 100, so the mean lies between 10 / 16 and 10 / 4.
    off = UnlabelledPoses(target.pose_2d.clone(), target.camera, target.clip)
    off.pose_2d[:, 5, 0] += 0.02
    pixels, percent = labelfree.reprojection(local, off, H36M16)
    assert ((pixels > 0.6) & (pixels < 2.5)).all()
    size = (off.pose_2d.amax(1) - off.pose_2d.amin(1)).mean(1)
    torch.testing.assert_close(percent, 100 * pixels / 500 / size)
    # The same joint unseen is not held against the prediction.
    visible = torch.ones(8, 16, dtype=torch.bool)
    visible[:, 5] = False
    masked = UnlabelledPoses(off.pose_2d, off.camera, off.clip, visible)
    assert labelfree.reprojection(local, masked, H36M16)[0].max() < 1e-6


def test_asymmetry_is_the_difference_over_the_mean() -> None:
    pose = torch.tensor([[[0.0, 0, 0], [1.1, 0, 0], [0, 0.9, 0]], [[0.0, 0, 0], [1, 0, 0], [0, 0, 1]]])
    assert labelfree.asymmetry(pose, FORK).tolist() == pytest.approx([20.0, 0.0], abs=1e-4)
    seen = torch.tensor([[True, True, False], [True, True, True]])
    found = labelfree.asymmetry(pose, FORK, seen)
    assert found.isnan().tolist() == [True, False]
    lone = Skeleton.declare("lone", {"base": None, "tip": "base"})
    assert labelfree.asymmetry(pose[:, :2], lone).isnan().all()


def test_inconstancy_is_the_deviation_within_a_clip() -> None:
    # Clip 7: left bone 1 and 3 (mean 2, deviation 1: 50 %), right bone constant. Clip 9: one frame.
    pose = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0.0, 0, 0], [0, 3, 0], [0, 0, 1]]]).double()
    pose = torch.cat([pose, 5 * pose[:1]])
    clip = torch.tensor([7, 7, 9])
    assert labelfree.inconstancy(pose, FORK, clip).tolist() == pytest.approx([25.0])
    seen = torch.tensor([[True, True, True], [True, False, True], [True, True, True]])
    assert labelfree.inconstancy(pose, FORK, clip, seen).tolist() == pytest.approx([0.0])


def test_a_description_is_complete_and_says_none_where_nothing_is_known() -> None:
    local, root = people(10)
    numbers = labelfree.describe(local.float(), seen_from(local, root), H36M16)
    assert numbers["poses"] == 10 and numbers["reprojection_px"] < 1e-3
    assert numbers["asymmetry_percent"] > 1 and numbers["inconstancy_percent"] > 1
    assert numbers["implausible_percent"] >= max(numbers["limits"].values()) > 0
    pose = torch.randn(4, 3, 3)
    screen = UnlabelledPoses(torch.rand(4, 3, 2), LENS.to(torch.float32).expand(4), torch.arange(4))
    numbers = labelfree.describe(pose, screen, FORK)
    assert numbers["inconstancy_percent"] is None and numbers["implausible_percent"] is None
    assert numbers["limits"] == {} and numbers["asymmetry_percent"] is not None


def test_alignment_shrinks_the_distances_it_should() -> None:
    local, root = people(400)
    source = project(local + root[:, None], LENS)
    target = 1.4 * project(local.roll(1, 0) + root[:, None], LENS) + torch.tensor([0.2, 0.1])
    samples = {
        "source_2d": source,
        "target_2d": target,
        "aligned_2d": target.roll(7, 0),
        "aligned_valid": torch.ones(400, dtype=torch.bool),
    }
    found = labelfree.distances_from_target(samples, H36M16)
    assert set(found) == {"source", "aligned"} and set(found["source"]) == {"root", "size", "posture"}
    assert found["source"]["root"] > 0.05 and found["source"]["size"] > 0.05
    assert found["source"]["posture"] < 0.02
    assert max(found["aligned"].values()) == pytest.approx(0.0, abs=1e-9)


def test_unseen_joints_lie_on_the_root_as_lifters_are_trained_to_see_them() -> None:
    local, root = people(2)
    visible = torch.ones(2, 16, dtype=torch.bool)
    visible[0, 4] = False
    target = seen_from(local, root, visible)
    hidden = labelfree.hidden_on_root(target, H36M16)
    assert torch.equal(hidden[0, 4], target.pose_2d[0, 0]) and torch.equal(hidden[1], target.pose_2d[1])


def test_the_difference_of_two_models_is_in_millimetres_over_seen_joints() -> None:
    one, seen = torch.zeros(2, 3, 3), torch.tensor([[True, True, False], [False, True, False]])
    other = one.clone()
    other[..., 0] = torch.tensor([[0.0, 0.3, 9.0], [9.0, 0.6, 9.0]])
    assert labelfree.moved(one, other, seen) == pytest.approx(300.0)


def test_estimates_of_a_target_at_a_limit_are_kept_with_their_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = film_rig(tmp_path / "rig", ((10, 0), (35, 5)))
    target = own_domains(rig.source, rig.paths, intrinsics=rig.calibration).adaptation().target
    lifter = AdaptedLifter.load().lifter.eval()
    assert isinstance(lifter, WideLifter)
    found = lift_poses(lifter, target)
    views = ViewsConfig(lowest=-20, highest=25, build=0.5)  # lengths may be anything
    config = RunConfig(target=tuple(rig.paths), source=rig.source, views=views)
    numbers = labelfree_run._estimates(found, target, lifter, config)
    assert len(numbers["tilt"]) == 2 and len(numbers["at_limits"]) == 1
    assert numbers["at_limits"][0].startswith("cam1: the pitch that was found, ")
    thin = dataclasses.replace(config, views=ViewsConfig(build=0.001, stature=0))
    sentences = labelfree_run._estimates(found, target, lifter, thin)["at_limits"]
    assert [text[:21] for text in sentences] == ["track 1 of the target", "track 2 of the target"]
    monkeypatch.setattr(labelfree_run, "NAMED", 1)
    (many,) = labelfree_run._estimates(found, target, lifter, thin)["at_limits"]
    assert many.startswith("2 of 2 tracks have bones at a limit, such as track 1 of the target: the bone to")
    # Detections are told the lengths that are found in them, 2D of the source's joints those behind these.
    assert not told_in(config).true_lengths
    assert told_in(dataclasses.replace(config, target=(), source=None)).true_lengths
    # What the user gives is no estimate.
    told = dataclasses.replace(target, up=rig.up.float()[target.rig.camera])
    given = lift_poses(lifter, told)
    assert labelfree_run._estimates(given, told, lifter, config)["at_limits"] == []
