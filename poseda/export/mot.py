"""MOT of one person: joint angles over time, as OpenSim's storage files hold them.

Degrees; :mod:`poseda.export.angles` defines the angles. ``pelvis_tx``, ``_ty`` and ``_tz`` are metres in the
world of :mod:`poseda.export.world`. Angles in gaps are those of the bridged joints; a line of the header
names these frames, counted from 0, and another the angles that the skeleton does not allow.
"""

from __future__ import annotations

import numpy as np

from poseda.export.angles import joint_angles, missing_angles
from poseda.export.world import Actor
from poseda.geometry.skeleton import Skeleton


def mot_text(actor: Actor, skeleton: Skeleton, rate: float) -> str:
    """The MOT of one person.

    Args:
        actor: who, on the clock of the clip.
        skeleton: of the positions.
        rate: of the recording; the actor's times hold it.
    """
    angles = joint_angles(actor.position, skeleton)
    root = actor.position[:, 0] if skeleton.joint_names[0] == "pelvis" else None
    columns = {"time": actor.time} | angles
    if root is not None:
        columns |= {f"pelvis_t{axis}": root[:, at] for at, axis in enumerate("xyz")}
    lines = [actor.title, "version=1", f"nRows={len(actor.time)}", f"nColumns={len(columns)}"]
    lines += ["inDegrees=yes", "", "Angles of joint centres, defined after the ISB."]
    if left_out := missing_angles(skeleton):
        lines.append(f"Not in skeleton {skeleton.name}: {', '.join(left_out)}")
    if bridged := np.flatnonzero(~actor.known).tolist():
        lines.append(f"Bridged rows: {', '.join(map(str, bridged))}")
    lines += ["endheader", "\t".join(columns)]
    lines += ["\t".join(f"{x:.6f}" for x in row) for row in np.stack(list(columns.values()), 1)]
    return "\n".join(lines) + "\n"
