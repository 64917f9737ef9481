"""Cameras from OpenCV's intrinsics and coefficients: converted, fitted or refused by name."""

from typing import Any

import numpy as np
import pytest
import torch

from poseda.geometry.camera import Camera, denormalize_screen, project


def test_opencv_coefficients_are_fitted_not_relabelled() -> None:
    matrix = [[1145.0, 0, 512.5], [0, 1143.8, 515.4], [0, 0, 1]]
    k1, k2, p1, p2, k3 = -0.05, 0.02, -5e-4, 3e-4, 0.0
    camera = Camera.from_opencv(matrix, [k1, k2, p1, p2, k3], 1000, 1000)
    points = np.random.default_rng(0).uniform([-0.4, -0.4, 1], [0.4, 0.4, 1], (100, 3))
    x, y = points[:, 0], points[:, 1]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = 1145.0 * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + 512.5
    v = 1143.8 * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + 515.4
    ours = denormalize_screen(project(torch.tensor(points, dtype=torch.float32)[None], camera)[0], 1000, 1000)
    assert np.abs(ours.numpy() - np.stack([u, v], -1)).max() < 0.5


def test_opencv_distortion_that_cannot_be_matched_is_refused_with_its_misfit() -> None:
    matrix = [[600.0, 0, 500], [0, 600.0, 500], [0, 0, 1]]
    with pytest.raises(ValueError, match=r"can be matched to \d+\.\d+ px only, expected at most 0\.01 px"):
        Camera.from_opencv(matrix, [0.0, 0.0, 0.02, -0.03], 1000, 1000, tolerance_px=0.01)


def intrinsics(fx: float, fy: float, cx: float, cy: float, **changes: float) -> torch.Tensor:
    entries = {"skew": 0.0, "below": 0.0, "last": 1.0, **changes}
    return torch.tensor(
        [[fx, entries["skew"], cx], [entries["below"], fy, cy], [0.0, 0.0, entries["last"]]],
        dtype=torch.float64,
    )


TWO = torch.stack([intrinsics(1000, 900, 960, 540), intrinsics(500, 500, 1000, 500)])


def test_each_camera_has_its_own_intrinsics_and_picture() -> None:
    camera = Camera.from_intrinsics(TWO, torch.tensor([2000, 1000]), [1000, 500])
    assert camera.focal.tolist() == [[1.0, 0.9], [1.0, 1.0]]
    assert camera.center.tolist() == [[-0.04, 0.04], [1.0, 0.5]]
    assert camera.aspect is not None and camera.aspect.tolist() == [0.5, 0.5]
    assert camera.distortion is None and len(camera) == 2


