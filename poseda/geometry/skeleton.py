"""Skeletons: the one place that knows which joint is which.

A skeleton is a tree of named joints. Everything else in the package (kernels, generator, discriminators,
metrics, plots) reads parents, sides, groups and parts from a :class:`Skeleton`; no joint index is written
anywhere else. Bone ``k`` ends at joint ``k + 1``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_JOINTS = 64
"""The kernels keep one pose on chip; this is the largest tree for which they are built."""
MAX_PARTS = 32
MAX_PART_BONES = 192
"""Over all parts; a bone may stand in several."""
MAX_PART_PAIRS = (MAX_JOINTS - 1) * (MAX_JOINTS - 2) // 2
"""Pairs of bones within a part, over all parts: what one part of all bones has. Kernels hold no more."""


@dataclass(frozen=True)
class Skeleton:
    """A tree of named joints with its left-right symmetry and body parts.

    Args:
        name: how files and the command line call it.
        joint_names: J names, root first.
        parents: J parent indices in topological order: ``parents[0] == -1`` and ``0 <= parents[j] < j``.
        symmetric_joints: (left, right) index pairs.
        parts: part name to the bones (indices ``0 .. K-1``) of that part, in bone order.

    Attributes:
        mirror: joint permutation that swaps left and right, J indices.
        mirror_bones: bone permutation that swaps left and right, K indices.
        bone_groups: symmetric group of each bone, K indices in ``0 .. G-1``, ordered by their first bones.
        part_bones: the bones of all parts, part after part.
        part_sizes: the number of bones of each part.
        bone_names: ``parent-child`` for each bone.

    Raises:
        ValueError: if the tree is not one, an index is out of range, or a name stands twice.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    symmetric_joints: tuple[tuple[int, int], ...] = ()
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict, hash=False)
    # Follow from the above. Computed at once: torch.compile cannot trace the lock of a cached property.
    mirror: tuple[int, ...] = field(init=False, repr=False, compare=False)
    mirror_bones: tuple[int, ...] = field(init=False, repr=False, compare=False)
    bone_groups: tuple[int, ...] = field(init=False, repr=False, compare=False)
    part_bones: tuple[int, ...] = field(init=False, repr=False, compare=False)
    part_sizes: tuple[int, ...] = field(init=False, repr=False, compare=False)
    bone_names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_tree()
        self._check_parts()
        self._derive()

    def _check_tree(self) -> None:
        joints = len(self.joint_names)
        if not 2 <= joints <= MAX_JOINTS:
            raise ValueError(f"skeleton {self.name!r}: expected 2 to {MAX_JOINTS} joints, got {joints}")
        if len(set(self.joint_names)) != joints:
            raise ValueError(f"skeleton {self.name!r}: joint_names holds a name twice: {self.joint_names}")
        if len(self.parents) != joints:
            raise ValueError(f"skeleton {self.name!r}: expected {joints} parents, got {len(self.parents)}")
        for joint, parent in enumerate(self.parents):
            if parent >= joint or parent < (0 if joint else -1):
                raise ValueError(
                    f"skeleton {self.name!r}: parents[{joint}] = {parent}; expected -1 for the root and an "
                    f"earlier joint (0 to {joint - 1}) for any other"
                )
        paired = [joint for pair in self.symmetric_joints for joint in pair]
        if len(set(paired)) != len(paired) or any(not 0 <= joint < joints for joint in paired):
            raise ValueError(
                f"skeleton {self.name!r}: symmetric_joints must name each joint at most once and lie in "
                f"0 .. {joints - 1}, got {self.symmetric_joints}"
            )

    def _check_parts(self) -> None:
        joints = len(self.joint_names)
        for part, bones in self.parts.items():
            if (
                not bones
                or any(not 0 <= bone < joints - 1 for bone in bones)
                or list(bones) != sorted(set(bones))
            ):
                raise ValueError(
                    f"skeleton {self.name!r}: part {part!r} needs bones in rising order within "
                    f"0 .. {joints - 2}, got {bones}"
                )
        sizes = [len(bones) for bones in self.parts.values()]
        pairs = sum(size * (size - 1) // 2 for size in sizes)
        if len(sizes) > MAX_PARTS or sum(sizes) > MAX_PART_BONES or pairs > MAX_PART_PAIRS:
            raise ValueError(
                f"skeleton {self.name!r}: expected at most {MAX_PARTS} parts with {MAX_PART_BONES} bones and "
                f"{MAX_PART_PAIRS} pairs of bones in all, got {len(sizes)} with {sum(sizes)} and {pairs}"
            )

    def _derive(self) -> None:
        mirror = list(range(len(self.joint_names)))
        for left, right in self.symmetric_joints:
            mirror[left], mirror[right] = right, left
        mirror_bones = tuple(joint - 1 for joint in mirror[1:])
        first_bones = [min(bone, twin) for bone, twin in enumerate(mirror_bones)]
        order = sorted(set(first_bones))
        derived = {
            "mirror": tuple(mirror),
            "mirror_bones": mirror_bones,
            "bone_groups": tuple(order.index(first) for first in first_bones),
            "part_bones": tuple(bone for part in self.parts.values() for bone in part),
            "part_sizes": tuple(len(part) for part in self.parts.values()),
            "bone_names": tuple(
                f"{self.joint_names[parent]}-{joint}"
                for joint, parent in zip(self.joint_names, self.parents, strict=True)
                if parent >= 0
            ),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # the record is frozen

    @classmethod
    def declare(
        cls,
        name: str,
        tree: Mapping[str, str | None],
        symmetric: Sequence[tuple[str, str]] = (),
        parts: Mapping[str, Sequence[str]] | None = None,
    ) -> Skeleton:
        """Declare a skeleton by names.

        Args:
            name: how files and the command line call it.
            tree: joint name to the name of its parent (``None`` for the root), parents before children.
            symmetric: (left, right) joint names.
            parts: part name to the joints at which the part's bones end. Default: one part, all bones.

        Raises:
            ValueError: if a name is unknown or comes before its parent.
        """
        names = tuple(tree)
        index = {joint: i for i, joint in enumerate(names)}

        def find(joint: str) -> int:
            if joint not in index:
                raise ValueError(f"skeleton {name!r}: unknown joint {joint!r}; it has {', '.join(names)}")
            return index[joint]

        if parts is None:
            parts = {"body": names[1:]}
        return cls(
            name=name,
            joint_names=names,
            parents=tuple(-1 if parent is None else find(parent) for parent in tree.values()),
            symmetric_joints=tuple((find(left), find(right)) for left, right in symmetric),
            parts={
                part: tuple(sorted(find(joint) - 1 for joint in joints)) for part, joints in parts.items()
            },
        )

    @classmethod
    def named(cls, name: str) -> Skeleton:
        """Return the built-in skeleton of that name.

        Raises:
            ValueError: if there is none; the message lists those there are.
        """
        if name not in BUILT_IN:
            raise ValueError(f"skeleton: expected one of {', '.join(BUILT_IN)}, got {name!r}")
        return BUILT_IN[name]

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.joint_names)

    @property
    def num_bones(self) -> int:
        """K = J - 1."""
        return len(self.joint_names) - 1

    @property
    def num_groups(self) -> int:
        """G, the number of symmetric bone groups."""
        return max(self.bone_groups) + 1

    @property
    def group_names(self) -> tuple[str, ...]:
        """G names of the symmetric groups: the joint at which their bones end, without its side."""
        ends = [self.joint_names[self.bone_groups.index(group) + 1] for group in range(self.num_groups)]
        return tuple(name.removeprefix("left_").removeprefix("right_") for name in ends)

    def joint(self, name: str) -> int:
        """Return the index of the joint of that name.

        Raises:
            ValueError: if the skeleton has no such joint.
        """
        if name not in self.joint_names:
            raise ValueError(
                f"skeleton {self.name!r} has no joint {name!r}; it has {', '.join(self.joint_names)}"
            )
        return self.joint_names.index(name)


def _sided(*stems: str) -> list[tuple[str, str]]:
    return [(f"left_{stem}", f"right_{stem}") for stem in stems]


_LIMBS = _sided("hip", "knee", "ankle", "shoulder", "elbow", "wrist")

_LEGS = {
    "pelvis": None,
    "right_hip": "pelvis",
    "right_knee": "right_hip",
    "right_ankle": "right_knee",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "spine": "pelvis",
    "thorax": "spine",
}

_ARMS = {
    "left_shoulder": "thorax",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "right_shoulder": "thorax",
    "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
}


def _body_parts(*torso: str) -> dict[str, tuple[str, ...]]:
    """Two arms, two legs and the torso, the division the anchor discriminators judge."""
    arm, leg = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
    return {
        "right_leg": tuple(f"right_{joint}" for joint in leg),
        "left_leg": tuple(f"left_{joint}" for joint in leg),
        "torso": ("right_hip", "left_hip", *torso, "left_shoulder", "right_shoulder"),
        "left_arm": tuple(f"left_{joint}" for joint in arm),
        "right_arm": tuple(f"right_{joint}" for joint in arm),
    }


H36M16 = Skeleton.declare(
    "h36m16",
    {**_LEGS, "head_top": "thorax", **_ARMS},
    _LIMBS,
    _body_parts("spine", "thorax", "head_top"),
)
"""Human3.6M without the nose: the 16 joints of PoseAug and its descendants."""

H36M17 = Skeleton.declare(
    "h36m17",
    {**_LEGS, "nose": "thorax", "head_top": "nose", **_ARMS},
    _LIMBS,
    _body_parts("spine", "thorax", "nose", "head_top"),
)
"""Human3.6M, the 17 joints of VideoPose3D."""

COCO17 = Skeleton.declare(
    "coco17",
    {
        "nose": None,
        "left_eye": "nose",
        "right_eye": "nose",
        "left_ear": "left_eye",
        "right_ear": "right_eye",
        "left_shoulder": "nose",
        "right_shoulder": "nose",
        "left_elbow": "left_shoulder",
        "right_elbow": "right_shoulder",
        "left_wrist": "left_elbow",
        "right_wrist": "right_elbow",
        "left_hip": "left_shoulder",
        "right_hip": "right_shoulder",
        "left_knee": "left_hip",
        "right_knee": "right_hip",
        "left_ankle": "left_knee",
        "right_ankle": "right_knee",
    },
    _sided("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    {
        "head": ("left_eye", "right_eye", "left_ear", "right_ear"),
        "left_arm": ("left_shoulder", "left_elbow", "left_wrist"),
        "right_arm": ("right_shoulder", "right_elbow", "right_wrist"),
        "left_leg": ("left_hip", "left_knee", "left_ankle"),
        "right_leg": ("right_hip", "right_knee", "right_ankle"),
    },
)
"""COCO keypoints in COCO's order. COCO has no pelvis: the tree hangs from the nose and invents no joint."""

MPI_INF_3DHP = Skeleton.declare(
    "mpi_inf_3dhp",
    {
        "pelvis": None,
        "spine": "pelvis",
        "spine2": "spine",
        "spine3": "spine2",
        "spine4": "spine3",
        "neck": "spine4",
        "head": "neck",
        "head_top": "head",
        "left_clavicle": "spine4",
        "left_shoulder": "left_clavicle",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "left_hand": "left_wrist",
        "right_clavicle": "spine4",
        "right_shoulder": "right_clavicle",
        "right_elbow": "right_shoulder",
        "right_wrist": "right_elbow",
        "right_hand": "right_wrist",
        "left_hip": "pelvis",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "left_foot": "left_ankle",
        "left_toe": "left_foot",
        "right_hip": "pelvis",
        "right_knee": "right_hip",
        "right_ankle": "right_knee",
        "right_foot": "right_ankle",
        "right_toe": "right_foot",
    },
    _sided("clavicle", "shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot", "toe"),
    {
        "torso": ("spine", "spine2", "spine3", "spine4", "neck", "head", "head_top"),
        "left_arm": ("left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand"),
        "right_arm": ("right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand"),
        "left_leg": ("left_hip", "left_knee", "left_ankle", "left_foot", "left_toe"),
        "right_leg": ("right_hip", "right_knee", "right_ankle", "right_foot", "right_toe"),
    },
)
"""The 28 joints of MPI-INF-3DHP's training annotations, pelvis first (readers reorder by name)."""

BUILT_IN: dict[str, Skeleton] = {s.name: s for s in (H36M16, H36M17, COCO17, MPI_INF_3DHP)}
