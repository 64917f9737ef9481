"""What a lifter says made right after training, on views of held-out poses: expected errors, and lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.geometry.kinematics import SHORTEST
from poseda.lifters.wide import WideLifter
from poseda.lifters.windows import lift_batch
from poseda.method.bodies import group_lengths
from poseda.training.wide import ViewSource

SHARE = 0.68
"""Of the joints of held-out views that lie within their expected errors."""

BATCHES = 20
"""Of held-out views."""

SMALLEST = 1e-6
"""Metres; smaller errors count as this, for a finite logarithm."""

PEOPLE, TOGETHER, FRAMES = 320, 8, 64
"""People of whom the lengths of bones are found, how many are lifted at once, and views of each."""

ALIKE = 0.005
"""People whose proportions have a smaller relative deviation teach nothing of other people's."""

RIDGE = 1e-3
"""Of the regression of lengths, times the mean variance of what is found."""


def calibrate(lifter: WideLifter, held: ViewSource) -> None:
    """Make right what a lifter says of views that it did not learn from.

    Args:
        lifter: in evaluation mode. Its buffers ``log_error_scale``, ``length_mix`` and ``length_shift`` are
            set.
        held: views of poses that were held back from training.
    """
    scale_errors(lifter, held)
    learn_lengths(lifter, held)


@torch.no_grad()
def scale_errors(lifter: WideLifter, held: ViewSource) -> None:
    """Scale a lifter's expected errors so that :data:`SHARE` of the joints of new views lie within them.

    This is split conformal prediction with one number: the quantile of error over expected error. It holds
    for views like these, of clips that training did not see. On other footage errors may be larger.

    Args:
        lifter, held: as in :func:`calibrate`.
    """
    before, ratios = lifter.log_error_scale.clone(), []
    for step in range(BATCHES):
        views = held.draw(*held.indices(step))
        lifted = lifter(views.observation)
        distance = (_middle(lifted.pose_3d) - _middle(views.pose_3d)).norm(dim=-1)
        ratio = distance.clamp_min(SMALLEST).log() - lifted.log_error
        ratios.append(ratio[views.valid, 1:].flatten())
    values = torch.cat(ratios)
    if len(values):
        lifter.log_error_scale.copy_(before + values.sort().values[int(SHARE * (len(values) - 1))])


@torch.no_grad()
def learn_lengths(lifter: WideLifter, held: ViewSource) -> None:
    """Learn which lengths people have in whom a lifter finds some (:meth:`WideLifter.true_lengths`).

    The proportions that are found tell the true ones by a ridge regression of logarithms. One picture does
    not show a person's size, so the size that is found is kept, but for the mean error.

    Args:
        lifter, held: as in :func:`calibrate`. Where fewer people can be seen than there are groups of bones,
            or all have the same proportions, lengths stay as they are found.
    """
    lifter.keep_lengths()
    parts = [_of_people(lifter, held) for _ in range(PEOPLE // TOGETHER)]
    found, true = (torch.cat(part) for part in zip(*parts, strict=True))
    known = (found + true).isfinite().all(1)
    groups = found.shape[1]
    if int(known.sum()) <= groups:
        return
    found, true = found[known], true[known]
    proportions, target = _centred(found), _centred(true)
    usual, aim = proportions.mean(0), target.mean(0)
    change, wanted = proportions - usual, target - aim
    if min(change.std(), wanted.std()) < ALIKE:
        return
    penalty = RIDGE * change.var() * torch.eye(groups, dtype=change.dtype, device=change.device)
    spread = change.mT @ change / len(change)
    mix = torch.linalg.solve(spread + penalty, change.mT @ wanted / len(change))
    # As one map of all lengths: it takes the size out, maps the proportions, and puts the size in again.
    even = torch.full_like(penalty, 1 / groups)
    centre = torch.eye(groups, dtype=even.dtype, device=even.device) - even
    lifter.length_mix.copy_(centre @ mix @ centre + even)
    lifter.length_shift.copy_((aim - usual @ mix) @ centre + (true - found).mean())


def _of_people(lifter: WideLifter, held: ViewSource) -> tuple[Tensor, Tensor]:
    """Logs of the lengths (N, G) that are found in people, and of their own; NaN without views."""
    views = held.recorded(TOGETHER, FRAMES)
    unknown = (torch.full_like(value, torch.nan) for value in (views.up, views.observation.lengths))
    seen = views.observation.told(*unknown)
    parts = torch.arange(len(seen), device=views.up.device).split(lift_batch(lifter.frames, views.up.device))
    lifted = torch.cat([_middle(lifter.averaged(seen.rows(rows)).pose_3d) for rows in parts])
    invalid = ~views.valid[:, None]
    lengths = (
        group_lengths(pose, lifter.skeleton).masked_fill(invalid, torch.nan)
        for pose in (lifted, _middle(views.pose_3d))
    )
    usual = (own.view(TOGETHER, FRAMES, -1).nanmedian(1).values.clamp_min(SHORTEST) for own in lengths)
    found, true = (own.double().log() for own in usual)
    return found, true


def _middle(pose_3d: Tensor) -> Tensor:
    """(N, J, 3) middle frames of windows (N, T, J, 3)."""
    return pose_3d[:, pose_3d.shape[1] // 2]


def _centred(values: Tensor) -> Tensor:
    return values - values.mean(1, keepdim=True)
