"""BVH of one person: a hierarchy from any skeleton, joint rotations from bone directions.

Centimetres, y up, x to the camera's right, z towards the camera: the camera's axes rotated by 180 degrees
about x. Each bone has its median length over the clip. In the rest pose people stand like a T and look
towards +z. Bones with an unknown name have the direction of the first frame there.

A joint with one child has the smallest rotation against its parent that gives the bone its direction. A joint
with several children has the rotation that fits all their bones best. The rest of each bone's rotation is in
a joint without length at its upper end, named ``PARENT_to_CHILD``. So the bones point exactly as lifted. BVH
has no gaps: there the pose before is repeated.
"""

from __future__ import annotations

import numpy as np

from poseda.export.poses import LiftedPoses
from poseda.geometry.rotation import best_rotation, euler_zxy, shortest_rotation_matrix
from poseda.geometry.skeleton import Skeleton

CENTIMETRES = 100.0

FROM_CAMERA = np.diag([1.0, -1.0, -1.0])
"""Camera axes to BVH's."""

CHANNELS = ("Zrotation", "Xrotation", "Yrotation")
"""Order of every joint's rotations."""

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


def bvh_text(poses: LiftedPoses, rows: slice) -> str:
    """The BVH of one track, which has a valid frame."""
    valid = poses.valid[rows]
    # The last valid frame up to each frame; before the first, the first.
    held = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), -1))
    held = np.where(held < 0, int(valid.argmax()), held)
    pose = poses.pose_3d[rows][held].astype(np.float64) @ FROM_CAMERA
    root = np.zeros((len(pose), 3))
    if poses.root is not None:
        root = _without_gaps(poses.root[rows][held].astype(np.float64)) @ FROM_CAMERA
    steps = np.diff(poses.frame[rows])
    step = int(steps.min()) if len(steps) else 1
    solved = _Solved(pose, poses.skeleton)
    lines = ["HIERARCHY", *solved.hierarchy(), "MOTION", f"Frames: {len(pose)}"]
    lines.append(f"Frame Time: {step / poses.rate:.8f}")
    numbers = np.concatenate([root * CENTIMETRES, *solved.angles()], 1)
    lines += [" ".join(f"{x:.6f}" for x in row) for row in numbers]
    return "\n".join(lines) + "\n"


def _without_gaps(root: np.ndarray) -> np.ndarray:
    """Unknown places on the line between the known ones; zeros where none is known."""
    known = np.isfinite(root).all(1)
    if not known.any():
        return np.zeros_like(root)
    at = np.arange(len(root))
    return np.stack([np.interp(at, at[known], column[known]) for column in root.T], 1)


class _Solved:
    """Rest pose and rotations of one track.

    Args:
        pose: (F, J, 3) metres, BVH's axes.
        skeleton: of the poses.
    """

    def __init__(self, pose: np.ndarray, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.children: list[list[int]] = [[] for _ in skeleton.parents]
        for joint, parent in enumerate(skeleton.parents):
            if parent >= 0:
                self.children[parent].append(joint)
        parents = list(skeleton.parents)
        bones = pose - pose[:, parents]
        length = np.linalg.norm(bones, axis=-1, keepdims=True)
        bones[:, 0] = length[:, 0] = 0
        self.direction = np.divide(bones, length, out=np.zeros_like(bones), where=length > 0)
        self.rest = np.stack([self._rest(joint) for joint in range(skeleton.num_joints)])
        self.offset = self.rest * np.median(length, 0)
        self.own: dict[int, np.ndarray] = {}  # joint -> (F, 3, 3) rotation against its parent's
        self.bend: dict[int, np.ndarray] = {}  # joint -> that of the joint without length above it
        self._solve(0, np.tile(np.eye(3), (len(pose), 1, 1)))

    def _rest(self, joint: int) -> np.ndarray:
        name = self.skeleton.joint_names[joint]
        side, _, stem = name.partition("_")
        known = np.array(REST.get(stem if side in ("left", "right") else name, [0.0, 0.0, 0.0]))
        mirrored = np.array([-1.0, 1.0, 1.0]) if side == "right" else np.ones(3)
        return known * mirrored if known.any() else self.direction[0, joint]

    def _solve(self, joint: int, parent: np.ndarray) -> None:
        """Rotations of a joint and all below it, given the global one (F, 3, 3) of its parent."""
        children = self.children[joint]
        whole = parent
        if len(children) == 1:
            whole = (
                shortest_rotation_matrix(parent @ self.rest[children[0]], self.direction[:, children[0]])
                @ parent
            )
        elif children:
            whole = best_rotation(self.rest[children], self.direction[:, children])
        self.own[joint] = parent.swapaxes(1, 2) @ whole
        for child in children:
            above = whole
            if len(children) > 1:
                above = shortest_rotation_matrix(whole @ self.rest[child], self.direction[:, child]) @ whole
                self.bend[child] = whole.swapaxes(1, 2) @ above
            self._solve(child, above)

    def hierarchy(self) -> list[str]:
        """The lines from ROOT to its closing brace."""
        return self._lines(0, "")

    def _lines(self, joint: int, indent: str) -> list[str]:
        name, inner = self.skeleton.joint_names[joint], indent + "\t"
        offset = " ".join(f"{x:.6f}" for x in self.offset[joint] * CENTIMETRES)
        position = () if joint else ("Xposition", "Yposition", "Zposition")
        kind = "JOINT" if joint else "ROOT"
        lines = _opened(kind, name, offset, (*position, *CHANNELS), indent)
        for child in self.children[joint]:
            if child in self.bend:
                bend = f"{name}_to_{self.skeleton.joint_names[child]}"
                lines += _opened("JOINT", bend, "0 0 0", CHANNELS, inner)
                lines += [*self._lines(child, inner + "\t"), inner + "}"]
            else:
                lines += self._lines(child, inner)
        if not self.children[joint]:
            lines += [f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET 0 0 0", f"{inner}}}"]
        return [*lines, indent + "}"]

    def angles(self) -> list[np.ndarray]:
        """(F, 3) degrees of each joint, in the order of the hierarchy."""
        return self._angles(0)

    def _angles(self, joint: int) -> list[np.ndarray]:
        found = [euler_zxy(self.own[joint])]
        for child in self.children[joint]:
            if child in self.bend:
                found.append(euler_zxy(self.bend[child]))
            found += self._angles(child)
        return found


def _opened(kind: str, name: str, offset: str, channels: tuple[str, ...], indent: str) -> list[str]:
    return [
        f"{indent}{kind} {name}",
        f"{indent}{{",
        f"{indent}\tOFFSET {offset}",
        f"{indent}\tCHANNELS {len(channels)} {' '.join(channels)}",
    ]
