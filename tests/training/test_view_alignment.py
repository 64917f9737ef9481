"""What `gpa_lpa_view` reads off a target: views, upright directions, builds, in spite of a biased scout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda.config import AlignmentConfig, preset
from poseda.datasets import AdaptationData, UnlabelledPoses, open_domains
from poseda.geometry.camera import Camera, pitch_roll, up_of
from poseda.geometry.rotation import rotation_matrix
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.training import view_alignment as alignment
from poseda.training.errors import TrainingError
from poseda.training.pairs import Proposal, Resident, carry_out, source_like_target


def embedded(size: float = 0.05) -> AdaptationData:
    return open_domains(None, size=size).adaptation()


def test_a_view_is_a_lens() -> None:
    focal = torch.tensor([1.0, 2.0, 1.0, 3.0, 2.0, 1.0])[:, None].expand(6, 2)
    camera = Camera(focal, torch.zeros(6, 2))
    options = AlignmentConfig(min_poses=2)
    assert alignment.views_of(camera, 6, options).tolist() == [0, 1, 0, 0, 1, 0]  # a lone pose: the largest
    assert alignment.views_of(camera, 6, replace(options, max_views=2)).tolist() == [0] * 6
    assert alignment.views_of(Camera(focal[:1], torch.zeros(1, 2)), 4, options).tolist() == [0] * 4


def test_most_bodies_decide_what_is_up() -> None:
    source = alignment.level(embedded().source, H36M16, AlignmentConfig())
    up = alignment.mean_up(source.pose_3d, H36M16)
    assert torch.rad2deg(torch.acos(-up[1])) < 0.5
    lying = source.pose_3d.clone()
    lying[: len(lying) // 5] = lying[: len(lying) // 5, :, [1, 0, 2]]
    # A fifth lies down sideways: an average would turn by 11 degrees.
    assert torch.rad2deg(torch.acos(-alignment.mean_up(lying, H36M16)[1])) < 5


def test_levelling_finds_the_pitch_of_each_camera() -> None:
    source = open_domains(None, size=0.3).adaptation().source
    view = alignment.views_of(source.camera, len(source), AlignmentConfig())
    for number in range(int(view.max()) + 1):
        rows = view == number
        up = alignment.mean_up(source.pose_3d[rows], H36M16)
        true = float(source.columns["pitch"][rows.numpy()][0])
        assert abs(pitch_roll(up)[0].rad2deg().item() - true) < 2.5


def test_shares_add_up_and_follow_a_longer_limb() -> None:
    pose = embedded().source.pose_3d
    before = alignment.shares(pose, H36M16)
    sizes = torch.tensor(H36M16.bone_groups).bincount()
    torch.testing.assert_close((before.exp() * sizes).sum(), torch.tensor(1.0))


def test_plus_stands_bodies_as_the_view_tilts_them() -> None:
    data = embedded()
    resident = Resident.load(data, torch.device("cpu"))
    levelled = replace(resident, source=alignment.level(data.source, H36M16, AlignmentConfig()))
    size = len(resident.placements)
    up = up_of(torch.tensor([[0.3, -0.1]]))
    build = torch.zeros(H36M16.num_groups)
    build[1] = 0.1
    found = alignment.Estimate(torch.zeros(size, dtype=torch.int64), up, build, torch.zeros(11))
    aligned = alignment.aligned(levelled, found)
    rows, config = torch.arange(500), preset("tiny")
    still = Proposal(torch.zeros(500, 15, 3), torch.zeros(500, 9), torch.zeros(500, 3))
    for proposal in (None, still):
        seen = carry_out(aligned, rows, rows % size, proposal, "gpa", config)
        got = alignment.mean_up(seen.pose_3d[seen.valid], H36M16)
        own = alignment.mean_up(aligned.source.pose_3d[rows], H36M16)
        expected = rotation_matrix(alignment.shortest_turn(up_of(torch.zeros(2)), up[0])) @ own
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-3)
    thigh = H36M16.bone_groups.index(1) + 1
    length = [
        (poses.pose_3d[:, thigh] - poses.pose_3d[:, H36M16.parents[thigh]]).norm(dim=-1)
        for poses in (levelled.source, aligned.source)
    ]
    torch.testing.assert_close(length[1], 1.1 * length[0])


def test_a_biased_scout_is_seen_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scout lifts what was made, but sees too little tilt, some that is not there, and short legs."""
    data = embedded(0.2)
    resident = Resident.load(data, torch.device("cpu"))
    levelled = replace(resident, source=alignment.level(data.source, H36M16, AlignmentConfig()))
    options = AlignmentConfig(simulations=60, poses=300)
    config = replace(preset("default"), alignment=options)
    made: dict[bytes, Tensor] = {}

    def remembered(*arguments: Any, **changes: Tensor) -> Any:
        seen = source_like_target(*arguments, **changes)
        made.update((p2.numpy().tobytes(), p3) for p2, p3 in zip(seen.pose_2d, seen.pose_3d, strict=True))
        return seen

    def scout(_: Any, pose_2d: Tensor, *__: Any) -> Tensor:
        pose = torch.stack([made[p2.numpy().tobytes()] for p2 in pose_2d])
        up = pitch_roll(alignment.mean_up(pose, H36M16))
        back = up_of(torch.stack([up, 0.6 * up + torch.tensor([0.05, -0.02])]))
        turn = rotation_matrix(alignment.shortest_turn(back[0], back[1]))
        pose = (pose - pose[:, :1]) @ turn.T
        pose[..., 1] *= 0.9
        return pose

    monkeypatch.setattr(alignment, "source_like_target", remembered)
    monkeypatch.setattr(alignment, "predict", scout)
    tilt, build = torch.tensor([0.2, -0.05]), torch.zeros(9)
    build[1], build[4] = -0.1, 0.1
    rng = torch.Generator().manual_seed(0)
    index = torch.randint(len(levelled.source), (2000,), generator=rng)
    where = torch.randint(len(resident.placements), (2000,), generator=rng)
    turn = alignment.shortest_turn(up_of(torch.zeros(1, 2)), up_of(tilt[None]))
    seen = remembered(
        levelled, index, where, config, body_rotation=turn.expand(2000, 3), bone_scale=build.expand(2000, 9)
    )
    lens = resident.placements.camera.rows(where)
    target = UnlabelledPoses(seen.pose_2d, Camera(lens.focal, lens.center, lens.distortion), where)
    scene = replace(
        levelled, placements=Resident.load(replace(data, target=target), torch.device("cpu")).placements
    )
    found = alignment.estimate(
        torch.nn.Identity(), scene, replace(config, alignment=replace(options, max_views=1)), rng
    )
    angles = pitch_roll(found.up)[0]
    torch.testing.assert_close(angles, tilt, rtol=0, atol=0.02)
    # Lengths are known up to a common factor.
    relative = (1 + found.build[[1, 4]]).log().diff() - (1 + build[[1, 4]]).log().diff()
    assert relative.abs() < 0.03


