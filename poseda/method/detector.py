"""What a 2D detector makes of a view: joints that it misses, and joints that it misplaces."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.config import DetectorConfig
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.flip import mirror, mirror_order

END_NOISE, HEAD_NOISE, HIP_NOISE = 1.6, 3.0, 1.3
"""Errors at the ends of limbs, at the ends of the trunk and beside the root, relative to other joints.
Detectors misplace wrists and ankles most. They see no top of the head, so it is made from the face."""

FAR = 0.08
"""Standard deviation of a joint that is placed on something else, as a share of the person's size."""

VARIED = 0.6
"""Standard deviation of the log of the noise from view to view: some pictures are blurred, most are not."""


class Detector:
    """Disturbs and hides joints of views.

    Args:
        skeleton: of the poses.
        options: rates.
        patterns: (M, J) bool, which joints a target's detections show, or None where no target is known.
        rng: of the draws.
        device: of the views.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        options: DetectorConfig,
        patterns: Tensor | None = None,
        rng: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.skeleton, self.options, self.patterns, self._rng = skeleton, options, patterns, rng
        # Tables of the skeleton, on the device at once: a copy in a step would make the host wait.
        ends = _ends(skeleton)
        paired = {joint for pair in skeleton.symmetric_joints for joint in pair}
        trunk = [joint not in paired and not end for joint, end in enumerate(ends)]
        self._trunk = torch.tensor(trunk, device=device)
        self._noise = torch.tensor(_relative_noise(skeleton), device=device)[:, None]
        self._parts = _parts(skeleton).to(device)
        self._exchanged = torch.tensor([-1.0, 1.0], device=device)

    def disturb(self, rays: Tensor) -> Tensor:
        """Misplace joints: (N, T, J, 2) rays; errors grow with the person's size in the picture."""
        options, (size, frames, joints, _) = self.options, rays.shape
        extent = (rays.amax((1, 2)) - rays.amin((1, 2))).norm(dim=-1)[:, None, None, None]
        varied = (VARIED * self._normal(rays, size, 1, 1, 1)).exp()
        noise = self._normal(rays, size, frames, joints, 2)
        if frames > 1:  # half of the variance stays over a window: detectors err alike in successive frames
            noise = (noise + self._normal(rays, size, 1, joints, 2)) / 2**0.5
        rays = rays + noise * (options.noise * extent * self._noise * varied)
        far = self._uniform(rays, size, frames, joints, 1) < options.misplaced
        rays = torch.where(far, rays + FAR * extent * self._normal(rays, size, frames, joints, 2), rays)
        swapped = self._uniform(rays, size, 1, 1, 1) < options.swapped
        other = mirror(rays, self.skeleton) * self._exchanged  # the sides, not the places
        return torch.where(swapped, other, rays)

    def seen(self, rays: Tensor) -> Tensor:
        """Which joints are seen: (N, T, J) bool; a window's joints are hidden together."""
        options, (size, frames, joints, _) = self.options, rays.shape
        rate = options.hidden * self._uniform(rays, size, 1)
        random = self._uniform(rays, size, joints) >= rate
        limb = self._hidden_limb(rays)
        no_trunk = self._trunk & (self._uniform(rays, size, 1) < 0.5)
        kept = random & ~limb & ~no_trunk
        whole = torch.ones_like(kept)
        share = self._uniform(rays, size, 1)
        seen = torch.where(share < options.masked, kept, whole)
        if self.patterns is not None:
            row = (self._uniform(rays, size) * len(self.patterns)).long().clamp_max(len(self.patterns) - 1)
            shown = self.patterns[row]
            flipped = shown.index_select(1, mirror_order(self.skeleton, shown.device))
            shown = torch.where(self._uniform(rays, size, 1) < 0.5, shown, flipped)
            seen = torch.where(self._uniform(rays, size, 1) < options.as_target, shown, seen)
        enough = seen.sum(1, keepdim=True) >= min(options.fewest, joints)
        return torch.where(enough, seen, whole)[:, None].expand(size, frames, joints)

    def _hidden_limb(self, rays: Tensor) -> Tensor:
        """(N, J) joints of one body part, or of both legs, hidden as a whole in a share of the rows."""
        size = len(rays)
        which = (self._uniform(rays, size) * len(self._parts)).long().clamp_max(len(self._parts) - 1)
        hit = self._uniform(rays, size, 1) < self.options.hidden_part
        return self._parts[which] & hit

    def _uniform(self, like: Tensor, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._rng, device=like.device, dtype=like.dtype)

    def _normal(self, like: Tensor, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._rng, device=like.device, dtype=like.dtype)


def _ends(skeleton: Skeleton) -> list[bool]:
    """Whether each joint ends a limb or the trunk."""
    return [joint not in skeleton.parents for joint in range(skeleton.num_joints)]


def _relative_noise(skeleton: Skeleton) -> list[float]:
    """The error of each joint, relative to that of an inner joint."""
    paired = {joint for pair in skeleton.symmetric_joints for joint in pair}
    root, noise = skeleton.parents.index(-1), []
    for joint, end in enumerate(_ends(skeleton)):
        if end:
            noise.append(END_NOISE if joint in paired else HEAD_NOISE)
        else:
            noise.append(HIP_NOISE if joint in paired and skeleton.parents[joint] == root else 1.0)
    return noise


def _parts(skeleton: Skeleton) -> Tensor:
    """(P + 1, J) bool: the joints of each body part, and those of all legs, as behind a table."""
    parts = torch.zeros(len(skeleton.parts) + 1, skeleton.num_joints, dtype=torch.bool)
    for number, bones in enumerate(skeleton.parts.values()):
        parts[number, [bone + 1 for bone in bones]] = True
    parts[-1] = parts[[number for number, name in enumerate(skeleton.parts) if "leg" in name]].any(0)
    return parts
