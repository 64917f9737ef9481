"""Everything that a user can get wrong, checked before a run begins."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from poseda import pretrained
from poseda.config import WIDE_ARMS, ConfigError, RunConfig, to_json
from poseda.config.fields import flatten
from poseda.config.run import check_weak_labels
from poseda.datasets import Domains
from poseda.datasets.sequences import check_sequences
from poseda.evaluation import gate
from poseda.evaluation.evaluate import labelled_splits
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.lifters.check import check_lifter
from poseda.lifters.predict import target_frame
from poseda.lifters.sizes import build_lifter
from poseda.runs import RunFolder
from poseda.training.disturbance import disturb
from poseda.training.fabric import start_fabric
from poseda.training.found_poses import FEWEST_FRAMES, check_target, most_of_a_camera
from poseda.training.loggers import check_logger
from poseda.training.pairs import TrainingData, recipe_of
from poseda.training.parallel import follows
from poseda.training.run import Run
from poseda.training.stage import Observer
from poseda.training.view_alignment import check_skeleton


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
        observer: follows the progress.
        lifter: module to adapt in place of the one that the configuration names. It maps (N, T, J, 2) to
            (N, T or 1, J, 3), with T = ``config.frames``. It is copied; every seed begins with its weights.

    Raises:
        ValueError: one sentence: a device or lifter that is not there, data or a folder that cannot be used.
    """
    if lifter is not None:
        config = replace(config, lifter=f"{type(lifter).__module__}.{type(lifter).__qualname__}")
    folder = RunFolder(config.out, writes=not follows())
    folder.claim()
    try:
        return _prepare(config, domains, folder, observer, lifter)
    except BaseException:
        folder.release()
        raise


def _prepare(
    config: RunConfig,
    domains: Domains,
    folder: RunFolder,
    observer: Observer | None,
    lifter: nn.Module | None,
) -> Run:
    check_logger(config)
    fabric = start_fabric(config)
    built = build_lifter(config, domains.skeleton, lifter)
    check_lifter(built, config, domains.skeleton)
    if "gpa_lpa_view" in config.arms:
        check_skeleton(domains.skeleton)
    adaptation = disturb(domains.adaptation(), config.target_data)
    if config.packaged and set(config.arms) & set(WIDE_ARMS):
        check_packaged(config, domains.skeleton)
    if adaptation.weak is not None:
        check_weak_labels(config)
    if "wide_target" in config.arms:
        check_target(adaptation.target)
    data = TrainingData.load(adaptation, fabric.device, config.frames, target_frame(built, config.frames))
    verdict = None if config.gate == "off" else gate.decide(adaptation)
    if config.gate == "on" and verdict is not None and not verdict.adapt:
        config = replace(config, arms=("source_only",))
    splits = labelled_splits(domains, config.frames)
    if any(recipe_of(arm, config).target_labels for arm in config.arms):
        check_sequences(domains.oracle(), config.frames, "target_train")
    if config.resume:
        folder.check_partials(fabric.device.type)
    if folder.writes:
        config = folder.open(config, domains, splits, verdict)
    config, folder.finished = fabric.broadcast((config, folder.finished))
    return Run(domains, data, config, fabric, folder, observer, splits, verdict, lifter)


def without_small_target(config: RunConfig, domains: Domains) -> tuple[RunConfig, str | None]:
    """A run whose arms were not named, without wide_target where the target is too small for it.

    Returns:
        the run, and a sentence that says what was left out and why, or None.
    """
    if "wide_target" not in config.arms:
        return config, None
    most = most_of_a_camera(disturb(domains.adaptation(), config.target_data).target)
    if most >= FEWEST_FRAMES:
        return config, None
    arms = tuple(arm for arm in config.arms if arm != "wide_target")
    return replace(config, arms=arms), (
        f"The arm wide_target is left out: it needs a target camera with at least {FEWEST_FRAMES} poses, and "
        f"the largest has {most}."
    )


def check_packaged(config: RunConfig, skeleton: Skeleton) -> None:
    """Check that the package's lifter can be the arm wide of a run.

    Raises:
        ConfigError: if it has another size, or another skeleton.
    """
    if skeleton != H36M16:
        wanted = f"expected it with {skeleton.name}, as the package's lifter has {H36M16.name}"
        raise ConfigError("from_scratch", wanted)
    pretrained.check_size(flatten(to_json(config)))
