"""Views of source poses from everywhere, and what a detector makes of them."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from poseda.config import DetectorConfig, ViewsConfig
from poseda.geometry.camera import pitch_roll, tilted_up
from poseda.geometry.kinematics import root_relative
from poseda.geometry.rotation import angle_between
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.lifters.observation import Observation
from poseda.method.bodies import JOINT_CENTRES, TRUNK, anatomical_scale, group_lengths
from poseda.method.detector import Detector
from poseda.method.draws import Chance, Draws, Uniform
from poseda.method.views import Places, View, draw_views, view_columns

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = ViewsConfig(build=0, anatomical=0, hips=0, stature=0, turn=0, knees=0, lean=0)
"""Views that change no body."""

SILENT = DetectorConfig(noise=0, misplaced=0, swapped=0, masked=0, as_target=0)
"""A detector without errors."""


def bodies(count: int = 500) -> torch.Tensor:
    """Standing bodies, y down, in a level camera."""
    pose = torch.randn(count, 16, 3) * torch.tensor([0.2, 0.5, 0.2])
    return pose + torch.tensor([0.0, 0.0, 5.0])


def level(count: int = 500) -> torch.Tensor:
    return torch.tensor([0.0, -1.0, 0.0]).expand(count, 3)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn_views(
    up: torch.Tensor,
    skeleton: Skeleton,
    options: ViewsConfig,
    physique: torch.Tensor | None = None,
    pose_3d: torch.Tensor | None = None,
    own: torch.Tensor | None = None,
) -> View:
    """Views of random numbers that begin with one seed."""
    drawn = Draws(view_columns(skeleton, options))(len(up), rng())
    pose = torch.zeros(len(up), skeleton.num_joints, 3) if pose_3d is None else pose_3d
    return draw_views(pose, up, skeleton, options, drawn, physique, own)


def detected(detector: Detector, picture: torch.Tensor) -> torch.Tensor:
    """Rays as a detector finds them."""
    return detector.disturb(picture, Draws(detector.columns(picture.shape[1]))(len(picture), rng()))


def shown(detector: Detector, count: int = 400, frames: int = 1) -> torch.Tensor:
    """Which joints a detector finds in the first frame: (count, J)."""
    picture = torch.zeros(count, frames, detector.skeleton.num_joints, 2)
    return detector.seen(picture, Draws(detector.columns(frames))(count, rng()))[:, 0]


def test_people_in_near_views_stand_where_those_of_the_target_do() -> None:
    pose = root_relative(bodies(300))
    up = torch.nn.functional.normalize(torch.tensor([[0.1, -0.8, -0.5], [0.0, -0.9, -0.3]]), dim=1)
    root = torch.tensor([[0.5, 0.2, 4.0], [-1.0, 0.1, 7.0]])
    row = torch.randint(2, (300,), generator=rng())
    placed = pose + root[row][:, None]
    rays = (placed[..., :2] / placed[..., 2:])[:, None]
    none = torch.zeros(300, dtype=torch.bool)
    shown = torch.rand(rays.shape[:3], generator=rng()) > 0.2
    frames = Observation(rays, shown, torch.zeros(300, 3), none, torch.zeros(300, 9), none)
    unknown = torch.arange(300) < 20
    places = Places.of(pose, frames, up[row].masked_fill(unknown[:, None], torch.nan))
    assert places is not None and len(places.up) == 280
    torch.testing.assert_close(places.root, root[row][20:], atol=1e-3, rtol=0)

    columns = {**view_columns(H36M16, PLAIN), "near": Chance((), 0.5), "place": Uniform(())}
    drawn = Draws(columns)(400, rng(1))
    view = draw_views(bodies(400), level(400), H36M16, PLAIN, drawn, places=places)
    near = drawn["near"]
    assert 0.4 < near.float().mean() < 0.6
    assert angle_between(view.up[near][:, None], up[None]).amin(1).max() < 1e-3
    assert torch.cdist(view.root[near].double(), root.double()).amin(1).max() < 5e-3
    assert (
        angle_between(view.up[~near][:, None], up[None]).amin(1).mean() > 0.3
    )  # others come from everywhere


def test_a_view_turns_the_body_with_the_vertical() -> None:
    pose = bodies()
    view = drawn_views(level(), H36M16, PLAIN)
    seen = view.of(pose, H36M16)
    assert seen.valid.float().mean() > 0.95
    # The angle between the vertical and any direction of the body stays: it is the same scene.
    before = angle_between(root_relative(pose)[:, 1:], level()[:, None].expand(-1, 15, 3))
    after = angle_between(root_relative(seen.pose_3d)[:, 1:], view.up[:, None].expand(-1, 15, 3))
    assert (before - after)[seen.valid].abs().max() < 1e-3
    assert seen.pose_2d[seen.valid].allclose(
        (seen.pose_3d[..., :2] / seen.pose_3d[..., 2:])[seen.valid], atol=1e-5
    )


def test_views_fill_their_ranges_and_stay_within() -> None:
    count = 4000
    view = drawn_views(level(count), H36M16, dataclasses.replace(PLAIN, level_share=0.0))
    pitch = torch.rad2deg(-view.up[:, 2].asin())
    assert -25.1 < pitch.min() < -23 and 80 < pitch.max() < 82.1
    roll = torch.rad2deg(torch.atan2(view.up[:, 0], -view.up[:, 1]))
    assert 43 < roll.abs().max() < 45.1
    distance = view.root[:, 2]
    assert 1.19 < distance.min() < 1.25 and 11.5 < distance.max() < 12.01
    assert not view.root[:, :2].any() and not view.bone_rotation.any() and not view.bone_scale.any()


def test_up_of_a_camera_is_told_by_pitch_and_roll() -> None:
    angles = torch.tensor([[0.3, 0.2], [0.0, 0.0], [-0.4, 0.1]])
    up = tilted_up(angles)
    assert up.norm(dim=1).allclose(torch.ones(3))
    assert up[1].allclose(torch.tensor([0.0, -1.0, 0.0]))
    assert up[0, 2] < 0  # a camera that looks down sees upward behind the picture
    assert pitch_roll(tilted_up(torch.tensor([[0.3, 0.0]])))[0, 0].allclose(torch.tensor(0.3))


def test_builds_and_turns_change_lengths_and_postures_only_where_asked() -> None:
    pose, up = bodies(), level()
    lengths = group_lengths(pose, H36M16)
    grown = drawn_views(up, H36M16, dataclasses.replace(PLAIN, build=0.1, stature=0.1)).of(pose, H36M16)
    turned = drawn_views(up, H36M16, dataclasses.replace(PLAIN, turn=0.3)).of(pose, H36M16)
    ratio = (group_lengths(grown.pose_3d, H36M16) / lengths)[grown.valid]
    assert 0.1 < ratio.std() < 0.2 and abs(float(ratio.mean()) - 1) < 0.02
    same = (group_lengths(turned.pose_3d, H36M16) / lengths)[turned.valid]
    assert same.sub(1).abs().max() < 1e-3


def test_hips_are_widened_and_nothing_else_is() -> None:
    view = drawn_views(level(4000), H36M16, dataclasses.replace(PLAIN, hips=0.4))
    hips = H36M16.bone_groups[H36M16.joint("left_hip") - 1]
    wider = view.bone_scale[:, hips]
    assert 0 <= float(wider.min()) < 0.01 and 0.39 < float(wider.max()) <= 0.4
    assert not view.bone_scale[:, [group for group in range(9) if group != hips]].any()


def test_proportions_go_from_the_sources_to_those_of_anatomy() -> None:
    lengths = torch.full((9,), 0.25)
    scale = anatomical_scale(lengths, H36M16)
    view = drawn_views(level(4000), H36M16, dataclasses.replace(PLAIN, anatomical=0.9), scale)
    share = view.bone_scale / (scale - 1)
    changed = scale != 1
    assert 0.59 < float(share[:, changed].min()) < 0.61 and 1.19 < float(share[:, changed].max()) < 1.21
    # One share for all bones of a person: arms and legs change together.
    assert float(share[:, changed].std(1).max()) < 1e-4 and not view.bone_scale[:, ~changed].any()


def test_lengths_of_anatomy_are_reached_by_name_and_by_the_whole_trunk() -> None:
    lengths = torch.tensor([0.1, 0.4, 0.4, 0.25, 0.2, 0.25, 0.2, 0.3, 0.2])
    end = lengths * anatomical_scale(lengths, H36M16)
    for name, length in JOINT_CENTRES.items():
        assert float(end[H36M16.bone_groups[H36M16.joint(f"left_{name}") - 1]]) == pytest.approx(length)
    trunk = [H36M16.bone_groups[H36M16.joint(name) - 1] for name in ("spine", TRUNK[0])]
    assert float(end[trunk].sum()) == pytest.approx(TRUNK[1])
    others = [
        group for name, group in zip(H36M16.joint_names[1:], H36M16.bone_groups, strict=True) if "hip" in name
    ]
    assert torch.equal(end[others], lengths[others])


def test_a_skeleton_of_other_joints_keeps_its_lengths() -> None:
    other = Skeleton("other", ("a", "b", "c"), (-1, 0, 1))
    assert torch.equal(anatomical_scale(torch.tensor([0.3, 0.1]), other), torch.ones(2))
    assert not drawn_views(level(5), other, dataclasses.replace(PLAIN, hips=0.4)).bone_scale.any()


def standing(count: int, bend: float) -> torch.Tensor:
    """Upright people, y down, whose knees are bent by so many degrees."""
    pose = torch.zeros(count, 16, 3)
    half, joint = math.radians(bend) / 2, H36M16.joint
    for side, x in (("left", 0.1), ("right", -0.1)):
        forward = torch.tensor([0.0, 0.0, -math.sin(half)])
        down = torch.tensor([0.0, math.cos(half), 0.0])
        pose[:, joint(f"{side}_hip")] = hip = torch.tensor([x, 0.0, 0.0])
        pose[:, joint(f"{side}_knee")] = hip + 0.4 * (down + forward)
        pose[:, joint(f"{side}_ankle")] = hip + 0.8 * down
    for name, y in (("spine", -0.2), ("thorax", -0.4), ("head_top", -0.7)):
        pose[:, joint(name), 1] = y
    return pose + torch.tensor([0.0, 0.0, 5.0])


def bends(pose: torch.Tensor) -> torch.Tensor:
    """(N, 2) degrees by which knees are bent."""
    joint, sides = H36M16.joint, ("left", "right")
    hip, knee, ankle = (
        pose[:, [joint(f"{side}_{name}") for side in sides]] for name in ("hip", "knee", "ankle")
    )
    return torch.rad2deg(angle_between(knee - hip, ankle - knee))


def test_knees_are_straightened_up_to_the_limit_and_never_beyond_straight() -> None:
    only_knees = dataclasses.replace(PLAIN, knees=20)
    for bend in (60.0, 10.0):
        pose = standing(2000, bend)
        view = drawn_views(level(2000), H36M16, only_knees, pose_3d=pose)
        left = bends(view.of(pose, H36M16).pose_3d)
        assert (left[:, 0] - left[:, 1]).abs().max() < 0.1  # both knees alike
        assert float(left.max()) == pytest.approx(bend, abs=0.2)
        assert float(left.min()) == pytest.approx(max(bend - 20, 0.1 * bend), abs=0.2)
    legs = [H36M16.joint(f"{side}_{name}") - 1 for side in ("left", "right") for name in ("knee", "ankle")]
    assert not view.bone_rotation[:, [bone for bone in range(15) if bone not in legs]].any()


def test_poses_that_were_found_keep_their_knees() -> None:
    pose = standing(100, 40.0)
    own = torch.arange(100) < 50
    view = drawn_views(level(100), H36M16, dataclasses.replace(PLAIN, knees=20), pose_3d=pose, own=own)
    assert view.bone_rotation[:50].any() and not view.bone_rotation[50:].any()


def test_the_upper_body_leans_as_one_in_two_thirds_of_the_views() -> None:
    view = drawn_views(level(4000), H36M16, dataclasses.replace(PLAIN, lean=0.5))
    legs = [
        H36M16.joint(f"{side}_{name}") - 1 for side in ("left", "right") for name in ("hip", "knee", "ankle")
    ]
    upper = [bone for bone in range(15) if bone not in legs]
    assert not view.bone_rotation[:, legs].any()
    first = view.bone_rotation[:, upper[:1]]
    assert view.bone_rotation[:, upper].allclose(first.expand(-1, len(upper), -1), atol=1e-6)
    leaning = first.norm(dim=-1) > 1e-6
    assert float(leaning.float().mean()) == pytest.approx(2 / 3, abs=0.03)


def test_a_skeleton_without_legs_leans_and_keeps_its_bones() -> None:
    other = Skeleton("other", ("a", "b", "c"), (-1, 0, 1))
    view = drawn_views(level(50), other, dataclasses.replace(PLAIN, lean=0.5, knees=20))
    assert view.bone_rotation.any() and view.bone_rotation.isfinite().all()


def test_the_frames_of_a_window_share_their_view() -> None:
    pose = bodies(20)[:, None].repeat(1, 5, 1, 1)
    seen = drawn_views(level(20), H36M16, ViewsConfig()).of(pose, H36M16)
    assert seen.pose_3d.allclose(seen.pose_3d[:, :1].expand_as(seen.pose_3d), atol=1e-5)


def test_a_view_of_any_direction_of_up_is_drawn() -> None:
    up = torch.nn.functional.normalize(torch.randn(100, 3), dim=1)
    view = drawn_views(up, H36M16, PLAIN)
    assert view.body_rotation.isfinite().all()


def rays(count: int = 400, frames: int = 1) -> torch.Tensor:
    return torch.randn(count, frames, 16, 2) * 0.1


def test_a_detector_without_errors_changes_nothing() -> None:
    detector = Detector(H36M16, SILENT)
    picture = rays()
    assert torch.equal(detected(detector, picture), picture) and shown(detector).all()


def test_errors_grow_with_the_size_of_the_person_and_are_larger_at_wrists() -> None:
    options = dataclasses.replace(SILENT, noise=0.01)
    picture = rays()

    def error(scale: float) -> torch.Tensor:
        seen = detected(Detector(H36M16, options), scale * picture)
        return (seen - scale * picture).norm(dim=-1).mean((0, 1))

    small, large = error(1.0), error(3.0)
    assert (large / small).sub(3).abs().max() < 1e-3
    wrist, elbow = H36M16.joint("left_wrist"), H36M16.joint("left_elbow")
    assert small[wrist] > 1.4 * small[elbow]


def test_swapped_people_have_their_sides_exchanged_in_place() -> None:
    detector = Detector(H36M16, dataclasses.replace(SILENT, swapped=1.0))
    picture = rays(3)
    assert detected(detector, picture).allclose(picture[:, :, list(H36M16.mirror)])


def test_joints_are_hidden_at_the_rates_asked_for_and_never_too_many() -> None:
    options = dataclasses.replace(SILENT, masked=1.0, hidden=0.5, hidden_part=0.3, fewest=6)
    seen = shown(Detector(H36M16, options))
    assert seen.sum(-1).min() >= 6
    assert 0.4 < seen.float().mean() < 0.85
    legs = [H36M16.joint(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
    assert (~seen[:, legs]).all(1).float().mean() > 0.03  # both legs at once, as behind a table


def test_the_patterns_of_a_target_are_drawn_and_mirrored() -> None:
    pattern = torch.ones(1, 16, dtype=torch.bool)
    pattern[0, H36M16.joint("left_wrist")] = False
    options = dataclasses.replace(SILENT, as_target=1.0)
    seen = shown(Detector(H36M16, options, pattern))
    left, right = (~seen[:, H36M16.joint(f"{side}_wrist")] for side in ("left", "right"))
    assert (left ^ right).all() and 0.4 < left.float().mean() < 0.6


def test_a_skeleton_without_sides_and_parts_is_detected_too() -> None:
    rope = Skeleton.declare("rope", {"a": None, "b": "a", "c": "b", "d": "c"}, [], {})
    options = dataclasses.replace(SILENT, noise=0.01, masked=1.0, fewest=3)
    detector = Detector(rope, options)
    picture = torch.randn(50, 1, 4, 2)
    assert detected(detector, picture).isfinite().all()
    assert shown(detector).sum(-1).min() >= 3


def test_lengths_of_groups_are_means_of_both_sides() -> None:
    pose = torch.zeros(1, 16, 3)
    pose[0, H36M16.joint("right_hip"), 0], pose[0, H36M16.joint("left_hip"), 0] = -0.2, 0.1
    group = H36M16.bone_groups[H36M16.joint("right_hip") - 1]
    assert math.isclose(float(group_lengths(pose, H36M16)[0, group]), 0.15, rel_tol=1e-6)
