"""What a recording says of its people and its camera: bone lengths, and estimates that stand at a limit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from poseda.export import LiftedPoses
from poseda.export.poses import BoneLengths
from poseda.geometry.skeleton import Skeleton
from poseda.inference.model import AdaptedLifter, LiftOptions
from poseda.inference.proportions import standing_height
from poseda.lifters.wide import WideLifter
from poseda.method.at_limit import lengths_at_limit, tilt_at_limit, trained_views
from poseda.method.bodies import group_lengths
from poseda.method.two_passes import FEWEST_FRAMES, independent_frames, usual
from poseda.method.views import drawn_lengths

if TYPE_CHECKING:
    from poseda.inference.wide import Found


def bone_lengths(
    lifted: Tensor, final: Tensor, clip: np.ndarray, person: np.ndarray, skeleton: Skeleton, given: bool
) -> BoneLengths:
    """The lengths of every person's bones, and how sure they are.

    They are medians over frames of the final poses: after a fit all frames have them. How much the lifter's
    own poses scatter tells the standard error, which is unknown of people of few frames.

    Args:
        lifted: (V, J, 3) metres, before any fit.
        final: (V, J, 3) metres.
        clip, person: (V,) whose poses these are.
        skeleton: of the poses.
        given: whether a given stature sets their scale.
    """
    who, row = np.unique(np.stack([clip, person], 1), axis=0, return_inverse=True)
    own, before = _measured(final, skeleton), _measured(lifted, skeleton)
    values, errors = [], []
    for number in range(len(who)):
        rows = torch.from_numpy(np.flatnonzero(row.reshape(-1) == number))
        values.append(own[rows].median(0).values)
        median, error = usual(before[rows], independent_frames(lifted[rows]))
        if given:  # the scatter grows with the person
            error = error * values[-1][:-1].sum() / median[:-1].sum()
            error[-1] = 0  # the height itself is what is given
        errors.append(error if len(rows) >= FEWEST_FRAMES else torch.full_like(error, torch.nan))
    length, spread = (torch.stack(part).numpy().astype(np.float32) for part in (values, errors))
    told_by = "stature" if given else "found"
    return BoneLengths(
        who[:, 0], who[:, 1], length[:, :-1], spread[:, :-1], length[:, -1], spread[:, -1], told_by
    )


def _measured(pose_3d: Tensor, skeleton: Skeleton) -> Tensor:
    """(V, G + 1) lengths of bones, and the standing height that they make; NaN where no legs are known."""
    lengths = group_lengths(pose_3d.contiguous(), skeleton)
    try:
        height = standing_height(lengths, skeleton)
    except ValueError:
        height = lengths.new_full((len(lengths),), torch.nan)
    return torch.cat([lengths, height[:, None]], 1)


def height_lines(poses: LiftedPoses) -> list[str]:
    """A line for each person of enough frames: how tall the bones make them, and what tells it."""
    if poses.lengths is None:
        return []
    told = {"found": "found", "stature": "as given"}[poses.lengths.told_by]
    lines = []
    for at, (clip, person) in enumerate(poses.lengths.people()):
        height, error = poses.lengths.height[at], poses.lengths.height_error[at]
        if math.isfinite(height) and math.isfinite(error):
            spread = f" +- {error:.2f}" if error > 0 else ""
            name = f"person {person} of clip {poses.clip_name(clip)}"
            lines.append(f"{name}: {height:.2f}{spread} m tall by the bones ({told})")
    return lines


def at_limits(found: Found, poses: LiftedPoses, model: AdaptedLifter, options: LiftOptions) -> Iterator[str]:
    """A sentence or two for each estimate that stands at a limit. What was given is no estimate."""
    assert isinstance(model.lifter, WideLifter)
    views = trained_views(model.config)
    for clip in found.pitch if options.camera_pitch is None else ():
        least, most = found.moved.get(clip, (found.pitch[clip],) * 2)
        name = f"clip {poses.clip_name(clip)}"
        angles = [(least, found.roll[clip])] if least == most else [(least, 0.0), (most, found.roll[clip])]
        for pitch, roll in angles:
            yield from tilt_at_limit(name, pitch, roll, views)
    if poses.lengths is None or poses.lengths.told_by != "found":
        return
    drawn = drawn_lengths(model.lifter.usual_lengths.cpu(), model.skeleton, views)
    for at, (clip, person) in enumerate(poses.lengths.people()):
        if np.isfinite(poses.lengths.error[at]).all():  # of people of few frames little is known
            name = f"person {person} of clip {poses.clip_name(clip)}"
            own, error = (torch.from_numpy(part[at]) for part in (poses.lengths.metres, poses.lengths.error))
            if (sentence := lengths_at_limit(name, own, error, drawn, model.skeleton)) is not None:
                yield sentence
