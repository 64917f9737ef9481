"""Which joint or marker of a motion file is which, by its name, and how joints that lack a name are made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.joint_names import canonical
from poseda.datasets.recipes import HEAD_BEYOND_EARS, HEAD_BEYOND_SKULL
from poseda.geometry.skeleton import H36M17

HEAD_BEYOND_TRUNK = 0.48
"""Human3.6M's adult of 0.49 m from pelvis to thorax has the head end 0.24 m above the thorax."""

SHORTEST_BONE = 0.02
"""A bone of less than this share of the trunk is none: its two ends are one place."""

Words = Mapping[str, str]
"""A part of the body to the words that stand for it, in order of preference."""


@dataclass(frozen=True)
class Vocabulary:
    """Words of one kind of file.

    Args:
        sided: parts that there are twice; the words stand without a side.
        middle: parts that there are once.
        head: the part that is called "head".
    """

    sided: Words
    middle: Words
    head: str

    def forms(self) -> dict[str, list[str]]:
        """Every part, with its side, to the names that it may have."""
        forms = {part: words.split() for part, words in self.middle.items()}
        for side, short in (("left", "l"), ("right", "r")):
            for part, words in self.sided.items():
                forms[f"{side}_{part}"] = [
                    form for w in words.split() for form in (side + w, short + w, w + side, w + short)
                ]
        return forms


SKELETONS = Vocabulary(
    {
        "hip": "upleg upperleg thigh hip femur hipjoint",
        "knee": "leg lowerleg lowleg shin calf knee tibia",
        "ankle": "foot ankle",
        "shoulder": "arm upperarm uparm shldr humerus shoulder",
        "elbow": "forearm lowerarm lowarm elbow radius",
        "wrist": "hand wrist",
    },
    {
        "spine": "spine1 spine01 chest spine02 spine2 lowerback spine spine3 torso abdomen",
        "thorax": "neck necktwist01 neck1 neck01 thorax upperneck",
        "skull": "head",
        "head_top": "headtop headtopend headend headnub",
    },
    head="skull",
)
"""Joints of animated skeletons. In most files the "shoulder" is the collar bone, so the upper arm comes
first. "leg" is the shin in files that have an "upleg". The "head" is the base of the skull."""

MARKERS = Vocabulary(
    {
        "hip": "hjc hipjoint hipjointcenter",
        "knee": "kjc kneejoint kneejointcenter",
        "ankle": "ajc anklejoint anklejointcenter",
        "shoulder": "sjc shoulderjoint shoulderjointcenter",
        "elbow": "ejc elbowjoint elbowjointcenter",
        "wrist": "wjc wristjoint wristjointcenter",
        "front_of_pelvis": "asis asi",
        "back_of_pelvis": "psis psi",
        "outer_knee": "kne kneelat latknee kneelateral fle",
        "inner_knee": "kneemed medknee kneemedial mkne knm fme",
        "outer_ankle": "ank anklelat latankle anklelateral fal",
        "inner_ankle": "anklemed medankle anklemedial mank tam",
        "acromion": "sho acromion acromium acr sae",
        "outer_elbow": "elb elbowlat latelbow elbowlateral hle",
        "inner_elbow": "elbowmed medelbow elbowmedial melb hme",
        "thumb_of_wrist": "wra wristrad radwrist rsp",
        "finger_of_wrist": "wrb wristulna ulnawrist usp",
        "front_of_head": "fhd fronthead headfront",
        "back_of_head": "bhd backhead headback",
    },
    {
        "spine": "midtrunk midspine",
        "head_top": "vertex",
        "back_of_neck": "c7 cv7",
        "collar": "clav clavicle sjn ij",
    },
    head="head_top",
)
"""Joint centres, and markers on the skin as Plug-in Gait, OpenSim and ISB name them. Names that the table of
joint names knows are not repeated here."""

_SHARED = {joint: "pelvis" for joint in ("hip", "mid_hip")} | {
    joint: "thorax" for joint in ("neck", "neck_base", "mid_shoulder")
}
"""Joints of the table of joint names that stand for a part of another name."""

Recipe = Mapping[str, float]
"""Parts or joints to weights that sum to one."""


