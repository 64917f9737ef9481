"""Random arguments for `augment`. The tests check, and the benchmark times, the same poses."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16, Skeleton

LEARNED = ("bone_rotation", "bone_scale", "body_rotation")
"""The parameters that a generator proposes: a training step needs their gradients."""

METHOD = ("bone_rotation", "group_scale", "body_rotation", "placement", "placement_index", "distortion")
"""What one step of the method passes: a generator's parameters, GPA from a table, lenses with distortion."""

EVERYTHING = (*METHOD, "joint_mask", "aspect")
"""As much as can be given together."""

OPTIONAL = (*EVERYTHING, "bone_scale", "root", "shared_camera", "shared_parameters")
"""All names `augment_arguments` understands."""

CHAIN64 = Skeleton.declare("chain64", {f"j{i}": f"j{i - 1}" if i else None for i in range(64)})
"""The largest tree that the op takes, and the deepest."""

DISTINCT = 16384
"""Larger batches repeat their poses, so that a benchmark of millions is drawn fast."""


def augment_arguments(
    batch: int,
    skeleton: Skeleton = H36M16,
    *,
    give: Collection[str] = METHOD,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    seed: int = 0,
    frames: int | None = None,
    rows: int = 4096,
) -> dict[str, Any]:
    """Draw keyword arguments for :func:`poseda.ops.augment` whose poses are valid.

    Args:
        batch: N.
        skeleton: any tree.
        give: the optional arguments to pass, names of :data:`OPTIONAL`. ``group_scale`` is a bone_scale per
            symmetric group; ``shared_camera`` and ``shared_parameters`` draw one row for the whole batch.
        dtype: of every floating argument. Drawn in float64, so that dtypes differ by rounding only.
        device: where they go. Drawn on the CPU, so that devices do not differ.
        seed: of the draw; torch's global generator is left alone.
        frames: T, or None for single poses.
        rows: M, height of the placement and camera table where ``placement_index`` is given.

    Raises:
        ValueError: for an unknown name in ``give``.
    """
    if unknown := set(give) - set(OPTIONAL):
        raise ValueError(
            f"give: expected names out of {', '.join(OPTIONAL)}; got {', '.join(sorted(unknown))}"
        )
    draw = _Draw(seed, dtype, device)
    time = () if frames is None else (frames,)
    lead = (1 if "shared_parameters" in give else batch, *time)
    table = rows if "placement_index" in give else batch
    joints, bones = skeleton.num_joints, skeleton.num_bones
    arguments: dict[str, Any] = {
        "pose_3d": _poses(draw, batch, time, skeleton),
        "skeleton": skeleton,
        "camera": _cameras(draw, 1 if "shared_camera" in give else table, give),
    }
    if "bone_rotation" in give:
        arguments["bone_rotation"] = draw.normal(0.0, 0.25, *lead, bones, 3)
    if "group_scale" in give:
        arguments["bone_scale"] = draw.uniform(-0.2, 0.2, *lead, skeleton.num_groups)
    elif "bone_scale" in give:
        arguments["bone_scale"] = draw.uniform(-0.2, 0.2, *lead, bones)
    if "body_rotation" in give:
        arguments["body_rotation"] = draw.normal(0.0, 0.6, *lead, 3)
    if "root" in give:
        arguments["root"] = draw.uniform(-0.5, 0.5, batch, 3) + draw.constant(0.0, 0.0, 5.0)
    elif "placement" in give:
        place, box = draw.uniform(-0.25, 0.25, table, 2), draw.uniform(0.2, 0.5, table, 2)
        arguments["placement"] = torch.cat([place, box], -1)
        if "placement_index" in give:
            arguments["placement_index"] = draw.index(table, batch)
    if "joint_mask" in give:
        mask = draw.uniform(0.0, 1.0, batch, joints) < 0.8
        arguments["joint_mask"] = mask | (torch.arange(joints, device=device) < 2)
    return arguments


class _Draw:
    """Draws in float64 on the CPU; hands out in the dtype and on the device asked for."""

    def __init__(self, seed: int, dtype: torch.dtype, device: torch.device | str) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype, self.device = dtype, device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return self._deal(lambda *size: low + (high - low) * self._rand(*size), shape)

    def normal(self, mean: float, deviation: float, *shape: int) -> Tensor:
        def gaussian(*size: int) -> Tensor:
            return mean + deviation * torch.randn(*size, generator=self.generator, dtype=torch.float64)

        return self._deal(gaussian, shape)

    def index(self, high: int, size: int) -> Tensor:
        drawn = torch.randint(high, (min(size, DISTINCT),), generator=self.generator)
        return _repeat(drawn.to(self.device), size)

    def constant(self, *values: float) -> Tensor:
        return torch.tensor(values, dtype=self.dtype, device=self.device)

    def _rand(self, *size: int) -> Tensor:
        return torch.rand(*size, generator=self.generator, dtype=torch.float64)

    def _deal(self, draw: Any, shape: tuple[int, ...]) -> Tensor:
        drawn = draw(min(shape[0], DISTINCT), *shape[1:])
        return _repeat(drawn.to(self.device, self.dtype), shape[0])


def _repeat(value: Tensor, size: int) -> Tensor:
    """The first ``size`` rows of ``value``, repeated without end."""
    if size <= value.shape[0]:
        return value
    times = -(-size // value.shape[0])
    return value.repeat(times, *[1] * (value.dim() - 1))[:size]


def _poses(draw: _Draw, batch: int, time: tuple[int, ...], skeleton: Skeleton) -> Tensor:
    """Trees of bones of 10 to 40 cm, a few metres in front of the camera: (N, J, 3) or (N, T, J, 3)."""
    direction = draw.normal(0.0, 1.0, batch, *time, skeleton.num_bones, 3)
    length = draw.uniform(0.1, 0.4, batch, *time, skeleton.num_bones, 1)
    # Trees with long chains would reach the camera; shorten them.
    chain = [0]
    for parent in skeleton.parents[1:]:
        chain.append(chain[parent] + 1)
    bone = direction / direction.norm(dim=-1, keepdim=True) * length * (4.0 / max(4, max(chain)))
    root = draw.uniform(-0.5, 0.5, batch, *time, 3) + draw.constant(0.0, 0.0, 5.0)
    joints = [root]
    for k, parent in enumerate(skeleton.parents[1:]):
        joints.append(joints[parent] + bone[..., k, :])
    return torch.stack(joints, -2)


def _cameras(draw: _Draw, rows: int, give: Collection[str]) -> Camera:
    """Lenses like those of Human3.6M, each a little different."""
    distortion = aspect = None
    if "distortion" in give:
        typical = draw.constant(-0.2, 0.24, -0.002, -0.001, -0.003)
        distortion = typical * draw.uniform(0.8, 1.2, rows, 5)
    if "aspect" in give:
        aspect = draw.uniform(0.9, 1.1, rows)
    focal = draw.uniform(2.2, 2.4, rows, 2)
    return Camera(focal, draw.uniform(-0.05, 0.05, rows, 2), distortion, aspect)
