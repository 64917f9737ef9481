"""One run: for each seed, pre-train on source, adapt by each arm, then (and only then) look at labels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import Arm, RunConfig
from poseda.datasets import Domains, NoLabelsError
from poseda.datasets.sequences import check_sequences
from poseda.device import choose
from poseda.evaluation.evaluate import evaluate
from poseda.evaluation.evidence import save_evidence
from poseda.evaluation.gate import PRETRAINED, Verdict, source_model
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.sizes import build_lifter
from poseda.method.generator import Generator
from poseda.runs import checkpoint
from poseda.runs.files import write_json
from poseda.runs.journal import Journal
from poseda.runs.lock import FolderLock
from poseda.runs.weights import RESULTS, adapted_lifter, read_results, weights_path
from poseda.training import compilation, graphs, parallel
from poseda.training import view_alignment as alignment
from poseda.training.adversarial import GeneratorPhase
from poseda.training.disturbance import disturb
from poseda.training.lifting import LifterPhase, PairDraw
from poseda.training.pairs import PairSource, TrainingData, recipe_of
from poseda.training.samples import save_gallery
from poseda.training.stage import Observer, Phase, Silent, Stage, stage_seed

EVALUATED = ("source_val", "target_test")
"""Splits with rows in results.json, where they have labels."""


def labelled_splits(config: RunConfig, domains: Domains) -> tuple[str, ...]:
    """The splits a run can be evaluated on: own footage has no labels for ``target_test``.

    All labels the run will need are read once and dropped: a file without them is refused before training.

    Raises:
        DataError: if labels are missing from domains that should have them, or the oracle has none.
        ValueError: if windows of frames are asked of rows that are no sequences.
    """
    splits = []
    for split in EVALUATED:
        try:
            check_sequences(domains.evaluation(split), config.frames, split)
        except NoLabelsError:
            continue
        splits.append(split)
    if any(recipe_of(arm, config).target_labels for arm in config.arms):
        check_sequences(domains.oracle(), config.frames, "target_train")
    return tuple(splits)


class Run:
    """A run folder and all that is computed into it.

    Args:
        domains: asked for labels after an arm's training, and by the oracle.
        data: all that any other arm learns from.
        config: resolved.
        fabric: device and precision.
        lock: of the run folder. :meth:`train` lets go of it in the end, unless a ``with`` block holds it on.
        observer: told of progress.
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
        lock: FolderLock,
        observer: Observer | None = None,
        splits: Sequence[str] = EVALUATED,
        verdict: Verdict | None = None,
        lifter: nn.Module | None = None,
    ) -> None:
        self.domains, self.data, self.config, self.fabric = domains, data, config, fabric
        self.lock, self.splits, self.verdict, self.lifter = lock, tuple(splits), verdict, lifter
        self.observer = observer or Silent()
        self.journal = Journal(config.out / "metrics.jsonl", writes=fabric.is_global_zero)
        self._fresh_scaler = checkpoint.pack_scaler(fabric)
        self._aligned: dict[tuple[int, str], TrainingData] = {}

    def train(self) -> list[dict[str, Any]]:
        """Train every arm of every seed and evaluate it; return results.json's rows.

        Raises:
            TrainingError: if the training cannot go on.
        """
        with self.lock:
            return self._train()

    def _train(self) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        for seed in self.config.seeds:
            for arm in self.config.arms:
                results += self.train_arm(seed, arm)
        generator = self._gallery_generator()
        if self.fabric.is_global_zero:
            save_gallery(self.config.out / "gallery.safetensors", self.data, generator, self.config)
            self._save_evidence()
        return results

    def train_arm(self, seed: int, arm: Arm) -> list[dict[str, Any]]:
        """Train one arm of one seed and evaluate it; return its rows and put them into results.json.

        Of several processes the first evaluates; the others return no rows.
        """
        self._pretrain(seed)
        lifter = self._adapt(seed, arm)
        if not self.fabric.is_global_zero:
            return []
        rows = [
            {"arm": arm, "seed": seed, "split": split}
            | evaluate(lifter, self.domains.evaluation(split), self.data.skeleton, self.config)
            for split in self.splits
        ]
        kept = [row for row in read_results(self.config.out) if (row["arm"], row["seed"]) != (arm, seed)]
        order = {unit: at for at, unit in enumerate(product(self.config.seeds, self.config.arms))}
        kept = sorted([*kept, *rows], key=lambda row: order.get((row["seed"], row["arm"]), -1))
        write_json(self.config.out / RESULTS, kept)
        return rows

    def _save_evidence(self) -> None:
        """Measure the first seed's lifters on the target's own 2D, as they learned from it."""
        seed, arms = self.config.seeds[0], self.config.arms
        own = source_model(arms)
        models = {arm: self._finished(seed, arm) for arm in dict.fromkeys((own, *arms))}
        learned_from = disturb(self.domains.adaptation(), self.config.target_data)
        flip, frames = self.config.training.flip, self.config.frames
        save_evidence(self.config.out, learned_from, models, own, flip, frames)

    def _gallery_generator(self) -> Generator | None:
        """The first seed's generator of the method, or of whichever arm has one."""
        arms = [arm for arm in self.config.arms if recipe_of(arm, self.config).postures == "generated"]
        if not arms:
            return None
        return self.train_generator(self.config.seeds[0], "gpa_lpa" if "gpa_lpa" in arms else arms[0])

    def _pretrain(self, seed: int) -> None:
        """Stage 1: the lifter learns the source."""
        recipe = recipe_of("source_only", self.config)

        def build(rng: torch.Generator) -> Phase:
            pairs = PairSource(recipe, self.data, self.config, rng.initial_seed(), rng)
            lifter = build_lifter(self.config, self.data.skeleton, self.lifter)
            return self._lifter_phase(lifter, pairs, self.config.training.pretrain_steps)

        self._run(seed, PRETRAINED, "lifter", build)

    def _adapt(self, seed: int, arm: Arm) -> nn.Module:
        """Stages 2 and 3: a generator, if the arm has one; then the lifter on the arm's pairs."""
        recipe, data = recipe_of(arm, self.config), self._data_of(seed, arm)
        generator = self.train_generator(seed, arm) if recipe.postures == "generated" else None
        oracle = self.domains.oracle().to(self.fabric.device) if recipe.target_labels else None

        def build(rng: torch.Generator) -> Phase:
            pairs = PairSource(recipe, data, self.config, rng.initial_seed(), rng, generator, oracle)
            return self._lifter_phase(self._pretrained(seed), pairs, self.config.training.adapt_steps)

        self._run(seed, arm, "lifter", build)
        return self._finished(seed, arm)

    def _lifter_phase(self, lifter: nn.Module, pairs: PairDraw, steps: int) -> LifterPhase:
        captured = self.config.graphs == "on"
        compiled = compilation.should_compile(self.config.compile, lifter, self.fabric, steps, captured)
        skeleton, options = self.data.skeleton, self.config.training
        return LifterPhase(lifter, pairs, skeleton, options, steps, self.fabric, compiled, captured)

    def _data_of(self, seed: int, arm: Arm) -> TrainingData:
        """What an arm learns from: all arms the same, but those that align the source with the target."""
        if not recipe_of(arm, self.config).view_aligned:
            return self.data
        if (seed, arm) not in self._aligned:
            source = alignment.remove_tilt(self.data.source, self.data.skeleton, self.config.alignment)
            levelled = replace(self.data, source=source)
            found = self._estimate(seed, arm, levelled)
            self._aligned[seed, arm] = alignment.align_source(levelled, found)
        return self._aligned[seed, arm]

    def _estimate(self, seed: int, arm: Arm, levelled: TrainingData) -> alignment.Estimate:
        """Tilt and build of the target: trained for, read off, and kept."""
        path = weights_path(self.config.out, seed, arm, "alignment")

        def build(rng: torch.Generator) -> Phase:
            pairs = alignment.ScoutPairs(levelled, self.config, rng.initial_seed(), rng)
            return self._lifter_phase(self._pretrained(seed), pairs, self.config.alignment.steps)

        weights = self._run(seed, arm, "scout", build)
        if self.fabric.is_global_zero and not path.exists():
            scout = build_lifter(self.config, levelled.skeleton, self.lifter).to(self.fabric.device)
            checkpoint.unpack_module("lifter", scout, weights)
            rng = torch.Generator(self.fabric.device).manual_seed(stage_seed(seed, arm, "alignment"))
            title = f"{arm} · alignment · seed {seed}"
            self.observer.phase_started(title, 1, 0)
            found = alignment.estimate(scout, levelled, self.config, rng)
            checkpoint.save_checkpoint(path, found.pack(), found.describe(levelled.skeleton))
            self.observer.advanced(1)
            self.observer.phase_finished(title)
        self.fabric.barrier()
        tensors, _ = checkpoint.load_checkpoint(path)
        device = self.fabric.device
        return alignment.Estimate.unpack({name: value.to(device) for name, value in tensors.items()})

    def train_generator(self, seed: int, arm: Arm) -> Generator:
        """Train the generator of one arm of one seed, and before it a lifter only where one is needed."""
        recipe = recipe_of(arm, self.config)
        steered = recipe.adversary.feedback != "none"
        if steered or recipe.view_aligned:
            self._pretrain(seed)
        data = self._data_of(seed, arm)

        def build(rng: torch.Generator) -> Phase:
            # An unread lifter is built all the same: its weights are drawn before the generator's.
            unread = (self.config, self.data.skeleton, self.lifter)
            lifter = self._pretrained(seed) if steered else build_lifter(*unread).to(self.fabric.device)
            return GeneratorPhase(recipe, data, self.config, rng.initial_seed(), rng, lifter, self.fabric)

        weights = self._run(seed, arm, "generator", build)
        generator = Generator(self.data.skeleton, self.config.generator, recipe.placement == "learned")
        checkpoint.unpack_module("generator", generator, weights)
        return generator.to(self.fabric.device).eval()

    def _pretrained(self, seed: int) -> nn.Module:
        return self._finished(seed, PRETRAINED)

    def _finished(self, seed: int, arm: str) -> nn.Module:
        where = (self.config.out, seed, arm)
        lifter = adapted_lifter(*where, self.config, self.data.skeleton, self.lifter)
        return lifter.to(self.fabric.device)

    def _run(
        self, seed: int, arm: str, phase_name: str, build: Callable[[torch.Generator], Phase]
    ) -> dict[str, Tensor]:
        """Run a phase to its end, or load what it left; return its result."""
        stage = Stage(
            self.config, self.fabric, self.journal, self.observer, seed, arm, phase_name, build,
            self._fresh_scaler,
        )  # fmt: skip
        return stage.run()


