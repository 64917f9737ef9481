"""Where people stand: their placement on the screen, and the root before the camera that explains it.

A placement is the root and the box of a 2D pose. Global position alignment puts a source pose at a
placement of the target and sees it by the target's camera. Nothing is learned, and only 2D target poses are
needed (Chai et al., ICCV 2023, section 3.2). :func:`poseda.ops.augment` does it. :class:`TargetPlacements`
is the table it draws from.

:func:`locate` answers another question: at which root a pose fits all of its joints in the picture best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from poseda.geometry.camera import Camera, undistort
from poseda.geometry.skeleton import Skeleton

MIN_BOX = 1e-3
"""Smallest usable box, width + height in half screen widths (half a pixel at 1 000 pixels)."""

MIN_VISIBLE = 2
"""Fewest visible joints that span a box."""

REFINEMENTS = 5
"""Gauss-Newton steps of :func:`locate` after which the misfit in the picture no longer falls."""

NEAREST = 0.01
"""Metres; :func:`locate` takes no joint as nearer than this while it steps."""


@dataclass(frozen=True)
class TargetPlacements:
    """Placements of M unlabelled target poses, resident on one device.

    A row holds the root and the box of *one* pose. So size and place are drawn together and stay correlated.

    Args:
        placement: (M, 4) root u, v and box w, h, screen coordinates.
        camera: M cameras or one shared.
        pose_2d: (M, J, 2) the target poses themselves, the anchors of the 2D discriminator.
        visible: (M, J) bool, the joints that span each box, or None where all do.
        dropped: how many poses of the target gave no placement: their root is unseen or their box empty.
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

    def sample(self, size: int, generator: torch.Generator) -> Tensor:
        """Draw ``size`` rows with replacement: (size,) int64 on the table's device."""
        return torch.randint(len(self), (size,), generator=generator, device=self.placement.device)

    def joint_mask(self, index: Tensor) -> Tensor | None:
        """The joints that span the boxes of these rows: (N, J) bool, or None where all do."""
        return None if self.visible is None else self.visible[index]

    def hide(self, pose_2d: Tensor, index: Tensor, root: int) -> Tensor:
        """Put the joints that these rows do not see on the root, as ``pose_2d`` of the table has them.

        Otherwise a discriminator could tell poses from target poses by their unseen joints.

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


def locate(
    local: Tensor, screen: Tensor, camera: Camera, seen: Tensor | None = None, refinements: int = 0
) -> Tensor:
    """Find the roots at which poses fit their 2D joints best, by least squares.

    A joint seen along the ray (x, y, 1) gives ``X + tx = x (Z + tz)``, and a like equation
    for y. Both are linear in the root. Their solution weighs joints alike in space. Each refinement is a
    Gauss-Newton step on the misfit in the picture of a lens without distortion.

    Args:
        local: (N, J, 3) metres, relative to the root.
        screen: (N, J, 2) screen coordinates.
        camera: N cameras or one shared, of the same dtype.
        seen: (N, J) bool, or None where all are.
        refinements: Gauss-Newton steps after the linear solution.

    Returns:
        (N, 3) metres; NaN where the seen joints determine no root before the camera.
    """
    plane = (screen - camera.center[:, None]) / camera.focal[:, None]
    ray = undistort(plane, camera.distortion)
    weight = torch.ones_like(ray)
    if seen is not None:
        weight = weight * seen[..., None]
        ray = ray.where(seen[..., None], torch.zeros_like(ray))
    root = _solve(ray, ray * local[..., 2:] - local[..., :2], weight)
    for _ in range(refinements):
        placed = local + root[:, None]
        depth = placed[..., 2:].clamp(min=NEAREST)
        shown = placed[..., :2] / depth
        scale = weight * (camera.focal[:, None] / depth) ** 2
        root = root + _solve(shown, (ray - shown) * depth, scale)
    behind = (local[..., 2] + root[:, None, 2]) <= 0
    if seen is not None:
        behind = behind & seen
    return root.masked_fill((behind.any(1) | ~root.isfinite().all(1))[:, None], torch.nan)


def _solve(slope: Tensor, rhs: Tensor, weight: Tensor) -> Tensor:
    """Solve ``tx - slope tz = rhs`` over all joints, and the like for y, by least squares.

    Args:
        slope, rhs, weight: (N, J, 2), for x and y.

    Returns:
        (N, 3), NaN where there is no single solution.
    """
    matrix = torch.cat([torch.eye(2).to(slope).expand(*slope.shape, 2), -slope[..., None]], -1)
    flat, scale = matrix.flatten(1, 2), weight.flatten(1, 2)[..., None]
    across = (flat * scale).transpose(1, 2)
    solution, failed = torch.linalg.solve_ex(across @ flat, across @ rhs.flatten(1, 2)[..., None])
    return solution[..., 0].masked_fill((failed != 0)[:, None], torch.nan)