def test_few_poses_are_no_view() -> None:
    focal = torch.tensor([1.0] * 90 + [2.0])[:, None].expand(91, 2)
    assert alignment.views_of(Camera(focal, torch.zeros(91, 2)), 91, AlignmentConfig()).tolist() == [0] * 91


def test_who_lies_is_not_stood_up() -> None:
    source = embedded().source
    lying = replace(source, pose_3d=source.pose_3d.clone())
    lying.pose_3d[..., :2] = lying.pose_3d[..., [1, 0]]
    left = alignment.level(lying, H36M16, AlignmentConfig())
    torch.testing.assert_close(left.pose_3d, lying.pose_3d)


def test_a_bone_without_length_does_no_harm() -> None:
    source = alignment.level(embedded().source, H36M16, AlignmentConfig())
    pose = source.pose_3d.clone()
    spine = H36M16.joint("spine")
    pose[:, spine] = pose[:, H36M16.parents[spine]]
    assert alignment.shares(pose, H36M16).isfinite().all()
    assert alignment.shares(pose.double(), H36M16).dtype == torch.float64


def test_windows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"frames: expected 1 with the arm gpa_lpa_view, .* got 9"):
        replace(preset("tiny"), arms=("gpa_lpa_view",), frames=9)


def test_a_body_that_cannot_stand_up_is_refused() -> None:
    dog = Skeleton.declare("dog", {"hip": None, "left_shoulder": "hip", "right_shoulder": "hip"})
    with pytest.raises(
        ValueError, match="gpa_lpa_view needs a skeleton with left_ankle, right_ankle, which dog lacks"
    ):
        alignment.check_skeleton(dog)
    alignment.check_skeleton(H36M16)


def test_what_has_no_range_is_found_to_be_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a regression onto columns without spread nothing remains but their one value."""
    data = embedded()
    resident = Resident.load(data, torch.device("cpu"))
    levelled = replace(resident, source=alignment.level(data.source, H36M16, AlignmentConfig()))
    options = AlignmentConfig(simulations=8, poses=40, build=0.0, roll=0.0, max_views=1)
    size = len(levelled.source)
    noise = torch.Generator().manual_seed(1)

    def scout(_: Any, pose_2d: Tensor, *__: Any) -> Tensor:
        rows = torch.randint(size, (len(pose_2d),), generator=noise)
        return levelled.source.pose_3d[rows] - levelled.source.pose_3d[rows, :1]

    monkeypatch.setattr(alignment, "predict", scout)
    config = replace(preset("default"), alignment=options)
    found = alignment.estimate(torch.nn.Identity(), levelled, config, torch.Generator().manual_seed(0))
    assert all(value.isfinite().all() for value in found[1:])
    assert found.build.abs().max() == 0 and found.spread[1:].abs().max() < 1e-6
    assert pitch_roll(found.up)[0, 1].abs() < 1e-6
    aligned = alignment.aligned(levelled, found)
    torch.testing.assert_close(aligned.source.pose_3d, levelled.source.pose_3d)


def test_a_scout_that_lifts_to_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resident = Resident.load(embedded(), torch.device("cpu"))
    monkeypatch.setattr(
        alignment, "predict", lambda _, pose_2d, *__: torch.full((*pose_2d.shape[:2], 3), torch.nan)
    )
    with pytest.raises(TrainingError, match=r"^gpa_lpa_view: the tilt and build .* are not finite"):
        alignment.estimate(torch.nn.Identity(), resident, preset("tiny"), torch.Generator().manual_seed(0))
