"""What the 3D viewer shows: clips of the target with the prediction of every model."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

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
    start, shown = 0, []
    for clip in notes["clips"]:
        height = float(aspect[start]) if aspect is not None else None
        shown.append({**clip, "start": start, "aspect": height})
        start += clip["frames"]
    return {
        "joints": notes["joint_names"],
        "parents": notes["parents"],
        "left": notes["left"],
        "right": notes["right"],
        "models": notes["models"],
        "source": models.source,
        "chosen": models.compared or models.source,
        "clips": shown,
        "screen": _packed(clips["pose_2d"], SCREEN_SCALE),
        "seen": base64.b64encode(clips["seen"].astype("u1").tobytes()).decode(),
        "lifted": {arm: _packed(clips[f"lifted.{arm}"], SPACE_SCALE) for arm in notes["models"]},
        "scale": {"screen": SCREEN_SCALE, "space": SPACE_SCALE},
    }


def _packed(values: np.ndarray, scale: int) -> str:
    whole = np.clip(np.round(np.nan_to_num(values) * scale), -32767, 32767).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()
