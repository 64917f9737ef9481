"""The fit of a person's motion: bones keep their lengths, joints their rays, movements are smooth."""

from __future__ import annotations

import doctest
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.datasets import Domains
from poseda.geometry.skeleton import COCO17, H36M16, Skeleton
from poseda.inference import fit as module
from poseda.inference.fit import FitOptions, Fitted, fit, noise_of_size
from poseda.inference.proportions import standing_height, usual_lengths

RATE = 10.0
"""Frames a second of the embedded domains."""

NOISE = 0.004
"""Of detections, in units of rays: 5 pixels in a picture 1 000 wide, at 44 degrees."""

ERROR = 0.05
"""Metres, of the lifter."""

DOG = Skeleton.declare("dog", {"hip": None, "chest": "hip", "nose": "chest", "tail": "hip"})


@pytest.fixture(scope="module", autouse=True)
def few_threads(one_thread: None) -> None:
    """Tensors here are small."""


@pytest.fixture(scope="module")
def clean(domains: Domains) -> dict[str, Any]:
    """Six clips of 20 frames and what a perfect lifter and detector say of them; `truth` is absolute."""
    poses = domains.evaluation()
    clips, size = poses.clip.unique(return_counts=True)
    poses = poses.rows(torch.isin(poses.clip, clips[size == 20][:6]))
    truth = poses.pose_3d
    assert len(truth) == 120
    return {
        "truth": truth,
        "pose_3d": truth - truth[:, :1],
        "sigma": torch.full((120, 16), ERROR),
        "rays": truth[..., :2] / truth[..., 2:],
        "seen": torch.ones(120, 16, dtype=torch.bool),
        "track": poses.clip,
        "time": torch.arange(20).repeat(6),
    }


@pytest.fixture(scope="module")
def noisy(clean: dict[str, Any]) -> dict[str, Any]:
    """The same, lifted and detected with errors of known size."""
    draw = torch.Generator().manual_seed(1)
    error = ERROR * torch.randn(120, 16, 3, generator=draw)
    error[:, 0] = 0
    noise = NOISE * torch.randn(120, 16, 2, generator=draw)
    return {**clean, "pose_3d": clean["pose_3d"] + error, "rays": clean["rays"] + noise}


def fitted(known: dict[str, Any], skeleton: Skeleton = H36M16, **options: Any) -> Fitted:
    settings = {"noise": NOISE, "options": FitOptions(rate=RATE), **options}
    return fit(*(value for name, value in known.items() if name != "truth"), skeleton, **settings)


def error(pose: Tensor, known: dict[str, Any]) -> Tensor:
    """(F, J) metres."""
    return (pose - (known["truth"] - known["truth"][:, :1])).norm(dim=-1)


def trembling(pose: Tensor, known: dict[str, Any]) -> float:
    """Mean error of accelerations, metres a frame squared."""
    off = pose - (known["truth"] - known["truth"][:, :1])
    return float(off.view(6, 20, 16, 3).diff(n=2, dim=1).norm(dim=-1).mean())


def lengths(pose: Tensor, skeleton: Skeleton = H36M16) -> Tensor:
    return ops.bones(pose.double(), skeleton).norm(dim=-1)


def test_lengths_are_constant_in_a_track_and_symmetric_to_rounding(noisy: dict[str, Any]) -> None:
    result = fitted(noisy)
    row = torch.searchsorted(result.tracks, noisy["track"])
    wanted = result.lengths.double()[row][:, list(H36M16.bone_groups)]
    assert (lengths(result.pose_3d) - wanted).abs().max() < 1e-6
    spread = lengths(noisy["pose_3d"])[:20].std(0) / lengths(noisy["pose_3d"])[:20].mean(0)
    assert spread.mean() > 0.1  # what came in was not constant


def test_poses_movements_and_reprojection_gain_where_lifter_and_detector_err(noisy: dict[str, Any]) -> None:
    result = fitted(noisy)
    assert error(result.pose_3d, noisy).mean() < 0.6 * error(noisy["pose_3d"], noisy).mean()
    assert trembling(result.pose_3d, noisy) < 0.3 * trembling(noisy["pose_3d"], noisy)
    assert result.after.mean() < 0.7 * result.before.mean()
    # The mean length of two-dimensional noise: joints lie on their rays within it, but not on its errors.
    assert 0.6 * NOISE < result.after.mean() < 1.5 * NOISE
    assert result.unconverged == 0


def test_the_root_is_found(noisy: dict[str, Any]) -> None:
    off = (fitted(noisy).root - noisy["truth"][:, 0]).norm(dim=-1) / noisy["truth"][:, 0].norm(dim=-1)
    assert off.mean() < 0.04


