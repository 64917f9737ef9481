"""C3D of one person: joints as points, written by the library of that name (extra ``c3d``).

Millimetres, z up, as is the custom of the format: the world of :mod:`poseda.export.world` turned about x.
Frames without a pose hold invalid points, so nothing is bridged.
"""

from __future__ import annotations

import io
import warnings

import numpy as np

from poseda.export.world import Actor
from poseda.geometry.skeleton import Skeleton

MILLIMETRES = 1000.0

INVALID = -1.0
"""The residual of a point that is not there."""


def c3d_bytes(actor: Actor, skeleton: Skeleton, rate: float) -> bytes:
    """The C3D of one person.

    Args:
        actor: who, on the clock of the clip.
        skeleton: of the positions.
        rate: frames a second of the recording.
    """
    import c3d

    x, y, z = np.moveaxis(actor.position, -1, 0)
    points = np.zeros((*x.shape, 5), np.float32)
    points[..., :3] = np.stack([x, -z, y], -1) * MILLIMETRES
    points[~actor.known] = [0, 0, 0, INVALID, 0]
    writer = c3d.Writer(point_rate=1 / float(actor.time[1]) if len(actor.time) > 1 else rate)
    no_analog = np.zeros((0, 1), np.float32)
    writer.add_frames([(frame, no_analog) for frame in points])
    writer.set_point_labels(list(skeleton.joint_names))
    writer.set_screen_axis("+X", "+Z")
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of a file without analog signals
        writer.write(content)
    return content.getvalue()
