"""BVH motion capture: hierarchy, channels, forward kinematics, and which of its joints is which of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from poseda.datasets.formats.text import fail, read_text

MAX_BVH_JOINTS = 512
MAX_BVH_NUMBERS = 1 << 27
"""Most numbers of the motion part read, 1 GiB."""

LEG_LENGTH = 0.85
"""Thigh and shin of an adult, metres: tells the unit of a file."""

UNITS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254, "CMU's": 0.0254 / 0.45}

_SIDED = {
    "hip": "upleg upperleg thigh hip femur hipjoint",
    "knee": "leg lowerleg lowleg shin calf knee tibia",
    "ankle": "foot ankle",
    "shoulder": "arm upperarm uparm shldr humerus shoulder",
    "elbow": "forearm lowerarm lowarm elbow radius",
    "wrist": "hand wrist",
}
_MIDDLE = {
    "spine": "spine1 chest spine02 spine2 lowerback spine",
    "thorax": "neck necktwist01 neck1 thorax upperneck",
    "head": "head",
}
"""Words that stand for a joint, in order of preference: in most files the "shoulder" is the collar bone, so
the upper arm comes first; "leg" is the shin in files that have an "upleg"."""


@dataclass
class BvhJoint:
    """One joint of a hierarchy.

    Args:
        name: as in the file; an end site's is its parent's with ``_end``.
        parent: index, or -1.
        offset: (3,) from the parent, the file's units.
        channels: position and rotation channels in the file's order.
    """

    name: str
    parent: int
    offset: np.ndarray
    channels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bvh:
    """Motion of one file.

    Args:
        joints: J of them, parents before children.
        position: (N, J, 3) the file's units and axes.
        frame_time: seconds.
    """

    joints: list[BvhJoint]
    position: np.ndarray
    frame_time: float


CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ")


class _Tokens:
    """Words of the hierarchy, one by one."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.words, self.at = path, text.split(), 0

    def next(self, wanted: str) -> str:
        if self.at >= len(self.words):
            raise fail(self.path, "HIERARCHY", wanted, "its end")
        self.at += 1
        return self.words[self.at - 1]

    def expect(self, *choices: str) -> str:
        word = self.next(" or ".join(choices))
        if word not in choices:
            raise fail(self.path, "HIERARCHY", " or ".join(choices), word[:40])
        return word

    def number(self, where: str) -> float:
        word = self.next("a number")
        try:
            value = float(word)
        except ValueError as error:
            raise fail(self.path, where, "a number", word[:40]) from error
        if not np.isfinite(value):
            raise fail(self.path, where, "a finite number", word[:40])
        return value

    def until_brace(self) -> str:
        """A name, which may hold blanks."""
        words = []
        while (word := self.next("{")) != "{":
            words.append(word)
        return " ".join(words)


def read_bvh(path: Path) -> Bvh:
    """Read a BVH file and compute where its joints are.

    Rotations multiply in the channels' order; position channels of a joint replace its offset, the root's
    too.

    Raises:
        DataError: if the file is no BVH or damaged.
    """
    text = read_text(path)
    head, found, motion = text.partition("MOTION")
    if not found:
        raise fail(path, "MOTION", "this section", "none")
    joints = _hierarchy(path, head)
    values, frame_time = _motion(path, motion, sum(len(joint.channels) for joint in joints))
    return Bvh(joints, _kinematics(joints, values), frame_time)


def _hierarchy(path: Path, text: str) -> list[BvhJoint]:
    tokens, joints, open_joints = _Tokens(path, text), list[BvhJoint](), list[int]()
    tokens.expect("HIERARCHY")
    tokens.expect("ROOT")
    word = "ROOT"
    while True:
        if word in ("ROOT", "JOINT", "End"):
            parent = open_joints[-1] if open_joints else -1
            name = tokens.until_brace()
            joints.append(_joint(tokens, f"{joints[parent].name}_end" if word == "End" else name, parent))
            open_joints.append(len(joints) - 1)
            if len(joints) > MAX_BVH_JOINTS:
                raise fail(path, "HIERARCHY", f"at most {MAX_BVH_JOINTS} joints", "more")
        else:
            open_joints.pop()
        if not open_joints:
            return joints
        word = tokens.expect("JOINT", "End", "}")


def _joint(tokens: _Tokens, name: str, parent: int) -> BvhJoint:
    """OFFSET and, but for end sites, CHANNELS."""
    tokens.expect("OFFSET")
    joint = BvhJoint(name, parent, np.array([tokens.number(f"{name} OFFSET") for _ in range(3)]))
    if tokens.words[tokens.at : tokens.at + 1] == ["CHANNELS"]:
        tokens.next("CHANNELS")
        count = tokens.number(f"{name} CHANNELS")
        if count not in range(7):
            raise fail(tokens.path, f"{name} CHANNELS", "0 to 6", f"{count:g}")
        joint.channels = [tokens.expect(*CHANNELS) for _ in range(int(count))]
    return joint


