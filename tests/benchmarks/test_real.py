"""`python -m benchmarks.real` on clips made here: what it learns from, scores, and that it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from two_cameras import rig

from benchmarks.motions import read_motions
from benchmarks.real.clips import LIMBS, first_half_of_rig, first_halves, views
from benchmarks.real.program import main
from benchmarks.real.tables import summary, with_weak_labels
from benchmarks.real.weak import weak_labels
from poseda.geometry.skeleton import H36M16

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_clip_gives_a_view_for_each_camera_with_its_truth_in_camera_axes(
    clip: Path, bodies: np.ndarray
) -> None:
    front, side = views(clip)
    assert (front.name, side.name) == ("someone 0", "someone 1")
    rotation, shift = rig()
    limbs = [H36M16.joint(joint) for joint in LIMBS]
    np.testing.assert_allclose(side.truth, (bodies @ rotation[1].T + shift[1])[:, limbs], atol=1e-9)
    np.testing.assert_allclose(front.up, [0, -1, 0], atol=1e-12)  # level: up is against y
    assert len(front.half(second=True).truth) == 20


def test_the_second_halves_are_not_learned_from(clip: Path) -> None:
    target = first_halves([clip])
    assert len(target) == 40  # twenty frames of each of two cameras
    shown = target.shown
    assert shown is None or bool(shown[:, H36M16.joint("left_wrist")].all())


def test_the_cameras_of_a_clip_are_a_rig_whose_frames_are_moments(clip: Path) -> None:
    found = first_half_of_rig(clip).rig
    assert found is not None and found.rotation is not None
    np.testing.assert_allclose(found.rotation.numpy(), rig()[0], atol=1e-6)
    assert found.camera.tolist() == [0] * 20 + [1] * 20 and found.moment.tolist() == [*range(20)] * 2


def test_one_rig_is_told_at_a_time(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--clips", str(clip), "--motion", str(clip), "--out", str(tmp_path / "o"), "--rig"]
    assert main(command) == 2
    assert "--rig: expected no --motion" in capsys.readouterr().err


def scored(arm: str, way: str, **errors: float) -> list[dict[str, Any]]:
    return [
        {"seed": 0, "view": view.replace("_1", " 1"), "arm": arm, "way": way, "views": 10, "lifted": 9}
        | {"mpjpe": error, "within_error": 0.5}
        for view, error in errors.items()
    ]


def test_the_summary_leaves_the_bystander_out_and_shows_what_two_records_share_once() -> None:
    ways = ("one_pass", "found", "rig", "given")
    views = {"shelf_p2_1": 80.0, "pose2sim_balancing_1": 60.0, "pose2sim_balancing_blazepose_1": 300.0}
    wide = [row for way in ways for row in scored("wide", way, **views)]
    target = [row for way in ways[1:] for row in scored("wide_target", way, **views)]
    record = {"asked": {"clips": []}, "scores": [*wide, *target]}
    headings, lines = summary({"one": record, "two": record})
    assert [line[:2] for line in lines[3:6]] == [
        ["one: wide", "tilt given"],
        ["one: wide_target", "found"],
        ["one: wide_target", "rig"],
    ]
    assert [line[0] for line in lines[7:]] == ["two: wide_target"] * 3
    found = dict(zip(headings, lines[0], strict=True))
    assert found["mean"] == "146.7" and found["without the bystander"] == "70.0"
    assert found["highest of these"] == "80" and found["Shelf"] == "80.0" and found["beam, BODY_25"] == "60.0"
    assert found["lifted %"] == "90" and found["within expected error %"] == "50"


def test_weak_labels_are_shown_beside_what_the_same_views_are_without_them() -> None:
    def record(error: float, **views: float) -> dict[str, Any]:
        rows = scored("wide", "found", **views) + scored("wide_target", "found", **views)
        rows += scored("wide_target", "given", **views)
        return {"scores": [row | {"pa_mpjpe": error} for row in rows]}

    without, taught = record(30.0, one_1=80.0, two_1=60.0, left_1=500.0), record(20.0, one_1=50.0, two_1=40.0)
    _, lines = with_weak_labels(without, taught)
    assert lines[0] == ["one 1", "80", "80", "50", "80", "50", "30", "20"]
    assert [line[0] for line in lines] == ["one 1", "two 1", "**mean**"]
    assert lines[-1][1:4] == ["**70.0**", "**70.0**", "**45.0**"]


def test_the_command_trains_scores_and_goes_on(
    clip: Path, tmp_path: Path, bodies: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    motion = tmp_path / "motion.npz"
    np.savez(motion, positions=bodies.astype(np.float32), clip_index=np.arange(40) // 10)
    other = motion.with_stem("other")
    other.write_bytes(motion.read_bytes())
    once, twice = (
        torch.cat([part.clip for part in read_motions(paths)]) for paths in ([motion], [motion, other])
    )
    assert len(twice) == 2 * len(once) and len(twice.unique()) == 2 * len(once.unique())
    out = tmp_path / "out"
    command = ["--clips", str(clip), "--motion", str(motion), str(other), "--out", str(out), "--seeds", "0"]
    short = ["--preset", "tiny", "--wide.steps", "20", "--device", "cpu"]
    assert main([*command, *short]) == 0
    table = capsys.readouterr().out
    assert "| someone 0 | 20 |" in table and "Lifted 100.0 % of the views" in table
    record = json.loads((out / "real.json").read_text())
    assert record["asked"]["motion"] == ["motion.npz", "other.npz"]
    assert {row["way"] for row in record["scores"]} == {"one_pass", "found", "rig", "given"}
    assert all(row["lifted"] == row["views"] == 20 and row["mpjpe"] > 0 for row in record["scores"])
    weights = next(out.rglob("lifter.safetensors")).read_bytes()
    assert main([*command, *short]) == 0  # nothing is trained again
    assert next(out.rglob("lifter.safetensors")).read_bytes() == weights
    assert json.loads((out / "real.json").read_text())["scores"] == record["scores"]


def test_without_motion_the_packages_lifter_learns_each_clip_by_itself(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "out", clip.with_stem("another")
    other.write_bytes(clip.read_bytes())
    short = ["--preset", "tiny", "--wide.target-steps", "4", "--wide.rounds", "1", "--device", "cpu"]
    command = ["--clips", str(clip), str(other), "--out", str(out), "--seeds", "0", "1", *short]
    assert main(command) == 0
    record = json.loads((out / "real.json").read_text())
    assert {row["view"] for row in record["scores"]} == {
        f"{name} {at}" for name in ("someone", "another") for at in (0, 1)
    }

    def errors(seed: int, arm: str) -> list[float]:
        return [row["mpjpe"] for row in record["scores"] if (row["seed"], row["arm"]) == (seed, arm)]

    assert errors(0, "wide") == errors(1, "wide")  # the package's, whatever the seed
    assert errors(0, "wide_target") != errors(1, "wide_target")
    assert len(errors(1, "wide")) == len(errors(1, "wide_target")) == 16
    assert (out / "seed1" / "another" / "results.json").exists()
    assert "± " in capsys.readouterr().out


def test_weak_labels_are_of_the_first_halves_in_each_cameras_axes_and_off_as_asked(
    clip: Path, bodies: np.ndarray
) -> None:
    exact, noisy = weak_labels([clip], 5, 0.0), weak_labels([clip], 5, 0.04)
    assert exact.row.tolist() == [0, 5, 10, 14, 19, 20, 25, 30, 34, 39]  # of two cameras, 20 frames each
    rotation, shift = rig()
    pose = bodies[[0, 5, 10, 14, 19]] @ rotation[1].T + shift[1]
    np.testing.assert_allclose(exact.pose_3d[5:], pose, atol=1e-5)
    error = (noisy.pose_3d - exact.pose_3d).square().sum(-1)
    assert error.mean().sqrt() == pytest.approx(0.04, rel=0.15)
    # Both cameras have the same errors, as of a triangulation.
    np.testing.assert_allclose(error[:5], error[5:], atol=1e-6)


def test_the_command_teaches_weak_labels_and_says_so(
    clip: Path, tmp_path: Path, bodies: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    motion = tmp_path / "motion.npz"
    np.savez(motion, positions=bodies.astype(np.float32), clip_index=np.arange(40) // 10)
    command = ["--clips", str(clip), "--motion", str(motion), "--out", str(tmp_path / "out"), "--seeds", "0"]
    short = ["--preset", "tiny", "--wide.steps", "20", "--wide.target-steps", "5", "--device", "cpu"]
    assert main([*command, *short, "--weak-frames", "5", "--weak-noise", "0.02"]) == 0
    assert "weak labels of 5 moments of each first half, off by 20 mm." in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "real.json").read_text())
    assert record["asked"]["weak"] == {"frames": 5, "noise": 0.02}
    assert main([*command, *short]) == 2  # the run of the folder has them
    assert "expected the data of the run to resume" in capsys.readouterr().err


def test_a_file_that_is_no_clip_is_refused(
    tmp_path: Path, bodies: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.npz"
    motion = tmp_path / "motion.npz"
    np.savez(path, other=np.zeros((4, 16, 3)))
    np.savez(motion, positions=bodies.astype(np.float32))
    assert main(["--clips", str(path), "--motion", str(motion), "--out", str(tmp_path / "o")]) == 2
    assert "keypoints" in capsys.readouterr().err
