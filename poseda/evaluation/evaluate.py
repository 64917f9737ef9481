"""Scores of lifters on labelled poses, and of every lifter of a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.datasets import LabelledPoses
from poseda.datasets.order import continuous_runs, why_unordered
from poseda.datasets.sequences import check_sequences
from poseda.evaluation import metrics
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.predict import predict
from poseda.runs.folder import read_folder
from poseda.runs.weights import adapted_lifter, weights_path

Measure = Callable[[Tensor, Tensor, Skeleton, Tensor], dict[str, Any]]
"""Scores of predictions and labels (N, J, 3) of a skeleton, N clip numbers beside them."""


def evaluate(
    lifter: nn.Module,
    poses: LabelledPoses,
    skeleton: Skeleton,
    config: RunConfig,
    measure: Measure = metrics.evaluate_poses,
) -> dict[str, Any]:
    """Every metric of a lifter on labelled poses; of motion, too, where the rows are frames in order.

    Raises:
        ValueError: if the lifter sees several frames and the rows are no sequences.
    """
    check_sequences(poses, config.frames, "poses")
    device = next(lifter.parameters()).device
    run_of_row = None if why_unordered(poses) else continuous_runs(poses)
    screen = poses.pose_2d.to(device)
    prediction = predict(lifter, screen, skeleton, config.training.flip, config.frames, run_of_row)
    prediction, truth = prediction.cpu(), poses.pose_3d.cpu()
    scores = measure(prediction, truth, skeleton, poses.clip.cpu()) | {"frames": config.frames}
    return scores if run_of_row is None else scores | metrics.evaluate_motion(prediction, truth, run_of_row)


def evaluate_folder(
    out: Path,
    config: RunConfig,
    poses: LabelledPoses,
    skeleton: Skeleton,
    split: str,
    measure: Measure = metrics.evaluate_poses,
    lifter: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Evaluate every lifter of a finished run.

    Args:
        out: the run folder.
        config: of the run.
        poses: to evaluate on.
        skeleton: of the poses.
        split: what the rows call them.
        measure: gives the scores.
        lifter: the module that was adapted, if it was given in place of a name.

    Raises:
        ValueError: if the run holds no adapted lifter, or lifts another skeleton.
    """
    lifted = read_folder(out)["data"]["skeleton"]
    if skeleton.name != lifted:
        raise ValueError(f"--data: expected poses of {lifted}, which the run lifts, got {skeleton.name}")
    rows = []
    for seed in config.seeds:
        for arm in config.arms:
            if not weights_path(out, seed, arm, "lifter").exists():
                continue
            adapted = adapted_lifter(out, seed, arm, config, skeleton, lifter)
            scores = evaluate(adapted, poses, skeleton, config, measure)
            rows.append({"arm": arm, "seed": seed, "split": split, **scores})
    if not rows:
        raise ValueError(f"{out}: expected a run with at least one adapted lifter, found none")
    return rows
