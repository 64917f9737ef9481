"""Screen and lens conventions, each named; and cameras as training code uses them."""

import doctest
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, default_collate

from poseda import ops
from poseda.datasets.records import UnlabelledPoses
from poseda.geometry import camera as module
from poseda.geometry.camera import (
    Camera,
    denormalize_screen,
    distort,
    normalize_screen,
    pitch_roll,
    project,
    undistort,
    up_of,
)
from poseda.ops import reference
from poseda.ops.samples import augment_arguments

LENS = torch.tensor([[-0.2, 0.24, -0.002, -0.001, -0.0014]], dtype=torch.float64)


def test_both_axes_are_normalised_over_the_width() -> None:
    corners = torch.tensor([[0.0, 0.0], [1920.0, 1080.0], [960.0, 540.0]])
    assert normalize_screen(corners, 1920, 1080).tolist() == [[-1, -0.5625], [1, 0.5625], [0, 0]]


def test_denormalize_inverts_normalize() -> None:
    pixels = torch.rand(10, 2, dtype=torch.float64) * 1000
    back = denormalize_screen(normalize_screen(pixels, 1000, 700), 1000, 700)
    torch.testing.assert_close(back, pixels, rtol=1e-14, atol=1e-12)


def test_y_points_down_and_z_forward() -> None:
    camera = Camera.from_field_of_view(90, 1000, 1000)
    below_right = torch.tensor([[[1.0, 1.0, 2.0]]])
    torch.testing.assert_close(project(below_right, camera)[0, 0], torch.tensor([0.5, 0.5]))


def test_field_of_view_fills_the_width() -> None:
    # At 90 degrees the edge of the screen (u = 1) is where x = z.
    camera = Camera.from_field_of_view(90, 1920, 1080)
    torch.testing.assert_close(camera.focal, torch.tensor([[1.0, 1.0]]))
    assert camera.aspect is not None and camera.aspect.item() == pytest.approx(0.5625)


def test_undistort_inverts_distort_to_rounding() -> None:
    points = torch.rand(50, 2, dtype=torch.float64) - 0.5
    torch.testing.assert_close(undistort(distort(points, LENS), LENS), points, rtol=0, atol=1e-15)


def test_undistort_has_the_inverse_functions_gradient() -> None:
    points = (torch.rand(4, 2, dtype=torch.float64) - 0.5).requires_grad_()
    lens = LENS.clone().requires_grad_()
    assert torch.autograd.gradcheck(undistort, (points, lens))


def test_mirroring_a_camera_mirrors_what_it_sees() -> None:
    camera = Camera(torch.tensor([[2.0, 2.1]]).double(), torch.tensor([[0.1, 0.2]]).double(), LENS)
    points = torch.randn(1, 9, 3, dtype=torch.float64) + torch.tensor([0.0, 0.0, 5.0])
    flip_3d, flip_2d = torch.tensor([-1.0, 1.0, 1.0]).double(), torch.tensor([-1.0, 1.0]).double()
    torch.testing.assert_close(
        project(points * flip_3d, camera.mirrored()), project(points, camera) * flip_2d
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"focal": torch.ones(3)}, r"camera\.focal: expected shape \(N, 2\), got \(3,\)"),
        ({"center": torch.zeros(3, 2)}, r"camera\.focal: expected 3 rows or 1, got 2"),
        ({"distortion": torch.zeros(2, 4)}, r"camera\.distortion: expected shape \(N, 5\), got \(2, 4\)"),
        ({"aspect": torch.ones(2, 1)}, r"camera\.aspect: expected shape \(N,\), got \(2, 1\)"),
    ],
)
def test_a_wrong_shape_is_named(given: dict[str, torch.Tensor], message: str) -> None:
    entries = {"focal": torch.ones(2, 2), "center": torch.zeros(2, 2), **given}
    with pytest.raises(ValueError, match=message):
        Camera(**entries)


def test_a_wrong_dtype_is_named() -> None:
    with pytest.raises(
        TypeError, match=r"camera\.center: expected torch.float32 on cpu .* got torch.float64"
    ):
        Camera(torch.ones(1, 2), torch.zeros(1, 2).double())


