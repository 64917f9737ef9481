"""Scores of lifters on labelled poses, and of every lifter of a run folder."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.datasets import Domains, LabelledPoses, NoLabelsError
from poseda.datasets.order import continuous_runs, why_unordered
from poseda.datasets.sequences import check_sequences
from poseda.evaluation import metrics
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.predict import predict
from poseda.lifters.wide import WideLifter
from poseda.method.two_passes import Told, lenses, lift_poses
from poseda.runs import RunFolder

SPLITS = ("source_val", "target_test")
"""Splits that a run is evaluated on, in the order of its rows, where they have labels."""

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
    if isinstance(lifter, WideLifter):
        prediction = lift_poses(lifter, poses, config.training.flip, run_of_row, told_in(config)).pose_3d
    else:
        screen = poses.pose_2d.to(device)
        prediction = predict(lifter, screen, skeleton, config.training.flip, config.frames, run_of_row)
    prediction, truth = prediction.cpu(), poses.pose_3d.cpu()
    scores = measure(prediction, truth, skeleton, poses.clip.cpu()) | {"frames": config.frames}
    scores["per_camera"] = by_camera(metrics.mpjpe(prediction, truth), poses)
    return scores if run_of_row is None else scores | metrics.evaluate_motion(prediction, truth, run_of_row)


def told_in(config: RunConfig) -> Told:
    """What a second pass is told of the data of a run: of detections, the lengths as they are found."""
    return Told(true_lengths=not config.target)


def by_camera(errors: Tensor, poses: LabelledPoses) -> dict[str, float]:
    """Mean error by camera; empty for more than :data:`MOST_CAMERAS`.

    Args:
        errors: (N,) of each pose.
        poses: N. Cameras are told apart by the column ``camera`` where there is one, else by their lenses.
    """
    column = poses.columns.get("camera")
    numbers = column if column is not None and column.ndim == 1 else lenses(poses).cpu().numpy()
    names = np.unique(numbers)
    if len(names) > MOST_CAMERAS:
        return {}
    return {str(name): float(errors[torch.from_numpy(numbers == name)].mean()) for name in names}


MOST_CAMERAS = 32
"""Cameras whose errors are kept one by one."""


def evaluate_folder(
    folder: RunFolder,
    poses: LabelledPoses,
    skeleton: Skeleton,
    split: str,
    measure: Measure = metrics.evaluate_poses,
    lifter: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Evaluate every lifter of a finished run.

    Args:
        folder: of the run.
        poses: to evaluate on.
        skeleton: of the poses.
        split: what the rows call them.
        measure: gives the scores.
        lifter: the module that was adapted, if it was given in place of a name.

    Raises:
        ValueError: if the run holds no adapted lifter, or lifts another skeleton.
    """
    lifted, config = folder.read_record()["data"]["skeleton"], folder.read_config()
    if skeleton.name != lifted:
        raise ValueError(f"--data: expected poses of {lifted}, which the run lifts, got {skeleton.name}")
    rows = []
    for seed, arm in product(config.seeds, config.arms):
        if folder.weights(seed, arm, "lifter").exists():
            adapted = folder.lifter(seed, arm, config, skeleton, lifter)
            scores = evaluate(adapted, poses, skeleton, config, measure)
            rows.append({"arm": arm, "seed": seed, "split": split, **scores})
    if not rows:
        raise ValueError(f"{folder.path}: expected a run with at least one adapted lifter, found none")
    return rows


def labelled_splits(domains: Domains, frames: int) -> tuple[str, ...]:
    """The splits that a lifter can be evaluated on: own footage has no labels for ``target_test``.

    The labels are read once and dropped, so that a file without them is refused before training.

    Args:
        domains: to evaluate on.
        frames: T of the lifter.

    Raises:
        DataError: if labels are missing from domains that should have them.
        ValueError: if windows of frames are asked of rows that are no sequences.
    """
    splits = []
    for split in SPLITS:
        try:
            check_sequences(domains.evaluation(split), frames, split)
        except NoLabelsError:
            continue
        splits.append(split)
    return tuple(splits)
