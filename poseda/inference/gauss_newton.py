"""Gauss and Newton's method for all tracks at once. Each track has a damping and an end of its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from poseda.inference.energy import Energy, Motion, QuadraticModel

WIDTHS = (8.0, 4.0, 2.0)
"""Factors of the size of outliers in the first steps: the lifted pose itself is far from some rays."""

DAMPING = (1e-6, 1e-3, 1e6)
"""Least, first and greatest damping."""

SOLVED = 1e-4
"""Conjugate gradients end where the squared residual has fallen to this share."""

LOOSE = 1.0
"""Least weight in the filter, m^-2, for roots of people who are never seen."""

PADDING = 8
"""Frames after a track, so that its end does not touch its beginning in the Fourier transform."""


@torch.no_grad()
def minimise(
    energy: Energy, start: Motion, steps: int, inner: int, tolerance: float
) -> tuple[Motion, Tensor]:
    """Find the motion of least cost near a start.

    Args:
        energy: the cost.
        start: the first motion.
        steps: most steps.
        inner: most conjugate gradients of a step.
        tolerance: metres. A track ends when a step changes its pose by less, root mean square.

    Returns:
        The motion, whose joints are those of :meth:`Energy.joints`. (N,) bool, the tracks that ended so.
    """
    motion = Motion(energy.joints(start), start.lengths)
    least, first, greatest = DAMPING
    damping = torch.full_like(start.lengths[:, 0], first)
    done, track = torch.zeros_like(damping, dtype=torch.bool), energy.evidence.track
    frames = energy.sums(motion.joints.new_ones(len(track)))
    for number in range(steps):
        width = WIDTHS[number] if number < len(WIDTHS) else 1.0
        step = _solve(QuadraticModel(energy, motion, width), damping, inner)
        lengths = motion.lengths + step.lengths
        moved = Motion(energy.joints(Motion(motion.joints + step.joints, lengths)), lengths)
        better = (energy.cost(moved, width) <= energy.cost(motion, width)) & ~done
        change = moved.joints - motion.joints
        size = energy.sums((change - change[:, :1]).square().sum(2).mean(1)) / frames
        motion = Motion(
            moved.joints.where(better[track, None, None], motion.joints),
            moved.lengths.where(better[:, None], motion.lengths),
        )
        damping = torch.where(better, damping / 4, damping * 16).clamp(least, greatest)
        if number >= len(WIDTHS):
            done |= size.sqrt() < tolerance
        if bool(done.all()):
            break
    return motion, done


def _solve(model: QuadraticModel, damping: Tensor, inner: int) -> Motion:
    """The step to the least of a damped model, by conjugate gradients (Hestenes and Stiefel 1952)."""
    energy, track = model.energy, model.energy.evidence.track
    inverse = _TimeFilter(model, damping)
    shift = Motion(damping[track, None, None] * inverse.joint_scale, damping[:, None] * inverse.length_scale)

    def dot(one: Motion, other: Motion) -> Tensor:
        return energy.sums((one.joints * other.joints).sum((1, 2))) + (one.lengths * other.lengths).sum(1)

    def plus(one: Motion, share: Tensor, other: Motion) -> Motion:
        return Motion(
            torch.addcmul(one.joints, share[track, None, None], other.joints),
            one.lengths + share[:, None] * other.lengths,
        )

    residual = model.descent
    step = Motion(torch.zeros_like(residual.joints), torch.zeros_like(residual.lengths))
    way = inverse(residual)
    power = dot(residual, way)
    enough = SOLVED * power
    for _ in range(inner):
        pulled = model.curvature(way)
        pulled = Motion(
            pulled.joints + shift.joints * way.joints, pulled.lengths + shift.lengths * way.lengths
        )
        # A solved track stays as it is, so that it does not depend on the others.
        share = torch.where(power > enough, power / dot(way, pulled), 0).nan_to_num(0, 0, 0)
        step, residual = plus(step, share, way), plus(residual, -share, pulled)
        scaled = inverse(residual)
        left = dot(residual, scaled)
        way, power = plus(scaled, (left / power).nan_to_num(0, 0, 0), way), left
        if not bool((power > enough).any()):
            break
    return step


class _TimeFilter:
    """An approximate inverse of a model's matrix: a filter over time for each joint and axis.

    The axes are those of a camera that looks at the person, because depth is much less certain than the rest.
    Weights are means over a track, so that a Fourier transform inverts the matrix of accelerations.

    Args:
        model: of the cost.
        damping: (N,) of the tracks.

    Attributes:
        joint_scale: (F, J, 1) weight of joints, which damping multiplies.
        length_scale: (N, G) likewise.
    """

    def __init__(self, model: QuadraticModel, damping: Tensor) -> None:
        energy, known, joints = model.energy, model.energy.evidence, model.motion.joints
        self._axes = _looking_at(joints.mean(1))
        self.length_scale = model.length_scale()
        self._lengths = 1 / ((1 + damping[:, None]) * self.length_scale)
        axes = self._axes[:, None]
        ray = (axes @ model.ray_curvature @ axes.mT).diagonal(dim1=-2, dim2=-1)
        weight = ray + known.pose_weight[..., None]
        self.joint_scale = weight.mean(-1, keepdim=True)
        # The root carries all joints, the others move alone.
        weight[:, 0] = ray.sum(1)
        calm = torch.zeros_like(joints[..., 0])
        calm[1:-1] = known.bend[1].square()[:, None] / 4 * model.calm[..., 0]
        calm[:, 0] = calm.sum(1)
        frames = energy.sums(joints.new_ones(len(joints)))
        weight, calm = energy.sums(weight) / frames[:, None, None], energy.sums(calm) / frames[:, None]
        weight = (weight + damping[:, None, None] * weight.mean(-1, keepdim=True)).clamp_min(LOOSE)
        self._batches = list(self._by_length(known.track, frames.long(), weight, calm[..., None]))

    @staticmethod
    def _by_length(
        track: Tensor, frames: Tensor, weight: Tensor, calm: Tensor
    ) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
        """Batches of tracks of about one length: padded length, rows, their places, filter."""
        size = torch.where(frames > 2, 2 ** (frames + PADDING).double().log2().ceil().long(), frames)
        at = torch.arange(len(track)) - (frames.cumsum(0) - frames)[track]
        for length in size.unique().tolist():
            tracks = size == length
            rows = torch.nonzero(tracks[track])[:, 0]
            place = (tracks.cumsum(0) - 1)[track[rows]] * length + at[rows]
            wave = 2 - 2 * torch.cos(2 * torch.pi * torch.arange(length // 2 + 1) / length)
            stiff = wave.to(weight).square()[:, None, None]
            yield length, rows, place, 1 / (weight[tracks, None] + calm[tracks, None] * stiff)

    def __call__(self, force: Motion) -> Motion:
        turned = force.joints @ self._axes.mT
        turned[:, 0] = turned.sum(1)
        result = torch.empty_like(turned)
        for length, rows, place, gain in self._batches:
            padded = turned.new_zeros(len(gain) * length, *turned.shape[1:])
            padded[place] = turned[rows]
            wave = torch.fft.rfft(padded.view(len(gain), length, *turned.shape[1:]), dim=1)
            result[rows] = torch.fft.irfft(wave * gain, n=length, dim=1).flatten(0, 1)[place]
        result[:, 1:] += result[:, :1]
        return Motion(result @ self._axes, self._lengths * force.lengths)


def _looking_at(points: Tensor) -> Tensor:
    """Axes (F, 3, 3), in rows, of cameras at the origin that look at points (F, 3)."""
    z = torch.nn.functional.normalize(points, dim=-1)
    x = torch.nn.functional.normalize(torch.stack([z[:, 2], torch.zeros_like(z[:, 0]), -z[:, 0]], -1), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], 1)
