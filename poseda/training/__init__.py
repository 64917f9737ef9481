"""Training in the method's stages, resumable to the bit.

``preparation`` checks what a user asked for, ``plan`` lists the phases, and ``run`` puts the stages in
order. ``phases`` builds what each of them trains; ``stage`` trains it to its end with an eye on its
``health``. ``pairs`` says what each arm learns from; ``lifting`` and ``adversarial`` hold the steps. What a
run leaves behind is in its :class:`poseda.runs.RunFolder`.
"""

from __future__ import annotations

from poseda.runs import FolderError
from poseda.training.errors import CollapseError, NonFiniteError, NothingValidError, TrainingError
from poseda.training.plan import PlannedPhase, Sizes, plan
from poseda.training.preparation import prepare, without_small_target
from poseda.training.run import Run
from poseda.training.stage import Observer

__all__ = [
    "CollapseError",
    "FolderError",
    "NonFiniteError",
    "NothingValidError",
    "Observer",
    "PlannedPhase",
    "Run",
    "Sizes",
    "TrainingError",
    "plan",
    "prepare",
    "without_small_target",
]
