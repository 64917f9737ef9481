"""Sources that are motion in a world: BVH, positions in an npz, Human3.6M as VideoPose3D stores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from poseda.datasets.conversion import conversion
from poseda.datasets.filming import FixedCamera, assumed_rig, centred, filmed
from poseda.datasets.formats.bvh import LEG_LENGTH, UNITS, Bvh, match_joints, read_bvh
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.text import fail
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.datasets.records import LabelledPoses
from poseda.geometry.skeleton import H36M17, Skeleton

HEAD_BEYOND = 1.3
"""Where a BVH ends at the base of the skull: the head end lies this many neck lengths beyond it."""

ANKLE_HEIGHT = 0.08
"""Metres between the floor and an ankle that stands on it."""


def read_bvh_source(
    files: Sequence[Path],
    skeleton: Skeleton,
    joints: Mapping[str, str] | None,
    stride: int,
    rig: Sequence[FixedCamera] | None,
) -> LabelledPoses:
    """BVH files, a clip each, filmed by the assumed rig unless cameras are given."""
    convert, poses, clips, subjects = conversion("h36m17", skeleton), [], [], []
    for number, file in enumerate(files):
        pose = convert(bvh_pose(file, read_bvh(file), joints)[::stride])[0]
        poses.append(pose)
        clips.append(np.full(len(pose), number))
        subjects.append(np.full(len(pose), file.stem))
    return film_world(
        np.concatenate(poses), np.concatenate(clips), {"subject": np.concatenate(subjects)}, skeleton, rig
    )


def film_world(
    pose: np.ndarray,
    clip: np.ndarray,
    columns: Mapping[str, np.ndarray],
    skeleton: Skeleton,
    rig: Sequence[FixedCamera] | None,
) -> LabelledPoses:
    """World poses, z up, before cameras of the same world, or stood in the middle of the assumed rig."""
    if rig is None:
        pose = on_floor(centred(pose, clip), clip, skeleton)
    return filmed(pose, assumed_rig() if rig is None else rig, clip, columns, whole=rig is None)


def on_floor(pose: np.ndarray, clip: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Each clip raised or lowered so that the lowest joint that stands is an ankle's height above zero."""
    lowest = pose[..., 2].min(1)
    out = pose.copy()
    for number in np.unique(clip):
        rows = clip == number
        out[rows, :, 2] += ANKLE_HEIGHT - np.percentile(lowest[rows], 1)
    return out


def bvh_pose(path: Path, bvh: Bvh, joints: Mapping[str, str] | None = None) -> np.ndarray:
    """(N, 17, 3) h36m17 in metres, z up, from a BVH of any unit with y or z up.

    The pelvis is the middle of the hips. Where the head has no end site, its end is extrapolated from neck
    and head; the nose is the head joint.

    Raises:
        DataError: if joints or unit are not recognised.
    """
    at = match_joints(path, bvh.joints, joints)
    place = bvh.position
    hips = (place[:, at["left_hip"]] + place[:, at["right_hip"]]) / 2
    neck, head = place[:, at["thorax"]], place[:, at["head"]]
    top = place[:, at["head_end"]] if "head_end" in at else head + HEAD_BEYOND * (head - neck)
    special = {"pelvis": hips, "nose": head, "head_top": top}
    names = H36M17.joint_names
    pose = np.stack([special[n] if n in special else place[:, at[n]] for n in names], 1)
    return _upright(pose) * _unit(path, pose)


def _unit(path: Path, pose: np.ndarray) -> float:
    """Metres of a unit: the one that gives the leg an adult's length best."""
    joint = {name: pose[:, H36M17.joint(name)] for name in ("left_hip", "left_knee", "left_ankle")}
    thigh, shin = joint["left_knee"] - joint["left_hip"], joint["left_ankle"] - joint["left_knee"]
    leg = float(np.median(np.linalg.norm(thigh, axis=-1) + np.linalg.norm(shin, axis=-1)))
    if leg <= 0:
        raise fail(path, "leg", "a positive length", leg)
    unit = min(UNITS.values(), key=lambda metres: abs(np.log(leg * metres / LEG_LENGTH)))
    if not 0.5 < leg * unit / LEG_LENGTH < 2:
        raise fail(path, "leg", f"about {LEG_LENGTH} m in {', '.join(UNITS)}", f"{leg:g} units")
    return unit


def _upright(pose: np.ndarray) -> np.ndarray:
    """Turn y up into z up, if the body's long axis says that y is up."""
    ankles = [H36M17.joint("left_ankle"), H36M17.joint("right_ankle")]
    up = np.abs((pose[:, H36M17.joint("thorax")] - pose[:, ankles].mean(1)).mean(0))
    if up[1] <= up[2]:
        return pose
    x, y, z = np.moveaxis(pose, -1, 0)
    return np.stack([x, -z, y], -1)


def read_world_npz(
    archive: Archive, skeleton: Skeleton, stride: int, rig: Sequence[FixedCamera] | None
) -> LabelledPoses:
    """``positions`` (N, J, 3) metres, z up; ``clip_index`` (N,); optional ``joint_names`` (J,)."""
    shape, _ = archive.header("positions")
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise archive.fail("positions", "shape (N, J, 3)", f"shape {shape}")
    pose = archive.read("positions", tuple(shape)).astype(np.float64)
    if not np.isfinite(pose).all():
        raise archive.fail("positions", "finite numbers", "NaN or Inf")
    layout = Layout.of(skeleton)
    if "joint_names" in archive:
        names = tuple(archive.read("joint_names", (shape[1],), "U").tolist())
        layout = next((known for known in LAYOUTS.values() if known.joint_names == names), layout)
    clip = np.zeros(shape[0], np.int64)
    if "clip_index" in archive:
        clip = archive.read("clip_index", (shape[0],), "iu").astype(np.int64)
    pose = conversion(layout, skeleton)(pose)[0]
    return film_world(pose[::stride], clip[::stride], {}, skeleton, rig)
