"""npz files of 2D poses: VideoPose3D's data_2d_*.npz, and plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.detections import Detections2D
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.text import BY_JOINTS, Sightings, fail
from poseda.datasets.layouts import LAYOUTS, Layout

VIDEOPOSE3D_LAYOUTS = {"coco": "coco17", "h36m": "h36m17"}


def read_videopose3d_2d(
    archive: Archive, layout: Layout | None, subjects: tuple[str, ...] | None
) -> Sightings:
    """``positions_2d``: subject → action → a (N, J, 2) array of pixels for each camera."""
    path = archive.path
    positions = archive.read_objects("positions_2d")
    found = Sightings(path, "VideoPose3D 2D npz", layout or _metadata_layout(archive))
    clip = 0
    for subject, action, cameras in walk_positions(path, "positions_2d", positions, subjects):
        if not isinstance(cameras, list | tuple | np.ndarray):
            raise fail(
                path, f"positions_2d[{subject}][{action}]", "a list of cameras", type(cameras).__name__
            )
        for number, poses in enumerate(cameras):
            where = f"positions_2d[{subject}][{action}][{number}]"
            table = pose_table(path, where, poses, (2, 3))
            if table.shape[2] == 2:
                table = np.concatenate([table, np.ones_like(table[..., :1])], -1)
            for frame, points in enumerate(table):
                found.add(points, where, frame, 0, clip)
            clip += 1
    return found


def walk_positions(path: Path, member: str, positions: Any, subjects: tuple[str, ...] | None) -> list[Any]:
    """(subject, action, content) of VideoPose3D's nested dicts, of the subjects asked for.

    Raises:
        DataError: if the nesting is another, or a subject is missing.
    """
    if not isinstance(positions, dict) or not positions:
        raise fail(path, member, "a dict of subjects", type(positions).__name__)
    for subject in subjects or ():
        if subject not in positions:
            raise fail(path, member, f"subject {subject}", ", ".join(map(str, positions))[:80])
    out = []
    for subject in subjects or positions:
        if not isinstance(positions[subject], dict):
            kind = type(positions[subject]).__name__
            raise fail(path, f"{member}[{subject}]", "a dict of actions", kind)
        out += [(subject, action, content) for action, content in positions[subject].items()]
    return out


def pose_table(path: Path, where: str, value: Any, width: tuple[int, ...]) -> np.ndarray:
    """(N, J, D) float64 with D one of ``width``.

    Raises:
        DataError: if the value is no such array.
    """
    array = np.asarray(value) if isinstance(value, np.ndarray) else None
    if array is None or array.dtype.kind not in "fiu" or array.ndim != 3 or array.shape[2] not in width:
        found = type(value).__name__ if array is None else f"{array.dtype} {array.shape}"
        raise fail(path, where, f"numbers of shape (N, J, {' or '.join(map(str, width))})", found)
    return array.astype(np.float64)


def _metadata_layout(archive: Archive) -> Layout | None:
    if "metadata" not in archive:
        return None
    metadata = archive.read_objects("metadata")
    name = metadata.get("layout_name") if isinstance(metadata, dict) else None
    return LAYOUTS.get(VIDEOPOSE3D_LAYOUTS.get(str(name), str(name)))


def read_plain_npz(
    archive: Archive, layout: Layout | None, image_size: tuple[int, int] | None
) -> Detections2D:
    """``keypoints`` (N, J, 2 or 3) pixels [and confidence], or ``pose_2d`` (N, J, 2) screen coordinates.

    Optional: ``confidence`` (N, J), ``frame``, ``person``, ``clip`` (N,), ``joint_names`` (J,),
    ``image_size`` (2,).
    """
    screen = "keypoints" not in archive
    name = "pose_2d" if screen else "keypoints"
    shape, _ = archive.header(name)
    if len(shape) != 3 or shape[2] not in ((2,) if screen else (2, 3)) or 0 in shape:
        raise archive.fail(name, f"shape (N, J, {'2' if screen else '2 or 3'})", f"shape {shape}")
    points = archive.read(name, tuple(shape), "fiu").astype(np.float64)
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
        layout=layout or _plain_layout(archive, joints),
        image_size=_plain_size(archive, rows, image_size),
        format="npz",
        path=archive.path,
        units="screen" if screen else "pixels",
    )


def _plain_layout(archive: Archive, joints: int) -> Layout:
    if "joint_names" in archive:
        names = tuple(archive.read("joint_names", (joints,), "U").tolist())
        try:
            return Layout("the file's own joints", names)
        except ValueError as error:
            raise archive.fail("joint_names", "names once each", ", ".join(names)[:80]) from error
    name = {16: "h36m16", 28: "mpi_inf_3dhp_28"}.get(joints) or BY_JOINTS.get(joints, ("", 0))[0]
    if name not in LAYOUTS or len(LAYOUTS[name]) != joints:
        raise archive.fail("joint_names", f"names of the {joints} joints, or --layout", "none")
    return LAYOUTS[name]


def _plain_size(archive: Archive, rows: int, given: tuple[int, int] | None) -> np.ndarray | None:
    size = given
    if "image_size" in archive:
        width, height = archive.read("image_size", (2,), "fiu").tolist()
        if not (width > 0 and height > 0):
            raise archive.fail("image_size", "a positive width and height", f"{width} x {height}")
        if given is not None and given != (width, height):
            raise archive.fail("image_size", f"{given[0]} x {given[1]} as given", f"{width} x {height}")
        size = (width, height)
    return None if size is None else np.tile(np.array(size, np.float64), (rows, 1))
