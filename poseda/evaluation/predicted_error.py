"""The error of every arm on a target without labels, and the arm that this evidence recommends.

Simulated targets (:mod:`poseda.evaluation.simulated_target`) give numbers that need no labels, and true
errors. :mod:`poseda.evaluation.error_model` learns how the one follows from the other, and reads the target.

The numbers of an arm are how badly its poses fit the picture, how unequal left and right bones are, how much
bone lengths vary over a camera's frames, how many poses no body can take, and how far its poses are from
those of the nearest other arm. The error that wide, or else the source model, expects of itself says how
hard the target is, to all arms alike. What wide_target expects of itself is left out: of what taught it, it
expects too little. Rows stand by themselves, so no number depends on how the target is cut into clips.

Targets simulated from the source lack the target's own postures, which wide_target learned. So whether it
is better than wide is read from other ones, made of the postures that both arms find in the target, and seen
from other sides. What all simulation lacks, labelled targets showed (:data:`LACKING`, :data:`TRANSFER`,
:data:`GAIN`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from poseda import pretrained
from poseda.config import WIDE_ARMS, RunConfig, ViewsConfig
from poseda.datasets import AdaptationData, UnlabelledPoses
from poseda.evaluation import labelfree
from poseda.evaluation.error_model import ErrorModel
from poseda.evaluation.simulated_target import Postures, SimulatedTarget, Simulator, placed_rows
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.predict import predict
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import Told, lenses, lift_poses
from poseda.runs.verdict import Evidence, PredictedError, source_model

ROWS = 400
"""Target rows that are read, evenly over the target; a simulated target has as many."""

FEWEST_ROWS = 50
"""With fewer usable rows nothing is predicted."""

TARGETS = 12
"""Targets simulated from the source."""

FOUND_TARGETS = 3
"""Targets simulated from the postures that each of the wide arms finds in the target."""

NOISIEST = 1.5
"""Most noise that is simulated, as a multiple of a usual detector's. Each target draws its own share of it.
So the regression learns what a worse fit to the picture means, and reads the target's noise from it."""

SCORES = ("expected", "reprojection", "asymmetry", "inconstancy", "implausible", "apart")
"""Names of the numbers: the expected error of wide or the source model, then those of the arm itself."""

LACKING = 0.25
"""Standard deviation of the log of true over predicted errors on labelled targets, beyond what simulated ones
show: their detectors, joints and labels differ in more than noise. All arms share it."""

TRANSFER = 0.1
"""The same for the ratio of two arms' errors. Both were measured on first halves of real views and on the
pair p1 (benchmarks/README.md)."""

MOST_GAIN = 0.2
"""Log of the largest gain on found postures that is believed. wide_target learned these postures, so large
gains are too good: on the same targets, two thirds of gains of 0.25 were true, and all of those of 0.03."""

GAIN = 0.02
"""Share by which wide_target must be predicted to be better than wide. Chosen on the same targets."""

DOUBT = 1.645
"""Standard deviations on either side of an interval of 90 %. Between other arms a gain must be as certain."""

ALIKE = 0.05
"""Arms whose errors differ by less are equally good choices."""


@dataclass(frozen=True)
class Lifts:
    """One arm's poses of a target.

    Args:
        pose_3d: (N, J, 3) metres, relative to the root.
        error: (N, J) expected errors, metres, or None where the arm tells none.
        up: (N, 3) the upward direction that was found, NaN where none was.
    """

    pose_3d: Tensor
    error: Tensor | None
    up: Tensor


