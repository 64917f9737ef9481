"""What `poseda lift` writes, read back as a source: npz, JSON or CSV with roots."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.conversion import conversion
from poseda.datasets.detections import DEFAULT_FIELD_OF_VIEW
from poseda.datasets.filming import labelled
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_text
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.own_files import KEY
from poseda.datasets.formats.plain_sources import named_layout
from poseda.datasets.records import LabelledPoses, SourceReading
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import Skeleton

ROOT = "root_position"
"""The root's place in the headings of a CSV."""


@dataclass(frozen=True)
class Export:
    """F frames of an export.

    Args:
        file: for messages.
        names: of J joints.
        pose: (F, J, 3) metres from the root, NaN in gaps.
        root: (F, 3) metres, camera frame, NaN where unknown.
        clip, person: F names or numbers each.
        frame: (F,) number.
        rate: frames per second; None where nobody told it.
    """

    file: Field
    names: Sequence[str]
    pose: np.ndarray
    root: np.ndarray
    clip: Sequence[str | int]
    person: Sequence[str | int]
    frame: np.ndarray
    rate: float | None = None


def read_own_npz(archive: Archive, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """Poses of an npz of `poseda lift`, see :func:`_placed`."""
    return _placed(export_of_npz(archive), skeleton, stride)


def export_of_npz(archive: Archive) -> Export:
    """What an npz of `poseda lift` holds."""
    pose = archive.read("pose_3d", ("N", "J", 3)).astype(np.float64)
    rows, joints = pose.shape[:2]
    names = archive.read("joint_names", (joints,), "U").tolist()
    root = np.full((rows, 3), np.nan)
    if "root" in archive:
        root = archive.read("root", (rows, 3)).astype(np.float64)
    pose[~archive.read("valid", (rows,), "b")] = np.nan
    clip, person, frame = (archive.read(name, (rows,), "iu").astype(np.int64) for name in KEY)
    rate = float(archive.read("rate", (), "fiu")) if "rate" in archive else None
    if "rate_assumed" in archive and archive.read("rate_assumed", (), "b"):
        rate = None
    return Export(Field(archive.path), names, pose, root, clip.tolist(), person.tolist(), frame, rate)


def read_own_json(file: Field, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """Poses of JSON of `poseda lift`, see :func:`_placed`."""
    return _placed(export_of_json(file), skeleton, stride)


def export_of_json(file: Field) -> Export:
    """What JSON of `poseda lift` holds."""
    rate = None
    if isinstance(file.value, dict):
        rate = file["rate"].number() if "rate" in file.value else None
        if file.value.get("rate_assumed") is True:
            rate = None
        file = file["frames"]
    rows = file.elements()
    first = next((row["pose_3d"] for row in rows if row["pose_3d"].value is not None), None)
    if first is None:
        raise file.at("pose_3d").fail("at least one pose", "gaps alone")
    names = list(first.record())
    pose, root = np.full((len(rows), len(names), 3), np.nan), np.full((len(rows), 3), np.nan)
    for at, row in enumerate(rows):
        if row["pose_3d"].value is not None:
            pose[at] = [row["pose_3d"][name].numbers((3,)) for name in names]
        if row["root"].value is not None:
            root[at] = row["root"].numbers((3,))
    frame = np.array([row["frame"].whole() for row in rows], np.int64)
    clip, person = ([row[name].name() for row in rows] for name in ("clip", "person"))
    return Export(file, names, pose, root, clip, person, frame, rate)


def read_own_csv(path: Path, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """Poses of a CSV of `poseda lift`, see :func:`_placed`."""
    return _placed(export_of_csv(path), skeleton, stride)


def export_of_csv(path: Path) -> Export:
    """What a CSV of `poseda lift` holds."""
    file = Field(path)
    try:
        headings, *rows = list(csv.reader(read_text(path).splitlines()))
    except csv.Error as error:
        raise file.fail("a table of `poseda lift`", f"other text ({error})") from error
    width = len(headings)
    # Files of 0.1.0 have places alone after the key; later ones have more columns of each joint.
    names = [heading[:-2] for heading in headings if heading.endswith("_x")]
    axes = [f"{name}_{axis}" for name in names for axis in "xyz"]
    columns = {heading: at for at, heading in enumerate(headings)}
    if not rows or not names or not columns.keys() >= set(axes):
        raise file.at("headings").fail(
            "JOINT_x, JOINT_y, JOINT_z of each joint, and rows", ", ".join(headings[len(KEY) + 1 :])[:60]
        )
    places = [columns[axis] for axis in axes]
    values = np.full((len(rows), len(names), 3), np.nan)
    for at, row in enumerate(rows):
        try:
            if len(row) != width:
                raise ValueError(f"{len(row)} cells")
            values[at] = np.reshape([float(row[k]) if row[k] else np.nan for k in places], (-1, 3))
        except ValueError as error:
            raise file.at(f"row {at}").fail(f"{width} cells of numbers", str(error)[:60]) from error
    root = values[:, -1] if names[-1] == ROOT else np.full((len(rows), 3), np.nan)
    joints = len(names) - (names[-1] == ROOT)
    frame = np.array(
        [file.at(f"row {at}.frame", _number_or_text(row[2])).whole() for at, row in enumerate(rows)]
    )
    clip, person = ([_number_or_text(row[at]) for row in rows] for at in (0, 1))
    return Export(file, names[:joints], values[:, :joints], root, clip, person, frame)


def _number_or_text(text: str) -> int | str:
    """The number that a cell holds, else its text."""
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 19 else text


def _numbered(keys: Sequence[Hashable]) -> np.ndarray:
    """(F,) a number for each key, in the order of their first rows."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _placed(export: Export, skeleton: Skeleton, stride: int) -> LabelledPoses:
    """Poses where their roots stand, before a camera of the assumed field of view, which the file lacks.

    Raises:
        DataError: if there are no roots: such poses have no place before a camera.
    """
    gap, homeless = ~np.isfinite(export.pose).all((1, 2)), ~np.isfinite(export.root).all(1)
    if gap.all():
        raise export.file.at("pose_3d").fail("at least one pose", "gaps alone")
    if homeless[~gap].all():
        raise export.file.at("root").fail(
            "poses in their places (poseda lift --root closed_form or exact)", "poses relative to their root"
        )
    pose = export.pose + export.root[:, None]
    behind = ~gap & ~homeless & ~(np.nan_to_num(pose[..., 2]).min(1) > 0)
    kept = np.flatnonzero(~gap & ~homeless & ~behind & (export.frame % stride == 0))
    if not len(kept):
        raise export.file.at("root").fail(f"frames that --stride {stride} keeps, before the camera", "none")
    layout = named_layout(export.file.at("joint_names"), export.names)
    camera = Camera.from_field_of_view(DEFAULT_FIELD_OF_VIEW, 1, 1)
    columns = {"frame": export.frame[kept]}
    track = _numbered(list(zip(export.clip, export.person, strict=True)))
    if export.rate:
        columns["time"] = export.frame[kept] / export.rate
    poses = labelled(
        conversion(layout, skeleton)(pose[kept])[0], camera.to(torch.float64), track[kept], columns
    )
    reasons = {"a gap": gap, "no root": homeless & ~gap, "behind the camera": behind}
    reading = SourceReading(
        format="poseda lift",
        files=1,
        rates=(export.rate / stride,) if export.rate else (),
        dropped={reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()},
        warnings=(
            f"{export.file.path.name}: the poses were estimated from 2D, and their camera is taken to see "
            f"{DEFAULT_FIELD_OF_VIEW:g} degrees",
        ),
    )
    return LabelledPoses(poses.pose_3d, poses.pose_2d, poses.camera, poses.clip, poses.columns, reading)
