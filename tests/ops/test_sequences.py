"""Lifters that see several frames: the windows they train on, how clips are lifted, and whole runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import KillAt, equal, short_run, small_lifter, weights
from torch import Tensor, nn

from poseda import ops, training
from poseda.cli import main
from poseda.config import AdversaryConfig, Arm, LifterTrainingConfig, RunConfig
from poseda.datasets import Domains
from poseda.datasets.order import pieces
from poseda.evaluation.evaluate import evaluate
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import H36M16
from poseda.lifters import build
from poseda.lifters.predict import lift_windows, predict
from poseda.lifters.sizes import build_lifter
from poseda.training.pairs import Pairs, PairSource, Resident, Shuffle, recipe_of

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
TEMPORAL = ("videopose3d", "stgcn", "mixste", "dstformer")
T = 5


@pytest.fixture(scope="module")
def data(domains: Domains) -> Resident:
    return Resident.load(domains.adaptation(), CPU, T)


def draw(arm: Arm, data: Resident, run: RunConfig, **given: Any) -> tuple[Pairs, Tensor]:
    """The first pairs of an arm, and the rows of their windows."""
    rng = torch.Generator().manual_seed(0)
    assert data.windows is not None
    rows = data.windows.rows(Shuffle(len(data.source), run.training.batch, 0, CPU).at(0))
    pairs = PairSource(recipe_of(arm, run), data, run, 0, rng, **given)
    return pairs.draw(*pairs.indices(0)), rows


# --------------------------------------------------------------------------------------- what is drawn


def test_captured_windows_are_rows_of_the_resident_poses(data: Resident, tmp_path: Path) -> None:
    pairs, rows = draw("source_only", data, short_run(tmp_path, frames=T))
    assert pairs.pose_2d.shape == (32, T, 16, 2) and pairs.valid.all()
    assert torch.equal(pairs.pose_2d, data.source.pose_2d[rows])
    assert torch.equal(pairs.pose_3d, data.source.pose_3d[rows])
    assert (pieces(data.source)[rows].diff(dim=1) == 0).all(), "no window reaches into another clip"
    assert (rows.diff(dim=1) >= 0).all() and rows.diff(dim=1).max() == 1


def test_only_single_poses_are_resident(data: Resident) -> None:
    # Windows of the whole source would be T times as large.
    assert data.source.pose_3d.untyped_storage().nbytes() == len(data.source) * 16 * 3 * 4
    assert data.windows is not None and data.windows.first.shape == (len(data.source),)


@pytest.mark.parametrize("target_frame", [None, T - 1], ids=["centred", "causal"])
def test_gpa_puts_the_middle_frame_on_a_target_and_the_others_follow(
    domains: Domains, tmp_path: Path, target_frame: int | None
) -> None:
    data = Resident.load(domains.adaptation(), CPU, T, target_frame)
    pairs, rows = draw("gpa", data, short_run(tmp_path, frames=T))
    where = data.placements.sample(32, torch.Generator().manual_seed(0))
    good = pairs.valid
    assert good.float().mean() > 0.5
    placed = pairs.pose_2d[good, T // 2, 0]
    torch.testing.assert_close(placed, data.placements.placement[where[good], :2], rtol=0, atol=1e-4)
    captured = data.source.pose_3d[rows][good]
    moved = pairs.pose_3d[good] - pairs.pose_3d[good][:, T // 2, None, :1]
    torch.testing.assert_close(moved, captured - captured[:, T // 2, None, :1], rtol=0, atol=1e-4)


def test_a_change_of_posture_holds_for_a_whole_window(data: Resident, tmp_path: Path) -> None:
    steps = LifterTrainingConfig(batch=64, source_share=0.0)
    pairs, rows = draw("random", data, short_run(tmp_path, frames=T, training=steps))
    before = ops.bones(data.source.pose_3d[rows][pairs.valid].flatten(0, 1), data.skeleton)
    after = ops.bones(pairs.pose_3d[pairs.valid].flatten(0, 1), data.skeleton)
    before, after = (bone.unflatten(0, (-1, T)).transpose(1, 2) for bone in (before, after))  # (N, K, T, 3)
    assert (after - before).norm(dim=-1).mean() > 0.05
    # One rotation and one scale a bone and window: angles and ratios between frames stay as they were.
    scale = (after.norm(dim=-1) / before.norm(dim=-1))[..., :1, None]
    torch.testing.assert_close(after @ after.mT, scale**2 * (before @ before.mT), rtol=0, atol=2e-5)


def test_an_oracle_draws_windows_of_both_domains(data: Resident, domains: Domains, tmp_path: Path) -> None:
    pairs, _ = draw("oracle", data, short_run(tmp_path, frames=T), oracle=domains.oracle())
    assert pairs.pose_2d.shape == (32, T, 16, 2)
    target = domains.oracle().pose_2d
    from_target = (pairs.pose_2d[:, T // 2, None] == target).flatten(2).all(-1).any(1)
    assert from_target.sum() == 16


# ----------------------------------------------------------------------------------- lifting and errors


class Frame(nn.Module):
    """Returns one frame of the window, with depth 0, and says which."""

    def __init__(self, target_frame: int | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        if target_frame is not None:
            self.target_frame = target_frame

    def forward(self, pose_2d: Tensor) -> Tensor:
        at = getattr(self, "target_frame", pose_2d.shape[1] // 2)
        return self.weight * nn.functional.pad(pose_2d[:, at : at + 1], (0, 1))


@pytest.mark.parametrize("target_frame", [None, 4, 0])
def test_a_single_pose_is_compared_with_the_frame_it_stands_for(target_frame: int | None) -> None:
    pose_2d, pose_3d = torch.randn(3, T, 16, 2), torch.randn(3, T, 16, 3)
    lifted, truth = lift_windows(Frame(target_frame), pose_2d, pose_3d)
    at = T // 2 if target_frame is None else target_frame
    assert lifted.shape == truth.shape == (3, 1, 16, 3)
    assert torch.equal(truth[:, 0], root_relative(pose_3d)[:, at])
    assert torch.equal(lifted[:, 0, :, :2], pose_2d[:, at])


def test_a_pose_a_frame_is_compared_with_every_frame() -> None:
    lifter = build("mixste", H36M16, T, width=16, blocks=1)
    pose_3d = torch.randn(3, T, 16, 3)
    lifted, truth = lift_windows(lifter, torch.randn(3, T, 16, 2), pose_3d)
    assert lifted.shape == (3, T, 16, 3) and torch.equal(truth, root_relative(pose_3d))


@pytest.mark.parametrize("name", TEMPORAL)
def test_a_clip_is_lifted_without_a_look_at_others(name: str, domains: Domains) -> None:
    poses = domains.evaluation()
    piece = pieces(poses)
    torch.manual_seed(1)
    run = short_run(Path(), frames=9, lifter=name, network=small_lifter())
    lifter = build_lifter(run, domains.skeleton)
    with torch.no_grad():
        for parameter in lifter.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    whole = predict(lifter, poses.pose_2d, domains.skeleton, True, 9, piece)
    assert whole.shape == (len(poses), 16, 3)
    own = piece == 2
    changed = poses.pose_2d.clone()
    changed[~own] += 0.3
    again = predict(lifter, changed, domains.skeleton, True, 9, piece)
    assert torch.equal(whole[own], again[own]) and not torch.equal(whole[~own], again[~own])
    # Neighbouring frames of the same clip count.
    changed = poses.pose_2d.clone()
    row = int(own.nonzero()[4])
    changed[row] += 0.3
    again = predict(lifter, changed, domains.skeleton, True, 9, piece)
    assert not torch.equal(whole[row - 1], again[row - 1])


def test_motion_is_scored_where_rows_are_frames_in_order(domains: Domains, tmp_path: Path) -> None:
    run = short_run(tmp_path)
    lifter = build_lifter(run, domains.skeleton)
    poses = domains.evaluation()
    scores = evaluate(lifter, poses, domains.skeleton, run)
    assert scores["mpjve"] > 0 and scores["acceleration_error"] > 0 and scores["frames"] == 1
    shuffled = poses.rows(torch.randperm(len(poses)))
    other = evaluate(lifter, shuffled, domains.skeleton, run)
    assert "mpjve" not in other and other["mpjpe"] == pytest.approx(scores["mpjpe"], rel=1e-4)


# ------------------------------------------------------------------------------------------- whole runs


@pytest.mark.parametrize(("name", "causal"), [*((name, False) for name in TEMPORAL), ("videopose3d", True)])
def test_every_temporal_lifter_adapts(name: str, causal: bool, domains: Domains, tmp_path: Path) -> None:
    network = small_lifter(causal)
    run = short_run(tmp_path / "r", "gpa_lpa", steps=4, every=2, lifter=name, frames=9, network=network)
    results = training.prepare(run, domains).train()
    assert [row["split"] for row in results] == ["source_val", "target_test"]
    assert all(row["mpjve"] > 0 and row["acceleration_error"] > 0 and row["frames"] == 9 for row in results)
    card = json.loads((run.out / "protocol.json").read_text())
    assert card["frames"].startswith("9: past frames" if causal else "9: frames around each")
    assert not equal(weights(run.out, "pretrained"), weights(run.out, "gpa_lpa"))


def test_a_killed_run_on_sequences_resumes_to_the_same_bits(domains: Domains, tmp_path: Path) -> None:
    options = {"lifter": "mixste", "frames": 3, "network": small_lifter()}
    whole, cut = (short_run(tmp_path / name, "gpa_lpa", **options) for name in ("whole", "cut"))
    expected = training.prepare(whole, domains).train()
    with pytest.raises(KeyboardInterrupt):
        training.prepare(cut, domains, KillAt("gpa_lpa · lifter", 10)).train()
    assert training.prepare(dataclasses.replace(cut, resume=True), domains).train() == expected
    assert equal(weights(whole.out, "gpa_lpa"), weights(cut.out, "gpa_lpa"))


def test_the_lifters_feedback_on_windows_reaches_the_generator(domains: Domains, tmp_path: Path) -> None:
    options = {"steps": 2, "every": 1, "lifter": "videopose3d", "frames": 3, "network": small_lifter()}
    feedback = AdversaryConfig(feedback="hard_ratio", pool=64)
    deaf, hearing = (
        short_run(tmp_path / "a", **options),
        short_run(tmp_path / "b", adversary=feedback, **options),
    )
    trained = []
    for run in (deaf, hearing):
        started = training.prepare(dataclasses.replace(run, arms=("gpa_lpa",)), domains)
        started.train()
        trained.append(weights(run.out, "gpa_lpa", "generator"))
    assert equal(weights(deaf.out, "pretrained"), weights(hearing.out, "pretrained"))
    assert not equal(*trained)


def test_the_command_line_adapts_and_evaluates_sequences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = ["--training.pretrain-steps", "4", "--training.adapt-steps", "4", "--network.width", "16"]
    given = ["adapt", "--preset", "tiny", "--device", "cpu", *steps, "--arms", "gpa"]
    out = str(tmp_path / "r")
    assert main([*given, "--lifter", "stgcn", "--frames", "9", "--out", out]) == 0
    assert main(["evaluate", out]) == 0
    shown = capsys.readouterr().out
    assert shown.count("MPJVE") == 2 and shown.count("accel.") == 2
    results = json.loads((tmp_path / "r" / "results.json").read_text())
    evaluation = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert evaluation["results"] == [row for row in results if row["split"] == "target_test"]
    assert evaluation["protocol"]["frames"].startswith("9: ")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--frames", "9"], "frames: expected 1, as simple_baseline sees single frames, got 9"),
        (["--frames", "9", "--lifter", "semgcn"], "frames: expected 1, as semgcn sees single frames, got 9"),
        (["--frames", "8", "--lifter", "mixste"], "frames: expected an odd number"),
        (["--frames", "0", "--lifter", "mixste"], "frames: expected a number above 0, got 0"),
        (["--frames", "5", "--lifter", "videopose3d"], "frames: expected 1 or a power of 3"),
        (
            ["--frames", "9", "--lifter", "mixste", "--network.causal"],
            "network.causal: expected a lifter that",
        ),
    ],
)
def test_frames_that_a_lifter_cannot_see_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    given = ["adapt", "--preset", "tiny", "--device", "cpu", "--out", str(tmp_path / "r")]
    assert main([*given, *options]) == 2
    assert named in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_shuffled_rows_are_no_sequences(
    tmp_path: Path, members: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    order = np.random.default_rng(0).permutation(len(members["source_clip"]))
    mixed = {name: values[order] for name, values in members.items() if values.shape[0] == len(order)}
    assert "source_pose_3d" in mixed and "target_test_pose_3d" not in mixed
    np.savez(tmp_path / "mixed.npz", **(members | mixed))
    given = ["adapt", "--preset", "tiny", "--data", str(tmp_path / "mixed.npz"), "--out", str(tmp_path / "r")]
    assert main([*given, "--lifter", "mixste", "--frames", "9"]) == 2
    sentence = capsys.readouterr().err
    assert "source: expected clips of consecutive frames for frames = 9, found rows in another" in sentence
    assert not (tmp_path / "r").exists()
