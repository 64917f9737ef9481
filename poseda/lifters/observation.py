"""What a picture shows of people, as a wide lifter sees it: rays, masks, and what is known of the scene.

A virtual camera looks at the middle of the seen joints. In its axes a pose is the same wherever the person
stands in the picture. Unseen joints are zeros there: no number of theirs reaches a lifter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from poseda.geometry.camera import Camera, undistort
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.flip import mirror, mirror_order, negate_first

SMALLEST = 1e-3
"""Least half size of a person, on the plane at 1 m."""

NEAREST = 0.05
"""Least depth of a ray in the virtual camera: rays at right angles to its axis have no place in its plane."""

SPREAD = 5.0
"""Relative differences of bone lengths are multiplied by this, so that they are about as large as places."""


@dataclass  # not frozen: Fabric makes a copy with fields of its own precision
class Observation:
    """N windows of T frames of one person each.

    Args:
        rays: (N, T, J, 2) x/z, y/z of undistorted picture points, camera axes (x right, y down, z forward).
        seen: (N, T, J) bool. Rays of unseen joints are not read.
        up: (N, 3) upward unit vectors in camera axes; read where ``up_known``.
        up_known: (N,) bool.
        lengths: (N, G) metres of the symmetric bone groups of a person; read where ``lengths_known``.
        lengths_known: (N,) bool.
    """

    rays: Tensor
    seen: Tensor
    up: Tensor
    up_known: Tensor
    lengths: Tensor
    lengths_known: Tensor

    @classmethod
    def of(cls, pose_2d: Tensor, camera: Camera, seen: Tensor | None, groups: int) -> Observation:
        """Single frames, of which nothing else is known.

        Args:
            pose_2d: (N, J, 2) screen coordinates.
            camera: N cameras, or one for all.
            seen: (N, J) bool, or None where every joint was seen.
            groups: number of symmetric bone groups of the skeleton.
        """
        size = len(pose_2d)
        plane = (pose_2d - camera.center[:, None]) / camera.focal[:, None]
        rays = undistort(plane, camera.distortion)
        whole = torch.ones(pose_2d.shape[:2], dtype=torch.bool, device=pose_2d.device)
        unknown = torch.zeros(size, dtype=torch.bool, device=pose_2d.device)
        return cls(
            rays[:, None],
            (whole if seen is None else seen)[:, None],
            pose_2d.new_zeros(size, 3),
            unknown,
            pose_2d.new_zeros(size, groups),
            unknown,
        )

    def __len__(self) -> int:
        return len(self.rays)

    def rows(self, index: Tensor | slice) -> Observation:
        """Pick windows by an index."""
        return Observation(*(getattr(self, entry.name)[index] for entry in fields(self)))

    def to(self, device: torch.device) -> Observation:
        """Move to a device."""
        return Observation(*(getattr(self, entry.name).to(device) for entry in fields(self)))

    def windows(self, rows: Tensor) -> Observation:
        """Windows (N, T) of rows of single frames; what is known is that of the middle frame."""
        centre = rows[:, rows.shape[1] // 2]
        known = (self.up, self.up_known, self.lengths, self.lengths_known)
        return Observation(self.rays[rows, 0], self.seen[rows, 0], *(entry[centre] for entry in known))

    def told(self, up: Tensor | None = None, lengths: Tensor | None = None) -> Observation:
        """The same windows with what was found: upward directions (N, 3), lengths (N, G); NaN is unknown."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name, value in (("up", up), ("lengths", lengths)):
            if value is not None:
                known = value.isfinite().all(1)
                given |= {name: value.masked_fill(~known[:, None], 0.0), f"{name}_known": known}
        return Observation(**given)

    def mirrored(self, skeleton: Skeleton) -> Observation:
        """What a mirrored camera sees of the mirrored person."""
        return Observation(
            mirror(self.rays, skeleton),
            self.seen.index_select(-1, mirror_order(skeleton, self.seen.device)),
            self.up * negate_first(3, self.up.device),
            self.up_known,
            self.lengths,
            self.lengths_known,
        )