def test_intrinsics_agree_to_the_bit_with_a_camera_built_from_its_numbers() -> None:
    numbers = (1145.0494, 1143.7811, 512.54150, 515.45148)
    one = Camera.from_pixels(*numbers, 1000, 1002)
    same = Camera.from_intrinsics(intrinsics(*numbers)[None], 1000, 1002, dtype=torch.float32)
    fitted = Camera.from_opencv(intrinsics(*numbers), [], 1000, 1002)
    for name in ("focal", "center", "aspect"):
        assert torch.equal(getattr(one, name), getattr(same, name)), name
        assert torch.equal(getattr(one, name), getattr(fitted, name)), name


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (TWO, torch.float64),
        (TWO.float(), torch.float32),
        (TWO.half(), torch.float16),
        (TWO.int(), torch.float32),
        (TWO.numpy(), torch.float32),
        (TWO[0].tolist(), torch.float32),
        ([TWO[0].numpy(), TWO[1].numpy()], torch.float32),
    ],
    ids=["float64", "float32", "float16", "int32", "array", "lists", "arrays"],
)
def test_intrinsics_come_in_any_real_type(given: Any, dtype: torch.dtype) -> None:
    camera = Camera.from_intrinsics(given, 2000, 1000)
    assert camera.dtype == dtype and camera.device.type == "cpu"
    expected = torch.tensor([1.0, 0.9], dtype=torch.float64).to(dtype)
    assert torch.equal(camera.focal[0], expected)
    assert Camera.from_intrinsics(given, 2000, 1000, dtype=torch.float64).dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((TWO[:, :2], 10, 10), ValueError, r"^K: expected shape \(N, 3, 3\) or \(3, 3\), got \(2, 2, 3\)"),
        ((intrinsics(9, 9, 5, 5, skew=0.1), 10, 10), ValueError, r"^K: expected no skew, got 0\.1 pixels"),
        ((intrinsics(9, 9, 5, 5, below=1), 10, 10), ValueError, r"^K: expected \[\[fx, 0, cx\].* in row 0"),
        ((intrinsics(9, 9, 5, 5, last=2), 10, 10), ValueError, r"^K: expected \[\[fx, 0, cx\]"),
        ((intrinsics(9, -9, 5, 5), 10, 10), ValueError, r"^K: .* fx and fy above 0, got .*-9\.0"),
        ((intrinsics(9, 9, float("nan"), 5), 10, 10), ValueError, r"^K: expected .*nan"),
        (([[1, 2], [3]], 10, 10), TypeError, r"^K: expected numbers in a regular array, got list"),
        ((TWO, 0, 10), ValueError, r"^width: expected positive pixels, got 0"),
        ((TWO, 10, [10, float("inf")]), ValueError, r"^height: expected positive pixels, got inf"),
        ((TWO, 10, "tall"), TypeError, r"^height: expected numbers in a regular array, got str"),
        ((TWO, [10] * 3, 10), ValueError, r"^K: expected 3 rows or 1, got 2"),
        ((TWO, 10, 10, [0.1, 0.2, 0.3]), ValueError, r"^distortion: expected 0, 4 or 5 numbers .* got 3"),
        ((TWO, 10, 10, [0.1] * 8), ValueError, r"^distortion: expected 0, 4 or 5 numbers .* got 8"),
        ((TWO, 10, 10, torch.zeros(3, 5)), ValueError, r"^K: expected 3 rows or 1, got 2"),
        ((TWO, 10, 10, [float("nan"), 0, 0, 0]), ValueError, r"^distortion: expected finite numbers"),
        (
            (torch.stack([intrinsics(600, 600, 500, 500)] * 2), 1000, 1000, [[0.0] * 4, [0, 0, 0.2, -0.3]]),
            ValueError,
            r"^distortion of row 1: OpenCV's distortion can be matched to \d+\.\d+ px only, .* undistort",
        ),
    ],
)
def test_wrong_intrinsics_are_refused_by_name(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Camera.from_intrinsics(*arguments)


def test_one_camera_from_opencv_has_the_same_checks() -> None:
    with pytest.raises(ValueError, match=r"^matrix: expected no skew, got 3 pixels in row 0"):
        Camera.from_opencv(intrinsics(600, 600, 500, 500, skew=3), [], 1000, 1000)
    with pytest.raises(ValueError, match=r"^matrix: expected one camera, got 2; Camera.from_intrinsics"):
        Camera.from_opencv(TWO, [], 1000, 1000)
    with pytest.raises(ValueError, match=r"^coefficients: expected 0, 4 or 5 numbers"):
        Camera.from_opencv(TWO[0], [0.1], 1000, 1000)


def test_a_radial_lens_is_carried_exactly_and_reordered() -> None:
    camera = Camera.from_intrinsics(TWO, 2000, 1000, [-0.2, 0.1, 0.0, 0.0, 0.05])
    assert camera.distortion is not None
    assert camera.distortion.tolist() == [[-0.2, 0.1, 0.05, 0.0, 0.0]] * 2


def test_each_camera_keeps_its_own_lens() -> None:
    k1 = [0.2, -0.1, 0.2]
    camera = Camera.from_intrinsics(TWO[0], 2000, 1000, [[k, 0.0, 0.0, 0.0] for k in k1])
    assert camera.distortion is not None and camera.distortion[:, 0].tolist() == k1


def test_a_tangential_lens_is_fitted_for_each_camera() -> None:
    coefficients = [[-0.05, 0.02, -5e-4, 3e-4], [0.0] * 4]
    camera = Camera.from_intrinsics(TWO, 1920, 1080, np.array(coefficients), dtype=torch.float32)
    one = Camera.from_opencv(TWO[0], coefficients[0], 1920, 1080)
    assert camera.distortion is not None and one.distortion is not None
    assert torch.equal(camera.distortion[0], one.distortion[0])
    assert camera.distortion[1].tolist() == [0.0] * 5
    assert Camera.from_intrinsics(TWO, 1920, 1080, torch.zeros(2, 5)).distortion is None


def test_opencv_gives_the_coefficients_of_one_camera_as_a_row_or_a_column() -> None:
    flat, row, column = (
        Camera.from_intrinsics(TWO, 2000, 1000, np.reshape([-0.2, 0.1, 0, 0, 0.05], shape)).distortion
        for shape in (5, (1, 5), (5, 1))
    )
    assert flat is not None and row is not None and column is not None
    assert torch.equal(flat, row) and torch.equal(flat, column)


def test_no_cameras_make_an_empty_table() -> None:
    camera = Camera.from_intrinsics(torch.zeros(0, 3, 3), 1000, 1000, [0.1, 0, 0.01, 0])
    assert len(camera) == 0 and camera.focal.shape == (0, 2)


def test_gradients_reach_the_intrinsics() -> None:
    K = TWO.clone().requires_grad_()
    camera = Camera.from_intrinsics(K, 2000, 1000)
    (camera.focal.sum() + camera.center.sum()).backward()
    assert K.grad is not None
    assert K.grad.tolist() == [[[0.001, 0, 0.001], [0, 0.001, 0.001], [0, 0, 0]]] * 2
