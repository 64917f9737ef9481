"""Options of training: each changes pairs, losses or weights in the direction that its help text promises."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from runs import short_run
from torch import Tensor

from poseda.config import (
    AdversaryConfig,
    Arm,
    GeneratorConfig,
    GeneratorTrainingConfig,
    LifterTrainingConfig,
    PlacementConfig,
    RunConfig,
)
from poseda.datasets import Domains
from poseda.geometry.kinematics import root_relative
from poseda.geometry.placements import measure
from poseda.geometry.skeleton import H36M16
from poseda.lifters import mirror
from poseda.lifters.sizes import build_lifter
from poseda.method.generator import Generator
from poseda.training.adversarial import GeneratorPhase
from poseda.training.lifting import LifterPhase, learning_rate
from poseda.training.pairs import Pairs, PairSource, Shuffle, TrainingData, recipe_of

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = 64


@pytest.fixture(scope="module")
def data(domains: Domains) -> TrainingData:
    return TrainingData.load(domains.adaptation(), torch.device("cpu"))


def run_of(**changes: Any) -> RunConfig:
    """A run in memory; entries of sections go by ``section={...}``."""
    sections = {"training": {"batch": BATCH, "ema": 0.0}, "generator_training": {"batch": BATCH}}
    kinds = {"training": LifterTrainingConfig, "generator_training": GeneratorTrainingConfig}
    for name, kind in kinds.items():
        changes[name] = kind(**(sections[name] | changes.get(name, {})))
    return short_run(Path("unused"), **changes)


def generator_phase(data: TrainingData, run: RunConfig) -> GeneratorPhase:
    torch.manual_seed(0)
    fabric, rng = Fabric(accelerator="cpu", devices=1), torch.Generator().manual_seed(0)
    lifter = build_lifter(run, data.skeleton)
    return GeneratorPhase(recipe_of("gpa_lpa", run), data, run, 0, rng, lifter, fabric)


def pair_source(data: TrainingData, run: RunConfig, arm: Arm) -> PairSource:
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    generator = Generator(data.skeleton, run.generator).eval()
    return PairSource(recipe_of(arm, run), data, run, 0, rng, generator)


def lifter_phase(data: TrainingData, run: RunConfig, steps: int = 20) -> LifterPhase:
    pairs = pair_source(data, run, "gpa")
    lifter, fabric = build_lifter(run, data.skeleton), Fabric(accelerator="cpu", devices=1)
    return LifterPhase(lifter, pairs, data.skeleton, run.training, steps, fabric)


def draw(data: TrainingData, run: RunConfig, arm: Arm) -> Pairs:
    """An arm's first pairs."""
    source = pair_source(data, run, arm)
    return source.draw(*source.indices(0))


def first_source_poses(data: TrainingData) -> Tensor:
    """The source poses of an arm's first pairs: (N, J, 3)."""
    return data.source.pose_3d[Shuffle(len(data.source), BATCH, 0, torch.device("cpu")).at(0)]


def norm(tensors: Any) -> float:
    return torch.stack([value.detach().norm() for value in tensors]).norm().item()


# ------------------------------------------------------------------------------------------ discriminators


@pytest.mark.parametrize(
    ("anchor", "sides"),
    [("both", {"2d", "3d"}), ("source_3d", {"3d"}), ("target_2d", {"2d"}), ("none", set[str]())],
)
def test_each_anchor_has_its_discriminator_and_no_other(
    data: TrainingData, anchor: Any, sides: set[str]
) -> None:
    phase = generator_phase(data, run_of(adversary=AdversaryConfig(anchor=anchor, pool=BATCH)))
    logged = {name for name in phase.step(0) if name.startswith(("generator_", "discriminator_"))}
    assert logged == {f"{player}_{side}" for player in ("generator", "discriminator") for side in sides}


@pytest.mark.parametrize("pairing", ["paired", "unpaired"])
def test_paired_losses_depend_on_the_lead_over_the_own_anchor_only(data: TrainingData, pairing: Any) -> None:
    adversary = AdversaryConfig(anchor="source_3d", pairing=pairing, pool=BATCH)
    shifted = []
    for offset in (0.0, 5.0):
        phase = generator_phase(data, run_of(adversary=adversary))
        with torch.no_grad():
            phase.discriminators["3d"].layers[-1].bias.add_(offset)
        values = phase.step(0)
        shifted.append([values["generator_3d"].item(), values["discriminator_3d"].item()])
    same = shifted[1] == pytest.approx(shifted[0], rel=1e-4)
    assert same == (pairing == "paired")


