"""The phase of generator and discriminators: LPA, with GPA in the loop.

The lifter gives no gradient to the generator, as in the method, unless ``feedback="hard_ratio"`` asks for
PoseAug's. A proposal holds for a whole window of frames, but discriminators score its middle frame only. So
generators for sequences train on single frames, too.
"""

from __future__ import annotations

from functools import partial

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import AdversaryConfig, RunConfig
from poseda.datasets.sequences import middle, rows_around
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.predict import lift_windows
from poseda.method import losses
from poseda.method.discriminators import (
    AnchoredFakes,
    HistoryPool,
    PoseDiscriminator,
    ScreenDiscriminator,
    bone_directions,
)
from poseda.method.generator import Generator, Proposal
from poseda.ops import AugmentedPose
from poseda.runs import checkpoint
from poseda.training import compilation, graphs
from poseda.training.health import NonFiniteWatch
from poseda.training.pairs import Recipe, Shuffle, TrainingData, augment_pairs

BETAS = (0.5, 0.999)
"""Adam's decay rates in adversarial training: a short first memory, as the opponent changes."""

FIRST_NAMES = {
    "discriminator_optimizer.": "judge_optimizer.",
    "discriminators.2d.network.": "judges.2d.judge.",
    "discriminators.": "judges.",
}
"""Beginnings of tensor names in a checkpoint, today and in 0.1.0."""


