"""The lifter that is installed with the package, as the folder of a run; card.json says what it is.

`python -m benchmarks.pretrained` trains it and writes this folder.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from poseda.config import RunConfig, from_json

FOLDER = Path(__file__).parent
"""The run folder; it is only read."""

CARD = FOLDER / "card.json"
"""What the lifter learned from, who made it, its licence and its errors."""


@lru_cache(maxsize=1)
def config() -> RunConfig:
    """The options that the lifter was trained with."""
    return from_json(json.loads((FOLDER / "config.json").read_text())["config"])


def card() -> dict[str, Any]:
    """What the lifter learned from, who made it, its licence and its errors."""
    found: dict[str, Any] = json.loads(CARD.read_text())
    return found
