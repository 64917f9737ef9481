"""Footage lifted in two passes: the first finds what the pictures agree on, the second is told it.

All frames of one camera that rests share one upward direction, and all frames of one person the lengths of
the bones. The first pass lifts every frame by itself. Its votes and its lengths are pooled, lengths brought
to true ones where that is known, and the second pass is told both. Nothing but 2D is read. What is found on
the clip itself makes the result transductive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from poseda.datasets.records import LabelledPoses, UnlabelledPoses
from poseda.geometry.kinematics import root_relative
from poseda.lifters.directions import Ballot, vote, vote_together
from poseda.lifters.observation import Observation
from poseda.lifters.wide import Lifted, WideLifter
from poseda.lifters.windows import ClipWindows, lift_batch
from poseda.method.bodies import group_lengths
from poseda.method.trial import evidence

FEWEST_FRAMES = 8
"""Fewer frames of a camera or a person tell neither an upward direction nor lengths."""

SURE_FRAMES = 16
"""Lengths of fewer independent frames are told as they are found: what they scatter would grow with the map
to the true ones, which is learned from people of many frames."""

MEDIAN_ERROR = 1.4826 * math.sqrt(math.pi / 2)
"""Standard error of the median of normal values, over their median absolute deviation and by root of N."""

UNCORRELATED = 0.05
"""An autocorrelation below this is noise."""


@dataclass(frozen=True)
class Told:
    """What may be told to the second pass beside what the first pass found.

    Args:
        up: (3,) or (N, 3) upward in camera axes, given by the user, or None to find it.
        find_up: find the upward direction where it is not given.
        find_lengths: find the lengths of each person's bones.
        true_lengths: tell those that people have in whom these are found (:meth:`WideLifter.true_lengths`).
            Not for detections: what a detector calls a hip is no hip of the source.
        tried: beside the vote, lift some frames under many directions (:mod:`poseda.method.trial`).
    """

    up: Tensor | None = None
    find_up: bool = True
    find_lengths: bool = True
    true_lengths: bool = False
    tried: bool = True


ONE_PASS = Told(find_up=False, find_lengths=False)
"""Nothing is found and nothing is told."""


@dataclass(frozen=True)
class LiftedFootage:
    """Lifted frames.

    Attributes:
        pose_3d: (N, J, 3) metres, camera axes, root at the origin.
        error: (N, J) distance to the truth within which 68 % of the joints lie, metres.
        up: (N, 3) the upward direction that was told to each frame; NaN where none was.
        lengths: (N, G) the lengths that were told, metres; NaN where none were.
        up_error: (N,) uncertainty of a found direction, radians; 0 where it was given, NaN where unknown.
        lengths_error: (N, G) standard error of the lengths, metres; NaN where none were told. Of what the
            lifter errs alike in all frames it knows nothing.
    """

    pose_3d: Tensor
    error: Tensor
    up: Tensor
    lengths: Tensor
    up_error: Tensor
    lengths_error: Tensor


@torch.no_grad()
def lift_frames(
    lifter: WideLifter,
    frames: Observation,
    camera: Tensor,
    person: Tensor,
    told: Told = Told(),
    run_of_row: Tensor | None = None,
    average: bool = True,
    rotation: Tensor | None = None,
    telling: Tensor | None = None,
) -> LiftedFootage:
    """Lift frames in one pass or two.

    Args:
        lifter: in evaluation mode.
        frames: N single frames.
        camera: (N,) int64; frames of one number are of one resting camera.
        person: (N,) int64; frames of one number show one person.
        told: what is given, and what is to be found.
        run_of_row: (N,), read by lifters of several frames: rows of one number are consecutive frames.
        average: average with the mirrored frames.
        rotation: (C, 3, 3) from one world to the axes of camera 0 to C - 1, where they are calibrated to each
            other. The cameras then vote together.
        telling: (N,) bool, frames that tell the upward direction and lengths. None: all.
    """
    telling = torch.ones_like(camera, dtype=torch.bool) if telling is None else telling
    windows = (
        None
        if lifter.frames == 1 or run_of_row is None
        else ClipWindows(run_of_row, lifter.frames, lifter.target_frame)
    )
    size = len(frames)
    up = frames.up.new_full((size, 3), torch.nan)
    up_error = frames.up.new_full((size,), torch.nan)
    lengths = lengths_error = frames.lengths.new_full(frames.lengths.shape, torch.nan)
    if told.up is not None:
        up, up_error = told.up.to(up).expand(size, 3), torch.zeros_like(up_error)
    first = None
    if told.find_lengths or (told.find_up and told.up is None):
        first = _pass(lifter, frames.told(up), windows, average)
        if told.find_up and told.up is None:
            up, up_error = _voted(lifter, frames, first, camera, person, rotation, told.tried, telling)
        if told.find_lengths:
            lengths, lengths_error = _lengths(first, lifter, person, telling, told.true_lengths)
    nothing = not bool(up.isfinite().any()) and not bool(lengths.isfinite().any())
    if first is None or not nothing:
        first = _pass(lifter, frames.told(up, lengths), windows, average)
    pose_3d = root_relative(first.pose_3d[:, 0])
    return LiftedFootage(pose_3d, first.log_error.exp(), up, lengths, up_error, lengths_error)


def _pass(lifter: WideLifter, frames: Observation, windows: ClipWindows | None, average: bool) -> Lifted:
    """Lift every frame: of (N, T, …) poses the target frame is kept."""
    parts = []
    index = torch.arange(len(frames), device=frames.rays.device)
    for part in index.split(lift_batch(lifter.frames, index.device)):
        if windows is not None:
            seen = frames.windows(windows.rows(part))
        else:
            seen = frames.windows(part[:, None].expand(-1, lifter.frames))
        lifted = (lifter.averaged if average else lifter)(seen)
        at = lifter.frames // 2 if lifter.target_frame is None else lifter.target_frame
        if lifted.pose_3d.shape[1] > 1:
            lifted = lifted._replace(pose_3d=lifted.pose_3d[:, at : at + 1])
        parts.append(lifted)
    return Lifted(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _voted(
    lifter: WideLifter,
    frames: Observation,
    first: Lifted,
    camera: Tensor,
    person: Tensor,
    rotation: Tensor | None,
    tried: bool,
    telling: Tensor,
) -> tuple[Tensor, Tensor]:
    """Upward direction (N, 3) and its uncertainty (N,) by camera; NaN for cameras of too few frames.

    Cameras whose rotations are known vote together, and all of them have the direction that was found.
    """
    up = first.turn.new_full((len(camera), 3), torch.nan)
    error = first.turn.new_full((len(camera),), torch.nan)
    numbers = camera.unique().tolist()
    groups = [(camera == number).nonzero()[:, 0] for number in numbers]
    voters = [rows[telling[rows]] for rows in groups]

    def lift(some: Observation) -> Tensor:
        return root_relative(_pass(lifter, some, None, average=False).pose_3d[:, 0])

    ballots = []
    for rows in voters:
        worth = _worth(first, rows, person)
        few = len(rows) < FEWEST_FRAMES
        found = None if few or not tried else evidence(lift, frames.rows(rows), worth)
        ballots.append(Ballot(first.up[rows], first.turn[rows], worth, found))
    if rotation is not None and int(telling.sum()) >= FEWEST_FRAMES:
        there = [at for at, rows in enumerate(voters) if len(rows)]
        seen_by = rotation[[numbers[at] for at in there]]
        world, spread = vote_together([ballots[at] for at in there], seen_by, lifter.log_prior)
        for number, rows in zip(numbers, groups, strict=True):
            up[rows], error[rows] = rotation[number].to(world) @ world, spread
        return up, error
    for ballot, rows, own in zip(ballots, groups, voters, strict=True):
        if len(own) >= FEWEST_FRAMES:
            up[rows], error[rows] = vote(ballot, lifter.log_prior)
    return up, error


def _worth(first: Lifted, rows: Tensor, person: Tensor) -> float:
    """How many independent frames these rows of one camera are worth."""
    people = person[rows]
    return sum(independent_frames(first.pose_3d[rows[people == one], 0]) for one in people.unique().tolist())


def independent_frames(pose_3d: Tensor) -> float:
    """How many independent frames a recording is worth: its length over twice its correlation time.

    Successive frames of one posture err alike. The correlation time is the sum of the autocorrelations of
    the poses, up to the first that is lost in noise; frames in no order have none.

    Args:
        pose_3d: (N, J, 3) of one person, in the order of the frames.
    """
    frames = len(pose_3d)
    change = pose_3d.flatten(1) - pose_3d.flatten(1).mean(0)
    variance = change.square().sum() / frames
    if frames < 2 or not variance > 0:
        return 1.0
    # By the transform of the whole recording, padded: N lags at the cost of a few.
    spectrum = torch.fft.rfft(change, 2 * frames, dim=0)
    product = torch.fft.irfft(spectrum.abs().square().sum(1), 2 * frames)[:frames]
    count = torch.arange(frames, 0, -1, device=change.device)
    correlation = (product / count / variance)[1 : max(frames // 2, 2)]
    lost = (correlation < UNCORRELATED).nonzero()
    within = correlation[: int(lost[0])] if len(lost) else correlation
    return float(frames / (1 + 2 * within.sum().clamp_min(0)))


def _lengths(
    first: Lifted, lifter: WideLifter, person: Tensor, telling: Tensor, true: bool
) -> tuple[Tensor, Tensor]:
    """(N, G) lengths by person and their standard errors; NaN for people of too few frames."""
    poses = first.pose_3d[:, 0]
    found = group_lengths(poses, lifter.skeleton)
    lengths, errors = torch.full_like(found, torch.nan), torch.full_like(found, torch.nan)
    for number in person.unique().tolist():
        rows = (person == number).nonzero()[:, 0]
        own = rows[telling[rows]]
        if len(own) >= FEWEST_FRAMES:
            independent = independent_frames(poses[own])
            median, error = usual(found[own], independent)
            if true and independent >= SURE_FRAMES:
                median, error = lifter.true_lengths(median, error)
            lengths[rows], errors[rows] = median, error
    return lengths, errors


def usual(values: Tensor, independent: float) -> tuple[Tensor, Tensor]:
    """The median of values (N, G) over frames and its standard error, both (G,).

    The error is that of normal values whose spread is the median absolute deviation. A few wild frames
    change neither.

    Args:
        values: of N frames.
        independent: how many independent frames these are worth, see :func:`independent_frames`.
    """
    median = values.median(0).values
    deviation = (values - median).abs().median(0).values
    return median, MEDIAN_ERROR * deviation / math.sqrt(independent)


def lift_poses(
    lifter: WideLifter,
    poses: LabelledPoses | UnlabelledPoses,
    average: bool = True,
    run_of_row: Tensor | None = None,
    told: Told = Told(),
) -> LiftedFootage:
    """Lift the 2D of a table of poses.

    Cameras and people are told apart by the columns ``camera`` and ``subject`` where the table has them, else
    cameras by their lenses and people by clips. The cameras of a rig that is calibrated vote together. An
    upward direction that the table gives is told instead of what would be found. Rows of a target that show
    too few joints are lifted, but tell nothing. Where joints are unseen, lengths are told as they are found.
    """
    device = next(lifter.parameters()).device
    visible = poses.shown if isinstance(poses, UnlabelledPoses) else None
    frames = Observation.of(
        poses.pose_2d.to(device),
        poses.camera.to(device),
        None if visible is None else visible.to(device),
        lifter.skeleton.num_groups,
    )
    columns = poses.columns if isinstance(poses, LabelledPoses) else {}
    camera, person = _numbered(columns.get("camera")), _numbered(columns.get("subject"))
    camera = lenses(poses) if camera is None else camera
    person = poses.clip if person is None else person
    rotation, telling = None, None
    if isinstance(poses, UnlabelledPoses):
        telling = poses.liftable.to(device)
    if isinstance(poses, UnlabelledPoses) and poses.rig is not None and poses.rig.rotation is not None:
        camera, rotation = poses.rig.camera, poses.rig.rotation
    if isinstance(poses, UnlabelledPoses) and poses.up is not None and told.find_up and told.up is None:
        told = replace(told, up=poses.up)  # what the user gives wins over a vote
    if visible is not None:
        told = replace(told, true_lengths=False)
    lifter.eval()
    return lift_frames(
        lifter, frames, camera.to(device), person.to(device), told, run_of_row, average, rotation, telling
    )


def _numbered(column: np.ndarray | None) -> Tensor | None:
    if column is None or column.ndim != 1:
        return None
    return torch.from_numpy(np.unique(column, return_inverse=True)[1].reshape(-1))


def lenses(poses: LabelledPoses | UnlabelledPoses) -> Tensor:
    """(N,) number of the lens of each row. Cameras of a rig are different lenses, even if they are alike."""
    lens = torch.cat([poses.camera.focal, poses.camera.center], 1)
    rig = poses.rig if isinstance(poses, UnlabelledPoses) else None
    if rig is not None:
        lens = torch.cat([lens.expand(len(poses), 4), rig.camera[:, None].to(lens)], 1)
    if len(lens) == 1:
        return torch.zeros(len(poses), dtype=torch.int64)
    return lens.unique(dim=0, return_inverse=True)[1]
