"""BVH motion capture: the file's hierarchy and channels, and where its joints are by forward kinematics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_text
from poseda.geometry.kinematics import chain_rotations, forward_kinematics
from poseda.geometry.rotation import about_axis

MAX_JOINTS = 512
"""Most joints of a hierarchy."""

MAX_NUMBERS = 1 << 27
"""Most numbers of the motion part, 1 GiB."""

CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ")
"""Every channel that a joint may have."""


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

    @property
    def rest(self) -> np.ndarray:
        """(J, 3) the pose in which no joint is turned."""
        place = np.zeros((len(self.joints), 3))
        for at, joint in enumerate(self.joints):
            place[at] = joint.offset + (place[joint.parent] if joint.parent >= 0 else 0)
        return place


class _Words:
    """Words of the hierarchy, one by one."""

    def __init__(self, file: Field, text: str) -> None:
        self.hierarchy, self.words, self.at = file.at("HIERARCHY"), text.split(), 0

    def next(self, expected: str) -> str:
        if self.at >= len(self.words):
            raise self.hierarchy.fail(expected, "its end")
        self.at += 1
        return self.words[self.at - 1]

    def expect(self, *choices: str) -> str:
        word = self.next(" or ".join(choices))
        if word not in choices:
            raise self.hierarchy.fail(" or ".join(choices), word[:40])
        return word

    def number(self, where: str) -> float:
        word = self.next("a number")
        try:
            value = float(word)
        except ValueError as error:
            raise self.hierarchy.at(where).fail("a number", word[:40]) from error
        if not np.isfinite(value):
            raise self.hierarchy.at(where).fail("a finite number", word[:40])
        return value

    def until_brace(self) -> str:
        """A name, which may hold blanks."""
        words = []
        while (word := self.next("{")) != "{":
            words.append(word)
        return " ".join(words)


def read_bvh(path: Path) -> Bvh:
    """Read a BVH file and compute where its joints are.

    Rotations multiply in the order of the channels. Position channels of a joint replace its offset, also
    those of the root.

    Raises:
        DataError: if the file is not a BVH or is damaged.
    """
    file = Field(path)
    head, found, motion = read_text(path).partition("MOTION")
    if not found:
        raise file.at("MOTION").fail("this section", "none")
    joints = _hierarchy(_Words(file, head))
    values, frame_time = _motion(file, motion, sum(len(joint.channels) for joint in joints))
    return Bvh(joints, _positions(joints, values), frame_time)


def _hierarchy(words: _Words) -> list[BvhJoint]:
    joints, open_joints = list[BvhJoint](), list[int]()
    words.expect("HIERARCHY")
    words.expect("ROOT")
    word = "ROOT"
    while True:
        if word in ("ROOT", "JOINT", "End"):
            parent = open_joints[-1] if open_joints else -1
            name = words.until_brace()
            joints.append(_joint(words, f"{joints[parent].name}_end" if word == "End" else name, parent))
            open_joints.append(len(joints) - 1)
            if len(joints) > MAX_JOINTS:
                raise words.hierarchy.fail(f"at most {MAX_JOINTS} joints", "more")
        else:
            open_joints.pop()
        if not open_joints:
            return joints
        word = words.expect("JOINT", "End", "}")


def _joint(words: _Words, name: str, parent: int) -> BvhJoint:
    """A joint's OFFSET and CHANNELS; an end site has no channels."""
    words.expect("OFFSET")
    joint = BvhJoint(name, parent, np.array([words.number(f"{name} OFFSET") for _ in range(3)]))
    if words.words[words.at : words.at + 1] == ["CHANNELS"]:
        words.next("CHANNELS")
        count = words.number(f"{name} CHANNELS")
        if count not in range(7):
            raise words.hierarchy.at(f"{name} CHANNELS").fail("0 to 6", f"{count:g}")
        joint.channels = [words.expect(*CHANNELS) for _ in range(int(count))]
    return joint


def _motion(file: Field, text: str, width: int) -> tuple[np.ndarray, float]:
    """(N, width) channel values and the frame time."""
    match = re.match(r"\s*Frames:\s*(\d{1,9})\s+Frame Time:\s*(\S+)[ \t]*\r?\n?", text)
    try:
        frames, frame_time = (int(match[1]), float(match[2])) if match else (0, 0.0)
    except ValueError:
        frames = 0
    if match is None or frames < 1 or not 1e-5 <= frame_time < 10:
        found = text[:60].split("\n")[0] or "nothing"
        raise file.at("MOTION").fail("Frames: and Frame Time: in seconds", found)
    if frames * width > MAX_NUMBERS:
        raise file.at("Frames").fail(f"at most {MAX_NUMBERS} numbers", f"{frames} x {width}")
    lines = [line for line in text[match.end() :].splitlines() if line.strip()]
    if len(lines) != frames:
        raise file.at("MOTION").fail(f"{frames} lines", f"{len(lines)}")
    values = np.empty((frames, width))
    for at, line in enumerate(lines):
        words = line.split()
        try:
            if len(words) != width:
                raise ValueError(f"{len(words)} numbers")
            values[at] = [float(word) for word in words]
        except ValueError as error:
            raise file.at(f"frame {at}").fail(f"{width} numbers", str(error)[:60]) from error
    if not np.isfinite(values).all() or np.abs(values).max() > 1e9:
        raise file.at("MOTION").fail("finite numbers", "NaN, Inf or beyond 1e9")
    return values, frame_time


def _positions(joints: list[BvhJoint], values: np.ndarray) -> np.ndarray:
    """(N, J, 3) from the channel values (N, width)."""
    frames = len(values)
    offset = np.stack([np.tile(joint.offset, (frames, 1)) for joint in joints], 1)
    rotation = np.tile(np.eye(3), (frames, len(joints), 1, 1))
    column = 0
    for at, joint in enumerate(joints):
        for channel in joint.channels:
            axis, kind = channel[0].lower(), channel[1:]
            if kind == "position":
                offset[:, at, "xyz".index(axis)] = values[:, column]
            else:
                rotation[:, at] = rotation[:, at] @ about_axis(axis, np.radians(values[:, column]))
            column += 1
    parents = [joint.parent for joint in joints]
    rotation = chain_rotations(rotation, parents)
    bones = offset[:, 1:].copy()
    for bone, parent in enumerate(parents[1:]):
        bones[:, bone] = np.einsum("nij,nj->ni", rotation[:, parent], bones[:, bone])
    return forward_kinematics(offset[:, 0], bones, parents)
