"""Motions of people whose bones keep their lengths, fitted to lifted poses and to what the camera saw.

A lifter answers frame by frame, so bones of one person change their lengths, joints leave their rays and
movements tremble. :func:`fit` finds the motion of each person that agrees best with

* the lifter's poses, within the error that it states;
* the rays of seen joints, within the detector's noise, with outliers (Geman and McClure);
* smooth movement in real time: Huber's function of accelerations, integrated over time;
* lengths near the lifter's medians.

Lengths are constant in a track and symmetric by construction. :mod:`poseda.inference.energy` states the cost,
:mod:`poseda.inference.gauss_newton` minimises it, :mod:`poseda.inference.proportions` measures bodies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.placements import locate, without_outliers
from poseda.geometry.skeleton import Skeleton
from poseda.inference.energy import Energy, Evidence, Motion, project
from poseda.inference.fit_arguments import Frames, check, check_values, statures
from poseda.inference.gauss_newton import minimise
from poseda.inference.proportions import standing_height, usual_lengths

FEWEST_SEEN = 4
"""Joints that must be seen in a frame for its rays to count. Lifter and time carry the other frames."""

SMALLEST_ERROR = 1e-3
"""Metres; no lifter is trusted beyond this."""

AVERAGED = 0.04
"""Seconds over which :attr:`FitOptions.acceleration` is a mean. Means over longer times are smaller."""

SIZE_SHARE = 0.03
"""Noise of a detector over a person's size. It was best on real footage of three detectors."""

PLACEMENT_STEPS = 2
"""Gauss-Newton steps after the linear solution of the root."""

SOMEWHERE = (0.0, 0.0, 4.0)
"""Metres: where people stand while they are fitted of whom no frame can be placed."""


