"""Where people stand: their placement on the screen, and the root before the camera that explains it.

A placement is the root and the box of a 2D pose. Global position alignment puts a source pose at a
placement of the target and sees it by the target's camera. Nothing is learned, and only 2D target poses are
needed (Chai et al., ICCV 2023, section 3.2). :func:`poseda.ops.augment` does it. :class:`TargetPlacements`
is the table it draws from.

:func:`locate` answers another question: at which root a pose fits all of its joints in the picture best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from poseda.geometry.camera import Camera, undistort
from poseda.geometry.skeleton import Skeleton
from poseda.geometry.symbolic import check_size

MIN_BOX = 1e-3
"""Smallest usable box, width + height in half screen widths (half a pixel at 1 000 pixels)."""

MIN_VISIBLE = 2
"""Fewest visible joints that span a box."""

REFINEMENTS = 5
"""Gauss-Newton steps of :func:`locate` after which the misfit in the picture no longer falls."""

NEAREST = 0.01
"""Metres. :func:`locate` treats nearer joints as if they were at this depth."""

FAR_OFF = 3.0
"""Joints this many times as far off as the pose's median do not place it."""


@dataclass(frozen=True, eq=False)
class TargetPlacements:
    """Placements of M unlabelled target poses, on one device.

    A row holds the root and the box of *one* pose. So size and place are drawn together and stay correlated.

    Example:
        >>> from poseda import H36M16, Camera, TargetPlacements, ops
        >>> camera = Camera(torch.full((1, 2), 2.3), torch.zeros(1, 2))
        >>> targets = TargetPlacements.build(torch.rand(50, 16, 2) - 0.5, camera, H36M16)
        >>> pair = ops.augment(torch.randn(8, 16, 3), skeleton=H36M16, **targets.draw(8))

    ``torch.save(targets.state_dict(), path)`` keeps them for
    ``TargetPlacements.from_state_dict(torch.load(path, weights_only=True))``.

    Args:
        placement: (M, 4) root u, v and box w, h, screen coordinates.
        camera: M cameras or one shared.
        pose_2d: (M, J, 2) the target poses themselves, the anchors of the 2D discriminator.
        visible: (M, J) bool, the joints that span each box, or None where all do.
        dropped: how many poses of the target gave no placement: their root is unseen or their box empty.

    Raises:
        TypeError: if the mask is not bool.
        ValueError: if a shape is not as above.
    """

    placement: Tensor
    camera: Camera
    pose_2d: Tensor
    visible: Tensor | None
    dropped: int

    def __post_init__(self) -> None:
        rows, joints = self.placement.shape[:1], self.pose_2d.shape[1:2]
        for name, expected, shape in (
            ("placement", "(M, 4)", (*rows, 4)),
            ("pose_2d", "(M, J, 2)", (*rows, *joints, 2)),
            ("visible", "(M, J)", (*rows, *joints)),
        ):
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name}: expected shape {expected}, got {tuple(value.shape)}")
        if len(self.camera) not in (1, len(self)):
            raise ValueError(f"camera: expected {len(self)} rows or 1, got {len(self.camera)}")
        if self.visible is not None and self.visible.dtype != torch.bool:
            raise TypeError(f"visible: expected torch.bool, got {self.visible.dtype}")

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
            TypeError: if an argument is of another type.
            ValueError: if a shape is wrong or no target pose has a usable box.
        """
        _check_poses(pose_2d, camera, skeleton, visible)
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
            camera=camera.rows(usable),
            pose_2d=torch.where(kept[..., None], pose_2d[usable], placement[usable][:, None, :2]),
            visible=None if bool(kept.all()) else kept,
            dropped=int((~usable).sum()),
        )

    def __len__(self) -> int:
        return self.placement.shape[0]

    def draw(self, size: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        """Draw target poses for as many source poses, as arguments of :func:`poseda.ops.augment`.

        A draw stays together: a placement comes with its camera and with the joints that span its box.
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
        check_size("size", size)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(f"generator: expected a torch.Generator, got {type(generator).__name__}")
        # Beside a size that depends on data the compiler takes no generator, not even None.
        given: dict[str, Any] = {} if generator is None else {"generator": generator}
        return torch.randint(len(self), (size,), device=self.placement.device, **given)

    def joint_mask(self, index: Tensor) -> Tensor | None:
        """The joints that span the boxes of these rows: (N, J) bool, or None where all do."""
        return None if self.visible is None else self.visible[index]

    def hide(self, pose_2d: Tensor, index: Tensor, root: int) -> Tensor:
        """Put the joints that these rows do not see on the root, as ``pose_2d`` of the table has them.

        Otherwise a discriminator could recognise target poses by their unseen joints.

        Args:
            pose_2d: (N, J, 2) complete poses placed like the rows.
            index: (N,) rows.
            root: joint of the skeleton's root.
        """
        mask = self.joint_mask(index)
        return pose_2d if mask is None else pose_2d.where(mask[..., None], pose_2d[:, root : root + 1])

    def to(self, *args: Any, **kwargs: Any) -> TargetPlacements:
        """Move the table or cast its coordinates, as ``Tensor.to``. The mask of seen joints stays bool."""
        placement = self.placement.to(*args, **kwargs)
        return replace(
            self,
            placement=placement,
            camera=self.camera.to(*args, **kwargs),
            pose_2d=self.pose_2d.to(*args, **kwargs),
            visible=None if self.visible is None else self.visible.to(placement.device),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """The table as tensors by name. Entries that are None are left out."""
        entries: dict[str, Tensor | None] = {
            "placement": self.placement,
            "pose_2d": self.pose_2d,
            "visible": self.visible,
            "dropped": torch.tensor(self.dropped),
            **{f"camera.{entry.name}": getattr(self.camera, entry.name) for entry in fields(Camera)},
        }
        return {name: value for name, value in entries.items() if value is not None}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> TargetPlacements:
        """Rebuild what :meth:`state_dict` gave. No skeleton is needed.

        Raises:
            TypeError, ValueError: naming the entry, what was expected and what came.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state: expected a mapping of names to tensors, got {type(state).__name__}")
        lens = [f"camera.{entry.name}" for entry in fields(Camera)]
        needed = {"placement", "pose_2d", "dropped", "camera.focal", "camera.center"}
        if not needed <= set(state) <= needed | {"visible", *lens}:
            raise ValueError(
                f"state: expected {', '.join(sorted(needed))} and optionally visible, camera.distortion and "
                f"camera.aspect, got {', '.join(map(str, state)) or 'nothing'}"
            )
        for name, value in state.items():
            if not isinstance(value, Tensor):
                raise TypeError(f"{name}: expected a tensor, got {type(value).__name__}")
        return cls(
            placement=state["placement"],
            camera=Camera(**{name.removeprefix("camera."): state[name] for name in lens if name in state}),
            pose_2d=state["pose_2d"],
            visible=state.get("visible"),
            dropped=int(state["dropped"]),
        )


def _check_poses(pose_2d: Tensor, camera: Camera, skeleton: Skeleton, visible: Tensor | None) -> None:
    for name, value, kind in (("camera", camera, Camera), ("skeleton", skeleton, Skeleton)):
        if not isinstance(value, kind):
            raise TypeError(f"{name}: expected a poseda {kind.__name__}, got {type(value).__name__}")
    if not isinstance(pose_2d, Tensor) or not pose_2d.is_floating_point():
        came = pose_2d.dtype if isinstance(pose_2d, Tensor) else type(pose_2d).__name__
        raise TypeError(f"pose_2d: expected a floating-point tensor, got {came}")
    if visible is not None and (not isinstance(visible, Tensor) or visible.dtype != torch.bool):
        came = visible.dtype if isinstance(visible, Tensor) else type(visible).__name__
        raise TypeError(f"visible: expected a bool tensor, got {came}")
    if pose_2d.dim() != 3 or pose_2d.shape[1:] != (skeleton.num_joints, 2):
        raise ValueError(
            f"pose_2d: expected shape (M, {skeleton.num_joints}, 2) for skeleton {skeleton.name!r}, "
            f"got {tuple(pose_2d.shape)}"
        )
    if visible is not None and visible.shape != pose_2d.shape[:2]:
        raise ValueError(f"visible: expected shape {tuple(pose_2d.shape[:2])}, got {tuple(visible.shape)}")
    if len(camera) not in (1, len(pose_2d)):
        raise ValueError(f"camera: expected {len(pose_2d)} rows or 1, got {len(camera)}")


# Checkpoints that hold a whole table: torch loads them without running code only if it knows the type.
torch.serialization.add_safe_globals([TargetPlacements])


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


def without_outliers(misfit: Tensor, seen: Tensor) -> Tensor:
    """The seen joints (N, J) that shall place a pose again: those not far off after a first placement.

    Args:
        misfit: (N, J) in the picture.
        seen: (N, J) bool.
    """
    off = misfit.masked_fill(~seen, torch.nan)
    return seen & (off <= FAR_OFF * off.nanmedian(1, keepdim=True).values)


def _solve(slope: Tensor, rhs: Tensor, weight: Tensor) -> Tensor:
    """Solve ``tx - slope tz = rhs`` over all joints, and the like for y, by least squares.

    About their weighted means only tz is left. So no matrix is factored, which a CUDA graph could not hold.

    Args:
        slope, rhs, weight: (N, J, 2), for x and y.

    Returns:
        (N, 3); not finite where there is no single solution.
    """
    total = weight.sum(1)
    mean, level = ((weight * values).sum(1) / total for values in (slope, rhs))
    aside = slope - mean[:, None]
    spread = (weight * aside.square()).sum((1, 2))
    least = (10 * torch.finfo(slope.dtype).eps) ** 2 * (weight * slope.square()).sum((1, 2))
    tz = -(weight * aside * rhs).sum((1, 2)) / spread.masked_fill(spread <= least, 0.0)
    return torch.cat([level + mean * tz[:, None], tz[:, None]], 1)
