"""`poseda adapt --weak-labels`: what it prints, records and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from poseda.cli import main
from poseda.geometry.skeleton import H36M16
from tests.shared.rigs import FilmedRig, film_rig

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> FilmedRig:
    return film_rig(tmp_path_factory.mktemp("filmed") / "rig", frames=30)


@pytest.fixture(scope="module")
def file(rig: FilmedRig) -> Path:
    path, frames = rig.paths[0].parent / "poses.npz", np.array([1, 8, 15, 900])
    pose = rig.pose_3d[0, np.minimum(frames, 29)].numpy()
    np.savez(path, pose_3d=pose, joint_names=np.array(H36M16.joint_names), frame=frames)
    return path


def line(rig: FilmedRig, file: Path, out: Path) -> list[str]:
    steps = ["--wide.steps", "20", "--wide.target-steps", "5", "--wide.rounds", "1"]
    given = ["--target", str(rig.paths[0]), "--source", str(rig.source), "--weak-labels", str(file)]
    arms = ["--arms", "wide", "wide_target", "--gate", "off"]
    return ["adapt", "--preset", "tiny", "--device", "cpu", *given, *arms, *steps, "--out", str(out)]


def test_a_run_says_and_records_what_it_read_and_goes_on_with_the_same_labels_alone(
    rig: FilmedRig, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(line(rig, file, out)) == 0
    account = "weak labels: 3 of 4 poses of poses.npz"
    assert account in capsys.readouterr().out
    record = json.loads((out / "config.json").read_text())
    assert record["config"]["weak_labels"] == str(file)
    assert record["data"]["weak_labels"]["account"][0].startswith(account)
    assert len(record["data"]["weak_labels"]["sha256"]["poses.npz"]) == 64
    assert (
        "another model made. 3 of 4 poses" in json.loads((out / "protocol.json").read_text())["weak labels"]
    )
    content = dict(np.load(file))
    moved = tmp_path / "poses.npz"
    np.savez(moved, **content | {"frame": content["frame"] + 1})
    assert main([*line(rig, moved, out), "--resume"]) == 2
    assert "expected the data of the run to resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ["--arms", "wide"],
            "--weak-labels: expected wide_target among --arms, which alone learns from them",
        ),
        (["--gate", "on"], "--gate: expected report or off with --weak-labels"),
        (["--weak-labels", "gone.npz"], "--weak-labels: expected a file or folder, got gone.npz"),
        (["--wide.weak-share", "1"], "--wide.weak-share: expected a share from 0 to below 1, got 1"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(
    rig: FilmedRig,
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    message: str,
) -> None:
    out = tmp_path / "run"
    assert main([*line(rig, file, out), *change]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1 and not out.exists()


def test_without_footage_of_ones_own_they_are_refused(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapt", "--weak-labels", str(file), "--out", str(tmp_path / "run")]) == 2
    assert "--weak-labels: expected --target beside it, got none" in capsys.readouterr().err
