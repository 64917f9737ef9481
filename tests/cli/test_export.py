"""`poseda export`: what onnxruntime computes from the file is what the lifter of the run computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from runs import short_steps

from poseda.cli import main
from poseda.inference import AdaptedLifter
from poseda.lifters.observation import Observation
from poseda.lifters.wide import WideLifter

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run with both kinds of lifters."""
    out = tmp_path_factory.mktemp("export") / "run"
    line = ["adapt", "--preset", "tiny", *short_steps(10), "--device", "cpu", "--arms", "source_only", "wide"]
    assert main([*line, "--wide.steps", "20", "--out", str(out)]) == 0
    return out


def export(run: Path, output: Path, *more: str) -> int:
    return main(["export", "--model", str(run), "--output", str(output), *more])


def test_an_arm_of_screen_coordinates_runs_alike(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "lifter.onnx"
    assert export(run, path, "--arm", "source_only") == 0
    pose_2d = torch.randn(5, 16, 2, generator=torch.Generator().manual_seed(0)) * 0.3
    (pose_3d,) = onnxruntime.InferenceSession(path).run(None, {"pose_2d": pose_2d[:, None].numpy()})
    expected = AdaptedLifter.load(run, "source_only").lift(pose_2d).numpy()
    assert np.abs(pose_3d[:, 0] - pose_3d[:, 0, :1] - expected).max() < 1e-4


def test_the_arm_wide_has_two_inputs_and_hides_unseen_rays(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.onnx"
    # In a process of its own, as users run it.
    command = [sys.executable, "-m", "poseda", "export", "--model", str(run), "--output", str(path)]
    subprocess.run([*command, "--arm", "wide"], check=True)
    lifter = AdaptedLifter.load(run, "wide").lifter
    assert isinstance(lifter, WideLifter)
    rng = torch.Generator().manual_seed(0)
    rays, seen = torch.randn(4, 1, 16, 2, generator=rng) * 0.2, torch.rand(4, 1, 16, generator=rng) < 0.7
    given = Observation(
        rays, seen, torch.zeros(4, 3), torch.zeros(4, dtype=torch.bool),
        torch.zeros(4, len(lifter.usual_lengths)), torch.zeros(4, dtype=torch.bool),
    )  # fmt: skip
    with torch.no_grad():
        lifted = lifter.averaged(given)
    session = onnxruntime.InferenceSession(path)
    assert [one.name for one in session.get_inputs()] == ["rays", "seen"]
    pose, error = session.run(None, {"rays": rays.numpy(), "seen": seen.numpy()})
    expected = (lifted.pose_3d - lifted.pose_3d[:, :, :1]).numpy()
    assert np.abs(pose - expected).max() < 1e-4
    assert np.abs(error - lifted.log_error.exp().numpy()).max() < 1e-4
    other = torch.where(seen[..., None], rays, torch.full_like(rays, 9.0))
    again, _ = session.run(None, {"rays": other.numpy(), "seen": seen.numpy()})
    assert np.array_equal(again, pose)


def test_what_cannot_be_written_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken.onnx"
    taken.write_text("mine")
    for path, more, sentence in (
        (taken, [], "--output: expected a new file"),
        (tmp_path / "lifter.pt", [], "--output: expected a file ending in .onnx"),
        (tmp_path / "a.onnx", ["--arm", "lpa"], "--model: expected the lifter of arm lpa of seed 0"),
    ):
        assert export(run, path, *more) == 2
        error = capsys.readouterr().err
        assert sentence in error and error.count("\n") == 1
    assert taken.read_text() == "mine" and not (tmp_path / "a.onnx").exists()
