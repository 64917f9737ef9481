"""What a 2D detector makes of a view: joints that it misses, and joints that it misplaces."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from poseda.config import DetectorConfig
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.flip import mirror_order
from poseda.method.draws import Chance, Column, Normal, Uniform

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
        device: of the views.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        options: DetectorConfig,
        patterns: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.skeleton, self.options = skeleton, options
        # Tables of the skeleton, on the device at once: a copy in a step would make the host wait.
        ends = _ends(skeleton)
        paired = {joint for pair in skeleton.symmetric_joints for joint in pair}
        trunk = [joint not in paired and not end for joint, end in enumerate(ends)]
        self._trunk = torch.tensor(trunk, device=device)
        self._parts = _parts(skeleton).to(device)
        self._patterns = None
        if patterns is not None:  # a target is as likely to show the other side
            self._patterns = torch.cat([patterns, patterns[:, list(skeleton.mirror)]]).to(device)

    def columns(self, frames: int) -> dict[str, Column]:
        """The random numbers of a view of so many frames, which the other methods read."""
        options, joints = self.options, self.skeleton.num_joints
        noise = options.noise * torch.tensor(_relative_noise(self.skeleton))[:, None]
        # In windows half of the variance stays: detectors err alike in successive frames.
        noise = noise if frames == 1 else noise / 2**0.5
        columns: dict[str, Column] = {
            "log_blur": Normal((1, 1, 1), VARIED),
            "noise": Normal((frames, joints, 2), noise),
            "far": Normal((frames, joints, 2), FAR),
            "misplaced": Chance((frames, joints, 1), options.misplaced),
            "swapped": Chance((1, 1, 1), options.swapped),
            "rate": Uniform((1,), 0.0, options.hidden),
            "joint": Uniform((joints,)),
            "part": Uniform((), 0.0, len(self._parts)),
            "part_hidden": Chance((1,), options.hidden_part),
            "trunk_hidden": Chance((1,), 0.5),
            "masked": Chance((1,), options.masked),
        }
        if frames > 1:
            columns["lasting"] = Normal((1, joints, 2), noise)
        if self._patterns is not None:
            columns["pattern"] = Uniform((), 0.0, len(self._patterns))
            columns["as_target"] = Chance((1,), options.as_target)
        return columns

    def disturb(self, rays: Tensor, drawn: Mapping[str, Tensor]) -> Tensor:
        """Misplace joints: (N, T, J, 2) rays; errors grow with the person's size in the picture."""
        low, high = rays.flatten(1, 2).aminmax(dim=1)
        extent = (high - low).norm(dim=-1)[:, None, None, None]
        noise = drawn["noise"]
        if "lasting" in drawn:
            noise = noise + drawn["lasting"]
        rays = torch.addcmul(rays, noise, extent * drawn["log_blur"].exp())
        rays = torch.addcmul(rays, drawn["far"], extent * drawn["misplaced"])
        # The sides are exchanged, not the places.
        other = rays.index_select(2, mirror_order(self.skeleton, rays.device))
        return torch.where(drawn["swapped"], other, rays)

    def seen(self, drawn: Mapping[str, Tensor]) -> Tensor:
        """Which joints are seen: (N, J) bool; a window's joints are hidden together."""
        part = self._parts[_number(drawn["part"], self._parts)] & drawn["part_hidden"]
        hidden = (drawn["joint"] < drawn["rate"]) | part | (self._trunk & drawn["trunk_hidden"])
        seen = ~(hidden & drawn["masked"])
        if self._patterns is not None:
            shown = self._patterns[_number(drawn["pattern"], self._patterns)]
            seen = torch.where(drawn["as_target"], shown, seen)
        fewest = min(self.options.fewest, self.skeleton.num_joints)
        return seen | (seen.sum(1, keepdim=True) < fewest)


def _number(drawn: Tensor, table: Tensor) -> Tensor:
    """Rows of a table from numbers (N,) up to its length, which rounding may reach."""
    return drawn.long().clamp_max(len(table) - 1)


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
