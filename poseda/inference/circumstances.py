"""What is known of a recording beside its poses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from poseda.datasets.checks import conversion_of
from poseda.datasets.detections import Detections2D
from poseda.datasets.lens import Lens
from poseda.geometry.camera import tilted_up
from poseda.inference.model import AdaptedLifter, LiftOptions


def circumstances(detections: Detections2D, lens: Lens, model: AdaptedLifter) -> dict[str, Any]:
    """Names of clips, sizes of pictures, joints made up, arm and camera, as :class:`LiftedPoses` has them."""
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
        "made_up": conversion_of(detections, model.skeleton).made_up,
    }


def given_up(options: LiftOptions, clip: np.ndarray) -> dict[int, tuple[float, float, float]]:
    """Upward direction in the camera's axes by clip, as the user gives it; empty where they do not."""
    if options.camera_pitch is None:
        return {}
    angles = torch.deg2rad(torch.tensor([options.camera_pitch, options.camera_roll]))
    x, y, z = tilted_up(angles).tolist()
    return {int(number): (x, y, z) for number in np.unique(clip)}
