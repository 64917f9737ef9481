"""Target placements: what is kept, what is dropped, and that drawing them is reproducible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from poseda import ops
from poseda.config import AdversaryConfig
from poseda.geometry.camera import Camera, project
from poseda.geometry.placements import TargetPlacements, measure
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.method.discriminators import ScreenDiscriminator
from poseda.ops.samples import augment_arguments

STICK = Skeleton.declare("stick", {"root": None, "tip": "root", "side": "root"})


def camera(rows: int = 1) -> Camera:
    return Camera(torch.full((rows, 2), 2.0), torch.zeros(rows, 2))


def poses(*rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows)


def test_a_placement_is_the_root_and_the_box_of_one_pose() -> None:
    pose = poses([[0.25, -0.5], [0.5, 0.0], [-0.25, 0.25]])
    table = TargetPlacements.build(pose, camera(), STICK)
    assert table.placement.tolist() == [[0.25, -0.5, 0.75, 0.75]]
    assert torch.equal(measure(pose, STICK), table.placement)
    assert table.dropped == 0 and table.visible is None and len(table) == 1


def test_unseen_joints_do_not_span_the_box_and_stay_out_of_the_mask() -> None:
    pose = poses([[0.0, 0.0], [0.5, 0.25], [9.0, 9.0]])
    seen = torch.tensor([[True, True, False]])
    table = TargetPlacements.build(pose, camera(), STICK, seen)
    assert table.placement.tolist() == [[0.0, 0.0, 0.5, 0.25]]
    mask = table.joint_mask(torch.tensor([0, 0]))
    assert mask is not None and torch.equal(mask, seen.expand(2, 3))
    assert table.pose_2d.abs().max() <= 0.5, "an unseen joint must not reach the discriminator"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([[float("nan"), 0.0], [0.5, 0.5], [0.1, 0.2]], id="root-unseen"),
        pytest.param([[0.25, 0.25]] * 3, id="no-extent"),
        pytest.param([[0.0, 0.0], [float("nan")] * 2, [float("inf")] * 2], id="one-joint-left"),
    ],
)
def test_degenerate_boxes_are_dropped_and_counted(bad: list[list[float]]) -> None:
    good = [[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]
    table = TargetPlacements.build(poses(good, bad, good), camera(3), STICK)
    assert len(table) == 2 and table.dropped == 1 and len(table.camera) == 2
    assert table.placement.isfinite().all() and table.pose_2d.isfinite().all()
    with pytest.raises(ValueError, match="found none in 1"):
        TargetPlacements.build(poses(bad), camera(), STICK)


def test_cameras_stay_with_their_poses() -> None:
    good, flat = [[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]], [[0.0, 0.0]] * 3
    rig = Camera(torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), torch.zeros(3, 2))
    table = TargetPlacements.build(poses(good, flat, good), rig, STICK)
    assert table.camera.focal[:, 0].tolist() == [1.0, 3.0]


def test_draws_repeat_with_the_generator_and_cover_the_table() -> None:
    table = TargetPlacements.build(torch.rand(50, 16, 2), camera(), H36M16)
    first, again = (table.sample(4000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and first.dtype == torch.int64
    assert first.bincount(minlength=50).min() > 40, "every row is drawn about 80 times"


def test_poses_placed_by_the_op_stand_where_their_targets_stand() -> None:
    torch.manual_seed(1)
    body = 0.3 * torch.randn(64, 16, 3) + torch.tensor([0.0, 0.0, 6.0])
    target = 0.1 * torch.randn(64, 16, 2)
    table = TargetPlacements.build(target, camera(), H36M16)
    placed = ops.augment(body, skeleton=H36M16, camera=table.camera, placement=table.placement)
    assert placed.valid.all()
    torch.testing.assert_close(placed.pose_2d[:, 0], target[:, 0], rtol=0, atol=1e-5)
    wanted, got = measure(target, H36M16)[:, 2:].sum(1), measure(placed.pose_2d, H36M16)[:, 2:].sum(1)
    # The closed form takes the body as flat at the root's depth: its misfit here is within a tenth.
    assert ((got / wanted - 1).abs().median()) < 0.1


@pytest.mark.parametrize(
    ("pose", "rig", "seen", "named"),
    [
        (torch.zeros(2, 4, 2), camera(), None, "pose_2d"),
        (torch.zeros(2, 3, 2), camera(5), None, "camera"),
        (torch.zeros(2, 3, 2), camera(), torch.ones(2, 2, dtype=torch.bool), "visible"),
    ],
)
def test_wrong_shapes_name_the_argument(
    pose: torch.Tensor, rig: Camera, seen: torch.Tensor, named: str
) -> None:
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        TargetPlacements.build(pose, rig, STICK, seen)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pose_2d": torch.zeros(2, 3, 2).numpy()}, "pose_2d: expected a floating-point tensor, got ndarray"),
        (
            {"pose_2d": torch.zeros(2, 3, 2).long()},
            "pose_2d: expected a floating-point tensor, got torch.int64",
        ),
        ({"camera": None}, "camera: expected a poseda Camera, got NoneType"),
        ({"skeleton": "h36m"}, "skeleton: expected a poseda Skeleton, got str"),
        ({"visible": torch.ones(2, 3)}, "visible: expected a bool tensor, got torch.float32"),
        ({"visible": torch.ones(2, 3).bool().numpy()}, "visible: expected a bool tensor, got ndarray"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_types_name_the_argument(given: dict[str, Any], message: str) -> None:
    arguments = {"pose_2d": torch.zeros(2, 3, 2), "camera": camera(), "skeleton": STICK, **given}
    with pytest.raises(TypeError, match=f"^{message}$"):
        TargetPlacements.build(**arguments)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"size": -1}, ValueError, "size: expected at least 0, got -1"),
        ({"size": 2.5}, TypeError, "size: expected a whole number, got 2.5"),
        ({"size": True}, TypeError, "size: expected a whole number, got True"),
        ({"size": 2, "generator": 5}, TypeError, "generator: expected a torch.Generator, got int"),
    ],
)
def test_a_wrong_draw_is_named(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        seen_from_three_cameras().draw(**given)


@pytest.mark.parametrize("state", [None, 3, ["placement"]], ids=str)
def test_a_state_that_is_no_mapping_is_refused(state: Any) -> None:
    with pytest.raises(TypeError, match=r"^state: expected a mapping of names to tensors, got "):
        TargetPlacements.from_state_dict(state)


def test_a_hidden_fake_like_its_anchor_scores_like_it() -> None:
    torch.manual_seed(2)
    pose = 0.3 * torch.randn(6, H36M16.num_joints, 2)
    seen = torch.rand(6, H36M16.num_joints) < 0.7
    seen[:, 0] = True
    table = TargetPlacements.build(pose, camera(), H36M16, seen)
    index = torch.tensor([4, 0, 4])
    hidden, anchor = table.hide(pose[index], index, 0), table.pose_2d[index]
    assert torch.equal(hidden, anchor) and not torch.equal(hidden, pose[index])
    discriminator = ScreenDiscriminator(H36M16, AdversaryConfig())
    assert torch.equal(discriminator(hidden), discriminator(anchor))
    complete = TargetPlacements.build(pose, camera(), H36M16)
    assert torch.equal(complete.hide(pose[index], index, 0), pose[index])


def test_a_draw_keeps_placement_camera_and_seen_joints_together() -> None:
    """With legs unseen in some target poses, the depth is right only if the mask belongs to the row."""
    generator = torch.Generator().manual_seed(3)
    given = augment_arguments(64, H36M16, give=())
    source, camera = given["pose_3d"], given["camera"].rows(torch.zeros(1, dtype=torch.int64))
    target_3d = source.roll(1, 0)
    visible = torch.ones(64, H36M16.num_joints, dtype=torch.bool)
    legs = [H36M16.joint(f"{side}_{name}") for side in ("left", "right") for name in ("knee", "ankle")]
    visible[::3, legs] = False
    targets = TargetPlacements.build(project(target_3d, camera), camera, H36M16, visible)
    drawn = targets.draw(1000, generator)
    index = drawn["placement_index"]
    # The very poses that the target shows are put back, so the exact depth is the true one.
    pair = ops.augment(target_3d[index], skeleton=H36M16, gpa="exact", **drawn)
    torch.testing.assert_close(pair.pose_3d[:, 0, 2], target_3d[index, 0, 2], rtol=2e-3, atol=0)
    del drawn["joint_mask"]
    maskless = ops.augment(target_3d[index], skeleton=H36M16, gpa="exact", **drawn).pose_3d[:, 0, 2]
    partly = ~visible[index].all(1)
    assert (maskless[partly] / target_3d[index, 0, 2][partly]).median() > 1.1


def test_a_draw_needs_no_generator() -> None:
    given = augment_arguments(16, H36M16, give=())
    camera = given["camera"].rows(torch.zeros(1, dtype=torch.int64))
    targets = TargetPlacements.build(project(given["pose_3d"], camera), camera, H36M16)
    torch.manual_seed(5)
    one = targets.draw(100)["placement_index"]
    torch.manual_seed(5)
    assert torch.equal(one, targets.draw(100)["placement_index"]) and one.unique().numel() > 5


def seen_from_three_cameras() -> TargetPlacements:
    pose = poses(*[[[0.0, 0.0], [0.5, 0.25 * row], [0.25, 0.5]] for row in range(3)])
    rig = Camera(torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), torch.zeros(1, 2), aspect=torch.ones(3))
    return TargetPlacements.build(pose, rig, STICK, torch.tensor([[True, True, False]]).expand(3, 3))


def test_a_cast_leaves_the_mask_alone() -> None:
    table = seen_from_three_cameras()
    double = table.to(torch.float64)
    assert table.visible is not None and double.visible is not None
    assert double.visible.dtype == torch.bool and torch.equal(double.visible, table.visible)
    assert {double.placement.dtype, double.pose_2d.dtype, double.camera.dtype} == {torch.float64}
    assert torch.equal(double.placement.float(), table.placement) and double.dropped == table.dropped
    placed = ops.augment(
        torch.tensor([[[0.0, 0.0, 5.0], [1.0, 0.0, 5.0], [0.0, 1.0, 5.0]]]).double().expand(4, 3, 3),
        skeleton=STICK,
        **double.draw(4),
    )
    assert placed.pose_2d.dtype == torch.float64 and placed.valid.all()


def test_a_move_takes_everything_along() -> None:
    moved = seen_from_three_cameras().to(torch.device("meta"), non_blocking=True)
    entries = [moved.placement, moved.pose_2d, moved.visible, moved.camera.focal, moved.camera.aspect]
    assert all(entry is not None and entry.device.type == "meta" for entry in entries)


LOAD = """
import sys, torch
state = torch.load(sys.argv[1], weights_only=True)
from poseda.geometry.placements import TargetPlacements
table = TargetPlacements.from_state_dict(state)
whole = torch.load(sys.argv[2], weights_only=True)["targets"]
for found in (table, whole):
    print(found.placement.tolist(), found.camera.focal.tolist(), found.camera.distortion)
    print(found.visible.tolist(), found.dropped)
    print(found.draw(2, torch.Generator().manual_seed(3))["placement_index"].tolist())
