"""`python -m benchmarks.mocap`: queues that can be killed anywhere, and tables that can be worked by hand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.mocap import queue
from benchmarks.mocap.arms import summarise_pair
from benchmarks.mocap.breakdown import nearest_pose, torso_tilt
from benchmarks.mocap.config import ReproduceMocapConfig
from benchmarks.mocap.program import main
from benchmarks.mocap.queue import QueueError, sole_worker
from benchmarks.mocap.tables import Row, by_group, compare, joint_means, summarise
from poseda.datasets import LabelledPoses
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16
from poseda.training import NonFiniteError
from poseda.training.run import Run

STEPS = ["--training.pretrain-steps", "4", "--training.adapt-steps", "4", "--generator-training.steps", "4"]
TINY = ["--preset", "tiny", "--device", "cpu", *STEPS]

# A queue gives each run its share of the cores, and results repeat to the bit for one number of threads.
pytestmark = pytest.mark.usefixtures("one_thread")


ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
"""For ``python -m benchmarks``, which is found in the folder it is started in."""


def reproduce(mocap: Path, out: Path, *options: str) -> list[str]:
    return ["arms", "--mocap", str(mocap), "--out", str(out), *options, *TINY]


def row(name: str, mpjpe: float, run: str = "p1_split0", seed: int = 0) -> Row:
    return {"run": run, "name": name, "seed": seed, "mpjpe": mpjpe, "pa_mpjpe": 1.0, "pck": 2.0, "auc": 3.0}


def test_lines_average_over_runs_and_count_them() -> None:
    rows = [row("gpa", 60.0), row("gpa", 66.0, seed=1), row("gpa", 70.0, "p1_split1"), row("random", 5.0)]
    gpa, random = summarise(rows)
    assert (gpa.name, gpa.runs, random.name, random.runs) == ("gpa", 3, "random", 1)
    assert gpa.mean["mpjpe"] == pytest.approx(196 / 3) and random.deviation["mpjpe"] == 0
    assert gpa.deviation["mpjpe"] == pytest.approx(5.0332229)  # variance (28.44 + 0.44 + 21.78) / 2 = 25.33
    # Split 1 lacks seed 1, so only split 0 is averaged: 60 and 66.
    assert gpa.seed_deviation == pytest.approx(36**0.5 / 2**0.5) and random.seed_deviation is None


def test_a_gap_is_measured_on_the_runs_that_have_both_of_its_ends() -> None:
    rows = [row("source_only", 80.0), row("oracle", 40.0), row("gpa", 70.0)]
    rows += [row("source_only", 1000.0, "p1_split1"), row("gpa", 10.0, "p1_split1")]  # no oracle there yet
    closed = {line.name: line.gap_closed for line in summarise(rows)}
    assert closed == pytest.approx({"source_only": 0, "oracle": 100, "gpa": 25})
    assert [line.gap_closed for line in summarise(rows[3:])] == [None, None]


def test_arms_are_compared_on_matched_runs_alone() -> None:
    rows = [
        row("gpa_lpa", 50.0),
        row("random", 60.0),
        row("gpa_lpa", 44.0, seed=1),
        row("random", 40.0, seed=1),
    ]
    found = compare([*rows, row("random", 900.0, seed=2)], "gpa_lpa", "random")
    assert found is not None
    assert (found.runs, found.wins, found.ours_mpjpe, found.other_mpjpe) == (2, 1, 47.0, 50.0)
    assert found.lower == pytest.approx(6.0)
    assert compare(rows, "gpa_lpa", "poseaug") is None


def test_the_method_and_plus_are_compared_with_their_rivals() -> None:
    options = ReproduceMocapConfig(mocap=Path("m"), out=Path("o"))
    errors = {"gpa": 60.0, "gpa_lpa": 50.0, "gpa_lpa_view": 45.0, "random": 55.0, "oracle": 40.0}
    rows = [row(arm, mpjpe) | {"arm": arm, "per_joint": {}} for arm, mpjpe in errors.items()]
    rows = [found | {"pair": "p1", "split": "target_test"} for found in rows]
    against = summarise_pair(options, "p1", rows, []).against
    lower = {(found.ours, found.other): found.lower for found in against}
    assert lower == pytest.approx(
        {
            ("gpa_lpa", "random"): 100 / 11,
            ("gpa_lpa", "gpa"): 100 / 6,
            ("gpa_lpa_view", "gpa_lpa"): 10.0,
            ("gpa_lpa_view", "gpa"): 25.0,
            ("gpa_lpa_view", "random"): 200 / 11,
        }
    )


def test_the_queue_goes_breadth_first_and_a_dry_run_writes_nothing(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = reproduce(mocap_folder, tmp_path / "q", "--dry-run", "--splits", "0", "2", "--seeds", "0", "1")
    assert main(given) == 0
    listed = [line.split(":")[0].split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    order = ["p1_split0", "p2_split0", "p1_split2", "p2_split2"]
    assert listed == [f"{run} seed {seed}" for seed in (0, 1) for run in order]
    assert not (tmp_path / "q").exists()


@pytest.fixture(scope="module")
def trained(mocap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("queue") / "q"
    options = ["--pairs", "p1", "--splits", "0", "--seeds", "0", "1", "--arms", "source_only", "gpa_lpa"]
    assert main(reproduce(mocap_folder, out, *options)) == 0
    return out


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Path:
    """A finished queue that the test may write to."""
    return shutil.copytree(trained, tmp_path / "finished")


def test_a_queue_leaves_numbers_tables_and_what_they_depend_on(finished: Path) -> None:
    record = json.loads((finished / "arms.json").read_text())
    assert len(record["rows"]) == 2 * 2 * 2  # arms, seeds, splits
    assert record["sources"].keys() == {
        "cmu.npz", "cmu_retargeted.npz", "bandai1.npz", "bandai2.npz", "cameras.json"
    }  # fmt: skip
    assert record["recipe"]["training"]["adapt_steps"] == 4 and record["versions"]["torch"]
    assert record["recipe"]["gate"] == "off"
    assert len(record["data"]["p1_split0"]) == 64
    assert record["protocol"]["selection"].startswith("none") and "seeds" not in record["protocol"]
    assert record["asked"]["arms"] == ["source_only", "gpa_lpa"]
    pair = record["pairs"]["p1"]
    assert (pair["finished"], pair["planned"]) == (4, 4)
    arm = next(line for line in pair["lines"] if line["name"] == "gpa_lpa")
    mpjpe = [
        found["mpjpe"] for found in json.loads((finished / "runs/p1_split0/results.json").read_text())
        if (found["arm"], found["split"]) == ("gpa_lpa", "target_test")
    ]  # fmt: skip
    assert arm["mean"]["mpjpe"] == pytest.approx(sum(mpjpe) / 2) and arm["runs"] == 2
    assert f"| gpa_lpa | 2 | {arm['mean']['mpjpe']:.1f} ± " in (finished / "arms.md").read_text()


def test_a_finished_queue_trains_nothing_and_a_longer_one_only_what_is_new(
    finished: Path, mocap_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def train_arm(self: Run, seed: int, arm: str) -> list[dict[str, Any]]:
        trained.append((seed, arm))
        return []

    monkeypatch.setattr(Run, "train_arm", train_arm)
    monkeypatch.setattr(queue, "measure", lambda *_: None)
    options = ["--pairs", "p1", "--splits", "0", "--arms", "source_only", "gpa_lpa"]
    assert main(reproduce(mocap_folder, finished, *options, "--seeds", "0", "1")) == 0
    assert trained == []
    assert main(reproduce(mocap_folder, finished, *options, "gpa", "--seeds", "0", "2")) == 0
    assert trained == [(0, "gpa"), (2, "source_only"), (2, "gpa_lpa"), (2, "gpa")]


def test_a_queue_refuses_other_motion_files_options_and_company(
    finished: Path, mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert main(arguments) == 2
        return capsys.readouterr().err

    options = ["--pairs", "p1", "--splits", "0", "--seeds", "0"]
    for name in ("cmu", "cmu_retargeted", "bandai1"):
        (tmp_path / f"{name}.npz").write_bytes(b"other" if name == "cmu" else b"")
    assert "bandai2.npz (No such file" in refused(*reproduce(tmp_path, finished, *options))
    for name in ("bandai2.npz", "cameras.json"):
        (tmp_path / name).write_bytes(b"")
    assert "--mocap: expected the cmu.npz that" in refused(*reproduce(tmp_path, finished, *options))
    other = refused(*reproduce(mocap_folder, finished, *options, "--lifter", "videopose3d"))
    assert "p1_split0: lifter: the run to resume has 'simple_baseline', got 'videopose3d'" in other
    with sole_worker(finished):
        assert "no other run writes to" in refused(*reproduce(mocap_folder, finished, *options))
        assert main(reproduce(mocap_folder, finished, *options, "--tables")) == 0
    for option in (("--data", "x.npz"), ("--gate", "on")):
        assert "one that the program sets itself" in refused(*reproduce(mocap_folder, finished, *option))
    assert "expected a queue among arms" in refused("magic")
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(QueueError, match="--out: expected a folder that can be written"),
        sole_worker(tmp_path / "file"),
    ):
        pass


def test_an_arm_that_fails_does_not_hold_up_the_others(
    mocap_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapt = Run.adapt

    def fail(self: Run, seed: int, arm: Any) -> Any:
        if arm == "gpa":
            raise NonFiniteError("gpa · lifter: lifter_loss became non-finite")
        return adapt(self, seed, arm)

    monkeypatch.setattr(Run, "adapt", fail)
    options = ["--pairs", "p1", "--splits", "0", "--seeds", "0", "--arms", "gpa", "source_only"]
    assert main(reproduce(mocap_folder, tmp_path / "q", *options)) == 1
    captured = capsys.readouterr()
    assert "p1_split0: gpa · lifter: lifter_loss became non-finite" in captured.err
    assert "| source_only | 1 |" in captured.out and "1 of 2 runs" in captured.out


def test_a_run_that_cannot_begin_does_not_hold_up_the_others(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--splits", "0", "--seeds", "0", "--arms", "gpa"]
    domains = tmp_path / "q" / "domains"
    domains.mkdir(parents=True)
    (domains / "p1_split0.npz").write_bytes(b"torn")
    assert main(reproduce(mocap_folder, tmp_path / "q", *options)) == 1
    captured = capsys.readouterr()
    assert "p1_split0 seed 0: " in captured.err and "p1_split0.npz: expected an npz file" in captured.err
    assert "## p1: 0 of 1 runs" in captured.out and "## p2: 1 of 1 runs" in captured.out


def children(pid: int) -> list[int]:
    return [int(entry) for entry in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_queue_killed_at_work_leaves_no_process_and_goes_on_to_the_same_numbers(
    finished: Path, mocap_folder: Path, tmp_path: Path
) -> None:
    options = ["--pairs", "p1", "--splits", "0", "--seeds", "0", "1", "--arms", "source_only", "gpa_lpa"]
    given = reproduce(mocap_folder, tmp_path / "q", *options)
    command = [sys.executable, "-m", "benchmarks.mocap", *given, "--processes", "2"]
    queue = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT)
    assert queue.stderr is not None
    first = queue.stderr.readline()  # one arm is finished, the other has begun or is about to
    workers = children(queue.pid)
    queue.send_signal(signal.SIGKILL)
    queue.wait()
    queue.stderr.close()
    assert "p1_split0 seed 0 source_only: source_val" in first and workers
    patience = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/exe").is_symlink() for pid in workers):
        assert time.monotonic() < patience, "a worker outlives the queue"
        time.sleep(0.05)
    assert main(given) == 0
    one, two = (out / "runs/p1_split0/results.json" for out in (finished, tmp_path / "q"))
    assert one.read_bytes() == two.read_bytes()


def test_torso_tilt_is_the_angle_from_the_worlds_vertical() -> None:
    pose = torch.zeros(3, H36M16.num_joints, 3)
    thorax = H36M16.joint("thorax")
    pose[0, thorax] = torch.tensor([0.0, -0.5, 0.0])  # up in a level camera's frame, whose y points down
    pose[1, thorax] = torch.tensor([0.3, -0.3, 0.0])
    pose[2, thorax] = torch.tensor([0.0, 0.5, 0.0])  # head down
    level = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], np.float32)
    camera = Camera(focal=torch.ones(3, 2), center=torch.zeros(3, 2))
    rotation = np.stack([level] * 3)
    poses = LabelledPoses(
        pose + 3.0, torch.zeros(3, 16, 2), camera, torch.zeros(3, dtype=torch.int64), {"rotation": rotation}
    )
    torch.testing.assert_close(torso_tilt(poses, H36M16), torch.tensor([0.0, 45.0, 180.0]), rtol=0, atol=0.05)


def test_the_nearest_pose_is_measured_as_mean_over_joints() -> None:
    poses = torch.zeros(2, 4, 3)
    poses[1] += 5.0
    others = torch.zeros(3, 4, 3)
    others[0, 0, 0] = 0.2  # one joint of four off by 200 mm: 50 mm
    others[1, :, 1] = 0.04
    others[2] += 9.0
    torch.testing.assert_close(nearest_pose(poses, others)[0], torch.tensor(40.0))
    assert nearest_pose(poses, others)[1] > 4000


def test_groups_are_summarised_with_their_share_of_the_frames() -> None:
    def part(name: str, group: str, poses: int, mpjpe: float, run: str = "p1_split0") -> Row:
        return row(name, mpjpe, run) | {"group": group, "poses": poses}

    rows = [
        part("gpa", "low", 30, 50.0),
        part("gpa", "high", 10, 90.0),
        part("gpa", "low", 40, 70.0, "other"),
    ]
    low, high = by_group(rows)
    assert (low.name, low.share, low.lines[0].runs, low.lines[0].mean["mpjpe"]) == ("low", 87.5, 2, 60.0)
    assert (high.name, high.share, high.lines[0].mean["mpjpe"]) == ("high", 12.5, 90.0)


def test_joints_are_averaged_over_sides_and_runs() -> None:
    rows = [
        row("gpa", 1.0) | {"per_joint": {"spine": 10.0, "left_knee": 30.0, "right_knee": 50.0}},
        row("gpa", 1.0, seed=1) | {"per_joint": {"spine": 20.0, "left_knee": 40.0, "right_knee": 40.0}},
    ]
    assert joint_means(rows) == {"spine": {"gpa": 15.0}, "knee": {"gpa": 40.0}}


def test_breakdowns_cover_every_test_frame_once_and_agree_with_the_whole(finished: Path) -> None:
    whole = next(
        found for found in json.loads((finished / "runs/p1_split0/results.json").read_text())
        if (found["arm"], found["seed"], found["split"]) == ("gpa_lpa", 1, "target_test")
    )  # fmt: skip
    parts = json.loads((finished / "runs/p1_split0/seed1/gpa_lpa/breakdown.json").read_text())
    assert {part["by"] for part in parts} == {"camera", "torso tilt", "nearest training pose"}
    for kind in {part["by"] for part in parts}:
        own = [part for part in parts if part["by"] == kind]
        assert sum(part["poses"] for part in own) == whole["poses"]
        weighted = sum(part["poses"] * part["mpjpe"] for part in own) / whole["poses"]
        assert weighted == pytest.approx(whole["mpjpe"], rel=1e-5)
    text = (finished / "arms.md").read_text()
    assert "p1: MPJPE mm by camera" in text and "p1: MPJPE mm by joint" in text and "° down |" in text


def test_a_breakdown_that_is_missing_is_made_without_training(
    finished: Path, mocap_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = finished / "runs/p1_split0/seed0/gpa_lpa/breakdown.json"
    before = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(Run, "train_arm", None)
    options = ["--pairs", "p1", "--splits", "0", "--seeds", "0", "--arms", "gpa_lpa"]
    assert main(reproduce(mocap_folder, finished, *options)) == 0
    assert path.read_bytes() == before
