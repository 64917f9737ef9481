"""poseda: adapt 2D-to-3D human pose lifters to footage for which no 3D labels exist.

Names are loaded when they are first used: ``import poseda`` imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from poseda import _moved

if TYPE_CHECKING:
    from poseda import ops
    from poseda.geometry.camera import Camera
    from poseda.geometry.placements import TargetPlacements
    from poseda.geometry.skeleton import H36M16, Skeleton
    from poseda.inference import AdaptedLifter

__version__ = "0.2.0.dev0"
"""The one place of the version: the build and the compiled libraries read it here."""

__all__ = ["H36M16", "AdaptedLifter", "Camera", "Skeleton", "TargetPlacements", "__version__", "ops"]

_HOME = {
    "H36M16": "poseda.geometry.skeleton",
    "AdaptedLifter": "poseda.inference",
    "Camera": "poseda.geometry.camera",
    "Skeleton": "poseda.geometry.skeleton",
    "TargetPlacements": "poseda.geometry.placements",
}

_moved.install()


def __getattr__(name: str) -> Any:
    if name == "ops":
        return import_module("poseda.ops")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _moved.MOVED:
        return import_module(f"poseda.{name}")
    raise AttributeError(f"module 'poseda' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
