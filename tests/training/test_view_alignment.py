"""View alignment: views, tilt and bone lengths are estimated from 2D, even by a biased scout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from poseda.config import AlignmentConfig, preset
from poseda.datasets import AdaptationData, UnlabelledPoses, open_domains
from poseda.geometry.camera import Camera, pitch_roll, up_of
from poseda.geometry.rotation import rotation_matrix
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.runs.view_alignment import FoundAlignment
from poseda.training import view_alignment as alignment
from poseda.training.errors import TrainingError
from poseda.training.pairs import Proposal, TrainingData, augment_pairs, place_on_target


def embedded(size: float = 0.05) -> AdaptationData:
    return open_domains(None, size=size).adaptation()


def test_a_view_is_a_lens() -> None:
    focal = torch.tensor([1.0, 2.0, 1.0, 3.0, 2.0, 1.0])[:, None].expand(6, 2)
    camera = Camera(focal, torch.zeros(6, 2))
    options = AlignmentConfig(min_poses=2)
    assert alignment.views_of(camera, 6, options).tolist() == [0, 1, 0, 0, 1, 0]  # a lone pose: the largest
    assert alignment.views_of(camera, 6, replace(options, max_views=2)).tolist() == [0] * 6
    assert alignment.views_of(Camera(focal[:1], torch.zeros(1, 2)), 4, options).tolist() == [0] * 4
    # Cameras that are known are views of their own, even behind one lens.
    number = torch.tensor([0, 0, 1, 1])
    assert alignment.views_of(Camera(focal[:1], torch.zeros(1, 2)), 4, options, number).tolist() == [
        0,
        0,
        1,
        1,
    ]


class WriteFromItself(TorchDispatchMode):
    """Refuses what CUDA refuses: to write a part of a tensor from another part of it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in ("aten::index_put_", "aten::_index_put_impl_"):
            target, _, values, *_ = args
            assert target.untyped_storage().data_ptr() != values.untyped_storage().data_ptr()
        return func(*args, **(kwargs or {}))


def test_views_are_numbered_without_a_write_into_what_is_read() -> None:
    focal = torch.tensor([1.0, 2.0, 1.0, 3.0, 2.0, 1.0])[:, None].expand(6, 2)
    with WriteFromItself():
        numbers = torch.arange(3)
        with pytest.raises(AssertionError):
            numbers[numbers > 1] = numbers[torch.tensor(0)]
        views = alignment.views_of(Camera(focal, torch.zeros(6, 2)), 6, AlignmentConfig(min_poses=2))
    assert views.tolist() == [0, 1, 0, 0, 1, 0]


def test_the_upward_direction_is_that_of_most_people() -> None:
    source = alignment.remove_tilt(embedded().source, H36M16, AlignmentConfig())
    up = alignment.mean_up(source.pose_3d, H36M16)
    assert torch.rad2deg(torch.acos(-up[1])) < 0.5
    lying = source.pose_3d.clone()
    lying[: len(lying) // 5] = lying[: len(lying) // 5, :, [1, 0, 2]]
    # A fifth lies on the side: an average would tilt by 11 degrees.
    assert torch.rad2deg(torch.acos(-alignment.mean_up(lying, H36M16)[1])) < 5


def test_the_removed_tilt_is_the_pitch_of_each_camera() -> None:
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


def test_the_aligned_source_has_the_tilt_and_the_bone_lengths_of_the_estimate() -> None:
    data = embedded()
    prepared = TrainingData.load(data, torch.device("cpu"))
    upright = replace(prepared, source=alignment.remove_tilt(data.source, H36M16, AlignmentConfig()))
    size = len(prepared.placements)
    up = up_of(torch.tensor([[0.3, -0.1]]))
    bone_scale = torch.zeros(H36M16.num_groups)
    bone_scale[1] = 0.1
    found = alignment.Estimate(torch.zeros(size, dtype=torch.int64), up, bone_scale, torch.zeros(11))
    aligned = alignment.align_source(upright, found)
    rows, config = torch.arange(500), preset("tiny")
    still = Proposal(torch.zeros(500, 15, 3), torch.zeros(500, 9), torch.zeros(500, 3))
    for proposal in (None, still):
        seen = augment_pairs(aligned, rows, rows % size, proposal, "gpa", config)
        got = alignment.mean_up(seen.pose_3d[seen.valid], H36M16)
        own = alignment.mean_up(aligned.source.pose_3d[rows], H36M16)
        expected = rotation_matrix(alignment.shortest_rotation(up_of(torch.zeros(2)), up[0])) @ own
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-3)
    thigh = H36M16.bone_groups.index(1) + 1
    length = [
        (poses.pose_3d[:, thigh] - poses.pose_3d[:, H36M16.parents[thigh]]).norm(dim=-1)
        for poses in (upright.source, aligned.source)
    ]
    torch.testing.assert_close(length[1], 1.1 * length[0])


