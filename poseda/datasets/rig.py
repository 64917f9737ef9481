"""Several cameras of one target: which of them saw each row, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rig:
    """What is known of the rows of a target beside their poses, where it is filmed by several cameras.

    Args:
        camera: (N,) int64, 0 to C - 1: the path that each row comes from.
        moment: (N,) int64; rows of one number show one person at one time. -1 where that cannot be told.
        recording: (N,) int64, index of ``recordings``.
        recordings: names of the paths with those of their recordings.
        cameras: C.
        rotation: (C, 3, 3) float32 from one world to the axes of each camera, or None where unknown.
    """

    camera: Tensor
    moment: Tensor
    recording: Tensor
    recordings: tuple[str, ...]
    cameras: int
    rotation: Tensor | None = None

    def rows(self, index: Tensor) -> Rig:
        """Pick rows by an int64 or boolean index."""
        index = index.to(self.camera.device)
        picked: dict[str, Any] = {
            name: getattr(self, name)[index] for name in ("camera", "moment", "recording")
        }
        return replace(self, **picked)

    def to(self, *args: Any, **kwargs: Any) -> Rig:
        """Move the tensors to a device, as ``Tensor.to``."""
        moved: dict[str, Any] = {
            name: getattr(self, name).to(*args, **kwargs) for name in ("camera", "moment", "recording")
        }
        rotation = None if self.rotation is None else self.rotation.to(*args, **kwargs)
        return replace(self, rotation=rotation, **moved)

    @classmethod
    def joined(cls, parts: Sequence[Rig]) -> Rig:
        """The rows of several tables of one rig, one table after the other."""
        rows: dict[str, Any] = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("camera", "moment", "recording")
        }
        return replace(parts[0], **rows)


def names_of(paths: Sequence[str | Path]) -> list[str]:
    """Short names of different paths: without ending, and with as many folders as tell them apart."""
    whole = [Path(path).resolve().with_suffix("").parts for path in paths]
    for count in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-count:]) for parts in whole]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
