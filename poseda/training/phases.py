"""What a run trains: a lifter or a generator, with the data that it learns from."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda import pretrained
from poseda.config import LifterTrainingConfig, RunConfig
from poseda.datasets import LabelledPoses
from poseda.datasets.sequences import windows_of
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.sizes import build_lifter, build_wide
from poseda.method.bodies import group_lengths
from poseda.method.generator import Generator
from poseda.method.two_passes import LiftedFootage
from poseda.runs import RunFolder
from poseda.runs.checkpoint import unpack_module
from poseda.runs.verdict import PRETRAINED
from poseda.training import compilation, graphs
from poseda.training.adversarial import GeneratorPhase
from poseda.training.calibration import calibrate
from poseda.training.found_poses import with_found
from poseda.training.generated_poses import with_generated
from poseda.training.lifting import LifterPhase, PairDraw
from poseda.training.pairs import PairSource, Recipe, TrainingData, recipe_of
from poseda.training.rehearsal import HELD, REHEARSED, rehearsal
from poseda.training.stage import Build, Phase
from poseda.training.target_views import TargetViews, weights_of
from poseda.training.view_alignment import ScoutPairs
from poseda.training.wide import ViewSource, WidePhase, options_of


class Phases:
    """Builds the phases of a run and their results.

    Args:
        config: of the run.
        fabric: device and precision.
        folder: of the run. Phases begin with its lifters.
        skeleton: of all poses.
        given: the lifter to adapt in place of the one that the configuration names.
    """

    def __init__(
        self,
        config: RunConfig,
        fabric: Fabric,
        folder: RunFolder,
        skeleton: Skeleton,
        given: nn.Module | None = None,
    ) -> None:
        self.config, self.fabric, self.folder = config, fabric, folder
        self.skeleton, self.given = skeleton, given

    def pretraining(self, data: TrainingData) -> Build:
        """A lifter with initial weights learns the source."""
        recipe, steps = recipe_of("source_only", self.config), self.config.training.pretrain_steps

        def build(rng: torch.Generator) -> Phase:
            pairs = PairSource(recipe, data, self.config, rng.initial_seed(), rng)
            return self._lifter_phase(self._fresh_lifter(), pairs, steps)

        return build

    def adaptation(
        self,
        seed: int,
        recipe: Recipe,
        data: TrainingData,
        generator: Generator | None = None,
        oracle: LabelledPoses | None = None,
    ) -> Build:
        """The pre-trained lifter of a seed learns an arm's pairs."""

        def build(rng: torch.Generator) -> Phase:
            pairs = PairSource(recipe, data, self.config, rng.initial_seed(), rng, generator, oracle)
            lifter = self.trained_lifter(seed, PRETRAINED)
            return self._lifter_phase(lifter, pairs, self.config.training.adapt_steps)

        return build

    def wide(self, data: TrainingData) -> Build:
        """The lifter of the arm wide learns views of the source from everywhere."""

        def build(rng: torch.Generator) -> Phase:
            lifter = build_wide(self.config, self.skeleton)
            if self.config.packaged:
                weights, _ = RunFolder(pretrained.FOLDER).weights(0, "wide", "lifter").load()
                unpack_module("lifter", lifter, weights)
                views = ViewSource(data, self.config, rng.initial_seed(), rng)
                return self._wide_phase(lifter, views, options_of(self.config), 0)
            lengths = group_lengths(data.source.root_relative, self.skeleton).mean(0)
            lifter.usual_lengths.copy_(lengths)
            views = ViewSource(data, self.config, rng.initial_seed(), rng)
            steps, held = self.config.wide.steps, self._held(data, rng)
            return self._wide_phase(lifter, views, options_of(self.config), steps, held)

        return build

    def taught(self, given: TrainingData, lifter: nn.Module, generator: Generator | None = None) -> Build:
        """A wide lifter learns from the target's poses as it finds them, beside those of the source.

        A generator changes a share of those of the source.

        The package's lifter rehearses the postures that it learned from, as its own source is not there.
        """

        def build(rng: torch.Generator) -> Phase:
            options, data = self.config.wide, given
            if self.config.packaged:
                draws = torch.Generator(rng.device).manual_seed(rng.initial_seed() + 2)
                poses, others = (rehearsal(count, self.skeleton, draws) for count in (REHEARSED, HELD))
                data = replace(data, source=poses, held=others)
            if generator is not None:
                data = with_generated(data, generator, self.config, rng)
            found = with_found(data, lifter, options.target_share, rng.initial_seed(), self.config)
            views = ViewSource(
                found.data,
                self.config,
                rng.initial_seed(),
                rng,
                found.up,
                found.own,
                found.pictures,
                found.places,
            )
            rate = replace(options_of(self.config), learning_rate=options.target_rate)
            held = self._held(data, rng)
            own = self._own_views(data, found.footage, rng)
            return self._wide_phase(copy.deepcopy(lifter), views, rate, options.target_steps, held, own)

        return build

    def _held(self, data: TrainingData, rng: torch.Generator) -> ViewSource:
        """Views of poses that training does not see, with random numbers of their own."""
        assert data.held is not None
        target_frame = None if data.windows is None else data.windows.target_frame
        windows = windows_of(data.held, self.config.frames, target_frame, "source_val")
        held = replace(data, source=data.held, windows=windows)
        own = torch.Generator(rng.device).manual_seed(rng.initial_seed() + 1)
        return ViewSource(held, self.config, own.initial_seed(), own)

    def _own_views(
        self, data: TrainingData, footage: LiftedFootage, rng: torch.Generator
    ) -> TargetViews | None:
        """Frames of the target beside the pairs, where a loss of theirs is on."""
        if data.target is None or not weights_of(self.config.wide):
            return None
        return TargetViews(data.target, footage, self.skeleton, self.config, rng)

    def _wide_phase(
        self,
        lifter: nn.Module,
        views: ViewSource,
        options: LifterTrainingConfig,
        steps: int,
        held: ViewSource | None = None,
        target: TargetViews | None = None,
    ) -> WidePhase:
        captured = graphs.chosen(self.config, self.fabric)
        compiled = compilation.should_compile(self.config.compile, lifter, self.fabric, steps, bool(captured))
        return WidePhase(
            lifter,
            views,
            self.skeleton,
            options,
            steps,
            self.fabric,
            compiled,
            captured,
            wide=self.config.wide,
            finish=None if held is None else partial(calibrate, held=held),
            target=target,
        )

    def wide_of(self, weights: dict[str, Tensor]) -> nn.Module:
        """A wide lifter with the weights that a phase gave, on the device."""
        lifter = build_wide(self.config, self.skeleton).to(self.fabric.device)
        unpack_module("lifter", lifter, weights)
        return lifter.eval()

    def generation(self, seed: int, recipe: Recipe, data: TrainingData) -> Build:
        """A generator learns to change poses, and the pre-trained lifter steers it where the recipe says."""

        def build(rng: torch.Generator) -> Phase:
            # A lifter that is not read is built all the same: its weights are drawn before the generator's.
            lifter = self.trained_lifter(seed, PRETRAINED) if recipe.steered else self._fresh_lifter()
            lifter = lifter.to(self.fabric.device)
            return GeneratorPhase(recipe, data, self.config, rng.initial_seed(), rng, lifter, self.fabric)

        return build

    def probing(self, seed: int, without_tilt: TrainingData) -> Build:
        """The probe lifter, from the pre-trained one of a seed, learns random tilts and bone lengths."""

        def build(rng: torch.Generator) -> Phase:
            pairs = ScoutPairs(without_tilt, self.config, rng.initial_seed(), rng)
            lifter = self.trained_lifter(seed, PRETRAINED)
            return self._lifter_phase(lifter, pairs, self.config.alignment.steps)

        return build

    def trained_lifter(self, seed: int, arm: str) -> nn.Module:
        """The lifter that an arm of the run ended with, on the device."""
        lifter = self.folder.lifter(seed, arm, self.config, self.skeleton, self.given)
        return lifter.to(self.fabric.device)

    def lifter_of(self, weights: dict[str, Tensor]) -> nn.Module:
        """A lifter with the weights that a phase gave, on the device."""
        lifter = self._fresh_lifter().to(self.fabric.device)
        unpack_module("lifter", lifter, weights)
        return lifter

    def generator_of(self, recipe: Recipe, weights: dict[str, Tensor]) -> Generator:
        """A generator with the weights that a phase gave, on the device."""
        generator = Generator(self.skeleton, self.config.generator, recipe.placement == "learned")
        unpack_module("generator", generator, weights)
        return generator.to(self.fabric.device).eval()

    def _fresh_lifter(self) -> nn.Module:
        return build_lifter(self.config, self.skeleton, self.given)

    def _lifter_phase(self, lifter: nn.Module, pairs: PairDraw, steps: int) -> LifterPhase:
        captured = graphs.chosen(self.config, self.fabric)
        compiled = compilation.should_compile(self.config.compile, lifter, self.fabric, steps, bool(captured))
        options = self.config.training
        return LifterPhase(lifter, pairs, self.skeleton, options, steps, self.fabric, compiled, captured)