def _mean(*parts: str) -> Recipe:
    return {part: 1 / len(parts) for part in parts}


def _beyond(start: str, ends: Sequence[str], share: float) -> Recipe:
    return {start: -share, **{end: (1 + share) / len(ends) for end in ends}}


_HEAD = [f"{side}_{part}_of_head" for side in ("left", "right") for part in ("front", "back")]
_EARS, _HIPS, _SHOULDERS = (
    [f"{side}_{part}" for side in ("left", "right")] for part in ("ear", "hip", "shoulder")
)


def _sided(side: str) -> dict[str, list[Recipe]]:
    def s(*parts: str) -> list[str]:
        return [f"{side}_{part}" for part in parts]

    front, back, knee = s("front_of_pelvis", "back_of_pelvis", "knee")
    return {
        f"{side}_knee": [_mean(*s("outer_knee", "inner_knee")), _mean(*s("outer_knee"))],
        f"{side}_ankle": [_mean(*s("outer_ankle", "inner_ankle")), _mean(*s("outer_ankle"))],
        # Adults' hip joints are 0.08 m below the iliac spines, which are 0.5 m above the knees.
        f"{side}_hip": [{front: 0.42, back: 0.42, knee: 0.16}, {front: 0.84, knee: 0.16}],
        f"{side}_shoulder": [_mean(*s("acromion"))],
        f"{side}_elbow": [_mean(*s("outer_elbow", "inner_elbow")), _mean(*s("outer_elbow"))],
        f"{side}_wrist": [_mean(*s("thumb_of_wrist", "finger_of_wrist")), _mean(*s("thumb_of_wrist"))],
    }


RECIPES: dict[str, list[Recipe]] = {
    **_sided("left"),
    **_sided("right"),
    "pelvis": [_mean(*_HIPS)],
    "thorax": [_mean("back_of_neck", "collar"), _mean(*_SHOULDERS)],
    "spine": [_mean("pelvis", "thorax")],
    "head_top": [
        _beyond("thorax", ["skull"], HEAD_BEYOND_SKULL),
        _beyond("thorax", _EARS, HEAD_BEYOND_EARS),
        _beyond("thorax", _HEAD, 0.3),
        _beyond("thorax", ["nose"], 1.0),
        _beyond("pelvis", ["thorax"], HEAD_BEYOND_TRUNK),
    ],
    "nose": [
        _mean("skull"),
        _mean(*_EARS),
        {_HEAD[0]: 0.35, _HEAD[2]: 0.35, "thorax": 0.3},
        _mean("thorax", "head_top"),
    ],
}
"""Joints of h36m17 in the order in which they are made, and the recipes to try where the file has none of the
name. Knees come before hips, as hips need them."""


@dataclass(frozen=True)
class Joints:
    """How the joints of h36m17 come from a file.

    Args:
        weights: (17, J) each row sums to one.
        made_up: joint to the file's joints that it is made from.
    """

    weights: np.ndarray
    made_up: Mapping[str, str]


def find_joints(
    file: Field,
    names: Sequence[str],
    place: np.ndarray,
    vocabulary: Vocabulary,
    given: Mapping[str, str] | None = None,
) -> Joints:
    """Find h36m17 among a file's joints or markers, by their names.

    Args:
        file: for messages.
        names: J of them.
        place: (J, 3) usual places, which tell joints at one place apart.
        vocabulary: of the kind of file.
        given: our joint to the file's name for it, where the file's name does not tell; the file has it.

    Raises:
        DataError: if a joint is neither found nor can be made; the message lists the file's names.
    """
    parts = _candidates(names, vocabulary, given or {})
    at = {part: found[0] for part, found in parts.items() if part != "spine"}
    _tip_of_skull(at, names, place)
    row, made_up = {part: np.eye(len(names))[index] for part, index in at.items()}, dict[str, str]()
    for joint, recipes in RECIPES.items():
        if joint == "spine":
            inner = [i for i in parts.get("spine", ()) if _between(place[i], row, place)]
            if inner:
                at[joint], row[joint] = inner[0], np.eye(len(names))[inner[0]]
        if joint in row:
            continue
        recipe = next((recipe for recipe in recipes if all(part in row for part in recipe)), None)
        if recipe is None:
            raise _missing(file, joint, names, vocabulary)
        row[joint] = np.sum([weight * row[part] for part, weight in recipe.items()], 0)
        made_up[joint] = " and ".join(names[at[part]] if part in at else part for part in recipe)
    joints = Joints(np.stack([row[joint] for joint in H36M17.joint_names]), made_up)
    _check_bones(file, joints.weights @ place)
    return joints


