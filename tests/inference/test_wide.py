"""`poseda lift` with the arm wide: every view with enough joints, errors of joints, tilt given or found."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bodies import walk

from poseda.cli import main
from poseda.config import SmoothingConfig
from poseda.datasets import read_detections
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.datasets.lens import find_lens
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.geometry.camera import denormalize_screen
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter, LiftOptions, LineLifter, StreamSummary, lift_footage, serve
from poseda.inference.fit import Fitted
from poseda.inference.model import hidden_for_short
from poseda.inference.smoothing import savgol
from poseda.inference.wide import Found

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (640, 480)
SCREEN = ["--image-size", "640x480", "--layout", "h36m16", "--device", "cpu"]
LEGS = [H36M16.joint(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run of the arm."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--wide.steps", "40", "--device", "cpu", "--arms", "wide", "--out", str(out)]
    assert main(["adapt", "--preset", "tiny", *options]) == 0
    return out


@pytest.fixture
def seated(tmp_path: Path) -> Path:
    """A clip without legs; frame 3 shows four joints alone, frame 5 nobody."""
    poses = EmbeddedDomains(size=0.05).evaluation()
    clip = denormalize_screen(poses.pose_2d[poses.clip == poses.clip[0]].double(), *SIZE).numpy()
    items = []
    for frame, pose in enumerate(clip):
        confidence = np.ones(16)
        confidence[LEGS] = 0
        if frame == 3:
            confidence[8:] = 0
        if frame != 5:
            points = np.concatenate([pose, confidence[:, None]], 1)
            items.append({"image_id": frame, "track_id": 0, "keypoints": points.ravel().tolist()})
    path = tmp_path / "seated.json"
    path.write_text(json.dumps(items))
    return path


def lift(run: Path, source: Path, output: Path, *options: str) -> dict[str, np.ndarray]:
    command = ["lift", "--model", str(run), "--input", str(source), "--output", str(output), *SCREEN]
    assert main([*command, *options]) == 0
    with np.load(output) as content:
        return dict(content)


def test_lengths_and_height_of_a_person_are_said_and_saved_as_found_or_given(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lift(run, seated, tmp_path / "out.npz")
    said = re.search(
        r"person 0 of clip .*: (\d\.\d\d) \+- \d\.\d\d m tall by the bones \(found\)", capsys.readouterr().out
    )
    assert said is not None and float(said[1]) == pytest.approx(found["lengths_height"][0], abs=0.006)
    assert found["lengths_told_by"] == "found" and (found["lengths_error"] > 0).all()
    # They are those of every pose, which the fit gives one length.
    shin = found["pose_3d"][:, LEGS[1]] - found["pose_3d"][:, LEGS[0]]
    length = found["lengths_metres"][0, found["bone_names"].tolist().index("ankle")]
    assert np.allclose(np.linalg.norm(shin[found["valid"]], axis=1), length, atol=1e-4)
    given = lift(run, seated, tmp_path / "given.npz", "--stature", "1.9")
    assert "1.90 m tall by the bones (as given)" in capsys.readouterr().out
    assert given["lengths_told_by"] == "stature" and given["lengths_height_error"] == 0
    assert lift(run, seated, tmp_path / "free.npz", "--no-fit")["lengths_told_by"] == "found"


def test_estimates_of_a_lift_at_a_limit_are_said_but_not_what_is_given(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = tmp_path / "run"
    shutil.copytree(run, narrow)
    record = json.loads((narrow / "config.json").read_text())
    record["config"]["views"] |= {"lowest": 0.0, "highest": 1.0, "build": 0.001, "stature": 0.001}
    (narrow / "config.json").write_text(json.dumps(record))
    lift(narrow, seated, tmp_path / "out.npz", "--json")
    summary = json.loads(capsys.readouterr().out)
    assert any("the pitch that was found" in text for text in summary["at_limits"])
    assert any(text.startswith("person 0 of clip") for text in summary["at_limits"])
    lift(narrow, seated, tmp_path / "given.npz", "--camera-pitch", "5", "--stature", "1.7")
    assert "stands at the limit" not in capsys.readouterr().out


def test_every_view_with_enough_joints_is_lifted_with_all_joints_and_their_errors(
    run: Path, seated: Path, tmp_path: Path
) -> None:
    lifted = lift(run, seated, tmp_path / "out.npz", "--max-gap", "0")
    assert len(lifted["valid"]) == 20
    assert np.flatnonzero(~lifted["valid"]).tolist() == [3, 5]
    there = lifted["valid"]
    assert np.isfinite(lifted["pose_3d"][there]).all() and np.isnan(lifted["pose_3d"][~there]).all()
    assert not lifted["visible"][:, LEGS].any() and lifted["visible"][there].sum(1).min() == 12
    assert (lifted["error"][there, 1:] > 0).all() and np.isnan(lifted["error"][~there]).all()
    assert (lifted["error"][there, 0] == 0).all(), "the root is the origin"


def without(source: Path, frames: range, name: str) -> Path:
    """The same detections without those of some frames."""
    items = [item for item in json.loads(source.read_text()) if item["image_id"] not in frames]
    path = source.with_name(name)
    path.write_text(json.dumps(items))
    return path


def test_short_gaps_are_bridged_as_guesses_that_are_said_and_long_gaps_stay(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = without(seated, range(10, 14), "gap.json")
    lifted = lift(run, source, tmp_path / "out.npz", "--max-gap", "4", "--root", "exact")
    assert "6 frames bridged by motion" in " ".join(capsys.readouterr().out.split())
    assert lifted["valid"].all() and np.isfinite(lifted["root"]).all()
    assert np.isfinite(lifted["pose_2d"]).all() and not lifted["visible"][10:14].any()
    wrist, error = H36M16.joint("left_wrist"), lifted["error"]
    wider = error[10:14, wrist] - np.interp(range(10, 14), [9, 14], error[[9, 14], wrist])
    assert 0 < wider[0] < wider[1] and wider[2] > wider[3] > 0
    long = lift(run, source, tmp_path / "long.npz", "--max-gap", "3")
    assert np.flatnonzero(~long["valid"]).tolist() == [10, 11, 12, 13]
    assert np.isnan(long["pose_3d"][10:14]).all()


def test_fewer_joints_are_enough_where_the_user_says_so(run: Path, seated: Path, tmp_path: Path) -> None:
    lifted = lift(run, seated, tmp_path / "out.npz", "--min-joints", "3", "--no-fit")
    assert np.flatnonzero(~lifted["valid"]).tolist() == [5]


def test_longest_gaps_are_refused_where_nothing_bridges_them(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["lift", "--model", str(run), "--input", str(seated), "--output", str(tmp_path / "o.npz")]
    assert main([*command, *SCREEN, "--no-fit", "--max-gap", "2"]) == 2
    said = capsys.readouterr().err
    assert "--max-gap: expected the fit of files, or --smooth.filter kalman, which bridge gaps" in said
    assert not (tmp_path / "o.npz").exists()


def test_footage_without_enough_joints_is_refused_with_the_remedy(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["lift", "--model", str(run), "--input", str(seated), "--output", str(tmp_path / "o.npz")]
    assert main([*command, *SCREEN, "--min-joints", "16"]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "expected a frame with 16 seen joints (--min-joints), found none; the most" in message
    assert not (tmp_path / "o.npz").exists()


def test_the_tilt_of_the_camera_is_found_and_said_or_given(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lift(run, seated, tmp_path / "a.npz")
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"camera tilt: (level|\d+ degrees? (up|down)), rolled -?\d+ \(\+- \d+\)", said)
    given = lift(run, seated, tmp_path / "b.npz", "--camera-pitch", "50")
    assert "camera tilt: 50 degrees down, rolled 0 (+- 0)" in " ".join(capsys.readouterr().out.split())
    assert not np.array_equal(found["pose_3d"], given["pose_3d"], equal_nan=True)
    once = lift(run, seated, tmp_path / "c.npz", "--no-two-passes")
    assert "camera tilt unknown" in " ".join(capsys.readouterr().out.split())
    assert not np.array_equal(found["pose_3d"], once["pose_3d"], equal_nan=True)


def test_a_filter_smooths_the_stretches_between_gaps(run: Path, seated: Path, tmp_path: Path) -> None:
    raw = lift(run, seated, tmp_path / "raw.npz", "--no-fit")
    smooth = lift(run, seated, tmp_path / "smooth.npz", "--no-fit", "--smooth.filter", "savgol")
    assert np.array_equal(raw["valid"], smooth["valid"])

    stretch = slice(6, None)  # after the gap
    wanted = savgol(raw["pose_3d"][stretch], SmoothingConfig().window)
    np.testing.assert_allclose(smooth["pose_3d"][stretch], wanted, atol=1e-6)
    assert not np.allclose(smooth["pose_3d"][stretch], raw["pose_3d"][stretch], atol=1e-6)


def test_bones_of_a_person_are_of_one_length_and_as_tall_as_said(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lengths(poses: dict[str, np.ndarray]) -> np.ndarray:
        pose = poses["pose_3d"][poses["valid"]]
        return np.linalg.norm(pose[:, 1:] - pose[:, poses["parents"][1:]], axis=-1)

    free = lengths(lift(run, seated, tmp_path / "free.npz", "--no-fit"))
    assert free.std(0).max() > 1e-3
    capsys.readouterr()
    fitted = lengths(lift(run, seated, tmp_path / "fit.npz"))
    assert fitted.std(0).max() < 1e-5
    assert "bones of one length fitted to 1 track" in " ".join(capsys.readouterr().out.split())
    tall = lengths(lift(run, seated, tmp_path / "tall.npz", "--stature", "2.2"))
    short = lengths(lift(run, seated, tmp_path / "short.npz", "--stature", "1.1"))
    assert tall.sum() > 1.5 * short.sum()


def test_expected_errors_grow_with_the_body(run: Path, seated: Path, tmp_path: Path) -> None:
    usual, tall, short = (
        lift(run, seated, tmp_path / f"{at}.npz", *options)
        for at, options in enumerate([[], ["--stature", "2.2"], ["--stature", "1.1"]])
    )
    there = usual["error"] > 0
    scale = tall["error"][there] / usual["error"][there]
    assert scale.std() < 1e-5 < abs(scale.mean() - 1), "one person has one scale"
    np.testing.assert_allclose(tall["error"][there], 2 * short["error"][there], rtol=1e-5)


def test_single_pictures_are_fitted_each_by_itself(run: Path, seated: Path, tmp_path: Path) -> None:
    items = json.loads(seated.read_text())
    for item in items:
        item["image_id"] = 100 * item["image_id"] ** 2  # too far apart to be frames of one motion
    stills = tmp_path / "stills.json"
    stills.write_text(json.dumps(items))
    poses = lift(run, stills, tmp_path / "out.npz")
    bone = np.linalg.norm(poses["pose_3d"][poses["valid"]][:, 1], axis=-1)
    assert bone.std() > 1e-5


def test_roots_stand_where_the_seen_joints_are(run: Path, seated: Path, tmp_path: Path) -> None:
    lifted = lift(run, seated, tmp_path / "out.npz", "--root", "exact")
    assert np.isfinite(lifted["root"][lifted["valid"]]).all()
    assert (lifted["root"][lifted["valid"], 2] > 0.5).all()


def streamed(run: Path, source: Path, options: LiftOptions | None = None) -> list[dict[str, Any]]:
    """The answers to the detections of a file, line by line."""
    lines = [
        json.dumps({"frame": item["image_id"], "keypoints": np.reshape(item["keypoints"], (16, 3)).tolist()})
        for item in json.loads(source.read_text())
    ]
    model = AdaptedLifter.load(run)
    lifter = LineLifter(model, image_size=SIZE, layout=Layout.named("h36m16"), options=options)
    sink, summary = io.StringIO(), StreamSummary()
    serve(lifter, io.BytesIO("\n".join(lines).encode()), sink, summary)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_a_line_of_a_stream_is_lifted_in_one_pass(run: Path, seated: Path, tmp_path: Path) -> None:
    answers = streamed(run, seated)
    once = lift(run, seated, tmp_path / "once.npz", "--no-two-passes", "--no-fit")
    for answer in answers:
        row = int(np.flatnonzero(once["frame"] == answer["frame"])[0])
        assert answer["valid"] == bool(once["valid"][row])
        if answer["valid"]:
            pose = np.array(list(answer["pose_3d"].values()))
            np.testing.assert_allclose(pose, once["pose_3d"][row], atol=6e-5)


def test_a_stream_lifts_what_a_file_lifts_and_says_why_not(run: Path, tmp_path: Path) -> None:
    names, lines = LAYOUTS["coco17"].joint_names, list[str]()
    face, limbs = names[:5], ("left_shoulder", "right_shoulder", "left_elbow", "left_hip", "right_hip")
    for frame, (heads, others) in enumerate([(5, 5), (5, 3), (2, 5), (4, 4), (5, 0)]):
        # --min-joints counts the detector's joints; of the face the lifter has the nose alone.
        seen = {*face[:heads], *limbs[:others]}
        joints = [[*point, name in seen] for point, name in zip(walk(1, (320, 240))[0], names, strict=True)]
        lines.append(json.dumps({"frame": frame, "keypoints": joints}))
    source = tmp_path / "few.jsonl"
    source.write_text("\n".join(lines))
    options = ["--no-two-passes", "--no-fit", "--layout", "coco17"]
    whole = lift(run, source, tmp_path / "whole.npz", *options)
    lifter = LineLifter(AdaptedLifter.load(run), image_size=SIZE)
    given = [lifter.answer(line.encode(), number) for number, line in enumerate(lines, 1)]
    assert (
        [answer["valid"] for answer in given] == whole["valid"].tolist() == [True, True, False, True, False]
    )
    assert [answer["reason"] for answer in given if not answer["valid"]] == [
        "7 of 8 joints seen (--min-joints)",
        "5 of 8 joints seen (--min-joints)",
    ]


@pytest.mark.parametrize("least", ["0", "0.4"])
def test_footage_without_a_confident_joint_is_refused_with_the_remedy(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], least: str
) -> None:
    items = json.loads(seated.read_text())
    for item in items:
        item["keypoints"][2::3] = [0 if least == "0" else 0.25] * 16
    source = tmp_path / "unsure.json"
    source.write_text(json.dumps(items))
    command = ["lift", "--model", str(run), "--input", str(source), "--output", str(tmp_path / "o.npz")]
    assert main([*command, *SCREEN, "--min-confidence", least]) == 2
    wanted = {
        "0": "confidence: expected a joint above 0, found none in 19 detections; every confidence is 0, "
        "which says unseen; leave them out of the file if the detector has none",
        "0.4": "confidence: expected a joint of at least 0.4, found none in 19 detections; the greatest is "
        "0.25; give a lower --min-confidence",
    }
    assert wanted[least] in " ".join(capsys.readouterr().err.split())


def test_a_stream_through_kalmans_filter_gives_what_the_recording_gives(
    run: Path, seated: Path, tmp_path: Path
) -> None:
    kalman = LiftOptions(smooth=SmoothingConfig(filter="kalman"), root="exact", max_gap=2)
    source = without(seated, range(10, 14), "gap.json")
    answers = streamed(run, source, kalman)
    words = ["--no-two-passes", "--no-fit", "--smooth.filter", "kalman", "--max-gap", "2", "--root", "exact"]
    whole = lift(run, source, tmp_path / "whole.npz", *words)
    assert np.flatnonzero(~whole["valid"]).tolist() == [12, 13], "two frames are bridged"
    assert len(answers) == 15 and all(answer["valid"] for answer in answers)
    for answer in answers:
        row = answer["frame"]
        pose, error = ([*answer[name].values()] for name in ("pose_3d", "error"))
        np.testing.assert_allclose(pose, whole["pose_3d"][row], atol=2e-4)
        np.testing.assert_allclose(error, whole["error"][row], atol=2e-4)
        np.testing.assert_allclose(answer["root"], whole["root"][row], atol=1e-2)
        assert len(answer["seen"]) == whole["visible"][row].sum()
    raw = lift(run, source, tmp_path / "raw.npz", "--no-two-passes", "--no-fit")

    def trembling(poses: dict[str, np.ndarray]) -> float:
        return float(np.abs(np.diff(poses["pose_3d"][14:], 2, axis=0)).mean())

    assert trembling(whole) < 0.7 * trembling(raw)
    there = raw["valid"]
    np.testing.assert_allclose(whole["error"][there], raw["error"][there], atol=1e-6)


def test_a_moving_camera_has_a_tilt_for_each_moment(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = lift(run, seated, tmp_path / "rest.npz", "--rate", "10")
    capsys.readouterr()
    moves = lift(run, seated, tmp_path / "moves.npz", "--rate", "10", "--moving-camera")
    said = " ".join(capsys.readouterr().out.split())
    angle = r"(level|\d+ degrees? (up|down))"
    assert re.search(rf"camera tilt: {angle} to {angle} \(\+- \d+\)", said)
    assert "up" in rest and len(rest["up"]) == 1 and np.isfinite(rest["up"]).all()
    assert not np.isfinite(moves["up"]).any(), "no one direction is upward"
    command = ["lift", "--model", str(run), "--input", str(seated), "--output", str(tmp_path / "o.npz")]
    assert main([*command, *SCREEN, "--moving-camera", "--camera-pitch", "10"]) == 2
    assert "--camera-pitch: expected none with --moving-camera, got 10" in capsys.readouterr().err
    assert main([*command, *SCREEN, "--moving-camera", "--no-two-passes"]) == 2
    assert "--two-passes: expected true with --moving-camera" in capsys.readouterr().err


def test_from_python_lift_footage_takes_a_wide_lifter_and_lift_refuses_it(run: Path, seated: Path) -> None:
    model = AdaptedLifter.load(run)
    detections = read_detections(seated, SIZE, layout="h36m16")
    lens = find_lens(detections, model.skeleton, fov=60)
    assert lift_footage(model, detections, lens).valid.sum() == 20
    assert lift_footage(model, detections, lens, LiftOptions(fit=False)).valid.sum() == 18
    with pytest.raises(ValueError, match="got arm wide; use lift_footage"):
        model.lift(torch.zeros(1, 16, 2))


def test_numbers_of_unseen_joints_change_nothing(run: Path, seated: Path, tmp_path: Path) -> None:
    items = json.loads(seated.read_text())
    for item in items:
        points = np.reshape(item["keypoints"], (16, 3))
        points[points[:, 2] == 0, :2] = 123.0
        item["keypoints"] = points.ravel().tolist()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(items))
    one, two = lift(run, seated, tmp_path / "a.npz"), lift(run, other, tmp_path / "b.npz")
    assert np.array_equal(one["pose_3d"], two["pose_3d"], equal_nan=True)


def test_what_the_first_pass_found_is_said_in_words_that_count_right() -> None:
    def said(pitch: float, roll: float) -> str:
        return Found({0: pitch}, {0: roll}, {0: 2.0}, None).sentence()

    assert said(-10.2, -0.3) == "camera tilt: 10 degrees up, rolled 0 (+- 2)"
    assert said(0.4, 3) == "camera tilt: level, rolled 3 (+- 2)"
    assert said(1.2, -3) == "camera tilt: 1 degree down, rolled -3 (+- 2)"
    moved = Found({0: 0.0}, {0: 0.0}, {0: 1.0}, None, moved={0: (-5.0, 12.0)})
    assert moved.tilt() == "camera tilt: 5 degrees up to 12 degrees down (+- 1)"

    outlier = torch.zeros(4, 16, dtype=torch.bool)
    outlier[0, 0] = True
    none = torch.zeros(0)
    some = (none, none, torch.zeros(2), none, none, none, none, none)
    fit = Fitted(*some, outlier, torch.tensor([True, False]))
    assert (
        replace(moved, fit=fit)
        .sentence()
        .endswith(
            "fitted to 2 tracks, 1 detected joint taken for an outlier; the fit of 1 track was not finished "
            "(--overlay shows how good it is)"
        )
    )


def test_guesses_lose_weight_only_where_a_joint_is_seen_again_soon() -> None:
    seen = np.ones((8, 2), bool)
    seen[2:4, 0] = False  # seen again after 0.6 s
    seen[4:, 1] = False  # never seen again
    track, seconds = np.array([5] * 6 + [9] * 2), 0.2 * np.arange(8)
    expected = np.zeros_like(seen)
    expected[2:4, 0] = True
    assert np.array_equal(hidden_for_short(seen, track, seconds), expected)
    assert not hidden_for_short(seen, track, 10 * seconds).any()


def test_of_people_of_few_frames_no_height_is_said(
    run: Path, seated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few.json"
    few.write_text(json.dumps(json.loads(seated.read_text())[:3]))
    lifted = lift(run, few, tmp_path / "few.npz")
    assert "tall by the bones" not in capsys.readouterr().out
    assert np.isfinite(lifted["lengths_metres"]).all() and np.isnan(lifted["lengths_error"]).all()
