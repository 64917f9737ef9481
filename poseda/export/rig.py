"""A rig for animation programs: bones of one length that turn, from the positions of joints.

Bones have their median length over the clip, left and right the same. In the rest pose people stand like a T
and look towards +z. A bone of an unknown name has its direction of the first frame there.

A joint with one child has the smallest rotation against its parent that gives the bone its direction. A joint
with several children has the rotation that fits all their bones best. What it leaves of each bone's rotation
is in a joint ``PARENT_to_CHILD`` that lies :data:`NEAR` of the way to the child. So limbs point exactly as
lifted, and no bone has the length zero. As bones have one length, joints are not quite where they were
lifted. The root is moved so that they stand on the floor as the lifted ones do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseda.export.world import Actor, floor_height
from poseda.geometry.rotation import best_rotation, shortest_rotation_matrix
from poseda.geometry.skeleton import Skeleton

SHORTEST = 1e-3
"""Least length of a bone, metres."""

NEAR = 0.05
"""Where a joint between a parent and one of its children lies, as a share of the bone."""

TIP = 0.01
"""Length of what a joint without children carries, metres: programs draw a bone to it. That of a leg points
forward, so that it does not reach beneath the floor on which the leg stands."""

_SIDE, _UP, _DOWN, _FORWARD = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]
REST = (
    dict.fromkeys(("hip", "clavicle", "shoulder", "elbow", "wrist", "hand"), _SIDE)
    | dict.fromkeys(("knee", "ankle", "foot"), _DOWN)
    | dict.fromkeys(
        ("spine", "spine2", "spine3", "spine4", "thorax", "neck", "nose", "head", "head_top"), _UP
    )
    | {"toe": _FORWARD}
)
"""Where the bone to a joint of that name points in the rest pose, on the left side."""


@dataclass
class Node:
    """One joint of a rig.

    Args:
        name: of the skeleton's joint, or ``PARENT_to_CHILD``.
        parent: index, or -1.
        offset: (3,) from the parent in the rest pose, metres.
        turn: (T, 3, 3) rotation against the parent.
        place: (T, 3) metres, world.
        children: indices.
    """

    name: str
    parent: int
    offset: np.ndarray
    turn: np.ndarray
    place: np.ndarray
    children: list[int]

    @property
    def tip(self) -> np.ndarray:
        """(3,) end of a joint without children."""
        length = float(np.linalg.norm(self.offset))
        along = self.offset / length if length > 0 else np.array(_UP)
        return TIP * (np.array(_FORWARD) if np.array_equal(along, _DOWN) else along)


class Rig:
    """Rest pose and rotations of one person, who faces +z in the rest pose.

    Args:
        actor: whose known frames tell the lengths.
        skeleton: of the positions.

    Attributes:
        nodes: parents before children, in the order of a walk that goes down first.
        root: (T, 3) where the first node is, metres.
    """

    def __init__(self, actor: Actor, skeleton: Skeleton) -> None:
        position, known = actor.position, actor.known
        self.skeleton = skeleton
        self._children: list[list[int]] = [[] for _ in skeleton.parents]
        for joint, parent in enumerate(skeleton.parents[1:], 1):
            self._children[parent].append(joint)
        bones = position - position[:, list(skeleton.parents)]
        length = np.linalg.norm(bones, axis=-1, keepdims=True)
        bones[:, 0] = length[:, 0] = 0
        self._direction = np.divide(bones, length, out=np.zeros_like(bones), where=length > 0)
        self._length = _symmetric(np.median(length[known, :, 0], 0), skeleton)
        self._rest = np.stack([self._rest_of(joint) for joint in range(skeleton.num_joints)])
        self.nodes: list[Node] = []
        self._add(0, -1, np.zeros(3), np.tile(np.eye(3), (len(position), 1, 1)), position[:, 0])
        heights = np.stack([node.place[:, 1] for node in self.nodes], 1)
        self.root = position[:, 0].copy()
        self.root[:, 1] -= floor_height(heights, known, actor.rooted)

    def _rest_of(self, joint: int) -> np.ndarray:
        name = self.skeleton.joint_names[joint]
        side, _, stem = name.partition("_")
        known = np.array(REST.get(stem if side in ("left", "right") else name, [0.0, 0.0, 0.0]))
        mirrored = np.array([-1.0, 1.0, 1.0]) if side == "right" else np.ones(3)
        if known.any():
            return known * mirrored
        found = self._direction[0, joint]
        return found if joint == 0 or found.any() else np.array([0.0, 1.0, 0.0])

    def _add(self, joint: int, parent: int, offset: np.ndarray, above: np.ndarray, place: np.ndarray) -> None:
        """Add a joint and all below it, given its parent's global rotation (T, 3, 3) and its place (T, 3)."""
        children, whole = self._children[joint], above
        if len(children) == 1:
            whole = self._aimed(children[0], above)
        elif children:
            whole = best_rotation(self._rest[children], self._direction[:, children])
        name = self.skeleton.joint_names[joint]
        here = self._node(name, parent, offset, above, whole, place)
        for child in children:
            bone = self._rest[child] * self._length[child]
            if len(children) == 1:
                self._add(child, here, bone, whole, place + whole @ bone)
            else:
                turned = self._aimed(child, whole)
                between, near = f"{name}_to_{self.skeleton.joint_names[child]}", NEAR * bone
                begin = place + whole @ near
                bend = self._node(between, here, near, whole, turned, begin)
                self._add(child, bend, bone - near, turned, begin + turned @ (bone - near))

    def _node(
        self,
        name: str,
        parent: int,
        offset: np.ndarray,
        above: np.ndarray,
        whole: np.ndarray,
        place: np.ndarray,
    ) -> int:
        self.nodes.append(Node(name, parent, offset, above.swapaxes(1, 2) @ whole, place, []))
        if parent >= 0:
            self.nodes[parent].children.append(len(self.nodes) - 1)
        return len(self.nodes) - 1

    def _aimed(self, child: int, rotation: np.ndarray) -> np.ndarray:
        """Global rotations (T, 3, 3), turned so that the bone to a child has its direction."""
        return shortest_rotation_matrix(rotation @ self._rest[child], self._direction[:, child]) @ rotation


def _symmetric(length: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(J,) lengths of the bones to joints, left and right the same, none shorter than :data:`SHORTEST`."""
    groups = np.array(skeleton.bone_groups)
    means = [length[1:][groups == group].mean() for group in range(skeleton.num_groups)]
    return np.concatenate([[0.0], np.maximum(np.array(means)[groups], SHORTEST)])