class GeneratorPhase:
    """Trains a generator against its anchor discriminators.

    Args:
        recipe: of the arm; it says where fakes stand and what their anchors are.
        data: source poses and target placements.
        config: of the run.
        seed: of the order of poses.
        rng: of all other random numbers.
        lifter: frozen, for the hard-ratio feedback only.
        fabric: device.
    """

    can_collapse = True

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        config: RunConfig,
        seed: int,
        rng: torch.Generator,
        lifter: nn.Module,
        fabric: Fabric,
    ) -> None:
        self.recipe, self.data, self.config, self.rng = recipe, data, config, rng
        options, skeleton, adversary = config.generator_training, data.skeleton, recipe.adversary
        self.steps = options.steps
        self.lifter = lifter.eval().requires_grad_(False)
        self._order = Shuffle(len(data.source), options.batch, seed, fabric.device)
        self.generator = Generator(skeleton, config.generator, recipe.placement == "learned").to(
            fabric.device
        )
        self.discriminators = _discriminators(skeleton, adversary).to(fabric.device)
        self.pool = HistoryPool(adversary.pool, skeleton).to(fabric.device)
        trained: dict[str, nn.Module] = {"generator": self.generator}
        if len(self.discriminators):
            trained["discriminators"] = self.discriminators
        self.watch = NonFiniteWatch(trained)
        captured = graphs.chosen(config, fabric)
        # A lifter that steers may be of the user's, and not compile.
        if not recipe.steered and compilation.should_compile(
            config.compile, None, fabric, options.steps, bool(captured)
        ):
            compilation.compile_methods(self, "_propose", "_discriminator_losses")
        adam = partial(torch.optim.Adam, betas=BETAS, fused=True, capturable=bool(captured))
        self.optimizer = adam(self.generator.parameters(), options.learning_rate)
        self.discriminator_optimizer = (
            adam(self.discriminators.parameters(), options.discriminator_rate)
            if len(self.discriminators)
            else None
        )
        self._graphs = graphs.Graphs(captured, fabric, rng, trained)
        self._weights = {
            "range": options.weight_range,
            "scale": options.weight_scale,
            "body": options.weight_body,
            "generator_2d": options.weight_2d,
            "generator_3d": options.weight_3d,
            "feedback": options.weight_feedback,
        }
        self._weight_rows: dict[tuple[str, ...], Tensor] = {}

    def step(self, step: int) -> dict[str, Tensor]:
        """One generator step and, every few steps, one discriminator step on the same fakes."""
        due = step % self.config.generator_training.discriminator_every == 0
        optimizer = self.discriminator_optimizer if due else None
        kind = "generator" if optimizer is None else "generator and discriminators"
        return self._graphs.run(kind, partial(self._train, optimizer), step, self._order.at(step))

    def _train(
        self, discriminator_optimizer: torch.optim.Optimizer | None, step: float | Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        rows = rows_around(index, self.data.windows)
        where = self.data.placements.sample(len(rows), self.rng)
        fakes, values = self._train_generator(step, rows, where)
        if discriminator_optimizer is not None:
            values |= self._train_discriminators(step, fakes, discriminator_optimizer)
        return values

    def _train_generator(
        self, step: float | Tensor, rows: Tensor, where: Tensor
    ) -> tuple[AnchoredFakes, dict[str, Tensor]]:
        """Minimise, over the generator, the adversarial losses and the penalties on its proposals.

        Args:
            step: for the watch.
            rows: (N, T) rows of the source.
            where: (N,) rows of the placement table.

        Returns:
            the fakes, without gradient, and the logged values.
        """
        self.discriminators.requires_grad_(False)
        source = self.data.source.pose_3d[middle(rows)]
        noise = self.generator.noise(source, self.rng)
        fakes, terms, health = self._propose(source, rows, where, noise)
        return fakes, self._minimise("generator", terms, self.optimizer, step) | health

    def _propose(
        self, source: Tensor, rows: Tensor, where: Tensor, noise: Tensor
    ) -> tuple[AnchoredFakes, dict[str, Tensor], dict[str, Tensor]]:
        """What the generator proposes for a batch.

        Args:
            source: (N, J, 3) the middle frames of the rows.
            rows, where: as in :meth:`_train_generator`.
            noise: of the generator.

        Returns:
            the fakes, without gradient; the losses; and other values for the log.
        """
        proposal = self.generator(source, noise)
        augmented = self._augment(middle(rows), where, proposal)
        fakes = self._beside_anchors(augmented, source, middle(rows), where)
        distance = losses.bone_cosine_distance(
            bone_directions(source, self.data.skeleton), proposal.bone_rotation
        )
        terms = {
            **self._penalties(proposal, distance),
            **self._generator_losses(fakes),
            **self._feedback(rows, where, proposal, augmented),
        }
        return fakes.detach(), terms, _health(proposal, distance, fakes.valid)

    def _train_discriminators(
        self, step: float | Tensor, fakes: AnchoredFakes, optimizer: torch.optim.Optimizer
    ) -> dict[str, Tensor]:
        """Minimise, over the discriminators, their losses on new and older fakes."""
        self.discriminators.requires_grad_(True)
        terms = self._discriminator_losses(self.pool.exchange(fakes, self.rng))
        return self._minimise("discriminators", terms, optimizer, step)

    def _augment(self, rows: Tensor, where: Tensor, proposal: Proposal) -> AugmentedPose:
        return augment_pairs(self.data, rows, where, proposal, self.recipe.placement, self.config)

    def _beside_anchors(
        self, augmented: AugmentedPose, source: Tensor, index: Tensor, where: Tensor
    ) -> AnchoredFakes:
        """Put each fake beside its anchors, with the unseen joints of its 2D anchor hidden."""
        placements = self.data.placements
        if self.recipe.anchor_2d == "target":
            root = self.data.skeleton.parents.index(-1)
            fake_2d, anchor_2d = placements.hide(augmented.pose_2d, where, root), placements.pose_2d[where]
        else:
            fake_2d, anchor_2d = augmented.pose_2d, self.data.source.pose_2d[index]
        return AnchoredFakes(augmented.pose_3d, source, fake_2d, anchor_2d, augmented.valid)

    def _penalties(self, proposal: Proposal, distance: Tensor) -> dict[str, Tensor]:
        """Losses that keep proposals within the range of human motion."""
        bounds = self.config.generator
        return {
            "range": losses.angle_range_loss(distance, bounds.angle_mean, bounds.angle_width),
            "scale": losses.scale_limit_loss(proposal.bone_scale, bounds.scale_limit),
            "body": losses.body_rotation_loss(proposal.body_rotation),
        }

    def _generator_losses(self, fakes: AnchoredFakes) -> dict[str, Tensor]:
        """The generator's loss against each discriminator: small where fakes score as anchors do."""
        terms, weight = {}, losses.weights_of(fakes.valid)
        for name, discriminator in self.discriminators.items():
            real, fake = fakes.seen_by(name)
            if self.recipe.adversary.pairing == "paired":
                with torch.no_grad():
                    anchor = discriminator(real)
                loss = losses.generator_pair_loss(anchor, discriminator(fake), weight)
            else:
                loss = losses.generator_least_squares(discriminator(fake), weight)
            terms[f"generator_{name}"] = loss
        return terms

    def _discriminator_losses(self, fakes: AnchoredFakes) -> dict[str, Tensor]:
        """The loss of each discriminator: small where it distinguishes anchors from fakes."""
        paired = self.recipe.adversary.pairing == "paired"
        loss = losses.discriminator_pair_loss if paired else losses.discriminator_least_squares
        terms, weight = {}, losses.weights_of(fakes.valid)
        for name, discriminator in self.discriminators.items():
            scores = discriminator(torch.cat(fakes.seen_by(name))).unflatten(0, (2, -1))
            terms[f"discriminator_{name}"] = loss(scores, weight)
        return terms

    def _feedback(
        self, rows: Tensor, where: Tensor, proposal: Proposal, middle_frames: AugmentedPose
    ) -> dict[str, Tensor]:
        """PoseAug's loss, if asked for: the lifter's error on fakes over its error on their source poses."""
        if self.recipe.adversary.feedback == "none":
            return {}

        def error(pose_2d: Tensor, pose_3d: Tensor) -> Tensor:
            return losses.pose_error(*lift_windows(self.lifter, pose_2d, pose_3d)).mean(1)

        if self.data.windows is None:
            fake_3d, fake_2d, valid = middle_frames
            whole = AugmentedPose(fake_3d[:, None], fake_2d[:, None], valid)
        else:
            whole = self._augment(rows, where, proposal)
        with torch.no_grad():
            before = error(self.data.source.pose_2d[rows], self.data.source.pose_3d[rows])
        after = error(whole.pose_2d, whole.pose_3d)
        wanted = self.config.generator_training.hard_ratio
        return {"feedback": losses.hard_ratio_loss(after, before, wanted, losses.weights_of(whole.valid))}

    def _minimise(
        self, name: str, terms: dict[str, Tensor], optimizer: torch.optim.Optimizer, step: float | Tensor
    ) -> dict[str, Tensor]:
        """Step down the gradient of the weighted sum of the terms; return them weighted, for the log."""
        values, weights = torch.stack(list(terms.values())), self._weight_row(tuple(terms))
        optimizer.zero_grad()
        values.backward(weights)  # the gradient of the weighted sum, without computing it
        self.watch.clip(step, name, self.config.generator_training.clip)
        optimizer.step()
        return dict(zip(terms, (values.detach() * weights).unbind(), strict=True))

    def _weight_row(self, names: tuple[str, ...]) -> Tensor:
        """The weights of some terms, kept on the device: a copy would make the host wait."""
        if names not in self._weight_rows:
            row = [self._weights.get(name, 1.0) for name in names]
            self._weight_rows[names] = torch.tensor(row, device=self.rng.device)
        return self._weight_rows[names]

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        state = {
            **checkpoint.pack_module("generator", self.generator),
            **checkpoint.pack_module("discriminators", self.discriminators),
            **checkpoint.pack_module("pool", self.pool),
            **checkpoint.pack_optimizer("optimizer", self.optimizer),
            "rng": self.rng.get_state(),
        }
        if self.discriminator_optimizer is not None:
            state |= checkpoint.pack_optimizer("discriminator_optimizer", self.discriminator_optimizer)
        return state

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from what :meth:`state` returned, here or in 0.1.0."""
        state = {_name_today(name): value for name, value in state.items()}
        for name in ("generator", "discriminators", "pool"):
            checkpoint.unpack_module(name, getattr(self, name), state)
        checkpoint.unpack_optimizer("optimizer", self.optimizer, state)
        if self.discriminator_optimizer is not None:
            checkpoint.unpack_optimizer("discriminator_optimizer", self.discriminator_optimizer, state)
        self.rng.set_state(state["rng"])
        self._graphs.drop()

    def result(self) -> dict[str, Tensor]:
        """The generator's last weights."""
        return checkpoint.pack_module("generator", self.generator)


def _discriminators(skeleton: Skeleton, adversary: AdversaryConfig) -> nn.ModuleDict:
    """The discriminators that the anchors need: ``3d``, ``2d``, both or none."""
    chosen: dict[str, nn.Module] = {}
    if adversary.anchor in ("both", "source_3d"):
        chosen["3d"] = PoseDiscriminator(skeleton, adversary)
    if adversary.anchor in ("both", "target_2d"):
        chosen["2d"] = ScreenDiscriminator(skeleton, adversary)
    return nn.ModuleDict(chosen)


def _name_today(name: str) -> str:
    for today, first in FIRST_NAMES.items():
        if name.startswith(first):
            return today + name.removeprefix(first)
    return name


@torch.no_grad()
def _health(proposal: Proposal, distance: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """Numbers that distinguish a working generator from a collapsed one, under their names in the log."""
    return {
        "valid_share": valid.mean(dtype=torch.float32),
        "bone_turn": distance.mean(),
        "bone_spread": proposal.bone_rotation.std(0).mean(),
        "body_turn": proposal.body_rotation.norm(dim=-1).mean(),
        "body_drift": proposal.body_rotation.mean(0).norm(),
        "scale_drift": proposal.bone_scale.mean().abs(),
        "scale_change": proposal.bone_scale.abs().mean(),
    }
