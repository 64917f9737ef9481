"""What a motion costs in the fit of :mod:`poseda.inference.fit`, and the quadratic model of that cost.

The unknowns are joints and logarithms of lengths. Of the joints only the root and the *directions* of bones
count. There is one length for each symmetric group of bones of a track. The joints that are seen follow by
forward kinematics. So a bone has one length at all times, on the left and on the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton

TINY = 1e-9
"""Metres. A shorter bone has no direction."""


class Motion(NamedTuple):
    """The unknowns, or a change of them, or a force on them.

    Args:
        joints: (F, J, 3) metres, camera frame.
        lengths: (N, G) logarithms of metres, one row a track.
    """

    joints: Tensor
    lengths: Tensor


class Evidence(NamedTuple):
    """What is known of F frames, in order of track and time.

    Args:
        pose: (F, J, 3) metres, lifted, relative to the root.
        pose_weight: (F, J) one over the square of the lifter's error in metres, 0 for the root.
        rays: (F, J, 2) x/z and y/z, finite everywhere.
        noise: (F, J) of the rays, infinite where a joint is unseen.
        track: (F,) rows of ``lengths``, rising.
        bend: (3, F - 2) factors of three successive frames. Their sum is an acceleration over its usual size.
            They are 0 between tracks.
        lengths: (N, G) likely logarithms of lengths.
        length_weight: one over the square of their error.
    """

    pose: Tensor
    pose_weight: Tensor
    rays: Tensor
    noise: Tensor
    track: Tensor
    bend: Tensor
    lengths: Tensor
    length_weight: float


@dataclass(frozen=True)
class Energy:
    """The cost of a motion: a sum of squares, of which two kinds are robust.

    Rays cost by Geman and McClure's function: far outliers cost a constant. Accelerations cost by that of
    Huber: sudden motions are not smoothed away.

    Args:
        evidence: of the frames.
        skeleton: of the poses.
        outlier: a misfit of this many times its noise has a quarter of its weight left.
    """

    evidence: Evidence
    skeleton: Skeleton
    outlier: float

    def joints(self, motion: Motion) -> Tensor:
        """(F, J, 3) by forward kinematics, with the motion's directions and lengths."""
        bones = ops.bones(motion.joints, self.skeleton)
        size = bones.norm(dim=-1, keepdim=True).clamp_min(TINY)
        return ops.forward_kinematics(
            motion.joints[:, 0], self.lengths(motion.lengths.exp()) * (bones / size), self.skeleton
        )

    def lengths(self, groups: Tensor) -> Tensor:
        """A number of each track's groups (N, G) for each bone of each frame (F, K, 1)."""
        return groups[:, list(self.skeleton.bone_groups)][self.evidence.track][..., None]

    def sums(self, frames: Tensor) -> Tensor:
        """Sums over the frames of each track: (F, ...) to (N, ...)."""
        total = frames.new_zeros(len(self.evidence.lengths), *frames.shape[1:])
        return total.index_add(0, self.evidence.track, frames)

    def misfit(self, shown: Tensor) -> Tensor:
        """(F, J, 2) rays less those of joints, over the noise. 0 where unseen."""
        return (self.evidence.rays - shown) / self.evidence.noise[..., None]

    def trust(self, misfit: Tensor, width: float) -> Tensor:
        """(F, J, 1) share of a misfit's weight that is left, for outliers ``width`` times as large."""
        wide = (width * self.outlier) ** 2
        return (wide / (wide + misfit.square().sum(-1, keepdim=True))).square()

    def accelerations(self, joints: Tensor) -> Tensor:
        """(F - 2, J, 3) over their usual size."""
        before, at, after = self.evidence.bend[..., None, None]
        return before * joints[:-2] + at * joints[1:-1] + after * joints[2:]

    def cost(self, motion: Motion, width: float) -> Tensor:
        """(N,) of each track, for a motion whose joints are those of :meth:`joints`."""
        known, joints = self.evidence, motion.joints
        squared, wide = self.misfit(project(joints)).square().sum(-1), (width * self.outlier) ** 2
        frames = (wide * squared / (wide + squared)).sum(1)
        error = joints - joints[:, :1] - known.pose
        frames = frames + (known.pose_weight * error.square().sum(-1)).sum(1)
        size = self.accelerations(joints).norm(dim=-1)
        frames[1:-1] += torch.where(size < 1, size.square(), 2 * size - 1).sum(1)
        prior = known.length_weight * (motion.lengths - known.lengths).square()
        return self.sums(frames) + prior.sum(1)


