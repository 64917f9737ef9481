"""Random augmentation as a module that draws rightly wherever training runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from poseda.geometry.camera import Camera
from poseda.geometry.placements import TargetPlacements
from poseda.geometry.skeleton import Skeleton
from poseda.ops import _autograd as autograd
from poseda.ops import _streams as streams
from poseda.ops import random
from poseda.ops._arguments import HALF, SHAPES, AugmentArguments, AugmentedPose, Gpa, check_augment, single
from poseda.ops._arguments import augment as record
from poseda.ops.augment import run
from poseda.ops.random import RandomParameters, RandomRanges


class PoseAugment(nn.Module):
    """:func:`poseda.ops.random_augment` as a module, for a training step or a DataLoader's collate function.

    Draws repeat with ``seed``. They differ by themselves between calls, between the ranks of
    ``torch.distributed``, and between the workers and the epochs of a DataLoader. In workers they also follow
    the loader's seeds, which ``torch.manual_seed`` or the loader's ``generator`` make repeatable.

    ``torch.utils.checkpoint`` draws the same when it repeats a call, if it is not itself compiled. For that,
    a call that may be repeated takes one number from torch's CPU generator. A replayed CUDA graph draws anew.

    Threads need a module each: two calls at once may draw the same.

    The camera and placement tables are buffers. ``rng_state``, seed and offset, is none. It moves with the
    module and is saved with it, the same on every rank, and DistributedDataParallel does not broadcast it.

    Example:
        >>> from poseda import H36M16, Camera
        >>> from poseda.ops import PoseAugment, RandomRanges
        >>> camera = Camera(torch.full((1, 2), 2.3), torch.zeros(1, 2))
        >>> placement = torch.tensor([[0.0, 0.0, 0.2, 0.6], [0.3, 0.1, 0.1, 0.4]])
        >>> module = PoseAugment(H36M16, camera, placement, ranges=RandomRanges(bone_angle=0.2), seed=7)
        >>> pair = module(torch.randn(8, 16, 3))
        >>> pair.pose_2d.shape
        torch.Size([8, 16, 2])

    Args:
        skeleton: the tree.
        camera: with ``placement`` a table of M cameras, or one; else one for each pose of every call, or one.
        placement: (M, 4) targets, of which each pose takes a random row; None leaves poses where they stand.
        ranges: the ranges of the parameters.
        seed: of the draws.
        root: (1, 3) metres, where every root shall stand. Default: where the source's stands.
        joint_mask: (M, J) bool, the joints that span the boxes of ``placement``. Default: all.
        propagate, gpa, min_depth, require_in_frame: as for :func:`poseda.ops.augment`.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    rng_state: Tensor
    _serial: int

    def __init__(
        self,
        skeleton: Skeleton,
        camera: Camera,
        placement: Tensor | None = None,
        *,
        ranges: RandomRanges | None = None,
        seed: int = 0,
        root: Tensor | None = None,
        joint_mask: Tensor | None = None,
        propagate: bool = False,
        gpa: Gpa = "closed_form",
        min_depth: float = 0.1,
        require_in_frame: bool = False,
    ) -> None:
        super().__init__()
        random.check_table(placement, joint_mask, skeleton)
        random.check_ranges(ranges)
        self.skeleton, self.ranges = skeleton, ranges or RandomRanges()
        modes = {
            "propagate": propagate,
            "gpa": gpa,
            "min_depth": min_depth,
            "require_in_frame": require_in_frame,
        }
        given = _example(skeleton, camera, placement, root, joint_mask, modes)
        self._settings = given.settings
        for name in ("focal", "center", "distortion", "aspect"):
            self.register_buffer(name, getattr(camera, name))
        for name, table in (("placement", placement), ("root", root), ("joint_mask", joint_mask)):
            self.register_buffer(name, table)
        self._rank = 0
        self.reseed(seed)

    @classmethod
    def of_targets(cls, skeleton: Skeleton, targets: TargetPlacements, **options: Any) -> PoseAugment:
        """A module that places poses like these targets, with the cameras and the seen joints of their rows.

        Args:
            skeleton: the tree.
            targets: the table.
            options: further arguments of :class:`PoseAugment`.
        """
        return cls(skeleton, targets.camera, targets.placement, joint_mask=targets.visible, **options)

    @property
    def camera(self) -> Camera:
        """The camera table."""
        return Camera(*(self._buffers[name] for name in ("focal", "center", "distortion", "aspect")))  # type: ignore[arg-type]

    def reseed(self, seed: int) -> None:
        """Start the draws of this seed, as a new module would.

        Raises:
            ValueError: if the seed is no int64.
        """
        state = random.random_state(seed, self.camera.focal.device)
        if hasattr(self, "rng_state"):
            self.rng_state.copy_(state)  # in place, for graphs that read it
            self._serial = streams.new_serial(self, self._serial)
        else:
            self.rng_state = state
            self._serial = streams.new_serial(self)

    def forward(self, pose_3d: Tensor) -> AugmentedPose:
        """Augment (N, J, 3) or (N, T, J, 3) poses."""
        random.check_batch(pose_3d)
        autograd.refuse_vmap("PoseAugment")
        if pose_3d.device != self.rng_state.device:
            raise TypeError(
                f"pose_3d: expected device {self.rng_state.device} as this module, got {pose_3d.device}"
            )
        if pose_3d.dtype in HALF:
            pose_3d = pose_3d.float()
        drawn, tables = self._draw(pose_3d), self._buffers
        given = AugmentArguments(
            pose_3d,
            tables["focal"],  # type: ignore[arg-type]
            tables["center"],  # type: ignore[arg-type]
            tables["distortion"],
            tables["aspect"],
            drawn.bone_rotation,
            drawn.bone_scale,
            drawn.body_rotation,
            tables["root"],
            tables["placement"],
            drawn.placement_index,
            random.picked(tables["joint_mask"], drawn.placement_index),
            *self._settings,
        )
        return run(single(given))

    def _draw(self, pose_3d: Tensor) -> RandomParameters:
        placement = self._buffers["placement"]
        if torch.compiler.is_compiling():
            state = torch.ops.poseda.state_of_call.default(self.rng_state, self._serial, self._rank)
            advance = False
        else:
            state, advance = streams.state_of_call(self.rng_state, self._serial, self._rank)
        rows = 0 if placement is None else placement.shape[0]
        batch = pose_3d.shape[0]
        like = pose_3d.detach()
        drawn = random.draw(state, like, batch, self.skeleton, self.ranges, rows, advance=advance)
        return random.in_frames(drawn) if pose_3d.dim() == 4 else drawn

    def extra_repr(self) -> str:
        seed, offset = self.rng_state.tolist()
        placement = self._buffers["placement"]
        modes = AugmentArguments(*[None] * len(SHAPES), *self._settings)  # type: ignore[arg-type]
        said = {
            "skeleton": self.skeleton.name,
            **{name: f"{value:.4g}" for name, value in asdict(self.ranges).items()},
            "placement": None if placement is None else f"{len(placement)} rows",
            "gpa": "exact" if modes.exact else "closed_form",
            **{name: getattr(modes, name) for name in ("propagate", "min_depth", "require_in_frame")},
            "seed": seed,
            "calls": offset,
        }
        return ", ".join(f"{name}={value}" for name, value in said.items() if value is not None)

    # ---- The state: one for each module and process, moved and saved with the module

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PoseAugment:
        super()._apply(fn, recurse)
        # Only the device is taken over: an empty tensor's contents and shared memory are not wanted.
        device = fn(self.rng_state.new_empty(0)).device
        if device.type != "meta":
            self.rng_state = self.rng_state.to(device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        # As numbers: processes share the memory of tensors that they send each other.
        state = self.rng_state.tolist(), self.rng_state.device
        return {**self.__dict__, "rng_state": state, "_rank": streams.own_rank(self._rank)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        numbers, device = state["rng_state"]
        self.rng_state = torch.tensor(numbers, device=device)
        self._serial = streams.new_serial(self)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}rng_state"] = self.rng_state.clone()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: list[str],
        *more: Any,
    ) -> None:
        key = f"{prefix}rng_state"
        state = state_dict.pop(key, None)
        if state is not None:
            if not isinstance(state, Tensor) or state.shape != (2,) or state.dtype != torch.int64:
                found = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, Tensor) else type(state)
                raise ValueError(f"{key}: expected int64 of shape (2,), got {found}")
            self.rng_state.copy_(state)
            self._serial = streams.new_serial(self, self._serial)
        elif strict:
            missing.append(key)
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, *more)


