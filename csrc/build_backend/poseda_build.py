"""PEP 517 backend: scikit-build-core, with torch added to the build requirements only where none is
installed.

A torch in ``build-system.requires`` would make every isolated build download one, even beside an installed
torch.
"""

from __future__ import annotations

from typing import Any

from find_torch import find_torch
from scikit_build_core import build as _backend
from scikit_build_core.build import *  # noqa: F403


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    return _with_torch(_backend.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings: dict[str, Any] | None = None) -> list[str]:
    return _with_torch(_backend.get_requires_for_build_editable(config_settings))


def _with_torch(requires: list[str]) -> list[str]:
    return requires if find_torch() else [*requires, "torch>=2.11"]