class QuadraticModel:
    """Half the cost about a motion: its steepest descent and its curvature.

    It is Gauss and Newton's model, with the curvature of the spheres on which bones turn. Without that, bones
    that point at the camera swing to and fro from step to step.

    Args:
        energy: the cost.
        motion: whose joints are those of :meth:`Energy.joints`.
        width: factor of the size of outliers.

    Attributes:
        descent: the gradient with its sign changed.
        ray_curvature: (F, J, 3, 3) of the cost of rays, in space.
        calm: (F - 2, J, 1) weight of each acceleration, after Huber.
    """

    def __init__(self, energy: Energy, motion: Motion, width: float) -> None:
        self.energy, self.motion, known = energy, motion, energy.evidence
        self._bones = ops.bones(motion.joints, energy.skeleton)
        self._direction = self._bones / self._bones.norm(dim=-1, keepdim=True).clamp_min(TINY)
        self._record_graphs()
        with torch.enable_grad():
            points = motion.joints.detach().requires_grad_()
            shown = project(points)
            slopes = [
                torch.autograd.grad(shown[..., i].sum(), points, retain_graph=i == 0)[0] for i in (0, 1)
            ]
        misfit = energy.misfit(shown.detach())
        root_trust = energy.trust(misfit, width).sqrt()
        ray_slope = torch.stack(slopes, -2) * (root_trust / known.noise[..., None])[..., None]
        self.ray_curvature = ray_slope.mT @ ray_slope
        size = energy.accelerations(motion.joints).norm(dim=-1, keepdim=True)
        self.calm = 1 / size.clamp_min(1)
        error = motion.joints - motion.joints[:, :1] - known.pose
        pull = ((root_trust * misfit)[..., None, :] @ ray_slope)[..., 0, :]
        pull = pull - self._lifter_force(error) - self._motion_force(motion.joints)
        along = (self._transposed_kinematics(pull)[1] * self._bones).sum(-1, keepdim=True)
        self._stiffness = along.clamp_min(0) / self._bones.square().sum(-1, keepdim=True).clamp_min(TINY**2)
        down = self._transposed(pull, torch.zeros_like(self._bones))
        self.descent = Motion(
            down.joints, down.lengths - known.length_weight * (motion.lengths - known.lengths)
        )

    def _record_graphs(self) -> None:
        """Graphs of the two linear ops, by which autograd computes their transposes."""
        with torch.enable_grad():
            self._points = torch.zeros_like(self.motion.joints, requires_grad=True)
            self._bones_of = ops.bones(self._points, self.energy.skeleton)
            self._parts = (
                torch.zeros_like(self.motion.joints[:, 0], requires_grad=True),
                torch.zeros_like(self._bones, requires_grad=True),
            )
            self._joints_of = ops.forward_kinematics(*self._parts, self.energy.skeleton)

    def curvature(self, step: Motion) -> Motion:
        """The model's matrix times a step."""
        turn = self._turned(ops.bones(step.joints, self.energy.skeleton))
        change = ops.forward_kinematics(
            step.joints[:, 0], turn + self.energy.lengths(step.lengths) * self._bones, self.energy.skeleton
        )
        force = self._lifter_force(change - change[:, :1]) + self._motion_force(change)
        force += (self.ray_curvature @ change[..., None])[..., 0]
        pulled = self._transposed(force, self._stiffness * turn)
        return Motion(pulled.joints, pulled.lengths + self.energy.evidence.length_weight * step.lengths)

    def _turned(self, bones: Tensor) -> Tensor:
        """The part of a change of bones that turns them."""
        return bones - self._direction * (self._direction * bones).sum(-1, keepdim=True)

    def _transposed_kinematics(self, force: Tensor) -> tuple[Tensor, Tensor]:
        root, bones = torch.autograd.grad(self._joints_of, self._parts, force, retain_graph=True)
        return root, bones

    def _transposed(self, force: Tensor, twist: Tensor) -> Motion:
        """The force on the unknowns by forces on joints (F, J, 3) and on turns of bones (F, K, 3)."""
        root, bones = self._transposed_kinematics(force)
        (joints,) = torch.autograd.grad(
            self._bones_of, self._points, self._turned(bones + twist), retain_graph=True
        )
        joints[:, 0] += root
        return Motion(joints, self._of_groups((bones * self._bones).sum(-1)))

    def _of_groups(self, bones: Tensor) -> Tensor:
        """Sums of (F, K) over frames of a track and bones of a group: (N, G)."""
        groups = torch.tensor(self.energy.skeleton.bone_groups)
        total = bones.new_zeros(len(bones), self.energy.evidence.lengths.shape[1])
        return self.energy.sums(total.index_add(1, groups, bones))

    def _lifter_force(self, error: Tensor) -> Tensor:
        """What pulls root-relative joints back that are off by ``error`` (F, J, 3)."""
        force = self.energy.evidence.pose_weight[..., None] * error
        force[:, 0] -= force.sum(1)
        return force

    def _motion_force(self, joints: Tensor) -> Tensor:
        force, bent = torch.zeros_like(joints), self.calm * self.energy.accelerations(joints)
        for at, factor in enumerate(self.energy.evidence.bend[..., None, None]):
            force[at : len(force) - 2 + at] += factor * bent
        return force

    def length_scale(self) -> Tensor:
        """(N, G) the diagonal of the curvature of lengths, about."""
        weight = self.ray_curvature.diagonal(dim1=-2, dim2=-1) + self.energy.evidence.pose_weight[..., None]
        _, beyond = self._transposed_kinematics(weight)  # a bone moves all joints beyond it
        along = (self._bones.square() * beyond).sum(-1)
        return self._of_groups(along) + self.energy.evidence.length_weight


def project(joints: Tensor) -> Tensor:
    """Rays (F, J, 2) through joints (F, J, 3)."""
    one = joints.new_ones(1, 2)
    return ops.project(joints, Camera(focal=one, center=torch.zeros_like(one)))
