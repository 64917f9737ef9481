"""Global position alignment: where target people stand on the screen, and how large they are.

Chai et al. (ICCV 2023), section 3.2: a source pose is put where a randomly drawn target pose stands, at that
pose's size, and seen by its camera. Nothing is learned and only 2D target poses are needed. The geometry
itself is inside :func:`poseda.ops.augment`; this file holds the table of placements it draws from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton

MIN_BOX = 1e-3
"""Smallest usable box, width + height in half screen widths (half a pixel at 1 000 pixels)."""

MIN_VISIBLE = 2
"""Fewest visible joints that span a box."""


@dataclass(frozen=True)
class TargetPlacements:
    """Placements of M unlabelled target poses, resident on one device.

    A row holds root and box of *one* pose: size and place are drawn together, so they stay correlated.

    Args:
        placement: (M, 4) root u, v and box w, h, screen coordinates.
        camera: M cameras or one shared.
        pose_2d: (M, J, 2) the target poses themselves, the anchors of the 2D discriminator.
        visible: (M, J) bool, the joints that span each box, or None where all do.
        dropped: poses of the target that gave no placement (root unseen or box degenerate).
    """

    placement: Tensor
    camera: Camera
    pose_2d: Tensor
    visible: Tensor | None
    dropped: int

    @classmethod
    def build(
        cls, pose_2d: Tensor, camera: Camera, skeleton: Skeleton, visible: Tensor | None = None
    ) -> TargetPlacements:
        """Measure the target once.

        Args:
            pose_2d: (M, J, 2) screen coordinates; a joint that is not finite counts as unseen.
            camera: M cameras or one shared.
            skeleton: of the poses; its root is the joint that is placed.
            visible: (M, J) bool, or None where every joint is seen.

        Raises:
            ValueError: if a shape is wrong or no target pose has a usable box.
        """
        if pose_2d.dim() != 3 or pose_2d.shape[1:] != (skeleton.num_joints, 2):
            raise ValueError(
                f"pose_2d: expected shape (M, {skeleton.num_joints}, 2) for skeleton {skeleton.name!r}, "
                f"got {tuple(pose_2d.shape)}"
            )
        if visible is not None and visible.shape != pose_2d.shape[:2]:
            raise ValueError(
                f"visible: expected shape {tuple(pose_2d.shape[:2])}, got {tuple(visible.shape)}"
            )
        if len(camera) not in (1, len(pose_2d)):
            raise ValueError(f"camera: expected {len(pose_2d)} rows or 1, got {len(camera)}")
        seen = pose_2d.isfinite().all(-1)
        if visible is not None:
            seen = seen & visible
        placement, usable = measure_seen(pose_2d, seen, skeleton.parents.index(-1))
        if not bool(usable.any()):
            raise ValueError(
                f"pose_2d: expected at least one pose with a visible root and a box above {MIN_BOX}, "
                f"found none in {len(pose_2d)}"
            )
        kept = seen[usable]
        return cls(
            placement=placement[usable],
            camera=camera.rows(usable) if len(camera) > 1 else camera,
            pose_2d=torch.where(kept[..., None], pose_2d[usable], placement[usable][:, None, :2]),
            visible=None if bool(kept.all()) else kept,
            dropped=int((~usable).sum()),
        )

    def __len__(self) -> int:
        return self.placement.shape[0]

    def draw(self, size: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        """Draw target poses for as many source poses, as arguments of :func:`poseda.ops.augment`.

        What is drawn stays together: a placement comes with its camera and with the joints that span its box.
        ``ops.augment(pose, skeleton=skeleton, **targets.draw(len(pose)))``.

        Args:
            size: N, how many.
            generator: of the random numbers, on the table's device. Default: torch's own.

        Returns:
            ``camera``, ``placement``, ``placement_index`` (N,) int64 and ``joint_mask`` (N, J) bool or None.
        """
        index = self.sample(size, generator)
        return {
            "camera": self.camera,
            "placement": self.placement,
            "placement_index": index,
            "joint_mask": self.joint_mask(index),
        }

    def sample(self, size: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``size`` rows with replacement: (size,) int64 on the table's device."""
        return torch.randint(len(self), (size,), generator=generator, device=self.placement.device)

    def joint_mask(self, index: Tensor) -> Tensor | None:
        """The joints that span the boxes of these rows: (N, J) bool, or None where all do."""
        return None if self.visible is None else self.visible[index]

    def hide(self, pose_2d: Tensor, index: Tensor, root: int) -> Tensor:
        """Put the joints that these rows do not see on the root, as ``pose_2d`` of the table has them.

        A discriminator that compares poses with target poses would else tell them by what is unseen.

        Args:
            pose_2d: (N, J, 2) complete poses placed like the rows.
            index: (N,) rows.
            root: joint of the skeleton's root.
        """
        mask = self.joint_mask(index)
        return pose_2d if mask is None else pose_2d.where(mask[..., None], pose_2d[:, root : root + 1])

    def to(self, device: torch.device | str) -> TargetPlacements:
        """Move the table to a device."""
        return replace(
            self,
            placement=self.placement.to(device),
            camera=self.camera.to(device),
            pose_2d=self.pose_2d.to(device),
            visible=None if self.visible is None else self.visible.to(device),
        )


def measure(pose_2d: Tensor, skeleton: Skeleton) -> Tensor:
    """Placement of complete 2D poses: (N, J, 2) to (N, 4) root u, v and box w, h."""
    size = pose_2d.amax(1) - pose_2d.amin(1)
    return torch.cat([pose_2d[:, skeleton.parents.index(-1)], size], -1)


def measure_seen(pose_2d: Tensor, seen: Tensor, root: int) -> tuple[Tensor, Tensor]:
    """Placement of 2D poses over the joints that are seen, and whether it is usable.

    Args:
        pose_2d: (N, J, 2) screen coordinates.
        seen: (N, J) bool.
        root: joint that is placed.

    Returns:
        (N, 4) root u, v and box w, h; (N,) bool, false where the root is unseen or the box degenerate.
    """
    unseen = ~seen[..., None]
    size = pose_2d.masked_fill(unseen, -torch.inf).amax(1) - pose_2d.masked_fill(unseen, torch.inf).amin(1)
    placement = torch.cat([pose_2d[:, root], size], -1)
    usable = seen[:, root] & (seen.sum(1) >= MIN_VISIBLE) & (size.sum(-1) > MIN_BOX)
    return placement, usable & placement.isfinite().all(-1)
