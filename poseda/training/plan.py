"""The phases that a run consists of, known before it begins, and how long each takes beside the others."""

from __future__ import annotations

from dataclasses import dataclass

from poseda.config import WIDE_ARMS, Arm, RunConfig
from poseda.evaluation.predicted_error import TARGETS
from poseda.method.two_passes import FEWEST_FRAMES, lenses
from poseda.runs.verdict import PRETRAINED, source_model
from poseda.training.pairs import TrainingData, recipe_of
from poseda.training.stage import title_of

CAMERA = "camera"
"""The kind of phases whose work is counted in cameras that a wide lifter lifts. Nearly all of that time goes
into the search for a camera's upward direction, however many frames it has."""

SECONDS_A_CAMERA = 1.0
"""Of one core, for a camera."""

ALIGNMENT = 3.0
"""Work of an alignment, in cameras."""

VOTE = 0.1
"""Share of a camera's work where its direction is voted on alone, as on simulated targets."""

SCORING = 0.1
"""Work of drawing and scoring a simulated target, in cameras."""

LIFTED = 2 / 3
"""Work of lifting a pose and its mirror image, beside that of training on a pose."""


@dataclass(frozen=True)
class PlannedPhase:
    """A phase of a run.

    Args:
        arm: of the phase, or ``target`` where it is about all arms.
        name: lifter, generator, scout or what else is done.
        seed: of the phase.
        steps: of the phase.
        kind: phases of one kind take the same time for the same work.
        work: of a step.
    """

    arm: str
    name: str
    seed: int
    steps: int
    kind: str
    work: float = 1.0

    @property
    def title(self) -> str:
        """As observers of the run get it."""
        return title_of(self.arm, self.name, self.seed)

    @property
    def guess(self) -> float | None:
        """Seconds for a unit of work before any was done; None where training tells them."""
        return SECONDS_A_CAMERA if self.kind == CAMERA else None


@dataclass(frozen=True)
class Sizes:
    """What the time of measuring depends on. The defaults are those of the embedded domains.

    Args:
        poses: of a split with labels.
        cameras: of a split with labels, each with the frames that tell its upward direction.
        target_cameras: the same of the target.
    """

    poses: int = 4000
    cameras: int = 5
    target_cameras: int = 6

    @classmethod
    def of(cls, data: TrainingData) -> Sizes:
        """Those of a run; a split that was not read yet is taken to be as large as the source's."""
        assert data.held is not None and data.target is not None
        counts = [lenses(poses).bincount() for poses in (data.held, data.target)]
        cameras, target = (max(1, int((count >= FEWEST_FRAMES).sum())) for count in counts)
        return cls(len(data.held), cameras, target)


def plan(config: RunConfig, sizes: Sizes = Sizes()) -> list[PlannedPhase]:
    """The phases of a run in their order.

    Args:
        config: of the run.
        sizes: of its data.

    Example::

        >>> from poseda.config import preset
        >>> from poseda.training.plan import plan
        >>> [phase.title for phase in plan(preset("tiny"))][:2]
        ['pretrained · lifter · seed 0', 'source_only · lifter · seed 0']
    """
    phases: list[PlannedPhase] = []
    for seed in config.seeds:
        if not set(config.arms) <= set(WIDE_ARMS):
            steps = config.training.pretrain_steps
            phases.append(PlannedPhase(PRETRAINED, "lifter", seed, steps, "lifter"))
        for arm in config.arms:
            wide = arm in WIDE_ARMS
            phases += _of_wide_arm(config, arm, seed, sizes) if wide else _of_arm(config, arm, seed)
            splits = 1 if config.target else 2
            kind = CAMERA if wide else "lifter"
            work = float(sizes.cameras) if wide else LIFTED * sizes.poses / config.training.batch
            phases.append(PlannedPhase(arm, "measuring", seed, splits, kind, work))
    # Both wide arms begin with the same phase.
    return [*dict.fromkeys(phases), *_of_target(config, sizes)]


def _of_wide_arm(config: RunConfig, arm: Arm, seed: int, sizes: Sizes) -> list[PlannedPhase]:
    own, generator = config.wide, []
    if own.generated_share and arm == "wide_target":
        pretraining, training = config.training.pretrain_steps, config.generator_training.steps
        generator = [
            PlannedPhase(PRETRAINED, "lifter", seed, pretraining, "lifter"),
            PlannedPhase("gpa_lpa", "generator", seed, training, "generator"),
        ]
    phases = [PlannedPhase("wide", "lifter", seed, 0 if config.packaged else own.steps, "wide")]
    phases += generator
    for at, name in enumerate(own.round_names if arm == "wide_target" else (), 1):
        phases.append(PlannedPhase(arm, f"lifting {at}", seed, 1, CAMERA, sizes.target_cameras))
        phases.append(PlannedPhase(arm, name, seed, own.target_steps, "wide"))
    return phases


def _of_arm(config: RunConfig, arm: Arm, seed: int) -> list[PlannedPhase]:
    phases, recipe = [], recipe_of(arm, config)
    if recipe.view_aligned:
        phases.append(PlannedPhase(arm, "scout", seed, config.alignment.steps, "scout"))
        phases.append(PlannedPhase(arm, "alignment", seed, 1, CAMERA, ALIGNMENT))
    if recipe.postures == "generated":
        steps = config.generator_training.steps
        phases.append(PlannedPhase(arm, "generator", seed, steps, "generator"))
    return [*phases, PlannedPhase(arm, "lifter", seed, config.training.adapt_steps, "lifter")]


def _of_target(config: RunConfig, sizes: Sizes) -> list[PlannedPhase]:
    """What is measured of all arms of the first seed on the target, without labels."""
    models, seed = {source_model(config.arms), *config.arms}, config.seeds[0]
    cameras = sizes.target_cameras * len(models & set(WIDE_ARMS))
    phases = [PlannedPhase("target", "measuring", seed, len(models), CAMERA, cameras / len(models))]
    if config.gate != "off":
        work = VOTE * cameras + SCORING
        phases.append(PlannedPhase("target", "predicted errors", seed, TARGETS + 1, CAMERA, work))
    return phases