@dataclass(frozen=True)
class FitOptions:
    """How a fit weighs what it knows, and when it ends."""

    rate: float = 30.0
    """Frames a second, in the units of ``time``."""
    acceleration: float = 6.0
    """Usual acceleration of a joint, m/s^2, as a mean over a 25th of a second. Above it, cost is linear."""
    outlier: float = 4.0
    """A ray that misses by this many times the noise has a quarter of its weight left."""
    length_error: float = 0.1
    """Standard deviation of the logarithm of lengths about the lifter's median."""
    steps: int = 30
    """Most steps of Gauss and Newton. Where a fit ended too early, roots of people whose hips come and go
    jumped by 0.4 m. Some tracks are not finished even so; :attr:`Fitted.converged` tells which."""
    inner: int = 60
    """Most conjugate gradients of a step. With 30, two real clips needed 17 and 48 steps instead of 11 and
    21 (benchmarks/README.md)."""
    tolerance: float = 1e-3
    """Metres; a track has converged when a step changes its pose by less, root mean square."""
    frames_at_once: int = 20_000
    """Tracks are fitted together up to so many frames, about 200 MB. A longer track is fitted alone."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if not value > 0:
                raise ValueError(f"options.{option.name}: expected a number above 0, got {value}")


@dataclass(frozen=True)
class Fitted:
    """F fitted frames of N tracks, in the order of the input.

    Args:
        pose_3d: (F, J, 3) float32 metres, relative to the root; NaN in frames that had no pose.
        root: (F, 3) float32 metres, camera frame; NaN there and where no frame of a track could be placed.
        tracks: (N,) the numbers of the tracks, rising.
        lengths: (N, G) float32 metres of symmetric groups of bones, a row for each of ``tracks``.
        scale: (F,) float32, by which a stature enlarged the lifted pose; 1 without one.
        before, after: (F,) mean distance of rays and seen joints, for the lifted and the fitted pose. The
            lifted pose stands where it fits best. NaN in frames with fewer than FEWEST_SEEN seen joints.
        carried: (F,) bool, frames with a pose but too few seen joints: lifter and time alone speak there.
        outlier: (F, J) bool, seen joints whose rays have less than half of their weight left.
        converged: (N,) bool. A track without a pose has nothing to converge.
    """

    pose_3d: Tensor
    root: Tensor
    tracks: Tensor
    lengths: Tensor
    scale: Tensor
    before: Tensor
    after: Tensor
    carried: Tensor
    outlier: Tensor
    converged: Tensor

    @property
    def unconverged(self) -> int:
        """Tracks whose last step was still above the tolerance."""
        return int((~self.converged).sum())


def fit(
    pose_3d: Tensor,
    sigma: Tensor,
    rays: Tensor,
    seen: Tensor,
    track: Tensor,
    time: Tensor,
    skeleton: Skeleton,
    *,
    noise: Tensor | float,
    stature: Tensor | float | None = None,
    options: FitOptions | None = None,
) -> Fitted:
    """Fit the motion of each track. It computes on the host, with the same bits each time.

    Example:
        >>> from poseda import H36M16
        >>> from poseda.ops.samples import augment_arguments
        >>> pose = augment_arguments(4, H36M16)["pose_3d"]
        >>> rays, seen = pose[..., :2] / pose[..., 2:], torch.ones(4, 16, dtype=torch.bool)
        >>> track, time = torch.zeros(4, dtype=torch.int64), torch.arange(4)
        >>> local = pose - pose[:, :1]
        >>> fit(local, torch.full((4, 16), 0.05), rays, seen, track, time, H36M16, noise=0.01).lengths.shape
        torch.Size([1, 9])

    Args:
        pose_3d: (F, J, 3) metres, lifted, relative to the root, axes of the camera. Frames with NaN stay NaN.
        sigma: (F, J) metres, standard deviation of the lifter's error along an axis.
        rays: (F, J, 2) x/z and y/z of undistorted detections. Those of unseen joints may hold anything.
        seen: (F, J) bool.
        track: (F,) int64, one number for each person of each clip, in any order.
        time: (F,) int64 frame numbers. Some may be missing, none may stand twice in a track.
        skeleton: of the poses.
        noise: standard deviation of the detector's error along an axis, in units of rays; a number, or a
            tensor that expands to (F, J). :func:`noise_of_size` makes it from people's sizes.
        stature: standing height in metres, of all or (N,) of each track in rising order; NaN where unknown.
            Without it, scale comes from the people with whom the lifter was trained.
        options: weights and ends.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    options = options or FitOptions()
    noise = torch.as_tensor(noise, dtype=torch.float32)
    check(pose_3d, sigma, rays, seen, track, time, skeleton, noise)
    arguments = (pose_3d, sigma, rays, seen, track, time, noise.expand(seen.shape))
    frames = Frames(*(value.detach().cpu() for value in arguments))
    numbers, rows = frames.track.unique(return_inverse=True)
    height = statures(stature, len(numbers), skeleton)
    frames = frames._replace(track=rows)
    valid = frames.pose_3d.isfinite().all(-1).all(-1)
    order = torch.from_numpy(np.lexsort((frames.time.numpy(), rows.numpy())))
    order = order[valid[order]]
    ordered = frames.rows(order)
    check_values(ordered)
    fitted = _nothing(frames, numbers, skeleton)
    usual = usual_lengths(ordered.pose_3d, ordered.track, len(numbers), skeleton)
    for part in _parts(ordered.track, options.frames_at_once):
        _fit_part(ordered.rows(part), order[part], usual, height, skeleton, options, fitted)
    device = pose_3d.device
    return Fitted(*(getattr(fitted, field.name).to(device) for field in fields(fitted)))


