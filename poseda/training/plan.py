"""The phases that a run consists of, known before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from poseda.config import RunConfig
from poseda.lifters.sizes import WIDE
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
        if set(config.arms) != {WIDE}:
            phases.append(PlannedPhase(PRETRAINED, "lifter", seed, config.training.pretrain_steps))
        for arm in config.arms:
            if arm == WIDE:
                phases.append(PlannedPhase(arm, "lifter", seed, config.wide.steps))
                continue
            recipe = recipe_of(arm, config)
            if recipe.view_aligned:
                phases.append(PlannedPhase(arm, "scout", seed, config.alignment.steps))
            if recipe.postures == "generated":
                phases.append(PlannedPhase(arm, "generator", seed, config.generator_training.steps))
            phases.append(PlannedPhase(arm, "lifter", seed, config.training.adapt_steps))
    return phases
