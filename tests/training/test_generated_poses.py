"""LPA on the wide base: the arm wide_target sees source poses that a generator changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from poseda import ops
from poseda.config import ConfigError, GeneratorConfig, RunConfig, WideConfig
from poseda.datasets import Domains
from poseda.method.generator import Generator
from poseda.runs import RunFolder
from poseda.training.generated_poses import with_generated
from poseda.training.pairs import TrainingData
from poseda.training.plan import plan
from poseda.training.preparation import prepare
from tests.shared.runs import short_run

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_share_of_the_poses_changes_within_the_generators_bounds(domains: Domains) -> None:
    data = TrainingData.load(domains.adaptation(), torch.device("cpu"))
    options = GeneratorConfig(width=16, blocks=1)
    config = RunConfig(generator=options, wide=WideConfig(generated_share=0.5))
    torch.manual_seed(0)
    generator = Generator(data.skeleton, options).eval()
    changed = with_generated(data, generator, config, torch.Generator().manual_seed(0)).source
    off = (changed.root_relative - data.source.root_relative).norm(dim=-1).amax(1)
    share = float((off > 1e-5).float().mean())
    assert 0.3 < share < 0.7
    before, after = (
        ops.bones(poses.root_relative, skeleton=data.skeleton).norm(dim=-1)
        for poses in (data.source, changed)
    )
    assert float((after / before - 1).abs().max()) < options.bone_scale + 1e-4
    assert torch.equal(changed.pose_2d, data.source.pose_2d)  # views draw 2D of their own


def test_a_run_trains_the_generator_before_the_rounds(tmp_path: Path, domains: Domains) -> None:
    wide = WideConfig(width=16, blocks=1, steps=15, batch=32, ema=0.9, target_steps=15, generated_share=0.5)
    config = replace(short_run(tmp_path), arms=("wide_target",), wide=wide, gate="off")
    titles = [phase.title for phase in plan(config)]
    assert titles.index("gpa_lpa · generator · seed 0") < titles.index("wide_target · lifting 1 · seed 0")
    prepare(config, domains).train()
    folder = RunFolder(config.out)
    assert folder.weights(0, "gpa_lpa", "generator").exists()
    assert folder.weights(0, "wide_target", "lifter").exists()


def test_the_packages_lifter_has_no_source_for_a_generator() -> None:
    with pytest.raises(ConfigError, match=r"expected 0 for the package's lifter, which has no"):
        RunConfig(target=(Path("clip.json"),), arms=("wide",), wide=WideConfig(generated_share=0.1))
