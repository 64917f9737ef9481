"""Joint names as data sets, detectors and motion files spell them, and the names that this project uses.

``RShoulder``, ``right shoulder``, ``shoulder_r`` and ``Right-Shoulder`` are one joint. A name that is not in
the table stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from poseda.datasets.layouts import BY_JOINTS, LAYOUTS, Layout

OWN_JOINTS = "the file's own joints"
"""The name of a layout that a file names and no data set has."""

SIDES = {
    "left": "left", "lft": "left", "lt": "left", "l": "left",
    "right": "right", "rgt": "right", "rt": "right", "r": "right",
}  # fmt: skip
"""Words for a side, which stand before or after the joint."""

SIDED = {
    "eye_inner": "eyeinner innereye",
    "eye_outer": "eyeouter outereye",
    "eye": "eye",
    "ear": "ear",
    "mouth": "mouth mouthcorner",
    "clavicle": "clavicle collarbone",
    "collar": "collar",
    "shoulder": "shoulder sho shldr acromion",
    "elbow": "elbow elb",
    "wrist": "wrist wri wrs",
    "hand": "hand",
    "pinky": "pinky",
    "index": "index",
    "thumb": "thumb",
    "hip": "hip",
    "knee": "knee kne",
    "ankle": "ankle ank ankl",
    "foot": "foot",
    "heel": "heel",
    "toe": "toe",
    "big_toe": "bigtoe hallux",
    "small_toe": "smalltoe littletoe",
    "foot_index": "footindex",
}
"""Joints with a side, and their words without separators."""

MIDDLE = {
    "nose": "nose necknose noseneck",
    "jaw": "jaw",
    "head": "head face",
    "head_top": "headtop tophead topofhead headend headvertex headtopend",
    "upper_neck": "upperneck headbottom bottomhead",
    "neck": "neck",
    "neck_base": "neckbase baseofneck",
    "mid_shoulder": "midshoulder midshoulders shouldercenter shouldercentre centershoulder spineshoulder",
    "thorax": "thorax",
    "belly": "belly",
    "chest": "chest",
    "spine": "spine spinemid spinenavel",
    "spine1": "spine1",
    "spine2": "spine2",
    "spine3": "spine3",
    "pelvis": "pelvis root hips spinebase",
    "mid_hip": "midhip midhips hipcenter hipcentre centerhip centrehip middlehip chip",
    "hip": "hip",
}
"""Joints without a side, and their words without separators."""

RIG = {
    "shoulder": "arm upperarm uparm humerus",
    "elbow": "forearm lowerarm lowarm radius",
    "hip": "upleg upperleg thigh femur hipjoint",
    "knee": "leg lowerleg lowleg shin calf tibia",
}
"""Words of motion files: bones that begin at a joint. Their "shoulder" beside an "arm" is the collar bone."""

_SIDED_WORDS = {word: joint for joint, words in SIDED.items() for word in words.split()}
_MIDDLE_WORDS = {word: joint for joint, words in MIDDLE.items() for word in words.split()}
_RIG_WORDS = {word: joint for joint, words in RIG.items() for word in words.split()}

_SPELLED: dict[str, tuple[dict[str, str], ...]] = {
    "halpe26": ({"head": "head_top"},),
    "crowdpose14": ({"head": "head_top"},),
    "h36m17": tuple(
        {root: "pelvis", nose: "nose", "head": "head_top"}
        | {f"{side}_foot": f"{side}_ankle" for side in ("left", "right")}
        for root in ("pelvis", "hip")
        for nose in ("nose", "neck_base", "neck")
    ),
}  # fmt: skip
"""Layouts of which a joint's usual name means another joint elsewhere: that name to ours."""


