"""Expected errors made right: a share of held-out joints, known beforehand, lies within them."""

from __future__ import annotations

import torch

from poseda.lifters.wide import WideLifter
from poseda.training.wide import ViewSource

SHARE = 0.68
"""Of the joints of held-out views that lie within their expected errors."""

BATCHES = 20
"""Of held-out views."""

SMALLEST = 1e-6
"""Metres; smaller errors count as this, for a finite logarithm."""


@torch.no_grad()
def calibrate(lifter: WideLifter, held: ViewSource) -> None:
    """Scale a lifter's expected errors so that :data:`SHARE` of the joints of new views lie within them.

    This is split conformal prediction with one number: the quantile of error over expected error. It holds
    for views like these, of clips that training did not see. On other footage errors may be larger.

    Args:
        lifter: in evaluation mode. Its buffer ``log_error_scale`` is set.
        held: views of poses that were held back from training.
    """
    before, ratios = lifter.log_error_scale.clone(), []
    for step in range(BATCHES):
        views = held.draw(*held.indices(step))
        lifted = lifter(views.observation)
        frame = views.pose_3d.shape[1] // 2
        pose = lifted.pose_3d[:, lifted.pose_3d.shape[1] // 2]
        distance = (pose - views.pose_3d[:, frame]).norm(dim=-1)
        ratio = distance.clamp_min(SMALLEST).log() - lifted.log_error
        ratios.append(ratio[views.valid, 1:].flatten())
    values = torch.cat(ratios)
    if len(values):
        lifter.log_error_scale.copy_(before + values.sort().values[int(SHARE * (len(values) - 1))])