def _motion(path: Path, text: str, width: int) -> tuple[np.ndarray, float]:
    """(N, width) channel values and the frame time."""
    match = re.match(r"\s*Frames:\s*(\d{1,9})\s+Frame Time:\s*(\S+)[ \t]*\r?\n?", text)
    try:
        frames, frame_time = (int(match[1]), float(match[2])) if match else (0, 0.0)
    except ValueError:
        frames = 0
    if match is None or frames < 1 or not 0 < frame_time < 10:
        raise fail(
            path, "MOTION", "Frames: and Frame Time: in seconds", text[:60].split("\n")[0] or "nothing"
        )
    if frames * width > MAX_BVH_NUMBERS:
        raise fail(path, "Frames", f"at most {MAX_BVH_NUMBERS} numbers", f"{frames} x {width}")
    lines = [line for line in text[match.end() :].splitlines() if line.strip()]
    if len(lines) != frames:
        raise fail(path, "MOTION", f"{frames} lines", f"{len(lines)}")
    values = np.empty((frames, width))
    for at, line in enumerate(lines):
        words = line.split()
        try:
            if len(words) != width:
                raise ValueError(f"{len(words)} numbers")
            values[at] = [float(word) for word in words]
        except ValueError as error:
            raise fail(path, f"frame {at}", f"{width} numbers", str(error)[:60]) from error
    if not np.isfinite(values).all() or np.abs(values).max() > 1e9:
        raise fail(path, "MOTION", "finite numbers", "NaN, Inf or beyond 1e9")
    return values, frame_time


def _kinematics(joints: Sequence[BvhJoint], values: np.ndarray) -> np.ndarray:
    frames = len(values)
    position = np.empty((frames, len(joints), 3))
    rotation = np.empty((frames, len(joints), 3, 3))
    column = 0
    for at, joint in enumerate(joints):
        own, turn = np.tile(joint.offset, (frames, 1)), np.tile(np.eye(3), (frames, 1, 1))
        for channel in joint.channels:
            axis, kind = "XYZ".index(channel[0]), channel[1:]
            if kind == "position":
                own[:, axis] = values[:, column]
            else:
                turn = turn @ _about(axis, np.radians(values[:, column]))
            column += 1
        if joint.parent < 0:
            position[:, at], rotation[:, at] = own, turn
        else:
            parent = rotation[:, joint.parent]
            position[:, at] = position[:, joint.parent] + np.einsum("nij,nj->ni", parent, own)
            rotation[:, at] = parent @ turn
    return position


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    """(N, 3, 3) rotations about a coordinate axis."""
    out = np.tile(np.eye(3), (len(angle), 1, 1))
    one, two = (axis + 1) % 3, (axis + 2) % 3
    cosine, sine = np.cos(angle), np.sin(angle)
    out[:, one, one], out[:, one, two] = cosine, -sine
    out[:, two, one], out[:, two, two] = sine, cosine
    return out


# --------------------------------------------------------------------------------------------- joint names


def match_joints(
    path: Path, joints: Sequence[BvhJoint], given: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Which joint of the file is which of ours.

    Args:
        path: for complaints.
        joints: of the file.
        given: our joint to the file's name for it, where its name does not tell.

    Returns:
        index by our names: both sides' hip, knee, ankle, shoulder, elbow and wrist, spine, thorax, head, and
        ``head_end`` where the head has an end site away from it.

    Raises:
        DataError: if a joint is not found; the message names the file's.
    """
    plain = {_plain(joint.name): at for at, joint in reversed(list(enumerate(joints)))}
    exact = {joint.name: at for at, joint in enumerate(joints)}
    wanted = {name: words.split() for name, words in _MIDDLE.items()}
    for side, short in (("left", "l"), ("right", "r")):
        for joint, stems in _SIDED.items():
            wanted[f"{side}_{joint}"] = [
                form for w in stems.split() for form in (side + w, short + w, w + side, w + short)
            ]
    found: dict[str, int] = {}
    for name, words in wanted.items():
        if given and name in given:
            at = exact.get(given[name])
        else:
            at = next((plain[word] for word in words if word in plain), None)
        if at is None:
            tried = given[name] if given and name in given else ", ".join(words[:4])
            names = ", ".join(joint.name for joint in joints)[:200]
            raise fail(path, name, f"a joint of that meaning ({tried})", f"only {names}")
        found[name] = at
    ends = [i for i, j in enumerate(joints) if j.parent == found["head"] and j.name.endswith("_end")]
    if ends and np.linalg.norm(joints[ends[0]].offset) > 0:
        found["head_end"] = ends[0]
    return found


def _plain(name: str) -> str:
    """Lower case without prefix (mixamorig:, Bip01), blanks and underscores."""
    name = name.rsplit(":", 1)[-1].lower()
    return re.sub(r"[\s_.\-]", "", re.sub(r"^(bip0?1|cc_base|b)[\s_]", "", name))
