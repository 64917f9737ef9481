"""What is known of a recording beside its poses."""

from __future__ import annotations

from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D
from poseda.datasets.lens import Lens
from poseda.inference.model import AdaptedLifter


def circumstances(detections: Detections2D, lens: Lens, model: AdaptedLifter) -> dict[str, Any]:
    """Names of clips, sizes of pictures, arm and camera, by their names in :class:`LiftedPoses`."""
    clips, first = np.unique(detections.clip, return_index=True)
    if lens.intrinsics is not None:
        sizes = {int(clip): lens.intrinsics.size for clip in clips}
    elif detections.image_size is None:
        sizes = {}
    else:
        pairs = zip(clips.tolist(), detections.image_size[first].astype(int).tolist(), strict=True)
        sizes = {clip: (width, height) for clip, (width, height) in pairs}
    return {
        "clip_names": dict(detections.reading.clip_names),
        "image_size": sizes,
        "arm": model.arm,
        "camera": lens.note,
    }
