"""Frames of the target beside the pairs of wide_target: off by default, resumable, blind to unseen joints."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import equal, short_run
from syncs import no_syncs
from torch import Tensor

from poseda.config import RunConfig, WideConfig
from poseda.datasets import UnlabelledPoses
from poseda.datasets.records import USUAL_RATE
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16
from poseda.lifters.observation import Observation
from poseda.lifters.sizes import build_wide
from poseda.lifters.wide import Lifted
from poseda.method.two_passes import LiftedFootage
from poseda.runs import RunFolder
from poseda.training.fabric import start_fabric
from poseda.training.pairs import TrainingData
from poseda.training.phases import Phases
from poseda.training.target_views import TargetViews, seconds_to_next
from poseda.training.wide import WidePhase

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = WideConfig(width=16, blocks=1, batch=16, target_steps=8, target_views=8)
# An untrained lifter hardly moves: a speed that a person reaches would cost nothing.
ON = {
    "reprojection_loss": {"weight_reprojection": 1.0},
    "length_loss": {"weight_lengths": 1.0},
    "speed_loss": {"weight_speed": 1.0, "fastest": 0.001},
    "consistency_loss": {"weight_consistency": 1.0},
}
ALL_ON: dict[str, float] = {name: weight for one in ON.values() for name, weight in one.items()}
CLIPS = 3


def footage(frames: int = 60) -> UnlabelledPoses:
    """A target of a few clips of frames at 25 a second."""
    camera = Camera(focal=torch.full((1, 2), 2.3), center=torch.zeros(1, 2))
    pose = 0.1 * torch.randn(CLIPS, 1, 16, 2) + 0.02 * torch.randn(CLIPS, frames // CLIPS, 16, 2)
    clip = torch.arange(CLIPS).repeat_interleave(frames // CLIPS)
    time = torch.arange(frames // CLIPS).repeat(CLIPS).double() / 25
    seen = torch.rand(frames, 16) > 0.1
    return UnlabelledPoses(pose.flatten(0, 1), camera.expand(frames), clip, seen, time=time)


def told(target: UnlabelledPoses) -> LiftedFootage:
    """What was found in it: every frame has an upward direction, and no lengths."""
    frames = len(target)
    up = torch.tensor([0.0, -1.0, 0.0]).repeat(frames, 1)
    unknown = torch.full((frames, H36M16.num_groups), torch.nan)
    zeros = torch.zeros(frames)
    return LiftedFootage(torch.zeros(frames, 16, 3), torch.ones(frames, 16), up, unknown, zeros, unknown)


def config_of(**weights: Any) -> RunConfig:
    return short_run(Path("unused"), "wide_target", wide=replace(SHORT, **weights))


def views_of(target: UnlabelledPoses, **weights: Any) -> TargetViews:
    return TargetViews(target, told(target), H36M16, config_of(**weights), torch.Generator().manual_seed(3))


@pytest.fixture
def data(domains: Any) -> TrainingData:
    own = domains.adaptation()
    target = footage()
    found = replace(own, target=replace(target, clip=target.clip + 10_000))
    return TrainingData.load(found, torch.device("cpu"))


def phase_of(data: TrainingData, **weights: Any) -> WidePhase:
    """The first round of a wide lifter with fixed weights."""
    config = config_of(**weights)
    torch.manual_seed(0)
    lifter = build_wide(config, data.skeleton).eval()
    phases = Phases(config, start_fabric(config), RunFolder(config.out), data.skeleton)
    phase = phases.taught(data, lifter)(torch.Generator().manual_seed(7))
    assert isinstance(phase, WidePhase)
    return phase


def trained(phase: WidePhase, steps: range) -> dict[str, Tensor]:
    """The logged values of the last step. Dropout draws from torch's own generator."""
    torch.manual_seed(steps.start)
    return [phase.step(step) for step in steps][-1]


def test_by_default_the_target_is_not_drawn_and_nothing_changes(data: TrainingData) -> None:
    plain, other = phase_of(data), phase_of(data, target_views=3, fastest=0.5)
    values = [trained(phase, range(3)) for phase in (plain, other)]
    assert plain._target is None and not ON.keys() & values[0].keys()
    assert equal(plain.state(), other.state())


