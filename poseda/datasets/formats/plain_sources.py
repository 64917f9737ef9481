"""Plain npz files of sources: labelled poses before a camera, and motion in a world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from poseda.datasets.conversion import conversion
from poseda.datasets.errors import DataError
from poseda.datasets.filming import FixedCamera, film_world, labelled
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.motion import find_unit
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.upright import find_up, turned
from poseda.datasets.joint_map import JointMap
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import Layout
from poseda.datasets.records import LabelledPoses, SourceReading
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M17, Skeleton


def named_layout(place: Field, names: Sequence[str]) -> Layout:
    """The layout of these joints.

    Raises:
        DataError: if a name occurs twice.
    """
    try:
        return layout_of_names(names)
    except ValueError as error:
        raise place.fail("each joint once", ", ".join(names)[:80]) from error


def read_plain_source(archive: Archive, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """``pose_3d`` (N, J, 3) metres in the camera frame, ``focal`` and ``center``, (2,) or (N, 2) each.

    Optional: ``distortion`` (5,) or (N, 5), ``pose_2d`` (N, J, 2) (default: the projection), ``clip`` (N,).
    """
    pose = archive.read("pose_3d", ("N", skeleton.num_joints, 3)).astype(np.float64)
    rows = len(pose)

    def entry(name: str, width: int) -> torch.Tensor:
        shape, _ = archive.header(name)
        wanted = (width,) if len(shape) == 1 else (rows, width)
        return torch.from_numpy(archive.read(name, wanted, "fiu").astype(np.float64).reshape(-1, width))

    distortion = entry("distortion", 5) if "distortion" in archive else None
    lens = Camera(focal=entry("focal", 2), center=entry("center", 2), distortion=distortion)
    screen = None
    if "pose_2d" in archive:
        screen = archive.read("pose_2d", (rows, skeleton.num_joints, 2)).astype(np.float64)
    clip = archive.read("clip", (rows,), "iu") if "clip" in archive else np.zeros(rows, np.int64)
    for name, values in (("pose_3d", pose), ("pose_2d", screen), ("focal", lens.focal.numpy())):
        if values is not None and not np.isfinite(values).all():
            raise archive.fail(name, "finite numbers", "NaN or Inf")
    if not bool((lens.focal > 0).all()) or not (pose[..., 2] > 0).all():
        raise archive.fail("pose_3d, focal", "depths and focal lengths above zero", "others")
    poses = labelled(pose, lens, clip, {}, screen)
    return poses.rows(torch.arange(0, rows, stride))


def read_world(
    archive: Archive, skeleton: Skeleton, joints: JointMap, stride: int, rig: Sequence[FixedCamera] | None
) -> LabelledPoses:
    """``positions`` (N, J, 3) metres, z up; optional ``clip_index`` (N,) and ``joint_names`` (J,).

    Poses of which the legs are in another unit, or the feet on the floor of another axis, are turned and
    scaled, which the reading says.
    """
    shape, _ = archive.header("positions")
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise archive.fail("positions", "shape (N, J, 3)", f"shape {shape}")
    pose = archive.read("positions", shape).astype(np.float64)
    if not np.isfinite(pose).all():
        raise archive.fail("positions", "finite numbers", "NaN or Inf")
    layout = Layout.of(skeleton)
    if "joint_names" in archive:
        names = archive.read("joint_names", (shape[1],), "U").tolist()
        layout = named_layout(Field(archive.path, "joint_names"), names)
    layout = joints.renamed(joints.layout() or layout, archive.path)
    clip = np.zeros(shape[0], np.int64)
    if "clip_index" in archive:
        clip = archive.read("clip_index", (shape[0],), "iu").astype(np.int64)
    pose, reading = _upright(Field(archive.path, "positions"), pose, layout)
    pose = conversion(layout, skeleton)(pose)[0]
    return replace(film_world(pose[::stride], clip[::stride], {}, rig), reading=reading)


def _upright(file: Field, pose: np.ndarray, layout: Layout) -> tuple[np.ndarray, SourceReading]:
    """(N, J, 3) poses in metres with z up, and how they were read. Bodies of no person stay as they are."""
    reading = SourceReading("npz of positions", 1)
    try:
        body = conversion(layout, H36M17)(pose)[0]
    except DataError:
        return pose, reading
    up = find_up(body, usual="+z", told_by="the format")
    metres, doubt = find_unit(file, body, "m")
    doubts = tuple(f"{file.path.name}: {sentence}" for sentence in (up.warning, doubt) if sentence)
    return turned(pose, up.axis) * metres, replace(reading, up=(str(up),), warnings=doubts)