def gather(
    data: AdaptationData,
    models: Mapping[str, nn.Module],
    config: RunConfig,
    prior: str = "wide",
    seed: int = 0,
    rows: int = ROWS,
    targets: int = TARGETS,
    progress: Callable[[int], None] = lambda done: None,
) -> Evidence:
    """Predict the error of every arm on the target, and recommend one.

    Args:
        data: of both domains. The source's validation poses are what targets are simulated from.
        models: lifters by arm, the source model among them.
        config: of the run.
        prior: the arm that is recommended unless another's predicted error is lower by enough.
        seed: of the draws.
        rows: most target rows that are read.
        targets: how many are simulated.
        progress: gets the number of targets that are lifted, the real one first.
    """
    usable = placed_rows(data.target, data.skeleton)
    source = source_model(config.arms)
    if len(usable) < FEWEST_ROWS:
        return Evidence(len(usable), 0, {}, prior, "wide" if "wide" in models else source, None)
    at = torch.linspace(0, len(usable) - 1, min(rows, len(usable))).round().long()
    target = data.target.rows(usable[at.to(usable.device)]).to("cpu")
    lifted = _lift(models, target, data.skeleton, config)
    # A wide lifter finds the cameras' tilt and says how hard the target is; others know neither.
    reader = "wide" if "wide" in models else source
    seen_by = pretrained.config() if config.packaged else config
    postures = Postures.of_source(data.source_val.to("cpu"), data.skeleton, seen_by.views)
    up = lifted[reader].up if target.up is None else target.up
    simulator = Simulator(postures, target, up, data.skeleton, seen_by.detector)
    rng = torch.Generator().manual_seed(seed)
    scores = scores_of(lifted, target, data.skeleton, reader)
    seen, true = [], []
    for done in range(targets):
        progress(1 + done)
        simulated = simulator.draw(NOISIEST * float(torch.rand((), generator=rng)), rng)
        poses = _lift(models, simulated.poses, data.skeleton, config)
        seen.append(scores_of(poses, simulated.poses, data.skeleton, reader))
        true.append(true_errors(poses, simulated))
    gain = None
    if prior == "wide" and "wide_target" in models:
        arms: dict[str, nn.Module] = {arm: models[arm] for arm in WIDE_ARMS}
        gain = gain_on_found(arms, lifted, simulator, config, seen_by.views, rng)
    progress(1 + targets)
    return _judge(ErrorModel.fit(seen, true), scores, len(target), prior, gain)


def gain_on_found(
    models: Mapping[str, nn.Module],
    lifted: Mapping[str, Lifts],
    simulator: Simulator,
    config: RunConfig,
    views: ViewsConfig,
    rng: torch.Generator,
) -> float | None:
    """By how much the log of wide_target's error is below that of wide on postures found in the target.

    Each arm finds postures that suit itself, so those of both count alike. Large gains are believed in part.

    Args:
        models: the wide arms.
        lifted: what they lifted.
        simulator: of targets before the same cameras.
        config: of the run.
        views: of the run.
        rng: of the draws.

    Returns:
        The gain, or None where too few frames have an upward direction, or no pose can be seen.
    """
    logs = []
    for finder in models:
        up = lifted[finder].up
        known = up.isfinite().all(1)
        if int(known.sum()) < FEWEST_ROWS:
            return None
        postures = Postures.found(lifted[finder].pose_3d[known], up[known], views)
        found = simulator.showing(postures)
        errors = []
        for _ in range(FOUND_TARGETS):
            simulated = found.draw(NOISIEST * float(torch.rand((), generator=rng)), rng)
            poses = _lift(models, simulated.poses, simulator.skeleton, config)
            errors.append(true_errors(poses, simulated))
        mean = {arm: sum(error[arm] for error in errors) for arm in models}
        logs.append(math.log(mean["wide"] / mean["wide_target"]))
    gain = sum(logs) / len(logs)
    return MOST_GAIN * math.tanh(gain / MOST_GAIN) if math.isfinite(gain) else None


def _lift(
    models: Mapping[str, nn.Module], target: UnlabelledPoses, skeleton: Skeleton, config: RunConfig
) -> dict[str, Lifts]:
    return {arm: lift_rows(model, target, skeleton, config) for arm, model in models.items()}


