"""BVH of one person: a hierarchy of any skeleton, joint rotations from the directions of bones.

Centimetres, in the world of :mod:`poseda.export.world`: y up, on a floor at height 0, all people of a clip on
one clock. :mod:`poseda.export.rig` says how bones turn. BVH has no gaps: there each joint is on the line
between where it was before and after. The pose of the first known frame is held before it; the file ends with
the last known frame.
"""

from __future__ import annotations

import numpy as np

from poseda.export.rig import Node, Rig
from poseda.export.world import Actor
from poseda.geometry.rotation import euler_zxy
from poseda.geometry.skeleton import Skeleton

CENTIMETRES = 100.0

CHANNELS = ("Zrotation", "Xrotation", "Yrotation")
"""Order of every joint's rotations."""


def bvh_text(actor: Actor, skeleton: Skeleton, rate: float) -> str:
    """The BVH of one person.

    Args:
        actor: who, on the clock of the clip.
        skeleton: of the positions.
        rate: frames a second of the recording.
    """
    rig = Rig(actor, skeleton)
    step = float(actor.time[1]) if len(actor.time) > 1 else 1 / rate
    lines = ["HIERARCHY", *_lines(rig.nodes, 0, ""), "MOTION", f"Frames: {len(actor.time)}"]
    lines.append(f"Frame Time: {step:.8f}")
    angles = [euler_zxy(node.turn) for node in rig.nodes]
    lines += [
        " ".join(f"{x:.6f}" for x in row) for row in np.concatenate([rig.root * CENTIMETRES, *angles], 1)
    ]
    return "\n".join(lines) + "\n"


def _lines(nodes: list[Node], at: int, indent: str) -> list[str]:
    """The lines of a joint, from its first word to its closing brace."""
    node, inner = nodes[at], indent + "\t"
    position = () if at else ("Xposition", "Yposition", "Zposition")
    channels = (*position, *CHANNELS)
    lines = [
        f"{indent}{'JOINT' if at else 'ROOT'} {node.name}",
        f"{indent}{{",
        f"{inner}OFFSET {_place(node.offset)}",
        f"{inner}CHANNELS {len(channels)} {' '.join(channels)}",
    ]
    for child in node.children:
        lines += _lines(nodes, child, inner)
    if not node.children:
        lines += [f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET {_place(node.tip)}", f"{inner}}}"]
    return [*lines, indent + "}"]


def _place(offset: np.ndarray) -> str:
    return " ".join(f"{x:.6f}" for x in offset * CENTIMETRES)
