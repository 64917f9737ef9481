"""What the 3D viewer shows: clips of the target with the prediction of every model."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from poseda.geometry.world import level_axes
from poseda.report.headline import Models
from poseda.runs.record import RunRecord

SCREEN_SCALE, SPACE_SCALE = 10_000, 1000
"""Screen coordinates and metres are kept as whole numbers: ten thousandths, millimetres."""


def viewer_data(record: RunRecord, models: Models) -> dict[str, Any] | None:
    """Everything that viewer.js reads, ready for JSON; None where a run kept no clips.

    Coordinates are 16-bit whole numbers, little-endian, in base64.
    """
    if not record.clips:
        return None
    clips, notes = record.clips, record.clip_notes
    aspect = clips.get("aspect")
    size, rate = _footage(record)
    start, shown = 0, []
    for clip in notes["clips"]:
        height = float(aspect[start]) if aspect is not None else None
        speed = rate if clip["in_order"] else None
        axes = turns({arm: up for arm, up in clip.get("up", {}).items() if arm in notes["models"]})
        shown.append({**clip, "start": start, "aspect": height, "size": size, "rate": speed, "turn": axes})
        start += clip["frames"]
    return {
        "title": "Predictions on the target",
        "lead": "The target's 2D input, and the 3D poses that two models lift from it.",
        "joints": notes["joint_names"],
        "parents": notes["parents"],
        "left": notes["left"],
        "right": notes["right"],
        "models": notes["models"],
        "source": models.source,
        "chosen": models.compared or models.source,
        "clips": shown,
        "screen": packed(clips["pose_2d"], SCREEN_SCALE),
        "seen": flags(clips["seen"]),
        "made_up": [],
        "placed": False,
        "lifted": {arm: packed(clips[f"lifted.{arm}"], SPACE_SCALE) for arm in notes["models"]},
        "scale": {"screen": SCREEN_SCALE, "space": SPACE_SCALE},
    }


def turns(up: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Model to the rotation that stands its people up: nine numbers, row by row.

    The viewer draws a floor for these models alone: where nobody knows which way is up, there is none.

    Args:
        up: model to the upward direction in camera axes.
    """
    return {model: level_axes(direction).round(6).ravel().tolist() for model, direction in up.items()}


def _footage(record: RunRecord) -> tuple[list[int] | None, float | None]:
    """Size of the pictures and rate of the user's footage; None where unknown or not of one size."""
    sizes = [account.image_size for account in record.accounts.values()]
    rates = {account.rate for account in record.accounts.values()}
    size = sizes[0] if sizes and all(size == sizes[0] for size in sizes) else None
    one = size is not None and len(size) == 2 and not isinstance(size[0], list)
    return (size if one else None), (rates.pop() if len(rates) == 1 else None)


def flags(values: np.ndarray) -> str:
    """Yes or no, a byte each, in base64."""
    return base64.b64encode(values.astype("u1").tobytes()).decode()


def packed(values: np.ndarray, scale: int) -> str:
    """Numbers as 16-bit whole numbers, little-endian, in base64."""
    whole = np.clip(np.round(np.nan_to_num(values) * scale), -32767, 32767).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()