def channels(skeleton: Skeleton) -> int:
    """Numbers that :func:`encode` gives for each joint."""
    return 8 + skeleton.num_groups + 1


def encode(observation: Observation, usual_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Observations as input of a lifter.

    Args:
        observation: N windows of T frames.
        usual_lengths: (G,) metres, of a usual person.

    Returns:
        (N, T, J, C) features: place in the window's box, mask, and for all joints alike the log of the size,
        upward direction, lengths, and whether these are known. And (N, 3, 3), which turns camera axes into
        those of the virtual camera.
    """
    hidden = ~observation.seen[..., None]
    nothing = hidden.flatten(1).all(1, keepdim=True)
    turn = _towards(observation.rays, hidden, nothing)
    places = _seen_from(turn, observation.rays)
    low, high = _box(places, hidden)
    # Where nothing is seen, the box has no end, but all places are masked.
    scale = (
        ((high - low).amax(1) / 2).masked_fill(nothing[:, 0], 0.0).clamp_min(SMALLEST)[:, None, None, None]
    )
    local = ((places - ((low + high) / 2)[:, None, None]) / scale).masked_fill(hidden, 0.0)
    up_known = observation.up_known[:, None].to(local.dtype)
    up = turned(observation.up.masked_fill(~observation.up_known[:, None], 0.0)[:, None], turn.mT)[:, 0]
    lengths_known = observation.lengths_known[:, None].to(local.dtype)
    lengths = (observation.lengths / usual_lengths - 1) * SPREAD
    lengths = lengths.masked_fill(~observation.lengths_known[:, None], 0.0)
    scene = torch.cat([scale.log().reshape(-1, 1), up, up_known, lengths, lengths_known], 1)
    mask = observation.seen[..., None].to(local.dtype)
    shared = scene[:, None, None].expand(*local.shape[:3], -1)
    return torch.cat([local, mask, shared], -1), turn


def towards(observation: Observation) -> Tensor:
    """Rotations (N, 3, 3) into the virtual cameras, whose axes go through the middle of what is seen.

    The last row of each is the line of sight.
    """
    hidden = ~observation.seen[..., None]
    return _towards(observation.rays, hidden, hidden.flatten(1).all(1, keepdim=True))


def turned(vectors: Tensor, turn: Tensor) -> Tensor:
    """Row vectors (N, ..., 3) times matrices (N, 3, 3), each product rounded in float32.

    It is no matrix product, as bf16 and TF32 would round its factors to 2 mm in a metre.
    """
    turn = turn.reshape(turn.shape[0], *[1] * (vectors.ndim - 2), 3, 3)
    return (vectors[..., None] * turn).sum(-2)


def _towards(rays: Tensor, hidden: Tensor, nothing: Tensor) -> Tensor:
    low, high = _box(rays, hidden)
    return look_at(((low + high) / 2).masked_fill(nothing, 0.0))


def look_at(point: Tensor) -> Tensor:
    """Rotations (N, 3, 3) into cameras whose axes go through points (N, 2) of the plane at 1 m.

    The x axis of such a camera is at right angles to the y axis of the first camera, so it has no roll.
    """
    forward = torch.nn.functional.normalize(torch.nn.functional.pad(point, (0, 1), value=1.0), dim=1)
    x, y, z = forward.unbind(1)
    right = torch.nn.functional.normalize(torch.stack([z, torch.zeros_like(y), -x], 1), dim=1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], 1)


def _seen_from(turn: Tensor, rays: Tensor) -> Tensor:
    """Rays (N, T, J, 2) in turned cameras."""
    x, y, z = turn[:, None, None].unbind(-1)
    points = torch.addcmul(torch.addcmul(z, y, rays[..., 1:]), x, rays[..., :1])
    return points[..., :2] / points[..., 2:].clamp_min(NEAREST)


def _box(points: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Corners (N, 2) of the box round the points of a window that are not hidden; infinite without any."""
    low = points.masked_fill(hidden, torch.inf).amin((1, 2))
    return low, points.masked_fill(hidden, -torch.inf).amax((1, 2))