"""


def test_saved_placements_load_in_a_fresh_process_without_running_code(tmp_path: Path) -> None:
    table = seen_from_three_cameras()
    assert table.visible is not None
    torch.save(table.state_dict(), tmp_path / "state.pt")
    torch.save({"targets": table}, tmp_path / "whole.pt")
    files = [str(tmp_path / "state.pt"), str(tmp_path / "whole.pt")]
    run = subprocess.run([sys.executable, "-P", "-c", LOAD, *files], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    index = table.sample(2, torch.Generator().manual_seed(3)).tolist()
    lines = [
        f"{table.placement.tolist()} {table.camera.focal.tolist()} None",
        f"{table.visible.tolist()} 0",
        f"{index}",
    ]
    assert run.stdout.splitlines() == 2 * lines


def test_a_state_without_a_mask_or_lens_gives_none_of_them() -> None:
    state = TargetPlacements.build(poses([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]), camera(), STICK).state_dict()
    assert sorted(state) == ["camera.center", "camera.focal", "dropped", "placement", "pose_2d"]
    again = TargetPlacements.from_state_dict(state)
    assert again.visible is None and again.camera.aspect is None and len(again.camera) == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"placement": None}, ValueError, "state: expected camera.center, camera.focal, dropped, placement"),
        ({"other": torch.zeros(1)}, ValueError, "state: expected .*, got .*other"),
        ({"pose_2d": [1.0]}, TypeError, "pose_2d: expected a tensor, got list"),
        ({"placement": torch.zeros(3, 3)}, ValueError, r"placement: expected shape \(M, 4\), got \(3, 3\)"),
        ({"pose_2d": torch.zeros(4, 3, 2)}, ValueError, r"pose_2d: expected shape \(M, J, 2\)"),
        ({"visible": torch.ones(3, 3)}, TypeError, "visible: expected torch.bool, got torch.float32"),
        ({"camera.focal": torch.ones(2, 2)}, ValueError, "camera.focal: expected 3 rows or 1, got 2"),
        ({"camera.center": torch.ones(3, 3)}, ValueError, r"camera.center: expected shape \(N, 2\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_damaged_state_is_refused_by_name(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    state = {**seen_from_three_cameras().state_dict(), **change}
    with pytest.raises(error, match=f"^{message}"):
        TargetPlacements.from_state_dict({name: value for name, value in state.items() if value is not None})


def test_tables_are_equal_if_they_are_the_same_object() -> None:
    table = seen_from_three_cameras()
    assert table == table and table != seen_from_three_cameras()
