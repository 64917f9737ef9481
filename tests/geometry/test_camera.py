"""Screen and lens conventions, each named."""

import numpy as np
import pytest
import torch

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


def test_rows_keeps_shared_entries_shared() -> None:
    camera = Camera(torch.rand(5, 2), torch.zeros(1, 2), LENS.float())
    picked = camera.rows(torch.tensor([4, 4, 0]))
    assert picked.focal.tolist() == camera.focal[[4, 4, 0]].tolist()
    assert picked.center.shape == (1, 2)
    shared = Camera(torch.rand(1, 2), torch.zeros(1, 2)).rows(torch.tensor([3, 0, 7]))
    assert len(shared) == 1


def test_angles_and_directions_are_inverse() -> None:
    angles = 1.2 * (2 * torch.rand(50, 2, dtype=torch.float64) - 1)
    up = up_of(angles)
    torch.testing.assert_close(pitch_roll(up), angles)
    torch.testing.assert_close(up.norm(dim=-1), torch.ones(50, dtype=torch.float64))


def test_a_camera_that_looks_down_sees_upward_lean_towards_it() -> None:
    up = up_of(torch.tensor([[torch.pi / 6, 0.0], [0.0, 0.0]], dtype=torch.float64))
    expected = torch.tensor([[0.0, -(3**0.5) / 2, -0.5], [0.0, -1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(up, expected)
