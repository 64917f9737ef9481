"""Training in the method's stages, resumable to the bit.

``pairs`` says what each arm trains on, ``lifting`` and ``adversarial`` hold the phases, ``stage`` runs one to
its end with an eye on its ``health``, ``run`` puts them in order; ``checkpoint``, ``journal`` and ``folder``
keep what a run leaves behind, and ``lock`` keeps other runs out of its folder.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from poseda.config import RunConfig
from poseda.datasets import Domains
from poseda.evaluation import gate
from poseda.evaluation.evaluate import evaluate_folder
from poseda.lifters.predict import target_frame
from poseda.lifters.sizes import build_lifter
from poseda.runs.folder import (
    FolderError,
    check_partials,
    describe_data,
    evaluation_card,
    lock_folder,
    open_folder,
    protocol_card,
    read_folder,
)
from poseda.runs.journal import CollapseError, NonFiniteError, NothingValidError, TrainingError
from poseda.training.disturbance import disturb
from poseda.training.pairs import TrainingData
from poseda.training.parallel import follows
from poseda.training.run import Run, check_lifter, labelled_splits, start_fabric
from poseda.training.stage import Observer
from poseda.training.view_alignment import check_skeleton

__all__ = [
    "CollapseError",
    "FolderError",
    "NonFiniteError",
    "NothingValidError",
    "Observer",
    "Run",
    "TrainingError",
    "describe_data",
    "evaluate_folder",
    "evaluation_card",
    "prepare",
    "protocol_card",
    "read_folder",
]


def prepare(
    config: RunConfig,
    domains: Domains,
    observer: Observer | None = None,
    lifter: nn.Module | None = None,
) -> Run:
    """Check everything a user can get wrong, then open the run folder; nothing is written before.

    Args:
        config: of the run.
        domains: to adapt on.
        observer: told of progress.
        lifter: any module (N, T, J, 2) to (N, T or 1, J, 3), T = ``config.frames``, to adapt in place of the
            one that the configuration names. It is copied; every seed begins with its weights.

    Raises:
        ValueError: one sentence: a device or lifter that is not there, data or a folder that cannot be used.
    """
    if lifter is not None:
        config = replace(config, lifter=f"{type(lifter).__module__}.{type(lifter).__qualname__}")
    lock = lock_folder(config.out, wanted=not follows())
    try:
        fabric = start_fabric(config)
        built = build_lifter(config, domains.skeleton, lifter)
        check_lifter(built, config, domains.skeleton)
        target = target_frame(built, config.frames)
        if "gpa_lpa_view" in config.arms:
            check_skeleton(domains.skeleton)
        adaptation = disturb(domains.adaptation(), config.target_data)
        data = TrainingData.load(adaptation, fabric.device, config.frames, target)
        verdict = None if config.gate == "off" else gate.judge(adaptation)
        if config.gate == "on" and verdict is not None and not verdict.adapt:
            config = replace(config, arms=("source_only",))
        splits = labelled_splits(config, domains)
        if config.resume:
            check_partials(config.out, fabric.device.type)
        if fabric.is_global_zero:
            config = open_folder(config, domains, splits, lock, verdict)
        config = fabric.broadcast(config)
        return Run(domains, data, config, fabric, lock, observer, splits, verdict, lifter)
    except BaseException:
        lock.release()
        raise
