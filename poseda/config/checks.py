"""What the values of options must be, by the names of the options."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

_POSITIVE = {"width", "blocks", "adapt_steps", "steps", "batch", "learning_rate"} | {
    "discriminator_rate",
    "discriminator_every",
    "clip",
    "part_width",
    "screen_width",
    "layers",
    "pool",
    "log_every",
    "save_every",
    "hard_ratio",
    "domain_size",
    "stride",
    "rate",
    "cutoff",
    "poses",
    "min_poses",
    "max_views",
    "frames",
}
SMALLEST_BATCH = 4
"""Spreads and batch norms need two poses, and half of an oracle's batch is of the target."""

_SIGNED = {"focal_error"}
_WHOLE = {"source_share", "warmup", "min_confidence"}
_SHARES = {"dropout", "ema", "warmup", "source_share", "bone_scale", "min_confidence"} | {
    "build",
    "valid_share",
}


def check_ranges(record: Any, prefix: str = "") -> None:
    for entry in dataclasses.fields(record):
        value, name = getattr(record, entry.name), prefix + entry.name
        if dataclasses.is_dataclass(value):
            check_ranges(value, f"{name}.")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            continue
        elif entry.name in _POSITIVE and not value > 0:
            raise ValueError(f"{name}: expected a number above 0, got {value}")
        elif entry.name == "batch" and value < SMALLEST_BATCH:
            raise ValueError(f"{name}: expected at least {SMALLEST_BATCH} poses a step, got {value}")
        elif entry.name in _SHARES and not (0 <= value < 1 or (value == 1 and entry.name in _WHOLE)):
            raise ValueError(f"{name}: expected a share from 0 to 1, got {value}")
        elif entry.name in _SIGNED and not value > -1:
            raise ValueError(f"{name}: expected a number above -1, got {value}")
        elif entry.name not in _SIGNED and not value >= 0:
            raise ValueError(f"{name}: expected a number of at least 0, got {value}")


def check_lists(record: Any, *names: str) -> None:
    for name in names:
        values = getattr(record, name)
        if not values or len(set(values)) != len(values):
            raise ValueError(f"{name}: expected at least one and none twice, got {values}")


def picture_size(text: str | None) -> tuple[int, int] | None:
    """Width and height in pixels from ``1280x720``, None from None.

    Raises:
        ValueError: if the text is something else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text)
    if found is None:
        raise ValueError(f"image_size: expected WIDTHxHEIGHT as 1280x720, got {text!r}")
    return int(found[1]), int(found[2])
