"""`poseda lift` of files: the run's own numbers in every format, gaps and people kept, mistakes refused."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from runs_to_lift import SCREEN, SIZE, lift, predicted
from torch import nn

from poseda.cli import main
from poseda.datasets import read_detections
from poseda.datasets.formats.bvh import read_bvh
from poseda.datasets.lens import Lens
from poseda.export import read_poses
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter, LiftOptions, LineLifter, lift_footage
from poseda.lifters import FlipAverage, build, lift_clip


def test_every_format_holds_the_numbers_of_predict(
    run: Path, clip: torch.Tensor, write: Callable[..., Path], tmp_path: Path
) -> None:
    expected, source = predicted(run, clip), write()
    for ending in ("npz", "json", "csv", "bvh"):
        assert lift(run, source, tmp_path / f"o.{ending}", "--root", "exact") == 0
    with np.load(tmp_path / "o.npz") as arrays:
        assert np.allclose(arrays["pose_3d"], expected, atol=2e-6)
        assert arrays["valid"].all() and arrays["frame"].tolist() == list(range(20))
        assert tuple(arrays["joint_names"]) == H36M16.joint_names
        assert tuple(arrays["parents"]) == H36M16.parents
        root = arrays["root"]
    assert (root[:, 2] > 1).all()
    frames = json.loads((tmp_path / "o.json").read_text())["frames"]
    assert np.allclose([[*frame["pose_3d"].values()] for frame in frames], expected, atol=6e-5)
    assert list(frames[0]["pose_3d"]) == list(H36M16.joint_names)
    assert np.allclose([frame["root"] for frame in frames], root, atol=6e-5)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text())))
    assert len(rows) == 20 and float(rows[7]["left_wrist_y"]) == pytest.approx(
        expected[7, H36M16.joint("left_wrist"), 1], abs=6e-5
    )
    assert float(rows[7]["root_position_z"]) == pytest.approx(root[7, 2], abs=6e-5)
    place = read_bvh(tmp_path / "o.bvh").position[:, 0] / 100 * [1, -1, -1]
    assert np.allclose(place[:, [0, 2]], root[:, [0, 2]], atol=1e-5)
    assert np.allclose(np.diff(place[:, 1]), np.diff(root[:, 1]), atol=1e-5), "moved onto the floor alone"


def test_gaps_are_marked_in_every_format(run: Path, write: Callable[..., Path], tmp_path: Path) -> None:
    wrist = H36M16.joint("left_wrist")
    source = write(hide={(5, wrist), *((frame, wrist) for frame in range(8, 15))}, skip={17})
    for ending in ("npz", "json", "csv"):
        assert lift(run, source, tmp_path / f"o.{ending}", "--max-gap", "2") == 0
    gaps = [*range(8, 15), 17]
    with np.load(tmp_path / "o.npz") as arrays:
        assert np.flatnonzero(~arrays["valid"]).tolist() == gaps
        assert np.array_equal(np.isnan(arrays["pose_3d"]).any((1, 2)), ~arrays["valid"])
        assert not arrays["visible"][5, wrist] and arrays["visible"][6].all()
    frames = json.loads((tmp_path / "o.json").read_text())["frames"]
    assert [f["frame"] for f in frames if not f["valid"]] == gaps and frames[17]["pose_3d"] is None
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text())))
    assert rows[17]["valid"] == "0" and rows[17]["pelvis_x"] == "" and rows[16]["valid"] == "1"


def test_people_are_kept_apart(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(people=2)
    capsys.readouterr()
    assert lift(run, source, tmp_path / "o.bvh", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    names = ["o_clip_person0.bvh", "o_clip_person1.bvh"]  # of clip.json
    assert [Path(path).name for path in summary["written"]] == names
    assert summary["frames"] == summary["valid"] == 40 and summary["people"] == 2
    assert summary["arm"] == "gpa" and summary["seed"] == 0 and "55 degrees" in summary["camera"]
    assert all((tmp_path / name).exists() for name in names)


def test_people_without_a_valid_frame_are_left_out_of_bvh_named_and_counted(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(people=2)
    items = json.loads(source.read_text())
    for item in items:
        if item["track_id"] == 0:
            item["keypoints"][2::3] = [0.0] * 16
    source.write_text(json.dumps(items))
    capsys.readouterr()
    assert lift(run, source, tmp_path / "o.bvh", "--json") == 0
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert (summary["people"], summary["skipped"], summary["valid"]) == (2, 1, 20)
    assert [Path(path).name for path in summary["written"]] == ["o_clip_person1.bvh"]
    lines = shown.err.splitlines()
    assert lines.count("left out, without a valid frame: person 0 of clip clip") == 1, lines
    assert "world: y up, on a floor, over the origin (--root gives their places)" in shown.err


def test_bridged_gaps_of_bvh_are_said_and_counted(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(skip={5, 6, 12})
    capsys.readouterr()
    # A table leaves these frames empty.
    assert lift(run, source, tmp_path / "o.bvh", "--output", str(tmp_path / "o.csv"), "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["filled"] == [".bvh"]
    assert json.loads(shown.out)["bridged"] == [{"clip": "clip", "person": 0, "frames": [[5, 6], [12, 12]]}]
    assert "gaps bridged in .bvh alone, frames of person 0 of clip clip: 5-6, 12\n" in shown.err
    assert "one pose held" not in shown.err


def test_an_assumed_frame_rate_is_said_and_a_known_one_is_not(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write()
    for number, (options, rate) in enumerate(
        [([], 30.0), (["--rate", "30"], 30.0), (["--rate", "50"], 50.0)]
    ):
        capsys.readouterr()
        motion = tmp_path / f"o{number}.bvh"
        assert lift(run, source, motion, "--output", str(motion.with_suffix(".npz")), "--json", *options) == 0
        shown = capsys.readouterr()
        summary = json.loads(shown.out)
        assert summary["rate"] == rate and summary["rate_assumed"] == (not options)
        assert ("30 frames a second assumed (--rate of poseda lift)\n" in shown.err) == (not options)
        assert read_poses(motion.with_suffix(".npz")).rate_assumed == (not options)
        assert f"Frame Time: {1 / rate:.8f}\n" in (tmp_path / f"o{number}.bvh").read_text()


def test_bvh_ends_with_the_last_detection_and_a_pose_that_is_held_is_said(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = {(frame, joint) for frame in (0, 1, 8, 17, 18, 19) for joint in range(16)}
    source = write(hide=lost)
    capsys.readouterr()
    assert lift(run, source, tmp_path / "o.bvh", "--json") == 0
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert summary["held"] == [{"clip": "clip", "person": 0, "frames": [[0, 1]]}]
    assert summary["bridged"] == [{"clip": "clip", "person": 0, "frames": [[8, 8]]}]
    assert "one pose held in .bvh alone, frames of person 0 of clip clip: 0-1\n" in shown.err
    assert "Frames: 17\n" in (tmp_path / "o.bvh").read_text()


def test_the_summary_names_clips_accounts_for_the_file_and_says_why_frames_are_not_lifted(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrist = H36M16.joint("left_wrist")
    hidden = {*((frame, wrist) for frame in range(8, 15)), *((3, joint) for joint in range(1, 16))}
    source = write(hide=hidden, skip={17})
    capsys.readouterr()
    assert lift(run, source, tmp_path / "o.npz", "--json", "--max-gap", "2") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["clips"] == [{"clip": 0, "name": "clip", "people": 1, "frames": 20, "valid": 11}]
    assert summary["dropped"] == {
        "no detection": 1,
        "fewer than half of the joints seen": 1,
        "a joint unseen for more than 2 frames": 7,
    }
    assert summary["account"]["rows"] == 19 and summary["account"]["usable"]["whole"] == 11
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["clip_names"].tolist() == ["clip"]


def test_clips_keep_their_names_through_every_export(
    run: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("kitchen 1", "garden"):
        write().rename(tmp_path / "videos" / f"{name}.json")
    for ending in ("npz", "json", "csv", "bvh"):
        assert lift(run, tmp_path / "videos", tmp_path / f"o.{ending}") == 0
    with np.load(tmp_path / "o.npz") as arrays:
        assert arrays["clip_names"].tolist() == ["garden", "kitchen 1"]
        assert arrays["clip"].tolist() == [0] * 20 + [1] * 20
    frames = json.loads((tmp_path / "o.json").read_text())["frames"]
    assert [frames[at]["clip_name"] for at in (0, 39)] == ["garden", "kitchen 1"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text())))
    assert [(rows[at]["clip"], rows[at]["clip_name"]) for at in (0, 39)] == [
        ("0", "garden"),
        ("1", "kitchen 1"),
    ]
    written = sorted(path.name for path in tmp_path.glob("*.bvh"))
    assert written == ["o_garden_person0.bvh", "o_kitchen-1_person0.bvh"]


def test_people_are_chosen(run: Path, write: Callable[..., Path], tmp_path: Path) -> None:
    source = write(people=2)
    assert lift(run, source, tmp_path / "o.npz", "--people", "1") == 0
    with np.load(tmp_path / "o.npz") as arrays:
        assert set(arrays["person"].tolist()) == {1}
    assert lift(run, source, tmp_path / "p.npz", "--people", "7") == 2
    assert not (tmp_path / "p.npz").exists()


def test_smoothing_calms_the_motion(
    run: Path, clip: torch.Tensor, write: Callable[..., Path], tmp_path: Path
) -> None:
    source = write()
    assert lift(run, source, tmp_path / "o.npz", "--smooth.filter", "savgol") == 0
    with np.load(tmp_path / "o.npz") as arrays:
        smooth = arrays["pose_3d"]
    rough = predicted(run, clip)
    jerk = [np.abs(np.diff(pose, 3, axis=0)).mean() for pose in (smooth, rough)]
    assert jerk[0] < 0.8 * jerk[1] and np.abs(smooth - rough).max() < 0.2


def test_kalmans_filter_calms_the_motion_and_counts_the_frames_that_it_bridges(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrist = H36M16.joint("left_wrist")
    source = write(skip={12, 13}, hide={(frame, wrist) for frame in range(3, 9)})
    summaries, poses = [], []
    for name, options in (("raw", []), ("kalman", ["--smooth.filter", "kalman"])):
        capsys.readouterr()
        output = tmp_path / f"{name}.npz"
        assert lift(run, source, output, "--max-gap", "2", "--root", "exact", "--json", *options) == 0
        summaries.append(json.loads(capsys.readouterr().out))
        with np.load(output) as arrays:
            poses.append(dict(arrays))
    raw, steady = poses
    assert np.flatnonzero(~raw["valid"]).tolist() == [*range(3, 9), 12, 13]
    assert np.flatnonzero(~steady["valid"]).tolist() == [5, 6, 7, 8], "two frames of each gap are bridged"
    assert [summary["guessed"] for summary in summaries] == [0, 4]
    assert np.isfinite(steady["root"][steady["valid"]]).all()
    jerk = [np.abs(np.diff(pose["pose_3d"][14:], 3, axis=0)).mean() for pose in poses]
    assert jerk[1] < 0.8 * jerk[0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--arm", "lpa"], "--model: expected the lifter of arm lpa of seed 0"),
        (["--seed", "7"], "--model: expected the lifter of arm gpa of seed 7, which gate.json recommends"),
        (["--output", "o.fbx"], "--output: expected a file ending in .npz, .json, .csv, .bvh, "),
        (["--smooth.window", "4"], "--smooth.window: expected a number of at least 5, got 4"),
        (
            ["--input", "nowhere.json"],
            "--input: expected a file or folder, got nowhere.json, which does not exist",
        ),
        (["--min-confidence", "1.5"], "--min-confidence: expected a share from 0 to 1, got 1.5"),
        (["--rate", "0"], "--rate: expected a number of at least 0.001, got 0"),
        (["--input", "-", "--smooth.filter", "savgol"], "--smooth.filter: expected one_euro, kalman or none"),
        (["--input", "-", "--fov", "estimate"], "--fov: expected degrees for --input -"),
        (
            ["--input", "-", "--output", "z.bvh"],
            "--output: expected a file of JSON lines (.jsonl, .ndjson, .json) or - for --input -, a stream, "
            "got z.bvh; other kinds are written of files",
        ),
        (["--input", "camera:0", "--output", "z"], "or - for --input camera:0, a stream, got z; other kinds"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Path,
    write: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    named: str,
) -> None:
    base = {"--model": str(run), "--input": str(write()), "--output": str(tmp_path / "o.npz")}
    given = base | dict(zip(options[::2], options[1::2], strict=True))
    capsys.readouterr()
    assert main(["lift", *(word for pair in given.items() for word in pair), *SCREEN]) == 2
    sentence = capsys.readouterr().err.strip()
    assert named in sentence and "\n" not in sentence and not (tmp_path / "o.npz").exists()


@pytest.mark.parametrize(("options", "sentence"), [
    (["--camera-roll", "5"], "--camera-roll: expected --camera-pitch beside it, got 5 alone"),
    (["--stature", "1.7", "--no-fit"], "--stature: expected none without --fit, which it scales, got 1.7"),
    (["--input", "-", "--stature", "1.7"], "--stature: expected none for --input -, a stream, which has"),
    (["--stature", "170"], "--stature: expected at most 3 metres, got 170"),
    (["--stature", "0.2"], "--stature: expected a number of at least 0.3, got 0.2"),
    (["--stature", "1.7"], "--stature: expected none for the arm gpa, got 1.7; only the wide arms use it"),
    (["--min-joints", "9"], "--min-joints: expected none for the arm gpa, got 9; only the wide arms use it"),
    (["--no-fit"], "--fit: expected true for the arm gpa, got false; only the wide arms use it"),
    (["--no-two-passes"], "--two-passes: expected true for the arm gpa, got false"),
    (["--input", "-", "--camera-pitch", "9"], "got 9; only the wide arms use it in streams, so leave it out"),
    (["--smooth.beta", "1"], "--smooth.beta: expected --smooth.filter one_euro beside it, got none"),
    (["--smooth.filter", "kalman", "--smooth.window", "7"], "--smooth.window: expected --smooth.filter"),
    (["--input", "camera:0"], "--image-size: expected none, as --input camera:0 gives them itself"),
    (["--input", "-", "--video-detector", "rtmpose"], "--video-detector: expected none, as --input -"),
])  # fmt: skip
def test_an_option_without_effect_is_refused(
    run: Path,
    write: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sentence: str,
) -> None:
    source, output = write(), tmp_path / ("o.jsonl" if "--input" in options else "o.npz")
    capsys.readouterr()
    assert lift(run, source, output, *options) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said and "\n" not in said and not output.exists()


def test_the_record_of_a_run_may_hold_options_that_the_input_does_not_need(
    run: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    record = str(run / "config.json")
    assert json.loads(Path(record).read_text())["config"]["video_detector"] == "mediapipe"
    assert lift(run, write(), tmp_path / "o.npz", "--config", record) == 0


def test_a_moving_camera_is_refused_where_it_would_have_no_effect(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lift(run, write(), tmp_path / "o.npz", "--moving-camera") == 2
    assert "--moving-camera: expected none for the arm" in capsys.readouterr().err
    assert main(["lift", "--model", str(run), "--input", "-", *SCREEN, "--moving-camera"]) == 2
    assert "--moving-camera: expected none for --input -, a stream" in capsys.readouterr().err
    assert not (tmp_path / "o.npz").exists()


def test_nothing_is_overwritten_unasked_and_nothing_lifted_is_said(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "o.json"
    target.write_text("mine")
    assert lift(run, write(), target) == 2 and target.read_text() == "mine"
    assert "--overwrite replaces it" in capsys.readouterr().err
    ankle = H36M16.joint("left_ankle")
    hidden = write(hide={(frame, ankle) for frame in range(20)})
    assert lift(run, hidden, target, "--overwrite") == 2 and target.read_text() == "mine"
    assert "left_ankle is unseen in 20 of 20 frames" in capsys.readouterr().err
    assert (
        lift(run, write(), target, "--overwrite") == 0 and len(json.loads(target.read_text())["frames"]) == 20
    )


def test_the_lifter_is_the_one_that_the_gate_recommends_unless_told(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    advised = tmp_path / "run"
    shutil.copytree(run, advised)
    verdict = advised / "gate.json"

    def used(*options: str) -> str:
        capsys.readouterr()
        assert lift(advised, write(), tmp_path / "o.npz", "--overwrite", "--json", *options) == 0
        return json.loads(capsys.readouterr().out)["arm"]

    for name in ("source_only", "pretrained", "gpa"):
        verdict.write_text(json.dumps({"recommended": name}))
        assert used() == name and used("--arm", "gpa") == "gpa"
    verdict.write_text(json.dumps({"recommended": "gpa_lpa"}))
    assert lift(advised, write(), tmp_path / "p.npz") == 2
    named = "expected the lifter of arm gpa_lpa of seed 0, which gate.json recommends, in"
    assert named in capsys.readouterr().err
    verdict.write_text(json.dumps({"recommended": "../elsewhere"}))
    assert lift(advised, write(), tmp_path / "p.npz") == 2
    assert "gate.json: expected the verdict of the gate" in capsys.readouterr().err
    verdict.unlink()
    assert used() == "gpa"  # the oracle saw labels


def test_a_temporal_lifter_sees_each_stretch_through_its_windows(
    run: Path, clip: torch.Tensor, write: Callable[..., Path]
) -> None:
    model = AdaptedLifter.load(run)
    wide = build("videopose3d", H36M16, frames=9, channels=16).eval()
    temporal = AdaptedLifter(wide, H36M16, replace(model.config, frames=9), "gpa", 0)
    detections = read_detections(write(skip={12}), SIZE, layout="h36m16")
    poses = lift_footage(temporal, detections, Lens(None, None, ""), LiftOptions())
    assert poses.rate_assumed and poses.rate == 30
    averaged = FlipAverage(wide, H36M16).eval()
    with torch.no_grad():
        parts = [lift_clip(averaged, clip[part], 9) for part in (slice(0, 12), slice(13, 20))]
    assert np.allclose(poses.pose_3d[poses.valid], torch.cat(parts).numpy(), atol=1e-5)
    assert np.flatnonzero(~poses.valid).tolist() == [12]
    with pytest.raises(ValueError, match=r"a lifter of single or past frames .* got one of 9 frames"):
        LineLifter(temporal, image_size=SIZE)


def test_weights_of_another_lifter_are_refused(run: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    record = json.loads((copy / "config.json").read_text())
    record["config"]["network"]["width"] = 48
    (copy / "config.json").write_text(json.dumps(record))
    with pytest.raises(
        ValueError, match=r"lifter\.safetensors: expected the tensors of lifter in the checkpoint, got"
    ):
        AdaptedLifter.load(copy)
    assert isinstance(AdaptedLifter.load(run).lifter, nn.Module)


def test_the_readme_lifts(run: Path, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "lift_footage" in b]
    points = 500 + 300 * np.random.default_rng(0).random((26, 2))
    frame = {"frame_id": 0, "instances": [{"keypoints": points.tolist()}]}
    (tmp_path / "halpe.json").write_text(json.dumps({"instance_info": [frame]}))
    scope = {"run_folder": run, "detections_file": tmp_path / "halpe.json"}
    exec(block, scope)
    assert scope["poses"].valid.tolist() == [True]  # type: ignore[attr-defined]


def test_an_overlay_is_written_beside_the_output(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("PIL")
    movie = tmp_path / "o.gif"
    capsys.readouterr()
    assert lift(run, write(), tmp_path / "o.npz", "--overlay", str(movie), "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] == [str(tmp_path / "o.npz"), str(movie)]
    assert movie.read_bytes()[:4] == b"GIF8"
    assert lift(run, write(), tmp_path / "p.npz", "--overlay", str(movie)) == 2
    assert "--overlay: expected a new file, got" in capsys.readouterr().err
    assert lift(run, write(), tmp_path / "p.npz", "--overlay", "o.avi") == 2
    assert "--overlay: expected a file ending in .mp4, .gif, got o.avi" in capsys.readouterr().err
    assert not (tmp_path / "p.npz").exists()


def test_people_stand_upright_by_the_pitch_that_is_given(
    run: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write()
    assert lift(run, source, tmp_path / "level.bvh") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the camera taken for level (--camera-pitch gives the tilt of one that rests)" in said
    assert lift(run, source, tmp_path / "steep.bvh", "--camera-pitch", "30") == 0
    assert "upright by the camera's tilt" in " ".join(capsys.readouterr().out.split())
    level, steep = (read_bvh(tmp_path / f"{name}.bvh") for name in ("level", "steep"))
    at = [joint.name for joint in level.joints].index("head_top")
    heads = [bvh.position[:, at] - bvh.position[:, 0] for bvh in (level, steep)]
    lean = [np.degrees(np.arctan2(*head[:, [2, 1]].mean(0))) for head in heads]
    assert lean[0] - lean[1] == pytest.approx(30, abs=1), "towards the camera"
