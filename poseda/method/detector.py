"""What a 2D detector makes of a view: joints that it misses, and joints that it misplaces.

Joints are missed one by one, by parts of the body, beyond the end of the picture, or as in detections of the
target; for a whole window or for runs of its frames. All of it is work of the device alone.
"""

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

SIDES = ((0.05, 0.05), (0.05, 0.85))
"""Where the picture ends, as shares of the pictures that end before the person: left and right, top and
bottom. On real detections it was the bottom but for one camera (benchmarks/README.md)."""

DEEPEST = 0.5
"""Most of the person's box that lies beyond the end of the picture, along one side. Of 12 limb joints, real
pictures lacked 1 to 3."""

TOGETHER = 0.6
"""Share of joints that are hidden for the same frames as others, where some frames hide them: as many were
lost within 2 frames of another one in real detections."""

LONGEST = 2.0
"""Longest run of frames in which a joint is hidden, as a multiple of the window. Then joints of windows of 9
and of 27 frames are unseen in as many of the frames as in real detections."""

Box = tuple[Tensor, Tensor]
"""Least corners (N, 2) and sizes (N, 2) of the boxes round the joints of views."""


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
        if options.cropped:
            share = options.cropped * torch.tensor(SIDES).flatten()
            middle = (share.cumsum(0) - share / 2).view(2, 2).to(device)  # of intervals in a row from 0
            self._middles = middle
            away = torch.tensor([-1.0, 1.0], device=device)
            self._slopes = away * (2 * DEEPEST / share.view(2, 2).to(device))
            self._ends = torch.tensor([DEEPEST, 1 - DEEPEST], device=device).expand(2, 2).contiguous()
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
        if options.cropped:
            columns["side"] = Uniform((1, 1))
        if frames > 1:
            columns["lasting"] = Normal((1, joints, 2), noise)
        if frames > 1 and options.burst:
            # A run for each joint, one for the part, and one that many joints share.
            columns["run_length"] = Uniform((1, joints + 2), 1.0, LONGEST * frames)
            columns["run_start"] = Uniform((1, joints + 2))
            columns["together"] = Chance((1, joints), TOGETHER)
            columns["burst"] = Chance((1, 1), options.burst)
        if self._patterns is not None:
            columns["pattern"] = Uniform((), 0.0, len(self._patterns))
            columns["as_target"] = Chance((1,), options.as_target)
        return columns

    def disturb(self, rays: Tensor, drawn: Mapping[str, Tensor], box: Box | None = None) -> Tensor:
        """Misplace joints: (N, T, J, 2) rays; errors grow with the person's size in the picture."""
        extent = (box_of(rays) if box is None else box)[1].norm(dim=-1)[:, None, None, None]
        noise = drawn["noise"]
        if "lasting" in drawn:
            noise = noise + drawn["lasting"]
        rays = torch.addcmul(rays, noise, extent * drawn["log_blur"].exp())
        rays = torch.addcmul(rays, drawn["far"], extent * drawn["misplaced"])
        # The sides are exchanged, not the places.
        other = rays.index_select(2, mirror_order(self.skeleton, rays.device))
        return torch.where(drawn["swapped"], other, rays)

    def seen(
        self,
        rays: Tensor,
        drawn: Mapping[str, Tensor],
        shown: Tensor | None = None,
        box: Box | None = None,
    ) -> Tensor:
        """Which joints are seen: (N, T, J) bool.

        A window's joints are hidden together, or for runs of frames. Where a frame would show too few joints,
        nothing is hidden in its window.

        Args:
            rays: (N, T, J, 2) without errors, in the axes of the picture's sides.
            drawn: the numbers of :meth:`columns`.
            shown: (N, T, J) bool, joints that can be seen at all. None: all.
            box: of the rays.
        """
        frames = rays.shape[1]
        seen = ~(self._hidden(frames, drawn) & drawn["masked"][:, None])
        if "side" in drawn:
            seen = seen & self._inside(rays, drawn["side"], box_of(rays) if box is None else box)
        if self._patterns is not None:
            pattern = self._patterns[_number(drawn["pattern"], self._patterns)]
            seen = torch.where(drawn["as_target"][:, None], pattern[:, None], seen)
        if shown is not None:
            seen = seen & shown
        few = seen.sum(2, keepdim=True) < min(self.options.fewest, self.skeleton.num_joints)
        if frames > 1:
            few = few.any(1, keepdim=True)
        seen = seen | few
        return (seen if shown is None else seen & shown).expand(rays.shape[:3])

    def _hidden(self, frames: int, drawn: Mapping[str, Tensor]) -> Tensor:
        """Joints (N, T or 1, J) that are hidden at random where a view is masked."""
        single = (drawn["joint"] < drawn["rate"])[:, None]
        part = (self._parts[_number(drawn["part"], self._parts)] & drawn["part_hidden"])[:, None]
        trunk = (self._trunk & drawn["trunk_hidden"])[:, None]
        if "burst" not in drawn:
            return single | part | trunk
        joints = self.skeleton.num_joints
        run = _runs(drawn["run_start"], drawn["run_length"], frames) | ~drawn["burst"]
        own, of_part, common = run.split([joints, 1, 1], 2)
        return (single & torch.where(drawn["together"], common, own)) | ((part | trunk) & of_part)

    def _inside(self, rays: Tensor, side: Tensor, box: Box) -> Tensor:
        """Joints (N, T, J) before the end of the picture, which is on no more than one side of a view.

        A number from 0 to 1 falls into the interval of a side, or of none. Its distance from the interval's
        end tells how deep that side cuts, and elsewhere the side lies outside the person's box.
        """
        ends = torch.addcmul(self._ends, self._slopes, (side - self._middles).abs())
        low, size = box
        low, high = torch.addcmul(low[..., None], size[..., None], ends)[:, None, None].unbind(-1)
        return (rays.clamp(low, high) == rays).all(-1)


def box_of(rays: Tensor) -> Box:
    """The box round all joints of each window (N, T, J, 2)."""
    low, high = rays.flatten(1, 2).aminmax(dim=1)
    return low, high - low


def _runs(start: Tensor, length: Tensor, frames: int) -> Tensor:
    """(N, T, R) frames in runs of ``length`` frames (N, 1, R), each of which covers a frame of the window.

    Runs begin anywhere from their length before the window to its last frame; ``start`` is from 0 to 1.
    """
    time = torch.arange(frames, dtype=start.dtype, device=start.device)[:, None]
    elapsed = time + length - start * (length + (frames - 1))
    return (elapsed > 0) & (elapsed <= length)


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