@pytest.mark.parametrize("name", ON)
def test_each_loss_is_logged_and_teaches_by_itself(data: TrainingData, name: str) -> None:
    plain, taught = phase_of(data), phase_of(data, **ON[name])
    trained(plain, range(2))
    values = trained(taught, range(2))
    assert values.keys() & ON.keys() == {name} and values[name] > 0
    assert not equal(plain.result(), taught.result())


def test_a_round_goes_on_bit_for_bit_from_its_checkpoint(data: TrainingData) -> None:
    whole = phase_of(data, **ALL_ON)
    trained(whole, range(3))
    kept = copy.deepcopy(whole.state())
    trained(whole, range(3, 6))
    resumed = phase_of(data, **ALL_ON)
    resumed.load(kept)
    trained(resumed, range(3, 6))
    assert equal(whole.state(), resumed.state())


def test_no_step_waits_for_the_device(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    phase = phase_of(data, **ALL_ON)
    trained(phase, range(2))  # makes tables
    with no_syncs(monkeypatch):
        phase.step(2)


class Recorder:
    """A lifter that keeps what it saw, and gives each frame a pose that its clip tells."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def __call__(self, observation: Observation) -> Lifted:
        self.seen.append(observation)
        rows = len(observation)
        pose = torch.zeros(rows, 1, 16, 3)
        pose[..., 1:, :] = observation.rays[..., 1:, :1]
        nothing = torch.zeros(rows, 16)
        return Lifted(pose, nothing, nothing, torch.eye(3).expand(rows, 3, 3))


def test_the_numbers_of_unseen_joints_reach_no_loss() -> None:
    target = footage()
    assert target.visible is not None
    hidden = ~target.visible[..., None]
    lifter = build_wide(config_of(), H36M16).eval()
    losses = []
    for fill in (0.0, 40.0):
        filled = replace(target, pose_2d=target.pose_2d.masked_fill(hidden, fill))
        losses.append(views_of(filled, **ALL_ON).losses(lifter))
    assert losses[0].keys() == ON.keys()
    for name, value in losses[0].items():
        assert torch.equal(value, losses[1][name]), name


def test_lengths_are_compared_within_a_clip_alone() -> None:
    target, lifter = footage(), Recorder()
    marked = replace(target, pose_2d=target.clip[:, None, None].float().expand(-1, 16, 2).clone())
    views = views_of(marked, weight_lengths=1.0, target_views=50)
    views.losses(lifter)
    clips = (2.3 * lifter.seen[0].rays[:, 0, 0, 0]).round().unflatten(0, (2, 50))
    assert torch.equal(clips[0], clips[1]) and len(clips[0].unique()) == CLIPS


def test_frames_are_told_the_direction_that_was_found_and_others_are_left_out() -> None:
    target, lifter = footage(), Recorder()
    found = told(target)
    found.up[target.clip == 1] = torch.nan
    rng = torch.Generator().manual_seed(3)
    config = config_of(weight_reprojection=1.0, target_views=50)
    TargetViews(target, found, H36M16, config, rng).losses(lifter)
    assert lifter.seen[0].up_known.all() and not lifter.seen[0].lengths_known.any()
    left = TargetViews(target, found, H36M16, config, rng)
    assert len(left._frames) == len(target) * (CLIPS - 1) // CLIPS


def test_people_are_seen_again_from_everywhere_with_the_joints_that_were_seen() -> None:
    lifter = Recorder()
    views_of(footage(), weight_consistency=1.0, target_views=50).losses(lifter)
    first, again = lifter.seen
    assert torch.equal(first.seen, again.seen)
    assert (first.up - again.up).norm(dim=1).max() > 0.3 and len(again.up.unique(dim=0)) == 50


def test_the_next_frame_is_of_the_same_clip_and_close_in_time() -> None:
    target = footage(12)
    gaps = seconds_to_next(target)
    last = torch.tensor([False, False, False, True] * CLIPS)
    assert gaps[~last].allclose(torch.tensor(1 / 25)) and gaps[last].isinf().all()
    missing = target.rows(torch.tensor([0, 2, 3, 4, 5]))
    assert seconds_to_next(missing)[:2].allclose(torch.tensor([2 / 25, 1 / 25]))
    assert target.time is not None
    slow = replace(target, time=target.time * 25)
    assert seconds_to_next(slow).isinf().all()
    unknown = replace(target, time=None)
    assert seconds_to_next(unknown)[~last].allclose(torch.tensor(1 / USUAL_RATE))
