"""Motion files as motion capture and animation programs write them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

BONES = {  # name: parent, offset in centimetres, y up
    "Hips": (None, (0, 95, 0)), "LeftUpLeg": ("Hips", (9, 0, 0)), "LeftLeg": ("LeftUpLeg", (0, -43, 0)),
    "LeftFoot": ("LeftLeg", (0, -42, 0)), "RightUpLeg": ("Hips", (-9, 0, 0)),
    "RightLeg": ("RightUpLeg", (0, -43, 0)),
    "RightFoot": ("RightLeg", (0, -42, 0)), "Spine": ("Hips", (0, 10, 0)), "Spine1": ("Spine", (0, 14, 0)),
    "Neck": ("Spine1", (0, 26, 0)), "Head": ("Neck", (0, 10, 0)), "LeftShoulder": ("Spine1", (3, 22, 0)),
    "LeftArm": ("LeftShoulder", (14, 0, 0)), "LeftForeArm": ("LeftArm", (28, 0, 0)),
    "LeftHand": ("LeftForeArm", (25, 0, 0)),
    "RightShoulder": ("Spine1", (-3, 22, 0)), "RightArm": ("RightShoulder", (-14, 0, 0)),
    "RightForeArm": ("RightArm", (-28, 0, 0)), "RightHand": ("RightForeArm", (-25, 0, 0)),
}  # fmt: skip


def bvh(
    motion: list[dict[str, tuple]],
    order: str = "ZXY",
    end: bool = True,
    prefix: str = "",
    scale: float = 1,
    bones: dict[str, tuple] = BONES,
) -> str:
    """A BVH file; motion gives (angle, angle, angle) in the channels' order a joint, and the root's place."""

    def node(name: str, depth: int) -> str:
        parent, offset = bones[name]
        pad = "\t" * depth
        text = f"{pad}{'JOINT' if parent else 'ROOT'} {prefix}{name}\n{pad}{{\n"
        text += f"{pad}\tOFFSET {' '.join(str(n * scale) for n in offset)}\n"
        channels = [f"{axis}rotation" for axis in order]
        if parent is None:
            channels = ["Xposition", "Yposition", "Zposition", *channels]
        text += f"{pad}\tCHANNELS {len(channels)} {' '.join(channels)}\n"
        children = [child for child, (above, _) in bones.items() if above == name]
        text += "".join(node(child, depth + 1) for child in children)
        if not children:
            tip = "0 15 0" if name == "Head" and end else "0 0 0"
            text += f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET {tip}\n{pad}\t}}\n"
        return text + f"{pad}}}\n"

    written: list[str] = []

    def walk(name: str) -> None:
        written.append(name)
        for child, (above, _) in bones.items():
            if above == name:
                walk(child)

    walk("Hips")
    lines = []
    for frame in motion:
        numbers = [*(n * scale for n in frame.get("root", (0, 95, 0)))]
        for name in written:
            numbers += frame.get(name, (0, 0, 0))
        lines.append(" ".join(f"{n:.6f}" for n in numbers))
    return (
        f"HIERARCHY\n{node('Hips', 0)}MOTION\nFrames: {len(motion)}\nFrame Time: 0.008333\n"
        + "\n".join(lines)
        + "\n"
    )


STANDING = {
    "pelvis": (0, 0, 0.95), "spine": (0, 0, 1.2), "thorax": (0, 0, 1.45), "nose": (0, 0.1, 1.6),
    "head_top": (0, 0, 1.72),
    **{f"{side}_{joint}": (sign * x, 0, z) for side, sign in (("left", -1), ("right", 1))
       for joint, x, z in (("hip", 0.1, 0.95), ("knee", 0.1, 0.5), ("ankle", 0.1, 0.08),
                           ("shoulder", 0.2, 1.42), ("elbow", 0.25, 1.15), ("wrist", 0.25, 0.9))},
}  # fmt: skip
"""Joints of a person who stands, z up, metres, facing y."""


def y_up(points: np.ndarray) -> np.ndarray:
    """From z up to y up."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, z, -y], -1)


MARKERS = {
    "RHip": "right_hip", "RKnee": "right_knee", "RAnkle": "right_ankle", "LHip": "left_hip",
    "LKnee": "left_knee", "LAnkle": "left_ankle", "Neck": "thorax", "Head": "head_top", "Nose": "nose",
    "RShoulder": "right_shoulder", "RElbow": "right_elbow", "RWrist": "right_wrist",
    "LShoulder": "left_shoulder", "LElbow": "left_elbow", "LWrist": "left_wrist",
}  # fmt: skip
"""Markers as Pose2Sim names them, and where the standing person has them."""


def trc(
    names: dict[str, str] = MARKERS,
    frames: int = 4,
    unit: str = "m",
    scale: float = 1.0,
    gap: str | None = None,
) -> str:
    """A TRC file of a person who stands, y up; ``gap`` names a marker without a place in the last frame."""
    head = ["PathFileType\t4\t(X/Y/Z)\tmarkers.trc"]
    head.append(
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames"
    )
    head.append(f"60\t60\t{frames}\t{len(names)}\t{unit}\t60\t1\t{frames}")
    head.append("Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t")
    head.append("\t\t" + "\t".join(f"{axis}{at}" for at in range(1, len(names) + 1) for axis in "XYZ"))
    rows = []
    for frame in range(frames):
        cells = [str(frame + 1), f"{frame / 60:.6f}"]
        for name, joint in names.items():
            point = y_up(np.array(STANDING[joint])) * scale
            missing = name == gap and frame == frames - 1
            cells += ["", "", ""] if missing else [f"{value:.6f}" for value in point]
        rows.append("\t".join(cells) + "\t")
    return "\n".join([*head, "", *rows]) + "\n"


def write_c3d(
    path: Path, names: Iterable[str], place: np.ndarray, unit: str = "mm", screen: str = ""
) -> None:
    """A C3D file of (N, J, 3) places, NaN where unseen."""
    c3d = pytest.importorskip("c3d")
    writer = c3d.Writer(point_rate=100.0)
    frames = []
    for points in place:
        seen = np.isfinite(points).all(-1)
        table = np.zeros((len(points), 5), np.float32)
        table[seen, :3], table[~seen, 3:] = points[seen], -1
        frames.append((table, np.zeros((0, 1), np.float32)))
    writer.add_frames(frames)
    writer.set_point_labels(list(names))
    writer.point_group.set_str("UNITS", "", unit, len(unit))
    if screen:
        writer.set_screen_axis("+X", screen)
    with path.open("wb") as file:
        writer.write(file)