def test_cameras_join_in_order_and_a_shared_one_is_one_row() -> None:
    shared = Camera(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.0]]))
    table = Camera(torch.tensor([[3.0, 3.0], [4.0, 4.0]]), torch.zeros(1, 2))
    joined = Camera.cat([shared, table])
    assert joined.focal.tolist() == [[1.0, 2.0], [3.0, 3.0], [4.0, 4.0]]
    assert joined.center.tolist() == [[0.5, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert joined.distortion is None and joined.aspect is None


def test_a_pinhole_joins_distorted_cameras_with_zeros() -> None:
    pinhole = Camera(torch.ones(2, 2), torch.zeros(2, 2), aspect=torch.tensor([0.5]))
    lens = Camera(torch.ones(1, 2), torch.zeros(1, 2), LENS.float(), torch.tensor([0.75]))
    joined = Camera.cat([pinhole, lens])
    assert joined.distortion is not None and joined.aspect is not None
    assert joined.distortion.tolist() == [[0.0] * 5, [0.0] * 5, LENS.float()[0].tolist()]
    assert joined.aspect.tolist() == [0.5, 0.5, 0.75]


def test_aspect_is_kept_only_if_all_cameras_have_it() -> None:
    known = Camera(torch.ones(1, 2), torch.zeros(1, 2), aspect=torch.tensor([0.5]))
    assert Camera.cat([known, Camera(torch.ones(1, 2), torch.zeros(1, 2))]).aspect is None


@pytest.mark.parametrize(
    ("others", "error", "message"),
    [
        ([], ValueError, r"^cameras: expected at least one camera, got none"),
        (None, TypeError, r"^cameras: expected a list of Cameras, got NoneType$"),
        (Camera(torch.ones(1, 2), torch.zeros(1, 2)), TypeError, r"^cameras: expected a list .* got Camera$"),
        ([torch.ones(2)], TypeError, r"^cameras\[0\]: expected a Camera, got Tensor"),
        (
            [
                Camera(torch.ones(1, 2), torch.zeros(1, 2)),
                Camera(torch.ones(1, 2), torch.zeros(1, 2)).to(torch.half),
            ],
            TypeError,
            r"^cameras\[1\]: expected torch.float32 on cpu as cameras\[0\], got torch.float16",
        ),
    ],
)
def test_what_cannot_be_joined_is_named(others: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Camera.cat(others)


FIVE = Camera(torch.arange(10.0).reshape(5, 2), torch.zeros(1, 2), LENS.float(), torch.arange(5.0))


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (3, [3]),
        (-1, [4]),
        (np.int64(2), [2]),
        (slice(2, 4), [2, 3]),
        (slice(None, None, 2), [0, 2, 4]),
        (slice(5, None), []),
        ([], []),
        ([1, 1, 0], [1, 1, 0]),
        (np.array([4, 0]), [4, 0]),
        (torch.tensor(2), [2]),
        (torch.tensor([4, 4, 0]), [4, 4, 0]),
        ([True, False, False, True, False], [0, 3]),
        (FIVE.focal[:, 0] > 5, [3, 4]),
        (FIVE.focal[:, 0] > 50, []),
    ],
    ids=str,
)
def test_an_index_picks_rows_in_its_order(index: Any, rows: list[int]) -> None:
    picked = FIVE[index]
    assert len(picked) == len(rows)
    assert picked.focal.tolist() == [[2.0 * row, 2.0 * row + 1] for row in rows]
    assert picked.aspect is not None and picked.aspect.tolist() == rows
    assert picked.center.shape == (1, 2), "an entry with one row stays so"


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (5, IndexError, r"^camera: expected one of 5 rows, got 5"),
        (-6, IndexError, r"^camera: expected one of 5 rows, got -6"),
        (True, TypeError, r"^camera: expected an integer, a slice, a mask or an int64 index, got bool"),
        ("focal", TypeError, r"^camera: expected an integer, .* got str"),
        ((0, 1), TypeError, r"^camera: expected an integer, .* got tuple"),
        (
            torch.zeros(2, 2, dtype=torch.int64),
            TypeError,
            r"^camera: expected .* of one dimension, got .* \(2, 2\)",
        ),
        (torch.tensor([0.5]), TypeError, r"^camera: expected a mask or an int64 index .* got torch.float32"),
        (["focal"], TypeError, r"^camera: expected a mask or an int64 index, got a list of something else$"),
        ([0, 5], IndexError, r"^camera: expected some of 5 rows, got \[0, 5\]$"),
        ([True] * 4, IndexError, r"^camera: expected a mask of 5 rows, got 4$"),
        (torch.ones(4, dtype=torch.bool), IndexError, r"mask"),
    ],
    ids=str,
)
def test_a_wrong_index_is_refused(index: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        FIVE[index]


def test_a_camera_is_not_iterated() -> None:
    for attempt in (iter, list, lambda camera: 1 in camera):
        with pytest.raises(TypeError, match=r"Camera'? .*(iterable|container)|not iterable"):
            attempt(FIVE)  # type: ignore[operator]


def test_entries_of_no_rows_beside_shared_ones_are_no_rows() -> None:
    assert len(Camera(torch.ones(0, 2), torch.zeros(1, 2))) == 0
    assert len(Camera(torch.ones(1, 2), torch.zeros(1, 2))) == 1
    assert len(Camera.cat([FIVE[:0], FIVE[1]])) == 1


def test_device_and_dtype_are_those_of_every_entry() -> None:
    assert (FIVE.device, FIVE.dtype) == (torch.device("cpu"), torch.float32)
    moved = FIVE.to("meta", torch.float64)
    assert (moved.device, moved.dtype) == (torch.device("meta"), torch.float64)


def test_cameras_are_equal_if_they_are_the_same_object() -> None:
    same = Camera(FIVE.focal, FIVE.center, FIVE.distortion, FIVE.aspect)
    assert FIVE == FIVE and same != FIVE and FIVE in [same, FIVE]
    assert {FIVE: 1, same: 2}[FIVE] == 1
    with pytest.raises(FrozenInstanceError):
        FIVE.focal = torch.ones(5, 2)  # type: ignore[misc]


def test_rows_keeps_shared_entries_shared() -> None:
    camera = Camera(torch.rand(5, 2), torch.zeros(1, 2), LENS.float())
    picked = camera.rows(torch.tensor([4, 4, 0]))
    assert picked.focal.tolist() == camera.focal[[4, 4, 0]].tolist()
    assert picked.center.shape == (1, 2)
    shared = Camera(torch.rand(1, 2), torch.zeros(1, 2)).rows(torch.tensor([3, 0, 7]))
    assert len(shared) == 1


def test_rows_of_a_shared_camera_are_that_camera() -> None:
    shared = FIVE[2]
    assert shared.rows(torch.tensor([4, 7, 0])) is shared
    assert shared.rows(torch.zeros(9, dtype=torch.bool)) is shared
    with pytest.raises(IndexError):
        shared[torch.tensor([4, 7, 0])]


def test_a_table_of_one_pose_has_a_camera_for_each_row_picked_from_it() -> None:
    one = UnlabelledPoses(torch.rand(1, 16, 2), FIVE[1], torch.zeros(1, dtype=torch.int64))
    assert len(one.rows(torch.tensor([0, 0, 0])).camera) == 3
    assert len(one.rows(torch.tensor([False])).camera) == 0


@pytest.mark.parametrize("function", [ops.augment, reference.augment], ids=["ops", "reference"])
@pytest.mark.parametrize("gpa", ["closed_form", "exact"])
def test_one_camera_is_shared_by_a_table_of_placements(function: Callable[..., Any], gpa: str) -> None:
    given = augment_arguments(
        6, give=("distortion", "placement", "placement_index"), dtype=torch.float64, rows=4
    )
    shared = given["camera"][0]
    focal = shared.focal.clone().requires_grad_()

    def augmented(camera: Camera) -> tuple[Any, torch.Tensor]:
        pair = function(**{**given, "camera": camera}, gpa=gpa)
        return pair, torch.autograd.grad(pair.pose_2d.square().sum(), focal)[0]

    entries = (shared.center, shared.distortion, shared.aspect)
    pair, gradient = augmented(Camera(focal, *entries))
    # As many equal rows as there are placements say the same.
    table, expected = augmented(Camera(focal.expand(4, 2), *entries))
    assert pair.valid.any() and torch.equal(pair.pose_3d, table.pose_3d)
    torch.testing.assert_close(gradient, expected)


def test_a_camera_is_a_tree_of_its_entries() -> None:
    doubled = pytree.tree_map(lambda entry: 2 * entry, FIVE[:2])
    assert isinstance(doubled, Camera) and doubled.focal.tolist() == [[0.0, 2.0], [4.0, 6.0]]
    pinhole = Camera(torch.ones(1, 2), torch.zeros(1, 2))
    leaves, tree = pytree.tree_flatten({"lens": pinhole})
    assert len(leaves) == 2, "an absent entry is no leaf"
    again = pytree.treespec_loads(pytree.treespec_dumps(tree))
    assert again == tree and pytree.tree_unflatten(leaves, again)["lens"].distortion is None


def test_samples_with_cameras_make_batches() -> None:
    samples = [(torch.full((16, 3), float(row)), {"camera": FIVE[row]}) for row in range(5)]
    pose, batch = default_collate(samples)
    assert pose.shape == (5, 16, 3) and torch.equal(batch["camera"].focal, FIVE.focal)
    sizes = [len(batch["camera"]) for _, batch in DataLoader(samples, batch_size=2)]
    assert sizes == [2, 2, 1]


def test_a_saved_camera_loads_without_running_code() -> None:
    file = io.BytesIO()
    torch.save({"camera": FIVE}, file)
    file.seek(0)
    again = torch.load(file, weights_only=True)["camera"]
    assert torch.equal(again.focal, FIVE.focal) and torch.equal(again.aspect, FIVE.aspect)
    assert torch.equal(pickle.loads(pickle.dumps(FIVE)).focal, FIVE.focal)


FRESH = """
import io
import torch
from poseda import ops
from poseda.geometry.camera import Camera, project

class Fused(torch.nn.Module):
    def forward(self, points, camera):
        return ops.project(points, camera)

class Plain(torch.nn.Module):
    def forward(self, points, camera):
        both = Camera.cat([camera, camera[-1]])
        return project(points, camera.rows(torch.arange(points.shape[0]))), camera.mirrored(), both.num_rows

def cameras(rows):
    return Camera(1 + torch.rand(rows, 2), torch.zeros(rows, 2), torch.zeros(rows, 5), torch.ones(rows))

points = torch.randn(6, 16, 3) + torch.tensor([0.0, 0.0, 5.0])
"""

COMPILE = """
for module in (Fused(), Plain()):
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for rows in (6, 4, 1):
        camera = cameras(rows)
        torch.testing.assert_close(
            torch.utils._pytree.tree_leaves(compiled(points[:rows], camera)),
            torch.utils._pytree.tree_leaves(module(points[:rows], camera)),
        )
"""

EXPORT = """
sizes = torch.export.Dim("rows", min=2, max=100)
for module in (Fused(), Plain()):
    program = torch.export.export(
        module, (points, cameras(6)), dynamic_shapes=({0: sizes}, [{0: sizes}] * 4), strict=STRICT
    )
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file)
    camera = cameras(3)
    for run in (program.module(), loaded.module()):
        torch.testing.assert_close(
            torch.utils._pytree.tree_leaves(run(points[:3], camera)),
            torch.utils._pytree.tree_leaves(module(points[:3], camera)),
        )
"""


def run_fresh(program: str) -> str:
    """What a program prints to stderr in a process of its own, where nothing has been called before."""
    run = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stderr


def test_cameras_compile_as_one_graph_in_a_fresh_process() -> None:
    run_fresh(FRESH + COMPILE)


@pytest.mark.parametrize("strict", [True, False])
def test_programs_with_cameras_are_exported_for_any_batch_in_a_fresh_process(strict: bool) -> None:
    said = run_fresh(f"{FRESH}{EXPORT.replace('STRICT', str(strict))}")
    assert "weights_only" not in said, "the example inputs must load without running code"


def test_the_examples_in_docstrings_run() -> None:
    result = doctest.testmod(module, extraglobs={"torch": torch})
    assert result.attempted >= 4 and result.failed == 0


def test_angles_and_directions_are_inverse() -> None:
    angles = 1.2 * (2 * torch.rand(50, 2, dtype=torch.float64) - 1)
    up = up_of(angles)
    torch.testing.assert_close(pitch_roll(up), angles)
    torch.testing.assert_close(up.norm(dim=-1), torch.ones(50, dtype=torch.float64))


def test_a_camera_that_looks_down_sees_upward_lean_towards_it() -> None:
    up = up_of(torch.tensor([[torch.pi / 6, 0.0], [0.0, 0.0]], dtype=torch.float64))
    expected = torch.tensor([[0.0, -(3**0.5) / 2, -0.5], [0.0, -1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(up, expected)
