"""What `poseda.ops.augment` is measured against, each giving the same numbers.

* :func:`poseaug_style`: the eager formulation common in this field's code.
* :func:`poseda.ops.reference.augment`: the specification, eager.
* the specification under ``torch.compile``: the fair rival.

A :class:`Problem` is one `augment` call as plain tensors, so that all of them take it alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.ops import reference
from poseda.ops.samples import LEARNED, METHOD, augment_arguments

COMPILE_MODES = ("default", "max-autotune-no-cudagraphs")
"""Modes of ``torch.compile`` to try; CUDA graphs are captured by the benchmark, for every rival alike."""


@dataclass(frozen=True)
class Problem:
    """One `augment` call: fixed skeleton, named tensors, and the incoming gradients.

    Attributes:
        skeleton: the tree.
        tensors: every tensor of the call by its argument name; the camera's are focal, center, distortion.
        wanted: names of the tensors that need a gradient.
        cotangents: gradients of pose_3d (N, J, 3) and pose_2d (N, J, 2).
    """

    skeleton: Skeleton
    tensors: dict[str, Tensor]
    wanted: tuple[str, ...]
    cotangents: tuple[Tensor, Tensor]

    @classmethod
    def draw(
        cls,
        batch: int,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        skeleton: Skeleton = H36M16,
        give: Collection[str] = METHOD,
        wanted: tuple[str, ...] = LEARNED,
        seed: int = 0,
    ) -> Problem:
        """Draw a problem of ``batch`` poses; see :func:`poseda.ops.samples.augment_arguments`."""
        drawn = augment_arguments(batch, skeleton, give=give, dtype=dtype, device=device, seed=seed)
        del drawn["skeleton"]
        camera = drawn.pop("camera")
        lens = {name: getattr(camera, name) for name in ("focal", "center", "distortion")}
        generator = torch.Generator(device).manual_seed(seed)
        cotangents = tuple(
            torch.randn(batch, skeleton.num_joints, axes, generator=generator, device=device, dtype=dtype)
            for axes in (3, 2)
        )
        tensors = {**drawn, **{name: value for name, value in lens.items() if value is not None}}
        return cls(skeleton, tensors, wanted, cotangents)  # type: ignore[arg-type]

    @property
    def batch(self) -> int:
        """N."""
        return len(self.cotangents[0])

    def head(self, batch: int) -> Problem:
        """The first ``batch`` poses; tables that are picked from stay whole."""
        tables = ("focal", "center", "distortion", "placement") if "placement_index" in self.tensors else ()
        tensors = {name: value if name in tables else value[:batch] for name, value in self.tensors.items()}
        pose_3d, pose_2d = self.cotangents
        return replace(self, tensors=tensors, cotangents=(pose_3d[:batch], pose_2d[:batch]))

    def forward(self, augment: Augment) -> Callable[[], tuple[Tensor, Tensor]]:
        """A call of ``augment`` on this problem that returns pose_3d and pose_2d and records no gradient."""
        call = self.bind(augment)

        def run() -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                return call(**self.tensors)

        return run

    def forward_backward(self, augment: Augment) -> Callable[[], tuple[Tensor, ...]]:
        """A call of ``augment`` on this problem that returns the gradients of the ``wanted`` tensors."""
        call = self.bind(augment)
        wanted = {name: self.tensors[name].detach().requires_grad_() for name in self.wanted}
        tensors = {**self.tensors, **wanted}

        def run() -> tuple[Tensor, ...]:
            return torch.autograd.grad(call(**tensors), list(wanted.values()), self.cotangents)

        return run

    def bind(self, augment: Augment) -> Callable[..., tuple[Tensor, Tensor]]:
        """``augment`` as a function of this problem's tensors by name."""
        if isinstance(augment, Compiled):
            return augment.compile(self.skeleton)
        return _of_tensors(augment, self.skeleton)

    def forward_bytes(self) -> int:
        """Bytes to move if every input is read once and every output written once (valid: a byte a pose)."""
        return _size(self.tensors.values()) + _size(self.cotangents) + self.batch

    def backward_bytes(self) -> int:
        """The same for the backward pass: inputs and incoming gradients read, wanted gradients written."""
        return self.forward_bytes() + _size(self.tensors[name] for name in self.wanted)


