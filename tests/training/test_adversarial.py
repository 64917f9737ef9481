"""The phase of generator and discriminators: what it saves, and what it takes from a run of 0.1.0."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from runs import short_run
from torch import Tensor

from poseda.datasets import Domains
from poseda.lifters.sizes import build_lifter
from poseda.training.adversarial import GeneratorPhase
from poseda.training.pairs import TrainingData, recipe_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(domains: Domains) -> TrainingData:
    return TrainingData.load(domains.adaptation(), torch.device("cpu"))


def phase_of(data: TrainingData, seed: int) -> GeneratorPhase:
    torch.manual_seed(seed)
    run, rng = short_run(Path("unused")), torch.Generator().manual_seed(seed)
    lifter, fabric = build_lifter(run, data.skeleton), Fabric(accelerator="cpu", devices=1)
    return GeneratorPhase(recipe_of("gpa_lpa", run), data, run, 0, rng, lifter, fabric)


OLD_NAMES = {
    "discriminators.2d.network.": "judges.2d.judge.",
    "discriminators.": "judges.",
    "discriminator_optimizer.": "judge_optimizer.",
}


def named_as_in_0_1_0(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in state.items():
        for today, old in OLD_NAMES.items():
            name = name.replace(today, old)
        renamed[name] = value.clone()
    return renamed


def test_an_unfinished_phase_of_0_1_0_goes_on_to_the_same_bits(data: TrainingData) -> None:
    whole, again = phase_of(data, 0), phase_of(data, 1)
    for step in range(4):
        whole.step(step)
    state = named_as_in_0_1_0(whole.state())
    old = {"judges.3d.layers.0.weight", "judges.2d.judge.0.weight", "judge_optimizer.0.exp_avg"}
    assert old <= state.keys()
    again.load(state)
    for step in range(4, 8):
        one, two = whole.step(step), again.step(step)
        assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    one, two = whole.state(), again.state()
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_the_generator_trains_against_fixed_discriminators_and_they_against_fixed_fakes(
    data: TrainingData,
) -> None:
    phase = phase_of(data, 0)
    rows, where = torch.arange(32)[:, None], data.placements.sample(32, torch.Generator().manual_seed(0))

    def weights() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        both = (phase.generator, phase.discriminators)
        generator, discriminators = (
            {name: value.detach().clone() for name, value in module.named_parameters()} for module in both
        )
        return generator, discriminators

    def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
        return any(not torch.equal(before[name], after[name]) for name in before)

    first = weights()
    fakes, _ = phase._train_generator(0, rows, where)
    second = weights()
    assert changed(first[0], second[0]) and not changed(first[1], second[1])
    assert phase.discriminator_optimizer is not None and not fakes.fake_3d.requires_grad
    phase._train_discriminators(0, fakes, phase.discriminator_optimizer)
    third = weights()
    assert not changed(second[0], third[0]) and changed(second[1], third[1])