def _candidates(
    names: Sequence[str], vocabulary: Vocabulary, given: Mapping[str, str]
) -> dict[str, list[int]]:
    """Part to the indices of the names that stand for it, the best first."""
    plainly = {plain(name): at for at, name in reversed(list(enumerate(names)))}
    forms = vocabulary.forms()
    found = {part: [plainly[w] for w in words if w in plainly] for part, words in forms.items()}
    taken = {at for indices in found.values() for at in indices}
    rig, shared = vocabulary is SKELETONS, _SHARED | {"head": vocabulary.head}
    for at, name in enumerate(names):
        joint = canonical(name, rig=rig)
        part = shared.get(joint, joint) if joint else None
        # The root of a rig may be anywhere between the hips.
        if part is not None and at not in taken and not (rig and part == "pelvis"):
            found.setdefault(part, []).append(at)
    for joint, theirs in given.items():
        found[shared.get(joint, joint)] = [list(names).index(theirs)]
    return {part: indices for part, indices in found.items() if indices}


def _tip_of_skull(at: dict[str, int], names: Sequence[str], place: np.ndarray) -> None:
    """Take the end site of the head for its top, and no end that is where the head is."""
    if "skull" not in at:
        return
    end = f"{names[at['skull']]}_end"
    if "head_top" not in at and end in names:
        at["head_top"] = list(names).index(end)
    if "head_top" in at and np.allclose(place[at["head_top"]], place[at["skull"]]):
        del at["head_top"]


def _between(spine: np.ndarray, row: Mapping[str, np.ndarray], place: np.ndarray) -> bool:
    """Whether a place is apart from pelvis and thorax, so that the trunk has two bones."""
    pelvis, thorax = row["pelvis"] @ place, row["thorax"] @ place
    least = SHORTEST_BONE * np.linalg.norm(thorax - pelvis)
    return bool(np.linalg.norm(spine - pelvis) > least and np.linalg.norm(spine - thorax) > least)


def _check_bones(file: Field, pose: np.ndarray) -> None:
    """Refuse (17, 3) poses in which two joints are one place."""
    trunk = np.linalg.norm(pose[H36M17.joint("thorax")] - pose[H36M17.joint("pelvis")])
    for joint, parent in enumerate(H36M17.parents):
        if parent >= 0 and not np.linalg.norm(pose[joint] - pose[parent]) > SHORTEST_BONE * trunk:
            names = [H36M17.joint_names[at] for at in (parent, joint)]
            raise file.at(names[1]).fail(
                f"a place apart from {names[0]} (--joints {names[1]}=NAME names the joint)", "the same place"
            )


def _missing(file: Field, joint: str, names: Sequence[str], vocabulary: Vocabulary) -> Exception:
    words = vocabulary.forms().get(joint, [])
    known = ", ".join(name for name in names if not name.endswith("_end"))[:200]
    near = next((close for word in words if (close := _near(word, names))), "")
    expected = f"a joint of that meaning ({', '.join([joint, *words[:4]])}), or --joints {joint}=NAME"
    return file.at(joint).fail(expected, f"only {known}{near}")


def _near(name: str, names: Sequence[str]) -> str:
    """The end of a sentence: which name may be meant."""
    close = get_close_matches(name.lower(), [other.lower() for other in names], n=1, cutoff=0.75)
    meant = next((other for other in names if close and other.lower() == close[0]), None)
    return f"; did you mean {meant}?" if meant else ""


def plain(name: str) -> str:
    """Lower case without prefix (mixamorig:, Bip01), blanks and underscores."""
    name = name.rsplit(":", 1)[-1].lower()
    return re.sub(r"[\s_.\-]", "", re.sub(r"^(bip0?1|cc_base|b)[\s_]", "", name))