def canonical(name: str, *, rig: bool = False) -> str | None:
    """Our name of a joint, or None where the table does not have it.

    Args:
        name: in any spelling: ``LShoulder``, ``left-shoulder``, ``shoulder.L``, ``mixamorig:LeftArm``.
        rig: read the words of motion files, too: there "LeftUpLeg" begins at the left hip.

    Example::

        >>> canonical("RBigToe"), canonical("LEFT_EYE_INNER"), canonical("tail base")
        ('right_big_toe', 'left_eye_inner', None)
    """
    words = _words(name)
    joined = "".join(words)
    if joined in _MIDDLE_WORDS:
        return _MIDDLE_WORDS[joined]
    stems = _SIDED_WORDS | _RIG_WORDS if rig else _SIDED_WORDS
    marks = [word for word in words if word in SIDES]
    if len(marks) == 1:
        stem = "".join(word for word in words if word not in SIDES)
        if stem in stems:
            return _named(SIDES[marks[0]], stems[stem])
    if joined == "rear":  # a word of its own
        return None
    for mark, side in SIDES.items():
        for stem in (joined.removeprefix(mark), joined.removesuffix(mark)):
            if stem != joined and stem in stems:
                return _named(side, stems[stem])
    return None


def same_joint(one: str, other: str) -> bool:
    """Whether two names mean one joint: by the table, or but for case and separators."""
    return one == other or _key(one) == _key(other)


def layout_of_names(names: Sequence[str]) -> Layout:
    """The layout of a file that names its joints.

    Names in the table become ours. Others stay, in lower case and with underscores.

    Returns:
        a built-in layout where the names are its names in its order, or begin with those of a whole-body
        model; otherwise one of the file's own joints.

    Raises:
        ValueError: if a joint stands twice.

    Example::

        >>> layout_of_names(["Nose", "LEye", "antenna"]).joint_names
        ('nose', 'left_eye', 'antenna')
    """
    ours = _distinct(names, [canonical(name) for name in names])
    if not {"left_elbow", "left_knee"} & set(ours):
        rig = [canonical(name, rig=True) for name in names]
        if {"left_elbow", "left_knee"} <= set(rig):
            ours = _distinct(names, _without_collar_bones(names, rig))
    ours = _as_data_sets_mean(ours)
    for layout in LAYOUTS.values():
        if layout.joint_names == ours:
            return layout
    body, kept = BY_JOINTS.get(len(ours), (None, 0))
    if body is not None and body.joint_names == ours[:kept]:
        return body
    return Layout(OWN_JOINTS, ours)


def _words(name: str) -> list[str]:
    """Words in lower case, without the prefix of a rig (mixamorig:, Bip01, CC_Base)."""
    name = re.sub(r"^(bip0?1|cc_base|def)[\s_.\-]+", "", name.strip().rsplit(":", 1)[-1], flags=re.IGNORECASE)
    words = [word.lower() for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)]
    return words[:-1] if len(words) > 1 and words[-1] in ("joint", "jnt") else words


def _named(side: str, joint: str) -> str:
    return f"mouth_{side}" if joint == "mouth" else f"{side}_{joint}"


def _cleaned(name: str) -> str:
    return re.sub(r"\s+", "_", name.strip().lower())


def _key(name: str) -> str:
    return canonical(name) or re.sub(r"[\s_.\-]", "", name.lower())


def _distinct(names: Sequence[str], ours: Sequence[str | None]) -> tuple[str, ...]:
    """Our names. Of two names that mean one joint, the one spelled as ours, else the first, has it."""
    owner: dict[str, int] = {}
    for at, (name, own) in enumerate(zip(names, ours, strict=True)):
        if own is not None and (own not in owner or _cleaned(name) == own):
            owner[own] = at
    return tuple(
        own if own is not None and owner[own] == at else _cleaned(name)
        for at, (name, own) in enumerate(zip(names, ours, strict=True))
    )


def _without_collar_bones(names: Sequence[str], rig: list[str | None]) -> list[str | None]:
    """A rig's shoulder is its collar bone where it has an arm, too."""
    return [
        joint.replace("shoulder", "clavicle")
        if joint in ("left_shoulder", "right_shoulder") and canonical(name) == joint and rig.count(joint) > 1
        else joint
        for name, joint in zip(names, rig, strict=True)
    ]


def _as_data_sets_mean(names: tuple[str, ...]) -> tuple[str, ...]:
    """Rename the joints that a data set with exactly these names means otherwise."""
    for layout, spellings in _SPELLED.items():
        for theirs in spellings:
            renamed = tuple(theirs.get(name, name) for name in names)
            if set(renamed) == set(LAYOUTS[layout].joint_names) and len(set(renamed)) == len(renamed):
                return renamed
    return names
