"""Frames of the target in the steps of the arm wide_target: their lifted poses against their own 2D."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from poseda.config import RunConfig, WideConfig
from poseda.datasets import UnlabelledPoses
from poseda.datasets.order import continuous_runs
from poseda.datasets.records import USUAL_RATE
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.observation import Observation
from poseda.lifters.wide import Lifted
from poseda.method.draws import Draws, Uniform
from poseda.method.losses import masked_mean
from poseda.method.target_losses import consistency_loss, length_loss, reprojection_loss, speed_loss
from poseda.method.two_passes import LiftedFootage
from poseda.method.views import draw_views, unchanged, view_columns

LONGEST_GAP = 0.25
"""Seconds; frames further apart are no neighbours."""

Lift = Callable[[Observation], Lifted]


def weights_of(options: WideConfig) -> dict[str, float]:
    """Weights of the losses that are on, by the names under which they are logged."""
    weights = {
        "reprojection_loss": options.weight_reprojection,
        "length_loss": options.weight_lengths,
        "speed_loss": options.weight_speed,
        "consistency_loss": options.weight_consistency,
    }
    return {name: weight for name, weight in weights.items() if weight}


class TargetViews:
    """Draws frames of the target, each with the next one and with another one of its clip, and takes losses.

    A step is work of the device alone. Frames are left out whose upward direction was not found, or that show
    too few joints.

    Args:
        target: unlabelled single frames.
        footage: what the lifter found in them; the losses are told its directions and lengths, as a second
            pass is.
        skeleton: of the poses.
        config: weights, and from where frames are seen again.
        rng: of all random numbers; its state belongs in the checkpoint.
    """

    def __init__(
        self,
        target: UnlabelledPoses,
        footage: LiftedFootage,
        skeleton: Skeleton,
        config: RunConfig,
        rng: torch.Generator,
    ) -> None:
        self.skeleton, self.rng, self.options = skeleton, rng, config.wide
        self.weights = weights_of(config.wide)
        self._views = unchanged(config.views)
        device = footage.up.device
        known = footage.up.isfinite().all(1) & target.liftable.to(device)
        target = target.rows(known.cpu())
        shown = None if target.shown is None else target.shown.to(device)
        seen = Observation.of(
            target.pose_2d.to(device), target.camera.to(device), shown, footage.lengths.shape[1]
        )
        self._frames = seen.told(footage.up[known], footage.lengths[known])
        self._seconds = seconds_to_next(target).to(device)
        _, clip, count = target.clip.unique(return_inverse=True, return_counts=True)
        self._order = clip.argsort(stable=True).to(device)
        self._first = (count.cumsum(0) - count)[clip].to(device)
        self._count = count[clip].to(device)
        columns = view_columns(skeleton, self._views) if "consistency_loss" in self.weights else {}
        self._draws = Draws({**columns, "other": Uniform(())}, device)

    def losses(self, lift: Lift) -> dict[str, Tensor]:
        """The losses that are on, without their weights.

        Args:
            lift: the lifter in training.
        """
        batch, frames = self.options.target_views, len(self._frames)
        row = torch.randint(frames, (batch,), generator=self.rng, device=self._order.device)
        drawn = self._draws(batch, self.rng)
        rows = {"at": row}
        if "length_loss" in self.weights:
            count = self._count[row]
            step = (drawn["other"] * count).long().minimum(count - 1)
            rows["other"] = self._order[self._first[row] + step]
        if "speed_loss" in self.weights:
            rows["next"] = (row + 1).clamp_max(frames - 1)
        seen = self._frames.rows(torch.cat([*rows.values()]))
        lifted = root_relative(lift(seen).pose_3d[:, 0])
        pose = dict(zip(rows, lifted.split(batch), strict=True))
        losses = {}
        if "reprojection_loss" in self.weights:
            losses["reprojection_loss"] = reprojection_loss(lifted, seen.rays[:, 0], seen.seen[:, 0]).mean()
        if "length_loss" in self.weights:
            losses["length_loss"] = length_loss(pose["at"], pose["other"], self.skeleton).mean()
        if "speed_loss" in self.weights:
            losses["speed_loss"] = speed_loss(
                pose["at"], pose["next"], self._seconds[row], self.options.fastest
            ).mean()
        if "consistency_loss" in self.weights:
            losses["consistency_loss"] = self._consistency(lift, seen.rows(slice(batch)), pose["at"], drawn)
        return losses

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """The sum of the losses by their weights."""
        return torch.stack([weight * losses[name] for name, weight in self.weights.items()]).sum()

    def _consistency(
        self, lift: Lift, frames: Observation, pose_3d: Tensor, drawn: dict[str, Tensor]
    ) -> Tensor:
        """See lifted poses from drawn cameras, with the joints that were seen, and lift them again."""
        view = draw_views(pose_3d, frames.up, self.skeleton, self._views, drawn)
        seen = view.of(pose_3d, self.skeleton)
        again = replace(frames, rays=seen.pose_2d[:, None], up=view.up)
        lifted = root_relative(lift(again).pose_3d[:, 0])
        return masked_mean(consistency_loss(root_relative(seen.pose_3d), lifted), seen.valid)


def seconds_to_next(target: UnlabelledPoses) -> Tensor:
    """Seconds from each row to the next, (N,); infinite where that is no neighbour in time.

    Where the target has no times, successive rows of a recording count as frames at :data:`USUAL_RATE`.
    """
    gap = torch.full((len(target),), torch.inf)
    together = continuous_runs(target).diff() == 0
    if target.time is None:
        seconds = torch.full(together.shape, 1 / USUAL_RATE)
    else:
        seconds = target.time.diff().float()
    near = together & (seconds > 0) & (seconds <= LONGEST_GAP)
    gap[:-1] = seconds.where(near, torch.inf)
    return gap
