"""Names that 0.1.0 wrote, which run folders may still hold. A folder of that time keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poseda.config import RENAMED_ARMS, arm_name

FIRST_ARM_NAMES: dict[str, str] = {name: first for first, name in RENAMED_ARMS.items()}
"""Name of an arm today to its name in 0.1.0, where it had another."""

_FIRST_NAMES = FIRST_ARM_NAMES | {
    "samples.safetensors": "gallery.safetensors",
    "view_alignment.safetensors": "alignment.safetensors",
}
"""The same for folders of arms and for files."""


def path_in(parent: Path, name: str) -> Path:
    """Where a file or folder of that name is, or is to be: under its first name where 0.1.0 made it."""
    first, today = parent / _FIRST_NAMES.get(name, name), parent / name
    return first if first.exists() and not today.exists() else today


def with_arm_of_today(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of results or of the journal, with today's name of its arm."""
    return {**row, "arm": arm_name(row["arm"])}
