"""Formats that list frame after frame: npz, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np

from poseda.export.poses import LiftedPoses
from poseda.geometry.skeleton import Skeleton

DECIMALS = 6
"""Of metres in text: a micrometre."""


def npz_bytes(poses: LiftedPoses) -> bytes:
    """The record's arrays under their names, with ``joint_names`` (J,), ``parents`` (J,) and ``rate`` ().

    ``clip_names`` (C,) holds the name of clip k at index k, where clips have names and are numbered from 0.
    """
    arrays = {
        name: getattr(poses, name)
        for name in ("pose_3d", "error", "root", "valid", "visible", "frame", "person", "clip")
        if getattr(poses, name) is not None
    }
    numbers = range(max(poses.clip_names, default=-1) + 1)
    if poses.clip_names and len(numbers) <= len(poses):
        arrays["clip_names"] = np.array([poses.clip_names.get(number, "") for number in numbers])
    content = io.BytesIO()
    np.savez_compressed(
        content,
        joint_names=np.array(poses.skeleton.joint_names),
        parents=np.array(poses.skeleton.parents, np.int64),
        rate=np.float64(poses.rate),
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


def json_text(poses: LiftedPoses) -> str:
    """A list of objects, one a frame and line: clip, person, frame, clip_name, and :func:`pose_object`."""
    lines = []
    for at in range(len(poses)):
        key: dict[str, Any] = {name: int(getattr(poses, name)[at]) for name in ("clip", "person", "frame")}
        key["clip_name"] = poses.clip_name(key["clip"])
        pose = poses.pose_3d[at] if poses.valid[at] else None
        root = None if poses.root is None else poses.root[at]
        lines.append(json.dumps(key | pose_object(pose, root, poses.skeleton)))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def csv_text(poses: LiftedPoses) -> str:
    """A row a frame, metres, empty where unknown.

    Columns: clip, person, frame, valid (1 or 0), clip_name, ``JOINT_x``, ``_y``, ``_z`` of each joint, and
    perhaps ``root_position_x``, ``_y``, ``_z``.
    """
    columns, names = [poses.pose_3d.reshape(len(poses), -1)], list(poses.skeleton.joint_names)
    if poses.root is not None:
        columns.append(poses.root)
        names.append("root_position")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    axes = [f"{name}_{axis}" for name in names for axis in "xyz"]
    writer.writerow(["clip", "person", "frame", "valid", "clip_name", *axes])
    for at, row in enumerate(np.concatenate(columns, 1)):
        key = [int(value[at]) for value in (poses.clip, poses.person, poses.frame, poses.valid)]
        writer.writerow(
            [*key, poses.clip_name(key[0]), *(f"{x:.{DECIMALS}f}" if np.isfinite(x) else "" for x in row)]
        )
    return text.getvalue()


def _rounded(values: np.ndarray) -> Any:
    return np.round(values.astype(np.float64), DECIMALS).tolist()
