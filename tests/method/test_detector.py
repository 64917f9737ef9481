"""Joints that a detector misses beyond the end of a picture, and for runs of frames."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks.step.launches import Launches
from poseda.config import DetectorConfig
from poseda.geometry.skeleton import H36M16
from poseda.method.detector import DEEPEST, SIDES, Detector, box_of
from poseda.method.draws import Draws

pytestmark = pytest.mark.usefixtures("one_thread")

SILENT = DetectorConfig(noise=0, misplaced=0, swapped=0, masked=0, as_target=0)
"""A detector without errors."""

CROPPING = dataclasses.replace(SILENT, cropped=1.0, fewest=3)
BURSTING = dataclasses.replace(
    SILENT, masked=1.0, hidden=0.4, hidden_part=0.0, burst=1.0, fewest=3, cropped=0.0
)

FRAMES = 27


def people(count: int = 2000, frames: int = 1) -> torch.Tensor:
    """Rays of upright people: taller than wide, with joints from head to foot."""
    generator = torch.Generator().manual_seed(1)
    still = torch.randn(count, 1, 16, 2, generator=generator) * torch.tensor([0.05, 0.15])
    return still + 0.01 * torch.randn(count, frames, 16, 2, generator=generator)


def seen(
    options: DetectorConfig, rays: torch.Tensor, patterns: torch.Tensor | None = None, seed: int = 0
) -> torch.Tensor:
    """Which joints are found: (N, T, J)."""
    detector = Detector(H36M16, options, patterns)
    drawn = Draws(detector.columns(rays.shape[1]))(len(rays), torch.Generator().manual_seed(seed))
    return detector.seen(rays, drawn)


def beyond_lines(rays: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """(N, 4) bool: whether a line parallel to a side (left, right, top, bottom) parts unseen from seen."""
    rays, shown = rays.flatten(1, 2)[:, :, None], shown.flatten(1, 2)[..., None, None]
    signed = torch.cat([-rays, rays], 2)  # beyond is above: left, top; right, bottom
    highest_seen = signed.masked_fill(~shown, -torch.inf).amax(1)
    lowest_unseen = signed.masked_fill(shown, torch.inf).amin(1)
    return (lowest_unseen > highest_seen).mT.flatten(1)


@pytest.mark.parametrize("frames", [1, 5])
def test_a_picture_ends_at_one_line_and_all_joints_beyond_are_unseen(frames: int) -> None:
    rays = people(frames=frames)
    shown = seen(CROPPING, rays)
    lacking = ~shown.flatten(1).all(1)
    parted = beyond_lines(rays[lacking], shown[lacking])
    assert parted.any(1).all(), "unseen joints lie beyond one line, seen joints before it"
    assert lacking.float().mean() > 0.5


def test_the_picture_ends_on_each_side_as_often_as_it_does_for_real_and_never_too_deep() -> None:
    rays = people(8000)
    shown = seen(CROPPING, rays)
    lacking = ~shown.flatten(1).all(1)
    parted = beyond_lines(rays[lacking], shown[lacking]).float()
    found = (parted / parted.sum(1, keepdim=True)).mean(0)
    torch.testing.assert_close(found, torch.tensor(SIDES).flatten(), atol=0.03, rtol=0)
    (low, size), place = box_of(rays), rays[:, 0]
    depth = (low + size - place.masked_fill(~shown[:, 0, :, None], -torch.inf).amax(1)) / size
    below = parted[:, 3] == 1
    assert 0.9 * DEEPEST < depth[lacking][below][:, 1].quantile(0.9) < 1.5 * DEEPEST


def test_as_many_pictures_end_before_the_person_as_asked_for() -> None:
    rays = people(8000)
    share = (~seen(dataclasses.replace(CROPPING, cropped=0.2), rays).flatten(1).all(1)).float().mean()
    whole = (~seen(CROPPING, rays).flatten(1).all(1)).float().mean()
    assert abs(float(share / whole) - 0.2) < 0.02


def test_a_picture_that_would_show_too_few_joints_shows_all() -> None:
    shown = seen(dataclasses.replace(CROPPING, fewest=12), people())
    assert shown.sum(-1).min() >= 12 and not shown.all()
    windows = seen(dataclasses.replace(BURSTING, hidden=1.0, fewest=8), people(frames=FRAMES))
    assert windows.sum(-1).min() >= 8 and not windows.all()


def test_joints_of_detections_of_the_target_are_not_cropped_again() -> None:
    pattern = torch.ones(1, 16, dtype=torch.bool)
    assert seen(dataclasses.replace(CROPPING, as_target=1.0), people(), pattern).all()


def test_joints_that_cannot_be_seen_never_are() -> None:
    rays = people(frames=3)
    detector = Detector(H36M16, dataclasses.replace(BURSTING, cropped=0.5, fewest=8))
    drawn = Draws(detector.columns(3))(len(rays), torch.Generator().manual_seed(0))
    shown = torch.rand(rays.shape[:3], generator=torch.Generator().manual_seed(2)) < 0.5
    assert not (detector.seen(rays, drawn, shown) & ~shown).any()


def test_joints_of_a_burst_are_hidden_for_one_run_of_frames_in_part_of_the_window() -> None:
    limbs = sorted(
        joint for pair in H36M16.symmetric_joints for joint in pair
    )  # others go with the trunk, too
    hidden = ~seen(BURSTING, people(frames=FRAMES))[..., limbs]
    edges = torch.nn.functional.pad(hidden.int(), (0, 0, 1, 1)).diff(dim=1).clamp_min(0).sum(1)
    assert edges.max() == 1, "one run a joint"
    share = (hidden.float().mean(1)).flatten()
    partly = share[(share > 0) & (share < 1)]
    assert partly.min() < 1.5 / FRAMES and 0.36 < partly.mean() < 0.46, "as in real detections, about 0.4"
    assert partly.numel() > 0.8 * (share > 0).sum()
    assert hidden[:, 0].any() and hidden[:, -1].any(), "runs may begin before the window and end after it"
    every = hidden.float().mean((0, 2))
    assert every.max() < 1.3 * every.min(), "no frame of the window is special"


def test_some_joints_are_lost_together() -> None:
    hidden = ~seen(BURSTING, people(frames=FRAMES))
    begins = torch.nn.functional.pad(hidden.int(), (0, 0, 1, 0)).diff(dim=1) == 1
    begins = begins[:, 1:]  # in the window
    with_others = (begins & (begins.sum(2, keepdim=True) > 1)).sum() / begins.sum()
    assert 0.4 < with_others < 0.9


def test_a_hidden_part_has_one_run_for_all_its_joints() -> None:
    options = dataclasses.replace(BURSTING, hidden=0.0, hidden_part=1.0)
    hidden = ~seen(options, people(frames=FRAMES))
    some = hidden.any(2, keepdim=True) & hidden.any(1, keepdim=True)
    assert torch.equal(hidden, some) and hidden.any()


def test_other_masked_windows_are_hidden_throughout() -> None:
    hidden = ~seen(dataclasses.replace(BURSTING, burst=0.3), people(frames=FRAMES))
    lacking = hidden.flatten(1).any(1)
    changing = (hidden.any(1) & ~hidden.all(1)).any(1)
    assert 0.2 < changing[lacking].float().mean() < 0.4
    assert torch.equal(changing, changing & lacking)


def test_rates_of_zero_draw_the_numbers_that_were_drawn_before() -> None:
    detector = Detector(H36M16, dataclasses.replace(DetectorConfig(), cropped=0.0, burst=0.0))
    assert not {"side", "burst", "run_start"} & set(detector.columns(9))
    assert not {"burst", "run_start"} & set(Detector(H36M16, DetectorConfig(burst=1.0)).columns(1))


def kernels(options: DetectorConfig) -> int:
    """Kernels of a look at single frames, with their random numbers."""
    detector, rays = Detector(H36M16, options), people(8)
    draws, launches = Draws(detector.columns(1)), Launches()
    with launches:
        drawn, box = draws(8), box_of(rays)
        detector.disturb(rays, drawn, box)
        detector.seen(rays, drawn, None, box)
    return sum(launches.parts.values())


def test_the_end_of_the_picture_costs_eight_kernels_and_bursts_cost_single_frames_none() -> None:
    usual = kernels(DetectorConfig())
    assert kernels(DetectorConfig(cropped=0.1)) == usual + 8
    assert kernels(DetectorConfig(burst=0.75)) == usual


def test_looks_at_windows_read_no_table_of_the_host() -> None:
    device = torch.device("meta")
    pattern = torch.ones(1, 16, dtype=torch.bool)
    detector = Detector(H36M16, DetectorConfig(cropped=0.1, burst=0.75), pattern, device)
    drawn = Draws(detector.columns(9), device)(8)
    assert detector.seen(torch.empty(8, 9, 16, 2, device=device), drawn).shape == (8, 9, 16)