def test_clean_poses_stay_within_ten_millimetres(clean: dict[str, Any]) -> None:
    result = fitted(clean)
    assert error(result.pose_3d, clean).mean() < 0.01
    assert (result.root - clean["truth"][:, 0]).norm(dim=-1).mean() < 0.05


def test_stature_gives_true_lengths_and_depth(clean: dict[str, Any]) -> None:
    track = clean["track"].unique(return_inverse=True)[1]
    true = usual_lengths(clean["pose_3d"], track, 6, H36M16)
    small = {**clean, "pose_3d": 0.8 * clean["pose_3d"], "sigma": torch.full((120, 16), 0.02)}
    result = fitted(small, stature=standing_height(true, H36M16), noise=0.001)
    assert ((result.lengths / true).log().abs() < 0.02).all()
    assert ((result.root / clean["truth"][:, 0])[:, 2].log().abs() < 0.03).all()
    torch.testing.assert_close(standing_height(result.lengths, H36M16), standing_height(true, H36M16))
    assert ((result.scale / 1.25).log().abs() < 0.02).all()
    unknown = fitted(small, noise=0.001)
    assert (unknown.scale == 1).all()
    assert ((unknown.lengths / true).log().mean() + 0.22).abs() < 0.02  # 0.8, as the lifter says


def test_one_stature_may_be_known_and_another_not(noisy: dict[str, Any]) -> None:
    stature = torch.tensor([2.5] + [torch.nan] * 5)
    result, without = fitted(noisy, stature=stature), fitted(noisy)
    assert standing_height(result.lengths, H36M16)[0] == pytest.approx(2.5, abs=1e-5)
    torch.testing.assert_close(result.lengths[1:], without.lengths[1:])


def test_hidden_joints_gain_from_time_and_lengths(noisy: dict[str, Any]) -> None:
    joint = H36M16.joint("left_wrist")
    hidden = torch.arange(120) % 20
    hidden = (hidden > 7) & (hidden < 12)
    draw = torch.Generator().manual_seed(2)
    pose, sigma, seen = noisy["pose_3d"].clone(), noisy["sigma"].clone(), noisy["seen"].clone()
    pose[hidden, joint] += 0.15 * torch.randn(int(hidden.sum()), 3, generator=draw)
    sigma[hidden, joint], seen[hidden, joint] = 0.16, False
    rays = noisy["rays"].clone()
    rays[hidden, joint] = torch.nan
    known = {**noisy, "pose_3d": pose, "sigma": sigma, "seen": seen, "rays": rays}
    before, after = error(pose, known)[hidden, joint], error(fitted(known).pose_3d, known)[hidden, joint]
    assert after.mean() < 0.6 * before.mean()


def test_a_joint_detected_far_off_is_an_outlier_and_moves_little(noisy: dict[str, Any]) -> None:
    joint, frame = H36M16.joint("right_knee"), 30
    rays = noisy["rays"].clone()
    rays[frame, joint] += 0.3  # about a metre
    result, without = fitted({**noisy, "rays": rays}), fitted(noisy)
    assert result.outlier[frame, joint] and result.outlier.float().mean() < 0.05
    moved = (result.pose_3d - without.pose_3d).norm(dim=-1)
    assert moved[frame, joint] < 0.05 and moved.mean() < 0.005


def test_frames_with_too_few_seen_joints_are_carried(noisy: dict[str, Any]) -> None:
    seen = noisy["seen"].clone()
    seen[25:28, 3:] = False
    result = fitted({**noisy, "seen": seen})
    assert result.carried.nonzero()[:, 0].tolist() == [25, 26, 27]
    assert result.before.isnan().nonzero()[:, 0].tolist() == [25, 26, 27]
    assert (result.root[25:28] - noisy["truth"][25:28, 0]).norm(dim=-1).max() < 0.25
    assert error(result.pose_3d, noisy)[25:28].mean() < error(noisy["pose_3d"], noisy)[25:28].mean()


def test_a_person_never_seen_has_a_pose_but_no_root(noisy: dict[str, Any]) -> None:
    seen = noisy["seen"].clone()
    seen[:20] = False
    result = fitted({**noisy, "seen": seen})
    assert result.pose_3d.isfinite().all()
    assert result.root[:20].isnan().all() and result.root[20:].isfinite().all()
    assert result.carried[:20].all() and not result.carried[20:].any()
    # Lengths and time still speak.
    assert error(result.pose_3d, noisy)[:20].mean() < 0.8 * error(noisy["pose_3d"], noisy)[:20].mean()


