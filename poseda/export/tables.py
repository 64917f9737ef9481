"""Formats that list frame after frame: npz, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from poseda.export.poses import BoneLengths, LiftedPoses
from poseda.geometry.skeleton import Skeleton

DECIMALS = 4
"""Of metres in text: a tenth of a millimetre, of seconds in text as well."""

UNIT = "m"
"""Of every place and error."""


def npz_bytes(poses: LiftedPoses) -> bytes:
    """The record's arrays under their names, with ``joint_names`` (J,), ``parents`` (J,), ``rate`` () and
    ``rate_assumed`` (), whether nobody told it.

    ``clip_names`` (C,) holds the name of clip k at index k, where clips have names and are numbered from 0.
    ``clip_numbers`` (K,) are the clips that there are, ``up`` (K, 3) and ``image_size`` (K, 2) theirs; NaN
    and 0 where unknown. ``arm`` () and ``camera`` () are words, ``time`` (F,) seconds. Where lengths were
    measured, ``bone_names`` (G,) names their columns, and the parts of :class:`BoneLengths` begin with
    ``lengths_``. ``made_up`` (K,) are the joints that the input lacks, ``made_up_how`` (K,) words.
    """
    arrays = {
        name: getattr(poses, name)
        for name in ("pose_3d", "error", "root", "pose_2d", "valid", "visible", "frame", "person", "clip")
        if getattr(poses, name) is not None
    }
    numbers = range(max(poses.clip_names, default=-1) + 1)
    if poses.clip_names and len(numbers) <= len(poses):
        arrays["clip_names"] = np.array([poses.clip_names.get(number, "") for number in numbers])
    if poses.lengths is not None:
        arrays["bone_names"] = np.array(poses.skeleton.group_names)
        arrays |= {f"lengths_{name}": np.asarray(part) for name, part in vars(poses.lengths).items()}
    if poses.made_up:
        arrays |= {"made_up": np.array([*poses.made_up]), "made_up_how": np.array([*poses.made_up.values()])}
    clips = np.unique(poses.clip)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        joint_names=np.array(poses.skeleton.joint_names),
        parents=np.array(poses.skeleton.parents, np.int64),
        rate=np.float64(poses.rate),
        rate_assumed=np.bool_(poses.rate_assumed),
        time=poses.time,
        clip_numbers=clips,
        up=np.array([poses.up.get(int(clip), (np.nan,) * 3) for clip in clips], np.float32).reshape(-1, 3),
        image_size=np.array([poses.image_size.get(int(clip), (0, 0)) for clip in clips]).reshape(-1, 2),
        arm=np.array(poses.arm),
        camera=np.array(poses.camera),
        **arrays,
    )
    return content.getvalue()


def pose_object(pose_3d: np.ndarray | None, root: np.ndarray | None, skeleton: Skeleton) -> dict[str, Any]:
    """One pose for JSON: ``valid``, ``pose_3d`` (joint name to metres, or null) and ``root`` (or null).

    Args:
        pose_3d: (J, 3), or None for a gap.
        root: (3,), or None where unknown.
        skeleton: of the pose.
    """
    joints = None
    if pose_3d is not None:
        joints = dict(zip(skeleton.joint_names, _rounded(pose_3d), strict=True))
    place = None if root is None or not np.isfinite(root).all() else _rounded(root)
    return {"valid": joints is not None, "pose_3d": joints, "root": place}


def seen_object(visible: np.ndarray, skeleton: Skeleton, made_up: Collection[str]) -> dict[str, list[str]]:
    """For JSON the joints that were detected, ``seen``, and those that were not, ``unseen``.

    Args:
        visible: (J,) bool.
        skeleton: of the pose.
        made_up: joints that the input lacks altogether. They are neither.
    """
    own = [
        (name, bool(there))
        for name, there in zip(skeleton.joint_names, visible, strict=True)
        if name not in made_up
    ]
    return {
        "seen": [name for name, there in own if there],
        "unseen": [name for name, there in own if not there],
    }


def json_text(poses: LiftedPoses) -> str:
    """An object with ``format``, ``unit``, ``rate``, ``rate_assumed``, ``arm``, ``camera`` and ``frames``,
    a line each.

    ``made_up`` has the joints that the input lacks altogether, and how their 2D is made of others.
    A frame has clip, person, frame, time in seconds, clip_name, and :func:`pose_object`. Of the other joints
    ``seen`` names those that were detected in the frame, ``unseen`` those that were not. ``error`` is joint
    name to metres, where the lifter tells it.
    ``lengths``, where they were measured, has an object for each person: clip, person, told_by, height,
    height_error, and of each bone metres and error; null where unknown.
    """
    head: dict[str, Any] = {
        "format": "poseda lift",
        "unit": UNIT,
        "rate": poses.rate,
        "rate_assumed": poses.rate_assumed,
        "skeleton": poses.skeleton.name,
        "arm": poses.arm,
        "camera": poses.camera,
        "made_up": dict(poses.made_up),
    }
    if poses.lengths is not None:
        head["lengths"] = list(_length_objects(poses.lengths, poses.skeleton))
    frames = ",\n".join(json.dumps(_frame_object(poses, at)) for at in range(len(poses)))
    return json.dumps(head)[:-1] + ', "frames": [\n' + frames + "\n]}\n"


def _length_objects(lengths: BoneLengths, skeleton: Skeleton) -> Iterator[dict[str, Any]]:
    def known(values: np.ndarray) -> list[float | None]:
        return [value if np.isfinite(value) else None for value in np.atleast_1d(_rounded(values)).tolist()]

    for at, (clip, person) in enumerate(lengths.people()):
        (height,), (height_error,) = known(lengths.height[at]), known(lengths.height_error[at])
        yield {
            "clip": clip,
            "person": person,
            "told_by": lengths.told_by,
            "height": height,
            "height_error": height_error,
            "metres": dict(zip(skeleton.group_names, known(lengths.metres[at]), strict=True)),
            "error": dict(zip(skeleton.group_names, known(lengths.error[at]), strict=True)),
        }


def _frame_object(poses: LiftedPoses, at: int) -> dict[str, Any]:
    key: dict[str, Any] = {name: int(getattr(poses, name)[at]) for name in ("clip", "person", "frame")}
    key |= {"time": round(float(poses.time[at]), DECIMALS), "clip_name": poses.clip_name(key["clip"])}
    valid, names = bool(poses.valid[at]), poses.skeleton.joint_names
    root = None if poses.root is None else poses.root[at]
    key |= pose_object(poses.pose_3d[at] if valid else None, root, poses.skeleton)
    key |= seen_object(poses.visible[at], poses.skeleton, poses.made_up)
    if poses.error is not None:
        key["error"] = dict(zip(names, _rounded(poses.error[at]), strict=True)) if valid else None
    return key


def csv_text(poses: LiftedPoses) -> str:
    """A row a frame, metres, empty where unknown.

    Columns: clip, person, frame, valid (1 or 0), clip_name, time in seconds, unit, arm, camera. For each
    joint ``JOINT_x``, ``_y``, ``_z``, ``_seen`` and perhaps ``_error``. Perhaps ``root_position_x``, ``_y``
    and ``_z``. Seen is 1, or 0 where the joint was not detected in the frame. It is empty where the joint is
    made up, as the input lacks it altogether.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parts = ["x", "y", "z", "seen", *(["error"] if poses.error is not None else [])]
    headings = [f"{name}_{part}" for name in poses.skeleton.joint_names for part in parts]
    if poses.root is not None:
        headings += [f"root_position_{axis}" for axis in "xyz"]
    facts = ["clip", "person", "frame", "valid", "clip_name", "time", "unit", "arm", "camera"]
    writer.writerow([*facts, *headings])
    words, time = (UNIT, poses.arm, poses.camera), poses.time
    made_up = [name in poses.made_up for name in poses.skeleton.joint_names]
    for at in range(len(poses)):
        key = [int(value[at]) for value in (poses.clip, poses.person, poses.frame, poses.valid)]
        row = [*key, poses.clip_name(key[0]), f"{time[at]:.{DECIMALS}f}", *words]
        for joint in range(poses.skeleton.num_joints):
            seen = "" if made_up[joint] else int(poses.visible[at, joint])
            row += [*map(_cell, poses.pose_3d[at, joint]), seen]
            row += [_cell(poses.error[at, joint])] if poses.error is not None else []
        writer.writerow(row + ([] if poses.root is None else list(map(_cell, poses.root[at]))))
    return text.getvalue()


def _cell(value: float) -> str:
    """A length in a table, empty where unknown."""
    return f"{value:.{DECIMALS}f}" if np.isfinite(value) else ""


def _rounded(values: np.ndarray) -> Any:
    return np.round(values.astype(np.float64), DECIMALS).tolist()
