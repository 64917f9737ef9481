"""One run: for each seed, pre-train on source, adapt by each arm, then (and only then) look at labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn

from poseda.config import WIDE_ARMS, Arm, RunConfig
from poseda.datasets import Domains
from poseda.evaluation.evaluate import SPLITS, evaluate
from poseda.evaluation.labelfree_run import measure_without_labels
from poseda.evaluation.predicted_error import TARGETS, gather
from poseda.method.generator import Generator
from poseda.runs import RunFolder
from poseda.runs.verdict import PRETRAINED, Verdict, recommend, source_model
from poseda.training.aligned_source import AlignedSource
from poseda.training.disturbance import disturb
from poseda.training.pairs import Recipe, TrainingData, recipe_of
from poseda.training.phases import Phases
from poseda.training.samples import save_samples
from poseda.training.stage import Build, Observer, Phase, Silent, Stages


class Run:
    """A run folder and all that is computed into it. Each stage is done once, or read from the folder.

    Args:
        domains: asked for labels after an arm's training, and by the oracle.
        data: all that any other arm learns from.
        config: resolved.
        fabric: device and precision.
        folder: of the run, locked. :meth:`train` lets go of it in the end, unless a ``with`` block of
            ``folder.locked()`` holds it on.
        observer: follows the progress.
        splits: to evaluate on.
        verdict: of the gate, or None where it was not asked.
        lifter: to adapt in place of the one that the configuration names; every seed begins with its weights.
    """

    def __init__(
        self,
        domains: Domains,
        data: TrainingData,
        config: RunConfig,
        fabric: Fabric,
        folder: RunFolder,
        observer: Observer | None = None,
        splits: Sequence[str] = SPLITS,
        verdict: Verdict | None = None,
        lifter: nn.Module | None = None,
    ) -> None:
        self.domains, self.data, self.config, self.fabric = domains, data, config, fabric
        self.folder, self.splits, self.verdict = folder, tuple(splits), verdict
        self._stages = Stages(config, fabric, folder, observer or Silent())
        self._phases = Phases(config, fabric, folder, data.skeleton, lifter)
        self._aligned = AlignedSource(self._stages, self._phases)

    def train(self) -> list[dict[str, Any]]:
        """Train every arm of every seed and evaluate it; return the rows of all.

        Of a resumed run that was finished, nothing is computed again.

        Raises:
            TrainingError: if the training cannot go on.
        """
        with self.folder.locked():
            if self.folder.finished:
                return self.folder.results.read()
            results: list[dict[str, Any]] = []
            for seed, arm in product(self.config.seeds, self.config.arms):
                results += self.train_arm(seed, arm)
            self._show()
            self._stages.finish()
            return results

    def train_arm(self, seed: int, arm: Arm) -> list[dict[str, Any]]:
        """Train one arm of one seed and evaluate it; return its rows and put them into the run's results.

        Of several processes the first evaluates; the others return no rows.
        """
        if arm in WIDE_ARMS:
            lifter = self.train_wide(seed)
            if arm == "wide_target":
                lifter = self.teach_wide(seed, lifter)
        else:
            self.pretrain(seed)
            lifter = self.adapt(seed, arm)
        if not self.folder.writes:
            return []
        rows = []
        with self._stages.shown(seed, arm, "measuring", len(self.splits)) as advanced:
            for split in self.splits:
                poses = self.domains.evaluation(split)
                scores = evaluate(lifter, poses, self.data.skeleton, self.config)
                rows.append({"arm": arm, "seed": seed, "split": split} | scores)
                advanced(len(rows))
        self.folder.results.append(rows)
        return rows

    def pretrain(self, seed: int) -> None:
        """Stage 1: the lifter learns the source."""
        self._stages.run(seed, PRETRAINED, "lifter", self._phases.pretraining(self.data))

    def train_wide(self, seed: int) -> nn.Module:
        """The arm wide: its own lifter learns views of the source from everywhere."""
        self._stages.run(seed, "wide", "lifter", self._phases.wide(self.data))
        return self._phases.trained_lifter(seed, "wide")

    def teach_wide(self, seed: int, lifter: nn.Module) -> nn.Module:
        """The arm wide_target: the wide lifter learns from the target's poses as it finds them, in rounds."""
        generator = self.train_generator(seed, "gpa_lpa") if self.config.wide.generated_share else None
        for at, name in enumerate(self.config.wide.round_names, 1):
            taught = self._phases.taught(self.data, lifter, generator)
            weights = self._stages.run(seed, "wide_target", name, self._lifting(seed, at, taught))
            lifter = self._phases.wide_of(weights)
        return lifter

    def _lifting(self, seed: int, at: int, taught: Build) -> Build:
        """Show that the target is lifted before a round."""

        def build(rng: torch.Generator) -> Phase:
            with self._stages.shown(seed, "wide_target", f"lifting {at}"):
                return taught(rng)

        return build

    def train_generator(self, seed: int, arm: Arm) -> Generator:
        """Stage 2: the generator of an arm, and before it a lifter only where one is needed."""
        recipe = recipe_of(arm, self.config)
        if recipe.steered or recipe.view_aligned:
            self.pretrain(seed)
        data = self._data_of(seed, arm, recipe)
        weights = self._stages.run(seed, arm, "generator", self._phases.generation(seed, recipe, data))
        return self._phases.generator_of(recipe, weights)

    def adapt(self, seed: int, arm: Arm) -> nn.Module:
        """Stage 3: the pre-trained lifter learns the arm's pairs, after a generator if the arm has one."""
        recipe = recipe_of(arm, self.config)
        data = self._data_of(seed, arm, recipe)
        generator = self.train_generator(seed, arm) if recipe.postures == "generated" else None
        oracle = self.domains.oracle().to(self.fabric.device) if recipe.target_labels else None
        self._stages.run(seed, arm, "lifter", self._phases.adaptation(seed, recipe, data, generator, oracle))
        return self._phases.trained_lifter(seed, arm)

    def _data_of(self, seed: int, arm: Arm, recipe: Recipe) -> TrainingData:
        """The data of an arm: the same for all arms, except those that align the source with the target."""
        return self._aligned.data_of(seed, arm, self.data) if recipe.view_aligned else self.data

    def _show(self) -> None:
        """Save what the report shows: samples, and what the target says of the first seed's lifters."""
        generator = self._sample_generator()
        if not self.folder.writes:
            return
        save_samples(self.folder.samples, self.data, generator, self.config)
        seed, arms = self.config.seeds[0], self.config.arms
        models = {
            arm: self._phases.trained_lifter(seed, arm) for arm in dict.fromkeys((source_model(arms), *arms))
        }
        learned_from = disturb(self.domains.adaptation(), self.config.target_data)
        with self._stages.shown(seed, "target", "measuring", len(models)) as advanced:
            measure_without_labels(self.folder, learned_from, models, self.config, advanced)
        if self.verdict is not None:
            candidates = {arm: model for arm, model in models.items() if arm != "oracle"}
            prior = "wide" if "wide" in candidates else recommend(self.verdict, arms)
            if learned_from.weak is not None and "wide_target" in candidates:
                prior = "wide_target"  # it alone learned from labels of the target
            with self._stages.shown(seed, "target", "predicted errors", TARGETS + 1) as advanced:
                evidence = gather(learned_from, candidates, self.config, prior, progress=advanced)
            self.folder.verdict.add(evidence)
            self.folder.card.write({**self.folder.card.read(), "evidence": evidence.sentence})

    def _sample_generator(self) -> Generator | None:
        """The first seed's generator of the method, or of whichever arm has one."""
        arms = [arm for arm in self.config.arms if recipe_of(arm, self.config).postures == "generated"]
        if not arms:
            return None
        return self.train_generator(self.config.seeds[0], "gpa_lpa" if "gpa_lpa" in arms else arms[0])