def _of_tensors(augment: Callable[..., Any], skeleton: Skeleton) -> Callable[..., tuple[Tensor, Tensor]]:
    """``augment`` as a function of tensors by name, also the camera's."""

    def call(
        *, focal: Tensor, center: Tensor, distortion: Tensor | None = None, **tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        camera = Camera(focal, center, distortion)
        pose_3d, pose_2d, *_ = augment(skeleton=skeleton, camera=camera, **tensors)
        return pose_3d, pose_2d

    return call


def _size(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@dataclass(frozen=True)
class Compiled:
    """`poseda.ops.reference.augment` under ``torch.compile``.

    Args:
        mode: of the compiler.
        any_batch: one program for batches of any size, which saves compiling; else one for each size.
    """

    mode: str
    any_batch: bool = False

    def compile(self, skeleton: Skeleton) -> Callable[..., tuple[Tensor, Tensor]]:
        """The compiled function; its code is generated at the first call."""
        return _compiled(self, skeleton)


@functools.cache  # one program for all sets of inputs
def _compiled(how: Compiled, skeleton: Skeleton) -> Callable[..., tuple[Tensor, Tensor]]:
    call = _of_tensors(reference.augment, skeleton)
    return torch.compile(call, fullgraph=True, dynamic=how.any_batch, mode=how.mode)


Augment = Callable[..., Any] | Compiled
"""A function with the signature of :func:`poseda.ops.reference.augment`, or how to compile the reference."""


def poseaug_style(
    pose_3d: Tensor,
    *,
    skeleton: Skeleton,
    camera: Camera,
    bone_rotation: Tensor,
    bone_scale: Tensor,
    body_rotation: Tensor,
    placement: Tensor,
    placement_index: Tensor,
) -> tuple[Tensor, Tensor]:
    """The augmentation as this field's code writes it: dense matrices, batched matmul, a call a step.

    Written from the published descriptions (Gong et al., "PoseAug", CVPR 2021; Chai et al., ICCV 2023). Dense
    signed incidence matrices convert bones and joints into each other. They are made from lists at each use
    and repeated for the whole batch. Each of the three stages (angles, lengths, rotation and translation)
    takes a pose and returns a pose. Each computes unit vectors and lengths from the joints.

    Returns:
        pose_3d (N, J, 3) and pose_2d (N, J, 2).
    """
    # Angles: rotate the unit vector of each bone, keep its length.
    root = pose_3d[:, :1]
    unit, length = _unit_bones(pose_3d - root, skeleton), _bone_lengths(pose_3d - root, skeleton)
    rotation = _axis_angle_matrix(bone_rotation.reshape(-1, 3))
    rotated = torch.bmm(rotation, unit.reshape(-1, 3, 1)).view(unit.shape)
    posed = _joints(rotated * length, skeleton) + root
    # Lengths: one ratio for both sides.
    root = posed[:, :1]
    unit, length = _unit_bones(posed - root, skeleton), _bone_lengths(posed - root, skeleton)
    ratio = _share_by_symmetry(bone_scale, skeleton)
    posed = _joints(unit * (length * ratio + length), skeleton) + root
    # Rotation, then translation to where the target stands.
    local = (posed - posed[:, :1]).permute(0, 2, 1).contiguous()
    local = torch.bmm(_axis_angle_matrix(body_rotation), local).permute(0, 2, 1).contiguous()
    camera = camera.rows(placement_index)
    placed = local + _translation(local, camera, placement[placement_index])
    return placed, _project(placed, camera)


def _bone_lengths(pose: Tensor, skeleton: Skeleton) -> Tensor:
    return torch.norm(_bones(pose, skeleton), dim=2, keepdim=True)


def _unit_bones(pose: Tensor, skeleton: Skeleton) -> Tensor:
    return _bones(pose, skeleton) / _bone_lengths(pose, skeleton)


def _bones(pose: Tensor, skeleton: Skeleton) -> Tensor:
    rows = [[0.0] * skeleton.num_joints for _ in range(skeleton.num_bones)]
    for bone, parent in enumerate(skeleton.parents[1:]):
        rows[bone][parent], rows[bone][bone + 1] = -1.0, 1.0
    return _times(pose, rows)


def _joints(bones: Tensor, skeleton: Skeleton) -> Tensor:
    rows = [[0.0] * skeleton.num_bones]
    for bone, parent in enumerate(skeleton.parents[1:]):
        rows.append([*rows[parent]])
        rows[-1][bone] = 1.0
    return _times(bones, rows)


def _share_by_symmetry(ratio: Tensor, skeleton: Skeleton) -> Tensor:
    groups = range(skeleton.num_groups)
    return _times(ratio[:, :, None], [[float(own == g) for g in groups] for own in skeleton.bone_groups])


def _times(points: Tensor, rows: list[list[float]]) -> Tensor:
    """Multiply points (N, A, D) by a constant matrix of B rows, repeated for the batch: (N, B, D)."""
    matrix = torch.tensor(rows, dtype=points.dtype).t().to(points.device)
    matrix = matrix.repeat(points.shape[0], 1, 1)
    return torch.bmm(points.permute(0, 2, 1).contiguous(), matrix).permute(0, 2, 1).contiguous()


def _axis_angle_matrix(rotation: Tensor) -> Tensor:
    """Rotation vectors (B, 3) to matrices (B, 3, 3), entry by entry, with a branch for small angles."""
    squared = (rotation * rotation).sum(1, keepdim=True)
    angle = torch.sqrt(squared)
    x, y, z = torch.chunk(rotation / angle, 3, dim=1)
    c, s = torch.cos(angle), torch.sin(angle)
    full = torch.cat(
        [
            c + x * x * (1 - c),
            x * y * (1 - c) - z * s,
            y * s + x * z * (1 - c),
            z * s + x * y * (1 - c),
            c + y * y * (1 - c),
            -x * s + y * z * (1 - c),
            -y * s + x * z * (1 - c),
            x * s + y * z * (1 - c),
            c + z * z * (1 - c),
        ],
        dim=1,
    )
    rx, ry, rz = torch.chunk(rotation, 3, dim=1)
    one = torch.ones_like(rx)
    first_order = torch.cat([one, -rz, ry, rz, one, -rx, -ry, rx, one], dim=1)
    large = (squared > 1e-12).to(rotation.dtype)
    return (large * full + (1 - large) * first_order).view(-1, 3, 3)


def _translation(local: Tensor, camera: Camera, placement: Tensor) -> Tensor:
    """GPA: the root (N, 1, 3) that gives the pose the target's place and size on screen."""
    dx = local[:, :, 0].max(dim=1)[0] - local[:, :, 0].min(dim=1)[0]
    dy = local[:, :, 1].max(dim=1)[0] - local[:, :, 1].min(dim=1)[0]
    fx, fy = camera.focal[:, 0], camera.focal[:, 1]
    depth = (fx * dx + fy * dy) / (placement[:, 2] + placement[:, 3])
    screen = (placement[:, :2] - camera.center) / camera.focal
    ray = screen
    if camera.distortion is not None:
        # The usual fixed-point iteration. Six rounds leave less than rounding for the lenses drawn here.
        for _ in range(6):
            radial, tangential = _lens(ray[:, None], camera.distortion)
            ray = (screen - tangential[:, 0]) / radial[:, 0]
    return torch.stack([ray[:, 0] * depth, ray[:, 1] * depth, depth], dim=1)[:, None]


def _lens(points: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor]:
    """The factor (N, J, 1) and the offset (N, J, 2) by which a lens moves points (N, J, 2)."""
    k, p = distortion[:, None, :3], distortion[:, None, 3:]
    r2 = torch.sum(points**2, dim=2, keepdim=True)
    radial = 1 + torch.sum(k * torch.cat((r2, r2**2, r2**3), dim=2), dim=2, keepdim=True)
    return radial + torch.sum(p * points, dim=2, keepdim=True), p * r2


def _project(points: Tensor, camera: Camera) -> Tensor:
    screen = points[..., :2] / points[..., 2:]
    if camera.distortion is not None:
        radial, tangential = _lens(screen, camera.distortion)
        screen = screen * radial + tangential
    return camera.focal[:, None] * screen + camera.center[:, None]