def _judge(
    model: ErrorModel,
    scores: Mapping[str, np.ndarray],
    rows: int,
    prior: str,
    gain: float | None = None,
) -> Evidence:
    """Recommend the prior, unless another arm's predicted error is lower by enough.

    ``gain`` is that of wide_target over wide, where it is known better than the model knows it.
    """
    log_error, covariance = model.predict(scores)
    if gain is not None:
        log_error[model.arms.index("wide_target")] = log_error[model.arms.index("wide")] - gain
    variance = np.diag(covariance)
    half = DOUBT * np.sqrt(variance + LACKING**2)
    errors = {
        arm: PredictedError(*(float(np.exp(log_error[at] + side * half[at])) for side in (0, -1, 1)))
        for at, arm in enumerate(model.arms)
    }
    doubt = np.sqrt(variance[:, None] + variance - 2 * covariance + TRANSFER**2)
    first = model.arms.index(prior)
    needed = DOUBT * doubt[first]
    if prior == "wide" and "wide_target" in model.arms:
        needed[model.arms.index("wide_target")] = GAIN
    better = np.where(log_error[first] - log_error > needed, log_error, np.inf)
    chosen = int(better.argmin()) if np.isfinite(better).any() else first
    margin = (log_error - log_error[chosen] + math.log1p(ALIKE)) / doubt[chosen]
    rivals = [float(margin[at]) for at in range(len(model.arms)) if at != chosen]
    sure = min((0.5 * math.erfc(-one / math.sqrt(2)) for one in rivals), default=None)
    return Evidence(rows, len(model.residual), errors, prior, model.arms[chosen], sure)


def lift_rows(model: nn.Module, target: UnlabelledPoses, skeleton: Skeleton, config: RunConfig) -> Lifts:
    """Lift every row by itself: a camera's rows are told apart by their lens alone, not by clips.

    What is not a number becomes 0, a joint on the root, whose error counts.
    """
    if isinstance(model, WideLifter):
        pooled = replace(target, clip=lenses(target))  # cameras of a rig stay apart
        lifted = lift_poses(model, pooled, config.training.flip, None, Told(find_lengths=False, tried=False))
        return Lifts(lifted.pose_3d.cpu().nan_to_num(), lifted.error.cpu().nan_to_num(), lifted.up.cpu())
    screen = labelfree.hidden_on_root(target, skeleton).to(next(model.parameters()).device)
    alone = torch.arange(len(target))
    pose = predict(model, screen, skeleton, config.training.flip, config.frames, alone).cpu()
    return Lifts(pose.nan_to_num(), None, torch.full((len(pose), 3), torch.nan))


def scores_of(
    lifted: Mapping[str, Lifts], target: UnlabelledPoses, skeleton: Skeleton, source: str
) -> dict[str, np.ndarray]:
    """(len(SCORES),) logs of the numbers of every arm, NaN where nothing determines one.

    Args:
        lifted: by arm.
        target: that was lifted.
        skeleton: of the poses.
        source: the arm whose expected errors say how hard the target is.
    """
    seen, camera = labelfree.seen_joints(target), lenses(target)
    hard = lifted[source].error
    expected = math.nan if hard is None else float(hard[seen].mean())
    found = {}
    for arm, lifts in lifted.items():
        pose = lifts.pose_3d.double()
        others = [other.pose_3d for name, other in lifted.items() if name != arm]
        apart = min((labelfree.moved(lifts.pose_3d, other, seen) for other in others), default=math.nan)
        values = (
            expected,
            _mean(labelfree.reprojection(pose, target, skeleton)[1]),
            _mean(labelfree.asymmetry(pose, skeleton, seen)),
            _mean(labelfree.inconstancy(pose, skeleton, camera, seen)),
            2.0 + labelfree.plausibility(pose, skeleton, seen).get("any", math.nan),
            apart,
        )
        found[arm] = np.log(np.maximum(values, 1e-6))
    return found


def true_errors(lifted: Mapping[str, Lifts], simulated: SimulatedTarget) -> dict[str, float]:
    """Mean error of each arm over seen joints, millimetres."""
    seen = labelfree.seen_joints(simulated.poses)
    return {arm: labelfree.moved(lifts.pose_3d, simulated.truth, seen) for arm, lifts in lifted.items()}


def _mean(values: Tensor) -> float:
    return float(values[values.isfinite()].double().mean())
