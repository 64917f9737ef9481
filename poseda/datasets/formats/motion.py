"""BVH motion as a labelled source: joints are found by name, unit and axes by the body."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from poseda.datasets.conversion import conversion
from poseda.datasets.filming import FixedCamera, film_world
from poseda.datasets.formats.bvh import Bvh, BvhJoint, read_bvh
from poseda.datasets.formats.field import Field
from poseda.datasets.recipes import HEAD_BEYOND_SKULL
from poseda.datasets.records import LabelledPoses
from poseda.geometry.skeleton import H36M17, Skeleton

LEG_LENGTH = 0.85
"""Thigh and shin of an adult, metres. The unit of a file is the one that fits it best."""

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
"""Words that stand for a joint, in order of preference. In most files the "shoulder" is the collar bone, so
the upper arm comes first. "leg" is the shin in files that have an "upleg"."""


def read_bvh_source(
    files: Sequence[Path],
    skeleton: Skeleton,
    joints: Mapping[str, str] | None,
    stride: int,
    rig: Sequence[FixedCamera] | None,
) -> LabelledPoses:
    """BVH files, a clip each, seen by the assumed rig unless cameras are given."""
    convert, poses, clips, subjects = conversion("h36m17", skeleton), [], [], []
    for number, path in enumerate(files):
        pose = convert(bvh_pose(Field(path), read_bvh(path), joints)[::stride])[0]
        poses.append(pose)
        clips.append(np.full(len(pose), number))
        subjects.append(np.full(len(pose), path.stem))
    columns = {"subject": np.concatenate(subjects)}
    return film_world(np.concatenate(poses), np.concatenate(clips), columns, rig)


def bvh_pose(file: Field, bvh: Bvh, joints: Mapping[str, str] | None = None) -> np.ndarray:
    """(N, 17, 3) h36m17 in metres, z up, from a BVH of any unit with y or z up.

    The pelvis is the middle of the hips, and the nose is the head joint. Where the head has no end site, its
    end is extrapolated from neck and head.

    Raises:
        DataError: if joints or unit are not recognised.
    """
    at = match_joints(file, bvh.joints, joints)
    place = bvh.position
    hips = (place[:, at["left_hip"]] + place[:, at["right_hip"]]) / 2
    neck, head = place[:, at["thorax"]], place[:, at["head"]]
    top = place[:, at["head_end"]] if "head_end" in at else head + HEAD_BEYOND_SKULL * (head - neck)
    special = {"pelvis": hips, "nose": head, "head_top": top}
    names = H36M17.joint_names
    pose = np.stack([special[n] if n in special else place[:, at[n]] for n in names], 1)
    return _upright(pose) * _unit(file, pose)


def _unit(file: Field, pose: np.ndarray) -> float:
    """Metres of the file's unit: the unit in which the leg is nearest to an adult's."""
    hip, knee, ankle = (pose[:, H36M17.joint(f"left_{name}")] for name in ("hip", "knee", "ankle"))
    lengths = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    leg = float(np.median(lengths))
    if leg <= 0:
        raise file.at("leg").fail("a positive length", leg)
    unit = min(UNITS.values(), key=lambda metres: abs(np.log(leg * metres / LEG_LENGTH)))
    if not 0.5 < leg * unit / LEG_LENGTH < 2:
        raise file.at("leg").fail(f"about {LEG_LENGTH} m in {', '.join(UNITS)}", f"{leg:g} units")
    return unit


def _upright(pose: np.ndarray) -> np.ndarray:
    """Exchange the axes of poses with y up, so that z is up. People's long axis shows which is up."""
    ankles = [H36M17.joint("left_ankle"), H36M17.joint("right_ankle")]
    up = np.abs((pose[:, H36M17.joint("thorax")] - pose[:, ankles].mean(1)).mean(0))
    if up[1] <= up[2]:
        return pose
    x, y, z = np.moveaxis(pose, -1, 0)
    return np.stack([x, -z, y], -1)


def match_joints(
    file: Field, joints: Sequence[BvhJoint], given: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Find our joints among a file's, by their names.

    Args:
        file: for messages.
        joints: of the file.
        given: our joint to the file's name for it, where the file's name does not tell.

    Returns:
        index by our names: hip, knee, ankle, shoulder, elbow and wrist of both sides, spine, thorax and head.
        There is a ``head_end`` where the head has an end site away from it.

    Raises:
        DataError: if a joint is not found; the message lists the file's joints.
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
            raise file.at(name).fail(f"a joint of that meaning ({tried})", f"only {names}")
        found[name] = at
    ends = [i for i, j in enumerate(joints) if j.parent == found["head"] and j.name.endswith("_end")]
    if ends and np.linalg.norm(joints[ends[0]].offset) > 0:
        found["head_end"] = ends[0]
    return found


def _plain(name: str) -> str:
    """Lower case without prefix (mixamorig:, Bip01), blanks and underscores."""
    name = name.rsplit(":", 1)[-1].lower()
    return re.sub(r"[\s_.\-]", "", re.sub(r"^(bip0?1|cc_base|b)[\s_]", "", name))