def test_feedback_moves_the_lifters_error_on_fakes_towards_its_ratio(data: TrainingData) -> None:
    only = {name: 0.0 for name in ("weight_2d", "weight_3d", "weight_range", "weight_scale", "weight_body")}
    adversary = AdversaryConfig(feedback="hard_ratio", anchor="none", pool=BATCH)
    options = only | {"weight_feedback": 1.0, "hard_ratio": 1.1, "steps": 60}
    phase = generator_phase(data, run_of(adversary=adversary, generator_training=options))
    losses = [phase.step(step)["feedback"].item() for step in range(60)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


@pytest.mark.parametrize("feedback", ["none", "hard_ratio"])
def test_the_lifter_reaches_the_generator_through_feedback_only(data: TrainingData, feedback: Any) -> None:
    weights = []
    for scale in (0.0, 1.0):  # of the lifter's poses
        phase = generator_phase(data, run_of(adversary=AdversaryConfig(feedback=feedback, pool=BATCH)))
        phase.lifter.network[-1].weight.mul_(scale)
        for step in range(3):
            phase.step(step)
        weights.append(torch.cat([value.detach().flatten() for value in phase.generator.parameters()]))
    assert torch.equal(*weights) == (feedback == "none")


@pytest.mark.parametrize(
    ("weight", "measured"),
    [("weight_body", "body_turn"), ("weight_scale", "scale_change"), ("weight_range", "range")],
)
def test_a_larger_weight_lowers_what_it_penalises(data: TrainingData, weight: str, measured: str) -> None:
    found = []
    for value in (1e-3, 10.0):
        others = {"weight_body": 0.1, "weight_scale": 0.1, "weight_range": 0.1, "learning_rate": 1e-2}
        phase = generator_phase(
            data,
            run_of(
                adversary=AdversaryConfig(anchor="none", pool=BATCH),
                generator=GeneratorConfig(width=32, blocks=1, scale_limit=0.0),
                generator_training=others | {weight: value},
            ),
        )
        values = [phase.step(step)[measured].item() for step in range(30)]
        found.append(sum(values[-5:]) / (value if measured == "range" else 1.0))
    assert found[1] < 0.9 * found[0]


# ------------------------------------------------------------------------------------------ placement


@pytest.mark.parametrize("placement", ["gpa", "source", "learned"])
def test_fakes_stand_where_the_placement_option_puts_them(data: TrainingData, placement: Any) -> None:
    phase = generator_phase(data, run_of(placement=PlacementConfig(placement=placement)))
    rows, where = torch.arange(8)[:, None], data.placements.sample(8, torch.Generator().manual_seed(1))
    fakes, _ = phase._train_generator(0, rows, where)
    good, source = fakes.valid, data.source.pose_3d[:8]
    assert good.any()
    moved = (fakes.fake_3d[good, 0] - source[good, 0]).norm(dim=-1)
    off_target = (fakes.fake_2d[good, 0] - data.placements.placement[where[good], :2]).norm(dim=-1)
    if placement == "gpa":
        assert off_target.max() < 1e-4 and moved.min() > 1e-3
    else:
        assert (moved.max() < 1e-6) == (placement == "source") and off_target.max() > 1e-3


def test_exact_placement_matches_the_box_that_the_closed_form_misses(data: TrainingData) -> None:
    off = []
    for gpa in ("closed_form", "exact"):
        pairs = draw(data, run_of(placement=PlacementConfig(gpa=gpa)), "gpa")  # type: ignore[arg-type]
        where = data.placements.sample(BATCH, torch.Generator().manual_seed(0))
        wanted = data.placements.placement[where, 2:].sum(1)
        size = measure(pairs.pose_2d[:, 0], data.skeleton)[:, 2:].sum(1)
        off.append(((size / wanted - 1).abs()[pairs.valid]).max())
    assert off[1] < 1e-3 < 0.02 < off[0]


# ------------------------------------------------------------------------------------------ postures


def test_jitter_adds_to_the_rotations_of_the_generator(data: TrainingData) -> None:
    changed = {}
    for name in ("none", "bone", "body"):
        jitter = {f"{part}_jitter": 0.3 if part == name else 0.0 for part in ("bone", "body")}
        pairs = draw(data, run_of(training=jitter | {"source_share": 0.0}), "gpa_lpa")
        changed[name] = root_relative(pairs.pose_3d[:, 0])
    moved = {name: (changed[name] - changed["none"]).norm(dim=-1).mean() for name in changed}
    assert moved["bone"] > 0.02 and moved["body"] > 0.02
    # Only a rotation of the whole body keeps the distances between joints.
    spans = {name: torch.cdist(pose, pose) for name, pose in changed.items()}
    torch.testing.assert_close(spans["body"], spans["none"], rtol=0, atol=1e-4)
    assert (spans["bone"] - spans["none"]).abs().max() > 0.02


def test_a_rotation_carries_the_limb_along_only_if_it_propagates(data: TrainingData) -> None:
    wrists = []
    source = root_relative(first_source_poses(data))
    for propagate in (False, True):
        bounds = GeneratorConfig(angle_mean=0.1, angle_width=0.0, body_angle=0.0, propagate=propagate)
        run = run_of(generator=dataclasses.replace(bounds, scale_limit=0.0), training={"source_share": 0.0})
        pairs = draw(data, run, "random")
        moved = (root_relative(pairs.pose_3d[:, 0]) - source).norm(dim=-1)
        wrists.append(moved[pairs.valid][:, H36M16.joint("left_wrist")].mean())
    # Propagated, the random rotations of all bones up to the wrist add up.
    assert wrists[1] > 1.2 * wrists[0]


# ------------------------------------------------------------------------------------------ the lifter


@pytest.mark.parametrize("flip", [True, False])
def test_flip_mirrors_half_of_the_pairs(data: TrainingData, flip: bool) -> None:
    phase = lifter_phase(data, run_of(training={"batch": 256, "flip": flip}))
    pairs = phase.pairs.draw(*phase.pairs.indices(0))
    seen = phase._mirror_half(pairs)
    for before, after in ((pairs.pose_2d, seen.pose_2d), (pairs.pose_3d, seen.pose_3d)):
        same = (after == before).flatten(1).all(1)
        mirrored = (after == mirror(before, data.skeleton)).flatten(1).all(1)
        assert (same | mirrored).all()
        share = (~same)[pairs.valid].float().mean()
        assert 0.4 < share < 0.6 if flip else share == 0


def test_the_average_follows_the_lifter_more_slowly_with_a_larger_decay(data: TrainingData) -> None:
    apart = []
    for ema in (0.0, 0.5, 0.99):
        phase = lifter_phase(data, run_of(training={"ema": ema}))
        for step in range(20):
            phase.step(step)
        weights = zip(phase.average.parameters(), phase.lifter.parameters(), strict=True)
        apart.append(norm(mine - theirs for mine, theirs in weights))
    assert apart[0] < 1e-6 < apart[1] < apart[2]


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_gradients_are_no_longer_than_the_clip(data: TrainingData, clip: float) -> None:
    phase = lifter_phase(data, run_of(training={"clip": clip}))
    phase.step(0)
    length = norm(parameter.grad for parameter in phase.lifter.parameters())
    assert length == pytest.approx(clip, rel=1e-3) if clip < 1 else 1e-2 < length < clip


def test_weight_decay_shrinks_the_weights(data: TrainingData) -> None:
    norms = []
    for decay in (0.0, 10.0):
        phase = lifter_phase(data, run_of(training={"weight_decay": decay}))
        for step in range(20):
            phase.step(step)
        norms.append(norm(phase.lifter.parameters()))
    assert norms[1] < 0.95 * norms[0]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    config = LifterTrainingConfig(learning_rate=0.1, warmup=0.2)
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert rates[:20] == sorted(rates[:20]) and rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[0] == pytest.approx(0.1 / 20) and 0.085 < max(rates) < 0.1 and rates[-1] < 1e-4
    without = dataclasses.replace(config, warmup=0.0)
    assert learning_rate(without, 0, 100) == 0.1