def _example(
    skeleton: Skeleton,
    camera: Camera,
    placement: Tensor | None,
    root: Tensor | None,
    joint_mask: Tensor | None,
    modes: dict[str, Any],
) -> AugmentArguments:
    """The arguments of a call, checked: one pose for each camera, or one for a table."""
    batch = camera.num_rows if isinstance(camera, Camera) and placement is None else 1
    like = camera.focal if isinstance(camera, Camera) else torch.empty(0)
    given = record(
        like.new_zeros(batch, skeleton.num_joints, 3),
        skeleton=skeleton,
        camera=camera,
        bone_rotation=like.new_zeros(1, skeleton.num_bones, 3),
        bone_scale=like.new_zeros(1, skeleton.num_groups),
        body_rotation=like.new_zeros(1, 3),
        root=root,
        placement=placement,
        placement_index=None if placement is None else like.new_zeros(1, dtype=torch.int64),
        joint_mask=None if joint_mask is None else joint_mask[:1],
        **modes,
    )
    if root is not None and placement is None and (not isinstance(root, Tensor) or root.shape != (1, 3)):
        came = tuple(root.shape) if isinstance(root, Tensor) else type(root).__name__
        raise ValueError(f"root: expected shape (1, 3), got {came}")
    check_augment(given)
    return given
