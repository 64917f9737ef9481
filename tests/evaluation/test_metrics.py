"""Metrics against numbers worked by hand, invariances, and poses without size, on a line or mirrored."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.evaluation import metrics
from poseda.evaluation.evaluate import by_camera
from poseda.geometry.rotation import rotation_matrix
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.ops import procrustes_align

MILLIMETRE = 1e-3
STICK = Skeleton.declare("stick", {"root": None, "a": "root", "b": "a", "c": "b"}, parts={"arm": ("b", "c")})


def poses(count: int = 5, joints: int = 16) -> Tensor:
    pose = torch.randn(count, joints, 3, dtype=torch.float64) * 0.3
    return pose - pose[:, :1]


def moved(millimetres: list[float]) -> tuple[Tensor, Tensor]:
    """A target and a prediction whose joints are off by the given distances, along x."""
    target = poses(1, len(millimetres))
    offset = torch.zeros_like(target)
    offset[0, :, 0] = torch.tensor(millimetres, dtype=torch.float64) * MILLIMETRE
    return target + offset, target


def similarity(pose: Tensor) -> Tensor:
    """Each pose turned, scaled and shifted differently."""
    turn = rotation_matrix(torch.randn(len(pose), 3, dtype=torch.float64))
    scale = torch.rand(len(pose), 1, 1, dtype=torch.float64) + 0.5
    return scale * (pose @ turn.mT) + torch.randn(len(pose), 1, 3, dtype=torch.float64)


def test_mpjpe_averages_over_all_joints_and_the_root_free_variant_leaves_the_root_out():
    prediction, target = moved([0, 3, 6, 15])
    assert metrics.mpjpe(prediction, target).item() == pytest.approx(24 / 4)
    assert metrics.mpjpe_root_free(prediction, target).item() == pytest.approx(24 / 3)


def test_roots_are_brought_together_by_subtraction():
    prediction, target = moved([10, 10, 10, 40])
    assert metrics.joint_errors(prediction, target)[0].tolist() == pytest.approx([0, 0, 0, 30])
    far = target + torch.tensor([5.0, -2.0, 9.0])
    torch.testing.assert_close(metrics.mpjpe(prediction, far), metrics.mpjpe(prediction, target))


def test_pck_counts_joints_strictly_nearer_than_the_threshold():
    # 0.125 and 0.25 m are exact in binary, so that "equal" means equal.
    target = torch.zeros(1, 4, 3)
    prediction = target.clone()
    prediction[0, 1:, 2] = torch.tensor([0.125, 0.25, 0.5])
    assert metrics.pck(prediction, target, threshold=250.0).item() == 50.0
    assert metrics.pck(prediction, target, threshold=250.001).item() == 75.0
    assert metrics.pck(prediction, target).item() == 50.0


def test_auc_averages_pck_over_31_thresholds():
    prediction, target = moved([0, 12, 151, 1000])
    # 0 mm passes 5, 10 … 150 (30 of 31); 12 mm passes 15 … 150 (28); the others none.
    assert metrics.auc(prediction, target).item() == pytest.approx(100 * (30 + 28) / (4 * 31))
    by_hand = torch.stack([metrics.pck(prediction, target, t) for t in range(0, 151, 5)]).mean(0)
    torch.testing.assert_close(metrics.auc(prediction, target), by_hand)
    assert metrics.auc(target, target).item() == pytest.approx(100 * 30 / 31)


def test_auc_excludes_a_threshold_equal_to_the_error():
    target = torch.zeros(1, 2, 3)
    prediction = target.clone()
    prediction[0, 1, 0] = 0.125
    # 125 mm passes 130 … 150 (5), the root 5 … 150 (30).
    assert metrics.auc(prediction, target).item() == pytest.approx(100 * (5 + 30) / (2 * 31))


def test_pa_mpjpe_forgives_rotation_translation_and_scale():
    target = poses()
    errors = metrics.pa_mpjpe(similarity(target), target)
    assert errors.max() < 1e-9
    assert metrics.mpjpe(similarity(target), target).min() > 10


def test_pa_mpjpe_of_a_worked_example():
    # The target is a square with diagonals of 2 m, the prediction a rhombus with 2a and 2b on the same axes:
    # the centroids agree, H is diagonal, no rotation helps, scale = (a + b) / (a^2 + b^2).
    a, b = 1.0, 0.5
    cross = torch.tensor([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], dtype=torch.float64)
    prediction = (cross * torch.tensor([a, b, 1.0], dtype=torch.float64))[None]
    scale = (a + b) / (a * a + b * b)
    expected = 1000 * (abs(scale * a - 1) + abs(scale * b - 1)) / 2
    assert metrics.pa_mpjpe(prediction, cross[None]).item() == pytest.approx(expected)


def test_procrustes_beats_every_nearby_similarity():
    target, prediction = poses(20), poses(20)
    best = (procrustes_align(prediction, target) - target).square().sum((1, 2))
    for _ in range(50):
        turn = rotation_matrix(0.1 * torch.randn(20, 3, dtype=torch.float64))
        scale = 1 + 0.1 * torch.randn(20, 1, 1, dtype=torch.float64)
        shift = 0.05 * torch.randn(20, 1, 3, dtype=torch.float64)
        tried = scale * (procrustes_align(prediction, target) @ turn.mT) + shift
        assert ((tried - target).square().sum((1, 2)) >= best - 1e-12).all()


def test_a_mirrored_pose_is_not_forgiven():
    target = poses()
    mirrored = target * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    aligned = procrustes_align(mirrored, target)
    assert metrics.pa_mpjpe(mirrored, target).min() > 10
    # The map from prediction to alignment turns without reflecting: triple products keep their sign.
    volume = torch.linalg.det(mirrored[:, 1:4] - mirrored[:, :1])
    assert (volume * torch.linalg.det(aligned[:, 1:4] - aligned[:, :1]) > 0).all()


@pytest.mark.parametrize("joints", [2, 4, 16])
def test_poses_on_a_line_align_on_the_line(joints):
    along = torch.linspace(0, 1, joints, dtype=torch.float64)[:, None]
    target = (along * torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))[None]
    prediction = (along * torch.tensor([2.0, 0.0, 2.0], dtype=torch.float64))[None]
    assert metrics.pa_mpjpe(prediction, target).item() == pytest.approx(0, abs=1e-9)


def test_a_prediction_without_size_becomes_the_centroid():
    target = poses()
    nothing = torch.zeros_like(target)
    torch.testing.assert_close(
        procrustes_align(nothing, target), target.mean(1, keepdim=True).expand_as(target)
    )
    torch.testing.assert_close(metrics.n_mpjpe(nothing, target), metrics.mpjpe(nothing, target))
    assert metrics.pa_mpjpe(target, nothing).tolist() == [0.0] * len(target)
    assert metrics.pa_mpjpe(nothing, nothing).tolist() == [0.0] * len(target)


def test_n_mpjpe_forgives_scale_but_not_rotation():
    target = poses()
    assert metrics.n_mpjpe(3 * target, target).max() < 1e-9
    turn = rotation_matrix(torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64))
    assert metrics.n_mpjpe(target @ turn.mT, target).min() > 10


def test_alignment_can_only_help_the_squared_error():
    prediction, target = poses(100), poses(100)
    raw = (prediction - target).square().sum((1, 2))
    aligned = (procrustes_align(prediction, target) - target).square().sum((1, 2))
    assert (aligned <= raw).all()


def test_mpjve_compares_steps_between_frames():
    target = poses(3).reshape(1, 3, 16, 3)
    prediction = target.clone()
    # A constant offset of the joints has no velocity; the last frame's jump of 32 mm in one of 16 joints has.
    prediction[0, :, 1:] += 0.07
    prediction[0, 2, 5, 1] += 0.032
    assert metrics.mpjve(prediction, target).item() == pytest.approx(32 / 16 / 2)
    with pytest.raises(ValueError, match="T >= 2"):
        metrics.mpjve(prediction[:, :1], target[:, :1])


def test_the_acceleration_error_compares_second_differences():
    target = poses(5).reshape(1, 5, 16, 3)
    prediction = target.clone()
    # A drift of constant speed has no acceleration; one frame displaced by 16 mm has 16, -32, 16.
    prediction[0, :, 1:] += 0.01 * torch.arange(5)[:, None, None]
    prediction[0, 2, 5, 1] += 0.016
    assert metrics.acceleration_error(prediction, target).item() == pytest.approx((16 + 32 + 16) / 16 / 3)
    with pytest.raises(ValueError, match="T >= 3"):
        metrics.acceleration_error(prediction[:, :2], target[:, :2])


def test_errors_of_motion_stay_within_their_run():
    target = poses(6)
    prediction = target.clone()
    prediction[3:, 1:] += 0.5  # a jump between two runs
    prediction[1, 5, 1] += 0.016
    scores = metrics.evaluate_motion(prediction, target, torch.tensor([0, 0, 0, 1, 1, 2]))
    assert scores["mpjve"] == pytest.approx(2 * 1 / 3)  # 1 and 1 of the first run, 0 of the second
    assert scores["acceleration_error"] == pytest.approx(2)  # of 0, 1, 0: -2
    # Frames without a neighbour have no motion.
    assert metrics.evaluate_motion(prediction, target, torch.arange(6)) == {}
    assert metrics.evaluate_motion(prediction, target, torch.zeros(6, dtype=torch.int64))["mpjve"] > 100


def test_leading_dimensions_are_kept():
    prediction, target = poses(6).reshape(2, 3, 16, 3), poses(6).reshape(2, 3, 16, 3)
    for metric in (
        metrics.mpjpe,
        metrics.mpjpe_root_free,
        metrics.pa_mpjpe,
        metrics.n_mpjpe,
        metrics.pck,
        metrics.auc,
    ):
        together = metric(prediction, target)
        assert together.shape == (2, 3)
        torch.testing.assert_close(together.flatten(), metric(prediction.flatten(0, 1), target.flatten(0, 1)))


def test_evaluate_poses_averages_the_samples_and_is_json():
    prediction, target = poses(40).float(), poses(40).float()
    scores = metrics.evaluate_poses(prediction, target + 3.0, H36M16)
    assert json.loads(json.dumps(scores)) == scores
    assert scores["poses"] == 40
    for name in ("mpjpe", "pa_mpjpe", "n_mpjpe", "pck", "auc", "mpjpe_root_free"):
        # float32 inputs 3 m from the origin round to about 0.2 micrometres.
        assert scores[name] == pytest.approx(
            getattr(metrics, name)(prediction, target).mean().item(), abs=1e-2
        )
    assert list(scores["per_joint"]) == list(H36M16.joint_names)
    assert scores["per_joint"]["pelvis"] == 0.0
    assert math.fsum(scores["per_joint"].values()) / 16 == pytest.approx(scores["mpjpe"])


def test_parts_average_the_joints_at_which_their_bones_end():
    prediction, target = moved([0, 1, 20, 40])
    scores = metrics.evaluate_poses(prediction, target, STICK)
    assert scores["per_part"] == {"arm": pytest.approx(30.0)}


def test_clips_weigh_the_same_whatever_their_length():
    target = torch.zeros(4, 2, 3)
    prediction = target.clone()
    prediction[:, 1, 0] = torch.tensor([0.1, 0.1, 0.1, 0.3])
    clip = torch.tensor([7, 7, 7, -2])
    pair = Skeleton.declare("pair", {"root": None, "end": "root"})
    scores = metrics.evaluate_poses(prediction, target, pair, clip=clip)
    assert scores["mpjpe"] == pytest.approx((50 * 3 + 150) / 4)
    assert scores["mpjpe_per_clip"] == pytest.approx((50 + 150) / 2)
    assert "mpjpe_per_clip" not in metrics.evaluate_poses(prediction, target, pair)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused_by_name(bad):
    prediction, target = poses(), poses()
    prediction[2, 3, 1] = bad
    with pytest.raises(ValueError, match=r"^prediction: expected finite numbers, got NaN or Inf in 1 poses$"):
        metrics.mpjpe(prediction, target)
    with pytest.raises(ValueError, match=r"^target: "):
        metrics.pa_mpjpe(target, prediction)


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (torch.zeros(3, 16, 2), torch.zeros(3, 16, 2), r"prediction: expected shape \(\.\.\., J, 3\)"),
        (torch.zeros(3, 16, 3), torch.zeros(3, 15, 3), r"target: expected shape \(3, 16, 3\) as prediction"),
        (torch.zeros(3, 1, 3), torch.zeros(3, 1, 3), "prediction: expected shape"),
    ],
)
def test_shapes_that_are_not_poses_are_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        metrics.mpjpe(prediction, target)


def test_evaluate_poses_refuses_empty_sets_and_other_skeletons():
    with pytest.raises(ValueError, match="N > 0"):
        metrics.evaluate_poses(torch.zeros(0, 16, 3), torch.zeros(0, 16, 3), H36M16)
    with pytest.raises(ValueError, match="16 joints of h36m16, got 17"):
        metrics.evaluate_poses(torch.zeros(2, 17, 3), torch.zeros(2, 17, 3), H36M16)
    with pytest.raises(ValueError, match=r"clip: expected shape \(2,\), got \(3,\)"):
        metrics.evaluate_poses(poses(2), poses(2), H36M16, clip=torch.zeros(3, dtype=torch.int64))


def test_errors_by_camera_average_to_the_error_of_all():
    labelled = EmbeddedDomains(size=0.05).evaluation()
    errors = torch.rand(len(labelled), dtype=torch.float64)
    found = by_camera(errors, labelled)
    camera = labelled.columns["camera"]
    assert list(found) == sorted(map(str, set(camera.tolist()))) and len(found) > 1
    pooled = sum(found[str(number)] for number in camera.tolist()) / len(labelled)
    assert pooled == pytest.approx(errors.mean().item())
    by_lens = by_camera(errors, replace(labelled, columns={}))
    assert sorted(by_lens.values()) == pytest.approx(sorted(found.values()))
    many = {"camera": np.arange(len(labelled))}
    assert by_camera(errors, replace(labelled, columns=many)) == {}
