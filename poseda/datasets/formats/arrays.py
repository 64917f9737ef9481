"""Plain npz files of arrays: 2D detections, labelled poses before a camera, and motion in a world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from poseda.datasets.conversion import conversion
from poseda.datasets.detections import Detections2D
from poseda.datasets.filming import FixedCamera, film_world, labelled
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.sightings import Size
from poseda.datasets.layouts import BY_JOINTS, LAYOUTS, Layout
from poseda.datasets.records import LabelledPoses
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton

# ----------------------------------------------------------------------------------------------- detections


def read_plain_detections(archive: Archive, layout: Layout | None, image_size: Size | None) -> Detections2D:
    """``keypoints`` (N, J, 2 or 3) pixels [and confidence], or ``pose_2d`` (N, J, 2) screen coordinates.

    Optional: ``confidence`` (N, J), ``frame``, ``person``, ``clip`` (N,), ``joint_names`` (J,),
    ``image_size`` (2,).
    """
    screen = "keypoints" not in archive
    name = "pose_2d" if screen else "keypoints"
    shape, _ = archive.header(name)
    if len(shape) != 3 or shape[2] not in ((2,) if screen else (2, 3)) or 0 in shape:
        raise archive.fail(name, f"shape (N, J, {'2' if screen else '2 or 3'})", f"shape {shape}")
    points = archive.read(name, shape, "fiu").astype(np.float64)
    rows, joints = shape[:2]
    confidence = points[..., 2] if shape[2] == 3 else np.ones((rows, joints))
    if "confidence" in archive:
        confidence = archive.read("confidence", (rows, joints), "fiu").astype(np.float64)

    def column(field: str, default: np.ndarray) -> np.ndarray:
        return archive.read(field, (rows,), "iu").astype(np.int64) if field in archive else default

    finite = np.isfinite(points[..., :2]).all(-1) & np.isfinite(confidence)
    zeros = np.zeros(rows, np.int64)
    return Detections2D(
        pose_2d=np.where(finite[..., None], points[..., :2], np.nan),
        confidence=np.where(finite, confidence, 0.0),
        frame=column("frame", np.arange(rows)),
        person=column("person", zeros),
        clip=column("clip", zeros),
        layout=layout or _layout(archive, joints),
        image_size=_image_size(archive, rows, image_size),
        format="npz",
        path=archive.path,
        units="screen" if screen else "pixels",
    )


def _layout(archive: Archive, joints: int) -> Layout:
    """The joints that the file names, or that their number stands for."""
    if "joint_names" in archive:
        names = tuple(archive.read("joint_names", (joints,), "U").tolist())
        try:
            return Layout("the file's own joints", names)
        except ValueError as error:
            raise archive.fail("joint_names", "each name once", ", ".join(names)[:80]) from error
    body, kept = BY_JOINTS.get(joints, (None, 0))
    if joints in (16, 28):
        return LAYOUTS["h36m16" if joints == 16 else "mpi_inf_3dhp_28"]
    if body is None or kept != joints:
        raise archive.fail("joint_names", f"names of the {joints} joints, or --layout", "none")
    return body


def _image_size(archive: Archive, rows: int, given: Size | None) -> np.ndarray | None:
    size = given
    if "image_size" in archive:
        width, height = archive.read("image_size", (2,), "fiu").tolist()
        if not (width > 0 and height > 0):
            raise archive.fail("image_size", "a positive width and height", f"{width} x {height}")
        if given is not None and given != (width, height):
            raise archive.fail("image_size", f"{given[0]} x {given[1]} as given", f"{width} x {height}")
        size = (width, height)
    return None if size is None else np.tile(np.array(size, np.float64), (rows, 1))


# --------------------------------------------------------------------------------------------------- sources


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
    archive: Archive, skeleton: Skeleton, stride: int, rig: Sequence[FixedCamera] | None
) -> LabelledPoses:
    """``positions`` (N, J, 3) metres, z up; optional ``clip_index`` (N,) and ``joint_names`` (J,)."""
    shape, _ = archive.header("positions")
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise archive.fail("positions", "shape (N, J, 3)", f"shape {shape}")
    pose = archive.read("positions", shape).astype(np.float64)
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
    return film_world(pose[::stride], clip[::stride], {}, rig)
