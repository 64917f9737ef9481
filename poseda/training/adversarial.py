"""The generator's and the discriminators' phases: LPA, with GPA in the loop.

No gradient from the lifter reaches the generator (as the authors told a user of theirs), unless
``feedback="hard_ratio"`` asks for PoseAug's. What a generator proposes holds for a whole window of frames but
is judged on the one it was proposed for, so that generators for sequences train on single frames, too.
"""

from __future__ import annotations

from functools import partial

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.datasets.sequences import middle, rows_around
from poseda.lifters.predict import lift_windows
from poseda.method import losses
from poseda.method.discriminators import (
    HistoryPool,
    Judged,
    PoseDiscriminator,
    ScreenDiscriminator,
    bone_directions,
)
from poseda.method.generator import Generator, Proposal
from poseda.ops._arguments import AugmentedPose
from poseda.runs import checkpoint
from poseda.training.graphs import Graphs
from poseda.training.health import NonFiniteWatch
from poseda.training.pairs import Recipe, Shuffle, TrainingData, augment_pairs

BETAS = (0.5, 0.999)
"""Adam's memory in adversarial training: a short first one, as the opponent moves."""


class GeneratorPhase:
    """Trains a generator against its anchor discriminators.

    Args:
        recipe: of the arm; says where fakes stand and which anchors judge them.
        data: resident.
        config: how.
        seed: of the order of poses.
        rng: every other draw.
        lifter: frozen, for the hard-ratio feedback alone.
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
        self.steps = config.generator_training.steps
        self.lifter = lifter.eval().requires_grad_(False)
        self._order = Shuffle(len(data.source), config.generator_training.batch, seed, fabric.device)
        skeleton, adversary = data.skeleton, recipe.adversary
        self.generator = Generator(skeleton, config.generator, recipe.placement == "learned").to(
            fabric.device
        )
        judges: dict[str, nn.Module] = {}
        if adversary.anchor in ("both", "source_3d"):
            judges["3d"] = PoseDiscriminator(skeleton, adversary)
        if adversary.anchor in ("both", "target_2d"):
            judges["2d"] = ScreenDiscriminator(skeleton, adversary)
        self.judges = nn.ModuleDict(judges).to(fabric.device)
        self.pool = HistoryPool(adversary.pool, skeleton).to(fabric.device)
        options = config.generator_training
        captured = config.graphs == "on"
        adam = partial(torch.optim.Adam, betas=BETAS, fused=True, capturable=captured)
        self.optimizer = adam(self.generator.parameters(), options.learning_rate)
        self.judge_optimizer = adam(self.judges.parameters(), options.discriminator_rate) if judges else None
        self.watch = NonFiniteWatch(
            {"generator": self.generator} | ({"judges": self.judges} if judges else {})
        )
        self._graphs = Graphs(captured, fabric, rng, self.watch.modules)

    def step(self, step: int) -> dict[str, Tensor]:
        """One generator step and, every few, one discriminator step on the same fakes."""
        due = step % self.config.generator_training.discriminator_every == 0
        judge_optimizer = self.judge_optimizer if due else None
        kind = "generator" if judge_optimizer is None else "generator and discriminators"
        work = partial(self._train, judge_optimizer)
        return self._graphs.run(kind, work, step, self._order.at(step))

    def _train(
        self, judge_optimizer: torch.optim.Optimizer | None, step: float | Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        rows = rows_around(index, self.data.windows)
        where = self.data.placements.sample(len(rows), self.rng)
        judged, values = self._train_generator(step, rows, where)
        if judge_optimizer is not None:
            values |= self._train_discriminators(step, judged, judge_optimizer)
        return values

    def _train_generator(
        self, step: float | Tensor, rows: Tensor, where: Tensor
    ) -> tuple[Judged, dict[str, Tensor]]:
        """Minimise, over the generator: fakes told from their anchors, turns outside their band."""
        options, bounds, skeleton = self.config.generator_training, self.config.generator, self.data.skeleton
        self.judges.requires_grad_(False)
        index = middle(rows)
        source = self.data.source.pose_3d[index]
        proposal = self.generator(source, self.generator.noise(source, self.rng))
        fake = augment_pairs(self.data, index, where, proposal, self.recipe.placement, self.config)
        fake_2d = fake.pose_2d
        if self.recipe.anchor_2d == "target":
            anchor_2d = self.data.placements.pose_2d[where]
            fake_2d = self.data.placements.hide(fake_2d, where, skeleton.parents.index(-1))
        else:
            anchor_2d = self.data.source.pose_2d[index]
        judged = Judged(fake.pose_3d, source, fake_2d, anchor_2d, fake.valid)
        turn = losses.bone_turn(bone_directions(source, skeleton), proposal.bone_rotation)
        band, limit = (bounds.angle_mean, bounds.angle_width), bounds.scale_limit
        terms = {
            "range": options.weight_range * losses.angle_range_loss(turn, *band),
            "scale": options.weight_scale * losses.scale_limit_loss(proposal.bone_scale, limit),
            "body": options.weight_body * losses.body_turn_loss(proposal.body_rotation),
        }
        weights = {"2d": options.weight_2d, "3d": options.weight_3d}
        for name, loss in self._generator_losses(judged).items():
            terms[f"generator_{name}"] = weights[name] * loss
        if self.recipe.adversary.feedback == "hard_ratio":
            whole = AugmentedPose(fake.pose_3d[:, None], fake.pose_2d[:, None], fake.valid)
            if self.data.windows is not None:
                whole = augment_pairs(self.data, rows, where, proposal, self.recipe.placement, self.config)
            terms["feedback"] = options.weight_feedback * self._feedback(rows, whole)
        total = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad()
        total.backward()
        self.watch.clip(step, "generator", options.clip)
        self.optimizer.step()
        return Judged(*(value.detach() for value in judged)), terms | _health(proposal, turn, fake.valid)

    def _train_discriminators(
        self, step: float | Tensor, fresh: Judged, optimizer: torch.optim.Optimizer
    ) -> dict[str, Tensor]:
        """Minimise, over the discriminators: anchors not told from fakes, old fakes among them."""
        self.judges.requires_grad_(True)
        terms = self._discriminator_losses(self.pool.exchange(fresh, self.rng))
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        self.watch.clip(step, "judges", self.config.generator_training.clip)
        optimizer.step()
        return {f"discriminator_{name}": loss for name, loss in terms.items()}

    def _generator_losses(self, judged: Judged) -> dict[str, Tensor]:
        """How badly the fakes pass for anchors, by each discriminator."""
        verdicts = {}
        for name, judge in self.judges.items():
            real, fake = _side(judged, name)
            if self.recipe.adversary.pairing == "paired":
                with torch.no_grad():
                    anchor = judge(real)
                verdicts[name] = losses.generator_pair_loss(anchor, judge(fake), judged.valid)
            else:
                verdicts[name] = losses.generator_least_squares(judge(fake), judged.valid)
        return verdicts

    def _discriminator_losses(self, judged: Judged) -> dict[str, Tensor]:
        """How badly each discriminator tells anchors from fakes."""
        paired = self.recipe.adversary.pairing == "paired"
        loss = losses.discriminator_pair_loss if paired else losses.discriminator_least_squares
        verdicts = {}
        for name, judge in self.judges.items():
            real, fake = judge(torch.cat(_side(judged, name))).chunk(2)
            verdicts[name] = loss(real, fake, judged.valid)
        return verdicts

    def _feedback(self, rows: Tensor, fake: AugmentedPose) -> Tensor:
        """How far the lifter's error on fakes is from the wanted multiple of its error on their source."""

        def error(pose_2d: Tensor, pose_3d: Tensor) -> Tensor:
            return losses.pose_error(*lift_windows(self.lifter, pose_2d, pose_3d)).mean(1)

        with torch.no_grad():
            before = error(self.data.source.pose_2d[rows], self.data.source.pose_3d[rows])
        after = error(fake.pose_2d, fake.pose_3d)
        return losses.hard_ratio_loss(after, before, self.config.generator_training.hard_ratio, fake.valid)

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on."""
        state = {
            **checkpoint.pack_module("generator", self.generator),
            **checkpoint.pack_module("judges", self.judges),
            **checkpoint.pack_module("pool", self.pool),
            **checkpoint.pack_optimizer("optimizer", self.optimizer),
            "rng": self.rng.get_state(),
        }
        if self.judge_optimizer is not None:
            state |= checkpoint.pack_optimizer("judge_optimizer", self.judge_optimizer)
        return state

    def load(self, state: dict[str, Tensor]) -> None:
        """Put back what :meth:`state` gave."""
        for name in ("generator", "judges", "pool"):
            checkpoint.unpack_module(name, getattr(self, name), state)
        checkpoint.unpack_optimizer("optimizer", self.optimizer, state)
        if self.judge_optimizer is not None:
            checkpoint.unpack_optimizer("judge_optimizer", self.judge_optimizer, state)
        self.rng.set_state(state["rng"])
        self._graphs.drop()

    def result(self) -> dict[str, Tensor]:
        """The generator's last weights."""
        return checkpoint.pack_module("generator", self.generator)


def _side(judged: Judged, name: str) -> tuple[Tensor, Tensor]:
    """Anchors and fakes as the discriminator of that name sees them."""
    return (judged.real_3d, judged.fake_3d) if name == "3d" else (judged.real_2d, judged.fake_2d)


@torch.no_grad()
def _health(proposal: Proposal, turn: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """What tells a working generator from a collapsed one."""
    return {
        "valid_share": valid.float().mean(),
        "bone_turn": turn.mean(),
        "bone_spread": proposal.bone_rotation.std(0).mean(),
        "body_turn": proposal.body_rotation.norm(dim=-1).mean(),
        "body_drift": proposal.body_rotation.mean(0).norm(),
        "scale_drift": proposal.bone_scale.mean().abs(),
        "scale_change": proposal.bone_scale.abs().mean(),
    }
