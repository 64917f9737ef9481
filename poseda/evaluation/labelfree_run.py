"""A run without labels: its lifters measured on the target's own 2D."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.datasets import AdaptationData, LabelledPoses, UnlabelledPoses
from poseda.datasets.account import accounts_from_json
from poseda.datasets.order import continuous_runs
from poseda.datasets.rig import names_of
from poseda.evaluation import labelfree
from poseda.evaluation.agreement import disagreement
from poseda.evaluation.evaluate import told_in
from poseda.evaluation.viewed_clips import clip_names, save_clips
from poseda.geometry.camera import tilt_of
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.predict import predict
from poseda.lifters.wide import WideLifter
from poseda.method.at_limit import lengths_at_limit, tilt_at_limit, trained_views
from poseda.method.two_passes import LiftedFootage, lenses, lift_poses
from poseda.method.views import drawn_lengths
from poseda.runs import RunFolder
from poseda.runs.verdict import source_model

ROWS = 20_000
"""Target poses measured, in whole clips as far as they fit."""

NAMED = 3
"""Most tracks whose bones are named one by one."""

CAMERAS = 32
"""Most cameras whose tilts are listed."""


def measure_without_labels(
    folder: RunFolder,
    data: AdaptationData,
    models: Mapping[str, nn.Module],
    config: RunConfig,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the label-free numbers of a run and the clips to view.

    Args:
        folder: of the run, which holds its samples already.
        data: of both domains. The target is lifted.
        models: lifters by arm; the source model is among them, and the others are compared with it.
        config: of the run. The rows of a target clip count as successive frames.
        progress: gets the number of models that are done.
    """
    skeleton = data.skeleton
    target = data.target.rows(_whole_clips(data.target.clip, ROWS)).to("cpu")
    pose_2d = labelfree.hidden_on_root(target, skeleton)
    flip, frames, run_of_row = config.training.flip, config.frames, continuous_runs(target)
    source = source_model(config.arms)
    lifted, more, up = {}, dict[str, dict[str, Any]](), dict[str, Tensor]()
    for arm, model in models.items():
        if isinstance(model, WideLifter):
            found = lift_poses(model, target, flip, run_of_row, told_in(config))
            up[arm] = found.up.cpu()
            lifted[arm] = found.pose_3d.cpu()
            more[arm] = _estimates(found, target, model, config)
        else:
            screen = pose_2d.to(_device(model))
            lifted[arm] = predict(model, screen, skeleton, flip, frames, run_of_row).cpu()
        progress(len(lifted))
    seen = labelfree.seen_joints(target)
    if target.rig is not None and target.rig.rotation is not None:
        for arm, pose in lifted.items():
            apart = disagreement(pose, target.rig, seen)
            compared = {"disagreement_mm": apart.mean, "disagreement_pairs": apart.pairs}
            more[arm] = more.get(arm, {}) | compared
    samples, _ = folder.samples.load()
    numbers: dict[str, Any] = {
        "source_model": source,
        "labels": _labels(data.source_val, skeleton),
        "models": {
            arm: labelfree.describe(pose, target, skeleton)
            | {"moved_mm": labelfree.moved(pose, lifted[source], seen)}
            | more.get(arm, {})
            for arm, pose in lifted.items()
        },
        "distances": labelfree.distances_from_target(samples, skeleton),
    }
    folder.labelfree.write(numbers)
    accounts = accounts_from_json(folder.account.read()) if folder.account.exists() else {}
    names = clip_names(data.target, list(accounts.values()))
    save_clips(folder.clips, target, lifted, skeleton, up, names)


def _estimates(
    found: LiftedFootage, target: UnlabelledPoses, model: WideLifter, config: RunConfig
) -> dict[str, Any]:
    """The tilt of each camera, where they are few, and a sentence for each estimate at a limit."""
    camera = lenses(target) if target.rig is None else target.rig.camera
    cameras = int(camera.max()) + 1 if target.rig is None else target.rig.cameras
    tilt = _tilt(found, camera, cameras) if cameras <= CAMERAS else []
    names = names_of(config.target) if target.rig is not None else _names(len(tilt))
    views, limits = trained_views(config), list[str]()
    for name, one in zip(names, tilt, strict=False):
        if one is not None and target.up is None:  # what was given is no estimate
            limits += tilt_at_limit(name, one["pitch"], one["roll"], views, bool(config.target))
    drawn = drawn_lengths(model.usual_lengths.cpu(), model.skeleton, views)
    clips, first = np.unique(target.clip.numpy(), return_index=True)
    tracks = []
    for at in range(len(clips)):
        lengths, errors = found.lengths[first[at]].cpu(), found.lengths_error[first[at]].cpu()
        name = f"track {at + 1} of the target"
        sentence = lengths_at_limit(name, lengths, errors, drawn, model.skeleton)
        tracks += [] if sentence is None else [sentence]
    if len(tracks) > NAMED:  # one stands for all
        tracks = [f"{len(tracks)} of {len(clips)} tracks have bones at a limit, such as {tracks[0]}"]
    return ({"tilt": tilt} if tilt else {}) | {"at_limits": limits + tracks}


def _names(cameras: int) -> list[str]:
    """Of the cameras of a single path, which are told apart by their lenses."""
    return ["the target's camera"] if cameras == 1 else [f"camera {at + 1}" for at in range(cameras)]


def _tilt(found: LiftedFootage, camera: Tensor, cameras: int) -> list[dict[str, float] | None]:
    """Pitch, roll and their uncertainty by camera, degrees; None where too few frames tell."""
    tilts: list[dict[str, float] | None] = []
    for number in range(cameras):
        rows = (camera == number).nonzero()[:1, 0].to(found.up.device)
        if not len(rows) or not bool(found.up[rows].isfinite().all()):
            tilts.append(None)
            continue
        pitch, roll = tilt_of(found.up[rows[0]]).rad2deg().tolist()
        error = float(found.up_error[rows[0]].rad2deg())
        tilts.append({"pitch": round(pitch, 2), "roll": round(roll, 2), "error": round(error, 2)})
    return tilts


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _labels(poses: LabelledPoses, skeleton: Skeleton) -> dict[str, Any]:
    """The same numbers of labels, which a perfect lifter would reach."""
    poses = poses.to("cpu")
    unlabelled = UnlabelledPoses(poses.pose_2d, poses.camera, poses.clip)
    return labelfree.describe(poses.root_relative, unlabelled, skeleton)


def _whole_clips(clip: Tensor, rows: int) -> Tensor:
    """Rows of a draw of clips that together have at most ``rows``, or of one clip; (M,) in order."""
    clips, member, count = clip.unique(return_inverse=True, return_counts=True)
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(0)).to(clip.device)
    fits = count[order].cumsum(0) <= rows
    fits[0] = True
    kept = torch.zeros(len(clips), dtype=torch.bool, device=clip.device)
    kept[order[fits]] = True
    return kept[member].nonzero()[:, 0][: max(rows, 1)]
