"""A lifter of one's own, adapted from end to end: registered, brought by a package, or handed over."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path

import pytest
import torch
from runs import KillAt, equal, short_run, weights
from torch import Tensor, nn

from poseda import lifters, training
from poseda.cli import main
from poseda.config import LifterTrainingConfig
from poseda.datasets import Domains
from poseda.evaluation.evaluate import evaluate_folder
from poseda.geometry.skeleton import Skeleton
from poseda.inference import AdaptedLifter
from poseda.lifters import registry
from poseda.runs import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


class Flat(nn.Module):
    """One linear layer from a window to its middle pose."""

    def __init__(self, skeleton: Skeleton, frames: int = 1) -> None:
        super().__init__()
        self.joints, self.frames = skeleton.num_joints, frames
        self.lift = nn.Linear(frames * self.joints * 2, self.joints * 3)

    def forward(self, pose_2d: Tensor) -> Tensor:
        pose: Tensor = self.lift(pose_2d.flatten(1)).view(-1, 1, self.joints, 3)
        return pose - pose[:, :, :1]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of a test do not outlive it."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))


def command(out: Path, name: str, frames: int) -> list[str]:
    steps = ("training.pretrain-steps", "training.adapt-steps", "generator-training.steps")
    few = [option for name in steps for option in (f"--{name}", "4")]
    given = ["adapt", "--preset", "tiny", "--device", "cpu", *few, "--arms", "gpa_lpa"]
    return [*given, "--lifter", name, "--frames", str(frames), "--out", str(out)]


@pytest.mark.parametrize("frames", [1, 3])
def test_a_registered_lifter_adapts_from_the_command_line(tmp_path: Path, frames: int) -> None:
    lifters.register_lifter("flat")(Flat)
    assert main(command(tmp_path / "r", "flat", frames)) == 0
    assert weights(tmp_path / "r", "gpa_lpa")["lifter.lift.weight"].shape == (48, frames * 32)
    assert main(["evaluate", str(tmp_path / "r")]) == 0


def test_a_packages_lifter_adapts_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = "from __future__ import annotations\n\nfrom torch import nn\n\n"
    (tmp_path / "gym_lifters.py").write_text(imports + inspect.getsource(Flat))
    info = tmp_path / "gym-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gym\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[poseda.lifters]\ngym_flat = gym_lifters:Flat\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(command(tmp_path / "r", "gym_flat", 3)) == 0
    assert weights(tmp_path / "r", "gpa_lpa")["lifter.lift.weight"].shape == (48, 96)
    assert main(["evaluate", str(tmp_path / "r")]) == 0


@pytest.mark.parametrize("frames", [1, 3])
def test_a_module_handed_over_adapts_and_is_left_as_it_is(
    tmp_path: Path, domains: Domains, frames: int
) -> None:
    lifter = Flat(domains.skeleton, frames)
    before = {name: value.clone() for name, value in lifter.state_dict().items()}
    run = short_run(tmp_path / "r", "gpa_lpa", frames=frames)
    results = training.prepare(run, domains, lifter=lifter).train()
    assert equal(before, lifter.state_dict())
    record = json.loads((run.out / "config.json").read_text())["config"]
    assert record["lifter"].endswith(".Flat")
    expected = [row for row in results if row["split"] == "target_test"]
    test = domains.evaluation()
    rows = evaluate_folder(RunFolder(run.out), test, domains.skeleton, "target_test", lifter=lifter)
    assert rows == expected
    adapted = AdaptedLifter.load(str(run.out), "gpa_lpa", lifter=lifter)
    assert torch.equal(adapted.lifter.lift.weight, weights(run.out, "gpa_lpa")["lifter.lift.weight"])
    with pytest.raises(ValueError, match=r"lifter: expected one of .* or the module .* got '.*Flat'"):
        AdaptedLifter.load(run.out, "gpa_lpa")
    assert main(["evaluate", str(run.out)]) == 2


@pytest.mark.parametrize("frames", [1, 3])
def test_a_flip_average_is_a_module_like_others(tmp_path: Path, domains: Domains, frames: int) -> None:
    lifter = lifters.FlipAverage(Flat(domains.skeleton, frames), domains.skeleton)
    assert lifter.target_frame is None  # says nothing of it: the middle one
    run = short_run(tmp_path / "r", "gpa", frames=frames)
    assert {row["arm"] for row in training.prepare(run, domains, lifter=lifter).train()} == {"gpa"}


def test_plus_scouts_with_the_module(tmp_path: Path, domains: Domains) -> None:
    run = short_run(tmp_path / "r", "gpa_lpa_view")
    rows = training.prepare(run, domains, lifter=Flat(domains.skeleton, 1)).train()
    assert {row["arm"] for row in rows} == {"gpa_lpa_view"} and all(row["mpjpe"] > 0 for row in rows)


def test_a_module_that_has_learned_the_source_keeps_its_weights(tmp_path: Path, domains: Domains) -> None:
    lifter = Flat(domains.skeleton)
    learned = LifterTrainingConfig(pretrain_steps=0, adapt_steps=4, batch=32, ema=0.9)
    run = short_run(tmp_path / "r", training=learned, log_every=2, save_every=2)
    training.prepare(run, domains, lifter=lifter).train()
    assert torch.equal(weights(run.out, "pretrained")["lifter.lift.weight"], lifter.lift.weight)
    assert not torch.equal(weights(run.out, "gpa")["lifter.lift.weight"], lifter.lift.weight)


def test_a_module_handed_over_resumes_to_the_same_bits(tmp_path: Path, domains: Domains) -> None:
    lifter = Flat(domains.skeleton)
    whole, cut = (short_run(tmp_path / name) for name in ("whole", "cut"))
    expected = training.prepare(whole, domains, lifter=lifter).train()
    with pytest.raises(KeyboardInterrupt):
        training.prepare(cut, domains, KillAt("pretrained · lifter", 10), lifter).train()
    again = dataclasses.replace(cut, resume=True)
    assert training.prepare(again, domains, lifter=lifter).train() == expected
    with pytest.raises(training.FolderError, match=r"lifter: the run to resume has '.*Flat'"):
        training.prepare(again, domains)


class Wrong(nn.Module):
    """Lifts to another number of joints."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, pose_2d: Tensor) -> Tensor:
        return self.weight * pose_2d[..., :14, :1]


def test_a_module_that_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, domains: Domains
) -> None:
    run = short_run(tmp_path / "r", frames=3)
    wanted = r"expected poses of shape \(2, 3 or 1, 16, 3\) from \(2, 3, 16, 2\), got"
    with pytest.raises(ValueError, match=rf"lifter '.*Wrong': {wanted} \(2, 3, 14, 3\)"):
        training.prepare(run, domains, lifter=Wrong())
    with pytest.raises(ValueError, match=rf"lifter '.*Flat': {wanted} an error \(.*shapes cannot"):
        training.prepare(run, domains, lifter=Flat(domains.skeleton, frames=9))
    with pytest.raises(ValueError, match=r"lifter '.*Identity': expected parameters to train, got none"):
        training.prepare(run, domains, lifter=nn.Identity())
    assert not run.out.exists()
