"""TRC of one person: joints as markers, for OpenSim, Pose2Sim and their kin.

Metres, in the world of :mod:`poseda.export.world`: y up. Frames without a pose hold empty cells: the format
has gaps, so nothing is bridged. Frames are numbered from 1, and times begin at 0.
"""

from __future__ import annotations

from poseda.export.world import Actor
from poseda.geometry.skeleton import Skeleton

HEADINGS = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame OrigNumFrames"

DECIMALS = 4
"""Of metres: a tenth of a millimetre."""


def trc_text(actor: Actor, skeleton: Skeleton, rate: float) -> str:
    """The TRC of one person.

    Args:
        actor: who, on the clock of the clip.
        skeleton: of the positions.
        rate: frames a second of the recording.
    """
    names, frames = skeleton.joint_names, len(actor.time)
    shown = 1 / float(actor.time[1]) if frames > 1 else rate
    axes = [f"{axis}{number}" for number in range(1, len(names) + 1) for axis in "XYZ"]
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", f"{actor.title}.trc"],
        HEADINGS.split(),
        [f"{shown:g}", f"{shown:g}", str(frames), str(len(names)), "m", f"{shown:g}", "1", str(frames)],
        ["Frame#", "Time", *(cell for name in names for cell in (name, "", ""))],
        ["", "", *axes],
        [],
    ]
    for at, (time, pose) in enumerate(zip(actor.time, actor.position, strict=True)):
        places = [f"{x:.{DECIMALS}f}" for x in pose.ravel()] if actor.known[at] else [""] * pose.size
        lines.append([str(at + 1), f"{time:.6f}", *places])
    return "\n".join("\t".join(line) for line in lines) + "\n"
