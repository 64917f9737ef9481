"""Plain npz files of 2D detections."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from poseda.config.limits import FASTEST, SLOWEST
from poseda.datasets.checks import checked, without_number
from poseda.datasets.detections import Detections2D, Reading, SizeToldBy, ToldBy
from poseda.datasets.errors import DataError
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.sightings import Size, contradiction, named_clips
from poseda.datasets.joint_map import JointMap
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import BY_JOINTS, LAYOUTS, Layout
from poseda.datasets.tracking import identify

SCORES = ("confidence", "scores", "keypoint_scores")
"""Names of the members that may hold the joints' confidences."""

MADE_BY = "made_by"
"""The member that says from which video, and by which detector, :mod:`poseda.video` made a file."""


def read_plain_detections(
    archive: Archive, layout: Layout | None, image_size: Size | None, joint_map: JointMap | None = None
) -> Detections2D:
    """``keypoints`` (N, J, 2 or 3) pixels [and confidence], or ``pose_2d`` (N, J, 2) screen coordinates.

    Optional: ``confidence`` or ``scores`` (N, J), ``frame``, ``person``, ``clip`` (N,), ``joint_names`` (J,),
    ``image_size`` (2,), ``rate`` () frames per second.
    """
    screen = "keypoints" not in archive
    name = "pose_2d" if screen else "keypoints"
    shape, _ = archive.header(name)
    if len(shape) != 3 or shape[2] not in ((2,) if screen else (2, 3)) or 0 in shape:
        raise archive.fail(name, f"shape (N, J, {'2' if screen else '2 or 3'})", f"shape {shape}")
    points = archive.read(name, shape, "fiu").astype(np.float64)
    rows, joints = shape[:2]
    confidence = points[..., 2] if shape[2] == 3 else np.ones((rows, joints))
    scores = next((one for one in SCORES if one in archive), None)
    if scores is not None:
        confidence = archive.read(scores, (rows, joints), "fiu").astype(np.float64)

    def column(field: str, default: np.ndarray) -> np.ndarray:
        return archive.read(field, (rows,), "iu").astype(np.int64) if field in archive else default

    there = np.isfinite(points[..., :2]).all(-1) & np.isfinite(confidence)
    if not screen:
        there &= (points[..., :2] != 0).any(-1)  # 0, 0 stands for an unseen joint
    given, confidence = confidence, np.where(there, confidence, 0.0)
    zeros = np.zeros(rows, np.int64)
    clip, frame = column("clip", zeros), column("frame", np.arange(rows))
    who = identify(points[..., :2], confidence > 0, clip, frame, column("person", zeros))
    known = layout or _layout(archive, joints)
    told_by: ToldBy = "flag" if layout else "names" if "joint_names" in archive else "number"
    if joint_map and (renamed := joint_map.renamed(known, archive.path)) != known:
        known, told_by = renamed, "flag"
    rate = _rate(archive)
    size_told_by: SizeToldBy = (
        "file" if "image_size" in archive else "unknown" if image_size is None else "flag"
    )
    found = Detections2D(
        pose_2d=np.where(there[..., None], points[..., :2], np.nan),
        confidence=confidence,
        frame=frame,
        person=who.person,
        clip=clip,
        layout=known,
        image_size=_image_size(archive, rows, image_size),
        format=_format(archive),
        path=archive.path,
        units="screen" if screen else "pixels",
        reading=Reading(
            layout_told_by=told_by,
            image_size_told_by=size_told_by,
            tracking=who.tracking,
            rate=rate,
            rate_told_by="unknown" if rate is None else "file",
            clip_names=named_clips(archive.path, clip, {}),
            warnings=(*without_number(points[..., :2], given), *who.warnings),
        ),
    )
    return checked(found)


def made_by(archive: Archive) -> dict[str, Any]:
    """What a file says about its making from a video; nothing if it is no such file."""
    try:
        content = json.loads(str(archive.read(MADE_BY, (), "U"))) if MADE_BY in archive else {}
    except (DataError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _format(archive: Archive) -> str:
    """The format in words: of detections that were made of a video, the video and its detector."""
    made = made_by(archive)
    if isinstance(made.get("video"), str) and isinstance(made.get("detector"), str):
        return f"video {made['video']}, detected by {made['detector']}"
    return "npz"


def _layout(archive: Archive, joints: int) -> Layout:
    """The joints that the file names, or that their number stands for."""
    if "joint_names" in archive:
        names = archive.read("joint_names", (joints,), "U").tolist()
        try:
            return layout_of_names(names)
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
            raise contradiction(archive.path, given, (width, height))
        size = (width, height)
    return None if size is None else np.tile(np.array(size, np.float64), (rows, 1))


def _rate(archive: Archive) -> float | None:
    """Frames per second, None where the file does not say.

    Raises:
        DataError: for a rate that no recording has.
    """
    if "rate" not in archive:
        return None
    rate = float(archive.read("rate", (), "fiu"))
    if not SLOWEST <= rate <= FASTEST:
        raise archive.fail("rate", f"{SLOWEST:g} to {FASTEST:g} frames per second", f"{rate:g}")
    return rate