def noise_of_size(rays: Tensor, seen: Tensor, share: float = SIZE_SHARE) -> Tensor:
    """Noise of a detector that errs by a share of the person's size.

    Args:
        rays: (F, J, 2).
        seen: (F, J) bool.
        share: of the diagonal of the box of seen joints.

    Returns:
        (F, 1) in units of rays. Frames with fewer than two seen joints have the median of the others.
    """
    unseen = ~seen[..., None]
    size = rays.masked_fill(unseen, -torch.inf).amax(1) - rays.masked_fill(unseen, torch.inf).amin(1)
    diagonal = size.norm(dim=-1).masked_fill(seen.sum(1) < 2, torch.nan)
    usual = diagonal.nanmedian().nan_to_num(1.0)
    return share * diagonal.where(diagonal > 0, usual)[:, None]


def _fit_part(
    frames: Frames,
    rows: Tensor,
    usual: Tensor,
    height: Tensor,
    skeleton: Skeleton,
    options: FitOptions,
    into: Fitted,
) -> None:
    """Fit whole tracks, and write them into the rows of a result.

    ``usual`` are lengths (N, G) and ``height`` statures (N,) of all tracks, NaN where unknown.
    """
    tracks, track = frames.track.unique(return_inverse=True)
    usable = frames.seen & (frames.seen.sum(1, keepdim=True) >= FEWEST_SEEN)
    frames = frames._replace(track=track, seen=usable)
    first, usual = _scale(usual[tracks], height[tracks], skeleton), usual[tracks]
    pose, usual = frames.pose_3d * first[track, None, None], usual * first[:, None]
    root, placed = _roots(pose, frames)
    frames = frames._replace(
        pose_3d=pose, sigma=frames.sigma * first[track, None], seen=usable & placed[:, None]
    )
    energy = Energy(_evidence(frames, usual, options), skeleton, options.outlier)
    start = Motion(pose + root[:, None], usual.log())
    motion, converged = minimise(energy, start, options.steps, options.inner, options.tolerance)
    lengths = motion.lengths.double().exp()
    scale = _scale(lengths, height[tracks], skeleton)  # the picture does not change with it
    lengths = lengths * scale[:, None]
    trust = energy.trust(energy.misfit(project(motion.joints)), 1.0)[..., 0]
    into.pose_3d[rows] = _posed(motion, lengths, track, skeleton).float()
    root = motion.joints[:, 0] * scale.float()[track, None]
    into.root[rows] = root.where(placed[:, None], torch.nan)
    into.lengths[tracks], into.scale[rows] = lengths.float(), first.float()[track]
    into.before[rows], into.after[rows] = _distance(start.joints, frames), _distance(motion.joints, frames)
    into.carried[rows] = ~frames.seen.any(1)
    into.outlier[rows] = frames.seen & (trust < 0.5)
    into.converged[tracks] = converged


def _scale(lengths: Tensor, height: Tensor, skeleton: Skeleton) -> Tensor:
    """(N,) factors that make bodies with lengths (N, G) as tall as ``height`` (N,), 1 where that is NaN."""
    if not bool(height.isfinite().any()):
        return lengths.new_ones(len(lengths))
    return (height / standing_height(lengths, skeleton)).where(height.isfinite(), 1.0)


def _evidence(frames: Frames, usual: Tensor, options: FitOptions) -> Evidence:
    weight = frames.sigma.clamp_min(SMALLEST_ERROR) ** -2
    weight[:, 0] = 0  # the root is at the origin, in the lifted pose and in the fitted one
    return Evidence(
        pose=frames.pose_3d,
        pose_weight=weight,
        rays=frames.rays.where(frames.seen[..., None], 0.0),
        noise=frames.noise.where(frames.seen, torch.inf),
        track=frames.track,
        bend=_bend(frames.track, frames.time.double() / options.rate, options.acceleration).float(),
        lengths=usual.log(),
        length_weight=options.length_error**-2,
    )


