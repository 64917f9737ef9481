"""The phases that a run consists of, known before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from poseda.config import WIDE_ARMS, Arm, RunConfig
from poseda.runs.verdict import PRETRAINED
from poseda.training.pairs import recipe_of
from poseda.training.stage import title_of


@dataclass(frozen=True)
class PlannedPhase:
    """A phase of a run.

    Args:
        arm: of the phase.
        name: lifter, generator or scout.
        seed: of the phase.
        steps: of its training.
    """

    arm: str
    name: str
    seed: int
    steps: int

    @property
    def title(self) -> str:
        """As observers of the run get it."""
        return title_of(self.arm, self.name, self.seed)


def plan(config: RunConfig) -> list[PlannedPhase]:
    """The phases of a run in their order.

    Example::

        >>> from poseda.config import preset
        >>> from poseda.training.plan import plan
        >>> [phase.title for phase in plan(preset("tiny"))][:2]
        ['pretrained · lifter · seed 0', 'source_only · lifter · seed 0']
    """
    phases: list[PlannedPhase] = []
    for seed in config.seeds:
        if not set(config.arms) <= set(WIDE_ARMS):
            phases.append(PlannedPhase(PRETRAINED, "lifter", seed, config.training.pretrain_steps))
        for arm in config.arms:
            phases += _of_wide_arm(config, arm, seed) if arm in WIDE_ARMS else _of_arm(config, arm, seed)
    return list(dict.fromkeys(phases))  # both wide arms begin with the same phase


def _of_wide_arm(config: RunConfig, arm: Arm, seed: int) -> list[PlannedPhase]:
    own = config.wide
    phases = [PlannedPhase("wide", "lifter", seed, 0 if config.packaged else own.steps)]
    if arm == "wide_target":
        phases += [PlannedPhase(arm, name, seed, own.target_steps) for name in own.round_names]
    return phases


def _of_arm(config: RunConfig, arm: Arm, seed: int) -> list[PlannedPhase]:
    phases, recipe = [], recipe_of(arm, config)
    if recipe.view_aligned:
        phases.append(PlannedPhase(arm, "scout", seed, config.alignment.steps))
    if recipe.postures == "generated":
        phases.append(PlannedPhase(arm, "generator", seed, config.generator_training.steps))
    return [*phases, PlannedPhase(arm, "lifter", seed, config.training.adapt_steps)]