def check_lifter(lifter: nn.Module, config: RunConfig, skeleton: Skeleton) -> None:
    """Let a lifter lift two windows of zeros, so that one that does not fit is refused before it is trained.

    Raises:
        ValueError: if it fails, returns something else than poses, or has nothing to train.
    """
    frames, joints = config.frames, skeleton.num_joints
    if not any(parameter.requires_grad for parameter in lifter.parameters()):
        raise ValueError(f"lifter {config.lifter!r}: expected parameters to train, got none")
    tried = copy.deepcopy(lifter).eval()
    device = next(tried.parameters()).device
    wanted = f"poses of shape (2, {frames} or 1, {joints}, 3) from (2, {frames}, {joints}, 2)"
    try:
        with torch.no_grad():
            lifted = tried(torch.zeros(2, frames, joints, 2, device=device))
    except Exception as error:  # whatever foreign code raises
        raise ValueError(f"lifter {config.lifter!r}: expected {wanted}, got an error ({error})") from error
    found = tuple(lifted.shape) if isinstance(lifted, Tensor) else type(lifted).__name__
    if found not in ((2, frames, joints, 3), (2, 1, joints, 3)):
        raise ValueError(f"lifter {config.lifter!r}: expected {wanted}, got {found}")


def start_fabric(config: RunConfig) -> Fabric:
    """Set up device and precision.

    Raises:
        ValueError: if the device is unknown, not there, or there without our kernels, or if the batch does
            not split evenly over the processes.
    """
    device = choose(config.device)
    processes = parallel.local_processes()
    if processes > 1 or parallel.machines() > 1:
        fabric = Fabric(
            accelerator=device.type,
            devices=processes,
            num_nodes=parallel.machines(),
            strategy="ddp",
            precision=config.precision,
        )
    else:
        devices = [device.index] if device.type == "cuda" else 1
        fabric = Fabric(accelerator=device.type, devices=devices, precision=config.precision)
    fabric.launch()
    parallel.check_batch(config.training.batch, fabric)
    graphs.check(config, fabric)
    return fabric
