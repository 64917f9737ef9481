"""Modules under the names they had in 0.1.0: they import for one more release, with a warning.

Nothing is loaded before it is asked for. Remove this module in 0.3.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "autograd": "ops._autograd",
    "datasets.archive": "datasets.domain_file",
    "datasets.domain": "datasets.records",
    "datasets.embedded": "datasets.synthetic.embedded",
    "files": "runs.atomic",
    "inference.timeline": "datasets.timeline",
    "ops.alignment": "ops.procrustes",
    "ops.augmentation": "ops.augment",
    "ops.sampling": "ops.random",
    "training.checkpoint": "runs.checkpoint",
    "training.folder": "runs.folder",
    "training.journal": "runs.journal",
    "training.lock": "runs.lock",
    "training.network": "lifters.sizes",
    "training.sequences": "datasets.sequences",
    "arguments": "ops._arguments",
    "calibration": "geometry.focal_length",
    "camera": "geometry.camera",
    "discriminators": "method.discriminators",
    "distance": "evaluation.distance",
    "gate": "evaluation.gate",
    "generator": "method.generator",
    "gpa": "geometry.placements",
    "labelfree": "evaluation.labelfree",
    "losses": "method.losses",
    "metrics": "evaluation.metrics",
    "native": "ops._native",
    "placing": "geometry.placements",
    "plausibility": "evaluation.plausibility",
    "protocols": "evaluation.protocols",
    "reference": "ops.reference",
    "rivals": "bench.rivals",
    "rotation": "geometry.rotation",
    "samples": "ops.samples",
    "skeleton": "geometry.skeleton",
}
"""Old name to new name, within the package."""


class _Redirect(MetaPathFinder, Loader):
    """Finds a module under its old name and hands out the module itself, not a copy."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        return ModuleSpec(fullname, self) if package == "poseda" and name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = f"poseda.{MOVED[spec.name.partition('.')[2]]}"
        warnings.warn(
            f"{spec.name} has moved to {new}; the old name goes with version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        module = importlib.import_module(new)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state  # the import system has put the old name there


def install() -> None:
    """Make the old names importable, once."""
    if not any(isinstance(finder, _Redirect) for finder in sys.meta_path):
        sys.meta_path.append(_Redirect())