def test_frames_without_a_pose_stay_so_and_the_others_do_not_see_them(noisy: dict[str, Any]) -> None:
    gone = torch.zeros(120, dtype=torch.bool)
    gone[[0, 33, 34, 119]] = True
    pose, sigma = noisy["pose_3d"].clone(), noisy["sigma"].clone()
    pose[gone, 2], sigma[gone] = torch.nan, torch.nan
    result = fitted({**noisy, "pose_3d": pose, "sigma": sigma})
    assert result.pose_3d[gone].isnan().all() and result.root[gone].isnan().all()
    assert not result.carried[gone].any()
    rest = fitted({name: value[~gone] for name, value in noisy.items()})
    torch.testing.assert_close(result.pose_3d[~gone], rest.pose_3d, rtol=0, atol=0)


def test_time_counts_in_seconds_not_in_rows(noisy: dict[str, Any]) -> None:
    twice = fitted({**noisy, "time": 2 * noisy["time"]}, options=FitOptions(rate=2 * RATE))
    torch.testing.assert_close(twice.pose_3d, fitted(noisy).pose_3d)
    slow = fitted(noisy, options=FitOptions(rate=RATE / 4))
    assert trembling(slow.pose_3d, noisy) > 1.5 * trembling(twice.pose_3d, noisy)


def test_a_long_gap_holds_nothing_together(noisy: dict[str, Any]) -> None:
    """Frames before a gap are the same wherever the person stands after it."""
    known = {name: value[:20] for name, value in noisy.items()}
    known["time"] = known["time"] + 1000 * (known["time"] >= 10)
    away = known["truth"] + torch.tensor([1.0, 0, 2]) * (torch.arange(20) >= 10)[:, None, None]
    moved = {**known, "truth": away, "rays": away[..., :2] / away[..., 2:]}
    near, far = fitted({**known, "rays": known["truth"][..., :2] / known["truth"][..., 2:]}), fitted(moved)
    assert (near.root - far.root)[:10].norm(dim=-1).max() < 0.03
    assert (far.root - away[:, 0])[10:].norm(dim=-1).mean() < 0.4


def test_a_short_gap_is_bridged(noisy: dict[str, Any]) -> None:
    keep = torch.arange(120) % 20
    keep = (keep < 8) | (keep > 10)
    known = {name: value[keep] for name, value in noisy.items()}
    result = fitted(known)
    assert error(result.pose_3d, known).mean() < 0.7 * error(known["pose_3d"], known).mean()


def test_single_pictures_are_fitted(noisy: dict[str, Any]) -> None:
    known = {name: value[::10] for name, value in noisy.items()}
    known["track"] = torch.arange(12)
    result = fitted(known)
    assert error(result.pose_3d, known).mean() < 0.9 * error(known["pose_3d"], known).mean()
    assert len(result.lengths) == 12 and result.after.mean() < result.before.mean()


def test_any_tree_is_fitted() -> None:
    draw = torch.Generator().manual_seed(3)
    spread = torch.randn(1, 4, 3, generator=draw)
    steps = torch.linspace(0, 1, 30)[:, None, None] * torch.tensor([1.0, 0, 0])
    truth = (spread + steps + torch.tensor([0.0, 0, 5])).contiguous()
    lifted = truth - truth[:, :1] + 0.05 * torch.randn(30, 4, 3, generator=draw)
    lifted = lifted - lifted[:, :1]
    known = {
        "truth": truth,
        "pose_3d": lifted,
        "sigma": torch.full((30, 4), 0.05),
        "rays": truth[..., :2] / truth[..., 2:],
        "seen": torch.ones(30, 4, dtype=torch.bool),
        "track": torch.zeros(30, dtype=torch.int64),
        "time": torch.arange(30),
    }
    result = fitted(known, DOG)
    assert result.lengths.shape == (1, 3)
    assert error(result.pose_3d, known).mean() < 0.5 * error(lifted, known).mean()
    with pytest.raises(ValueError, match=r"stature: expected a skeleton with left_hip.*'dog'; leave it out"):
        fitted(known, DOG, stature=0.5)


def test_the_order_of_rows_does_not_matter_and_bits_repeat(noisy: dict[str, Any]) -> None:
    order = torch.from_numpy(np.random.default_rng(0).permutation(120))
    first, mixed = fitted(noisy), fitted({name: value[order] for name, value in noisy.items()})
    assert torch.equal(first.pose_3d[order], mixed.pose_3d) and torch.equal(first.root[order], mixed.root)


def test_tracks_fitted_a_few_at_a_time_are_the_same(noisy: dict[str, Any]) -> None:
    together = fitted(noisy)
    parts = fitted(noisy, options=FitOptions(rate=RATE, frames_at_once=45))
    torch.testing.assert_close(parts.pose_3d, together.pose_3d, rtol=0, atol=1e-4)
    assert parts.tracks.equal(together.tracks)


def test_tracks_that_do_not_converge_are_counted(noisy: dict[str, Any]) -> None:
    assert fitted(noisy, options=FitOptions(rate=RATE, steps=1)).unconverged == 6