def _bend(track: Tensor, seconds: Tensor, acceleration: float) -> Tensor:
    """(3, F - 2) factors of three frames that give their acceleration; squares add up to its integral.

    Over a long gap the integral of the least acceleration vanishes: the gap holds frames together less.
    """
    before, after = seconds.diff()[:-1], seconds.diff()[1:]
    together = (track[2:] == track[:-2]).to(seconds)
    before, after = before.where(together > 0, 1.0), after.where(together > 0, 1.0)
    both = before + after
    size = together * (both / 2 / AVERAGED).sqrt() / acceleration
    return size * torch.stack([2 / (before * both), -2 / (before * after), 2 / (after * both)])


def _roots(pose: Tensor, frames: Frames) -> tuple[Tensor, Tensor]:
    """Where poses fit their rays best (F, 3), and which tracks' frames (F,) can be placed.

    Rays far off count in the first of two solutions only. Frames without a solution lie on the line between
    the frames before and after.
    """
    one = torch.ones(1, 2, dtype=torch.float64)
    camera, pose = Camera(one, torch.zeros_like(one)), pose.double()
    rays = frames.rays.double().where(frames.seen[..., None], 0.0)
    root = locate(pose, rays, camera, frames.seen, PLACEMENT_STEPS)
    near = without_outliers((project(pose + root[:, None]) - rays).norm(dim=-1), frames.seen)
    again = locate(pose, rays, camera, near, PLACEMENT_STEPS)
    enough = (near.sum(1) >= FEWEST_SEEN) & again.isfinite().all(1)
    root = again.where(enough[:, None], root)
    there = root.isfinite().all(1) & frames.seen.any(1)
    placed = torch.ones_like(there)
    for number in frames.track[~there].unique().tolist():
        rows = torch.nonzero(frames.track == number)[:, 0]
        found = rows[there[rows]]
        if len(found) == 0:
            root[rows], placed[rows] = torch.tensor(SOMEWHERE, dtype=root.dtype), False
            continue
        for axis in range(3):
            line = np.interp(frames.time[rows].numpy(), frames.time[found].numpy(), root[found, axis].numpy())
            root[rows, axis] = torch.from_numpy(line)
    return root.float(), placed


def _posed(motion: Motion, lengths: Tensor, track: Tensor, skeleton: Skeleton) -> Tensor:
    """(F, J, 3) poses about the root with those lengths (N, G), in float64."""
    bones = ops.bones(motion.joints.double(), skeleton)
    size = lengths[:, list(skeleton.bone_groups)][track][..., None]
    bones = size * torch.nn.functional.normalize(bones, dim=-1)
    return ops.forward_kinematics(torch.zeros_like(bones[:, 0]), bones, skeleton)


def _distance(joints: Tensor, frames: Frames) -> Tensor:
    off = (project(joints) - frames.rays).norm(dim=-1)
    return off.where(frames.seen, torch.nan).nanmean(1)


def _parts(track: Tensor, most: int) -> Iterator[slice]:
    """Rows of whole tracks, up to so many frames together."""
    ends = np.flatnonzero(np.diff(track.numpy(), append=-1)) + 1
    begin = last = 0
    for end in ends.tolist():
        if end - begin > most and last > begin:
            yield slice(begin, last)
            begin = last
        last = end
    if last > begin:
        yield slice(begin, last)


def _nothing(frames: Frames, numbers: Tensor, skeleton: Skeleton) -> Fitted:
    """The result for frames without a pose."""
    count, joints = frames.seen.shape
    groups = max(skeleton.bone_groups) + 1
    return Fitted(
        pose_3d=torch.full((count, joints, 3), torch.nan),
        root=torch.full((count, 3), torch.nan),
        tracks=numbers,
        lengths=torch.full((len(numbers), groups), torch.nan),
        scale=torch.ones(count),
        before=torch.full((count,), torch.nan),
        after=torch.full((count,), torch.nan),
        carried=torch.zeros(count, dtype=torch.bool),
        outlier=torch.zeros(count, joints, dtype=torch.bool),
        converged=torch.ones(len(numbers), dtype=torch.bool),
    )