def test_the_regression_removes_the_bias_of_a_scout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scout lifts correctly but for three biases: too little tilt, a constant tilt, and short legs."""
    data = embedded(0.2)
    prepared = TrainingData.load(data, torch.device("cpu"))
    upright = replace(prepared, source=alignment.remove_tilt(data.source, H36M16, AlignmentConfig()))
    options = AlignmentConfig(simulations=60, poses=300)
    config = replace(preset("default"), alignment=options)
    made: dict[bytes, Tensor] = {}

    def remembered(*arguments: Any, **changes: Tensor) -> Any:
        seen = place_on_target(*arguments, **changes)
        made.update((p2.numpy().tobytes(), p3) for p2, p3 in zip(seen.pose_2d, seen.pose_3d, strict=True))
        return seen

    def scout(_: Any, pose_2d: Tensor, *__: Any) -> Tensor:
        pose = torch.stack([made[p2.numpy().tobytes()] for p2 in pose_2d])
        up = pitch_roll(alignment.mean_up(pose, H36M16))
        back = up_of(torch.stack([up, 0.6 * up + torch.tensor([0.05, -0.02])]))
        rotation = rotation_matrix(alignment.shortest_rotation(back[0], back[1]))
        pose = (pose - pose[:, :1]) @ rotation.T
        pose[..., 1] *= 0.9
        return pose

    monkeypatch.setattr(alignment, "place_on_target", remembered)
    monkeypatch.setattr(alignment, "predict", scout)
    tilt, bone_scale = torch.tensor([0.2, -0.05]), torch.zeros(9)
    bone_scale[1], bone_scale[4] = -0.1, 0.1
    rng = torch.Generator().manual_seed(0)
    index = torch.randint(len(upright.source), (2000,), generator=rng)
    where = torch.randint(len(prepared.placements), (2000,), generator=rng)
    rotation = alignment.shortest_rotation(up_of(torch.zeros(1, 2)), up_of(tilt[None]))
    seen = remembered(
        upright,
        index,
        where,
        config,
        body_rotation=rotation.expand(2000, 3),
        bone_scale=bone_scale.expand(2000, 9),
    )
    lens = prepared.placements.camera.rows(where)
    target = UnlabelledPoses(seen.pose_2d, Camera(lens.focal, lens.center, lens.distortion), where)
    scene = replace(
        upright, placements=TrainingData.load(replace(data, target=target), torch.device("cpu")).placements
    )
    found = alignment.estimate(
        torch.nn.Identity(), scene, replace(config, alignment=replace(options, max_views=1)), rng
    )
    angles = pitch_roll(found.up)[0]
    torch.testing.assert_close(angles, tilt, rtol=0, atol=0.02)
    # Lengths are known up to a common factor.
    relative = (1 + found.bone_scale[[1, 4]]).log().diff() - (1 + bone_scale[[1, 4]]).log().diff()
    assert relative.abs() < 0.03


def test_few_poses_join_the_largest_view() -> None:
    focal = torch.tensor([1.0] * 90 + [2.0])[:, None].expand(91, 2)
    assert alignment.views_of(Camera(focal, torch.zeros(91, 2)), 91, AlignmentConfig()).tolist() == [0] * 91


def test_people_who_lie_keep_their_tilt() -> None:
    source = embedded().source
    lying = replace(source, pose_3d=source.pose_3d.clone())
    lying.pose_3d[..., :2] = lying.pose_3d[..., [1, 0]]
    left = alignment.remove_tilt(lying, H36M16, AlignmentConfig())
    torch.testing.assert_close(left.pose_3d, lying.pose_3d)


def test_a_bone_without_length_does_no_harm() -> None:
    source = alignment.remove_tilt(embedded().source, H36M16, AlignmentConfig())
    pose = source.pose_3d.clone()
    spine = H36M16.joint("spine")
    pose[:, spine] = pose[:, H36M16.parents[spine]]
    assert alignment.shares(pose, H36M16).isfinite().all()
    assert alignment.shares(pose.double(), H36M16).dtype == torch.float64


def test_view_alignment_refuses_windows() -> None:
    with pytest.raises(ValueError, match=r"frames: expected 1 with the arm gpa_lpa_view, .* got 9"):
        replace(preset("tiny"), arms=("gpa_lpa_view",), frames=9)


def test_a_skeleton_without_the_joints_of_the_axis_is_refused() -> None:
    dog = Skeleton.declare("dog", {"hip": None, "left_shoulder": "hip", "right_shoulder": "hip"})
    with pytest.raises(
        ValueError, match="gpa_lpa_view needs a skeleton with left_ankle, right_ankle, which dog lacks"
    ):
        alignment.check_skeleton(dog)
    alignment.check_skeleton(H36M16)


def test_an_estimate_keeps_the_names_of_its_file() -> None:
    found = alignment.Estimate(*(torch.full((2,), float(number)) for number in range(4)))
    tensors = found.pack()
    assert list(tensors) == ["view", "up", "build", "spread"]
    assert all(map(torch.equal, alignment.Estimate.unpack(tensors), found))


def test_a_range_of_zero_leads_to_an_estimate_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """The regression of a constant returns the constant."""
    data = embedded()
    prepared = TrainingData.load(data, torch.device("cpu"))
    upright = replace(prepared, source=alignment.remove_tilt(data.source, H36M16, AlignmentConfig()))
    options = AlignmentConfig(simulations=8, poses=40, build=0.0, roll=0.0, max_views=1)
    size = len(upright.source)
    noise = torch.Generator().manual_seed(1)

    def scout(_: Any, pose_2d: Tensor, *__: Any) -> Tensor:
        rows = torch.randint(size, (len(pose_2d),), generator=noise)
        return upright.source.pose_3d[rows] - upright.source.pose_3d[rows, :1]

    monkeypatch.setattr(alignment, "predict", scout)
    config = replace(preset("default"), alignment=options)
    found = alignment.estimate(torch.nn.Identity(), upright, config, torch.Generator().manual_seed(0))
    assert all(value.isfinite().all() for value in found[1:])
    assert found.bone_scale.abs().max() == 0 and found.error[1:].abs().max() < 1e-6
    assert pitch_roll(found.up)[0, 1].abs() < 1e-6
    aligned = alignment.align_source(upright, found)
    torch.testing.assert_close(aligned.source.pose_3d, upright.source.pose_3d)


def test_a_scout_whose_poses_are_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = TrainingData.load(embedded(), torch.device("cpu"))
    monkeypatch.setattr(
        alignment, "predict", lambda _, pose_2d, *__: torch.full((*pose_2d.shape[:2], 3), torch.nan)
    )
    with pytest.raises(TrainingError, match=r"^gpa_lpa_view: tilt and bone lengths .* are not finite"):
        alignment.estimate(torch.nn.Identity(), prepared, preset("tiny"), torch.Generator().manual_seed(0))


def test_what_stands_at_a_limit_of_the_options_is_said() -> None:
    options = AlignmentConfig(pitch=0.45, roll=0.14, build=0.15)
    tilt = torch.tensor([[0.45, 0.0], [0.2, -0.14]])
    scale = torch.zeros(H36M16.num_groups)
    scale[H36M16.group_names.index("knee")] = -0.15
    found = alignment.Estimate(torch.tensor([0, 1]), up_of(tilt), scale, torch.zeros(2 + len(scale)))
    notes = found.describe(H36M16, options)
    assert notes["limits"] == [
        "gpa_lpa_view: the pitch of view 1, +25.8 degrees, stands at its limit. "
        "Take a wider range (--alignment.pitch).",
        "gpa_lpa_view: the roll of view 2, -8.0 degrees, stands at its limit. "
        "Take a wider range (--alignment.roll).",
        "gpa_lpa_view: the length to the knee, -15 %, stands at its limit. "
        "Take a wider range (--alignment.build).",
    ]
    read = FoundAlignment.of([notes, notes])
    assert read is not None and list(read.limits) == notes["limits"]
    del notes["limits"]  # as older runs have it
    assert FoundAlignment.of([notes]).limits == ()  # type: ignore[union-attr]
    between = alignment.Estimate(torch.tensor([0, 1]), up_of(0.5 * tilt), 0.5 * scale, found.error)
    assert between.describe(H36M16, options)["limits"] == []
    wish = AlignmentConfig(pitch=0, roll=0, build=0)
    level = alignment.Estimate(torch.tensor([0, 1]), up_of(0 * tilt), 0 * scale, found.error)
    assert level.describe(H36M16, wish)["limits"] == []