def test_few_frames_lean_on_the_proportions_of_all() -> None:
    draw = torch.Generator().manual_seed(4)
    odd = torch.randn(1, 16, 3, generator=draw)
    pose = torch.cat([odd, torch.randn(1, 16, 3, generator=draw).expand(40, 16, 3)])
    track = torch.tensor([0] + [1] * 40)
    own = usual_lengths(pose[:1], track[:1], 1, H36M16)
    both = usual_lengths(pose, track, 2, H36M16)
    spread = (both[0] / both[1]).log().std() / (own[0] / both[1]).log().std()
    assert spread < 0.45
    torch.testing.assert_close(both[0].log().mean(), own[0].log().mean())  # its size is its own


def test_a_standing_body_is_as_tall_as_its_bones() -> None:
    groups = max(H36M16.bone_groups) + 1
    # Head, thorax, spine, thigh and shank are all but the ankle's height.
    assert float(standing_height(torch.ones(1, groups), H36M16)) == pytest.approx(5 / 0.961)
    groups = max(COCO17.bone_groups) + 1
    assert float(standing_height(torch.full((1, groups), 0.42), COCO17)) == pytest.approx(0.84 / 0.491)


def test_noise_is_a_share_of_the_size_of_seen_joints() -> None:
    rays = torch.tensor([[[0.0, 0], [3, 4], [torch.nan, 9]], [[1, 1], [2, 2], [3, 3]]])
    seen = torch.tensor([[True, True, False], [True, False, False]])
    assert noise_of_size(rays, seen, 0.1).flatten().tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("seed", range(10))
def test_no_nonsense_gives_nan(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    skeleton = (H36M16, COCO17)[seed % 2]
    joints = skeleton.num_joints
    pose = random(30, joints, 3) * 10 ** random(1) * (seed % 5 > 0)
    pose = pose - pose[:, :1]
    rays, sigma = random(30, joints, 2) * (seed % 3 > 0), 10 ** (2 * random(30, joints)) * (seed % 4 > 0)
    seen, track = random(30, joints) > random(1), random(30).abs().long()
    time, noise = 10**seed * torch.arange(30), float(10 ** (2 * random(1)))
    result = fit(pose, sigma, rays, seen, track, time, skeleton, noise=noise)
    assert result.pose_3d.isfinite().all() and result.lengths.isfinite().all()
    assert result.root[~result.carried].isfinite().all()


def test_nothing_gives_nothing(noisy: dict[str, Any]) -> None:
    result = fitted({name: value[:0] for name, value in noisy.items()})
    assert result.pose_3d.shape == (0, 16, 3) and result.lengths.shape == (0, 9) and result.unconverged == 0
    gone = fitted({**noisy, "pose_3d": torch.full((120, 16, 3), torch.nan)})
    assert gone.pose_3d.isnan().all() and gone.lengths.isnan().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": torch.ones(120, 15)}, r"sigma: expected shape \(120, 16\) for 'h36m16', got \(120, 15\)"),
        ({"rays": torch.ones(120, 16, 3)}, r"rays: expected shape \(120, 16, 2\)"),
        ({"track": torch.zeros(119, dtype=torch.int64)}, r"track: expected shape \(120,\)"),
        ({"time": torch.zeros(120, dtype=torch.int64)}, "time: expected each frame once.*frame 0 twice"),
        ({"sigma": -torch.ones(120, 16)}, "sigma: expected finite numbers from 0 on, .*1920 joints"),
        ({"rays": torch.full((120, 16, 2), torch.nan)}, "rays: expected finite numbers where .* 1920 joints"),
        ({"noise": 0.0}, "noise: expected numbers above 0, got 0.0"),
        ({"noise": torch.ones(7, 16)}, r"noise: expected a number or shape \(120, 16\), got \(7, 16\)"),
        ({"stature": -1.7}, "stature: expected metres above 0.*got -1.7"),
        ({"stature": torch.ones(2)}, r"stature: expected .* 6, one a track, got shape \(2,\)"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    noisy: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    settings = {name: change[name] for name in ("noise", "stature") if name in change}
    with pytest.raises(ValueError, match=message):
        fitted({**noisy, **{name: change[name] for name in change if name not in settings}}, **settings)


def test_wrong_types_and_options_are_refused_by_name(noisy: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"seen: expected torch.bool, got torch.float32"):
        fitted({**noisy, "seen": torch.ones(120, 16)})
    with pytest.raises(ValueError, match=r"options.rate: expected a number above 0, got 0"):
        replace(FitOptions(), rate=0.0)


def test_the_example_runs() -> None:
    result = doctest.testmod(module, extraglobs={"torch": torch})
    assert result.attempted and not result.failed
