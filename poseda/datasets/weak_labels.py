"""Weak labels: 3D poses of a few frames of a target, from files of another model.

A file holds poses of any skeleton in the axes of the target's camera, and says to which frames they belong.
README.md beside this file lists its members. Every pose that is not used is counted under a reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from poseda.config import FEWEST_JOINTS
from poseda.datasets.conversion import FEWEST_OWN, convert_known
from poseda.datasets.detections import Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import kind_of, read_json
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.own_export import (
    Export,
    export_of_csv,
    export_of_json,
    export_of_npz,
)
from poseda.datasets.formats.own_files import is_own_csv, is_own_json, is_own_npz
from poseda.datasets.formats.plain_sources import named_layout
from poseda.datasets.joint_map import JointMap
from poseda.datasets.layouts import Layout
from poseda.datasets.records import UnlabelledPoses, WeakLabels
from poseda.geometry.camera import project
from poseda.geometry.placements import locate
from poseda.geometry.skeleton import Skeleton

FORMATS = "npz with pose_3d, joint_names and frame, or npz, JSON or CSV of poseda lift"
"""Every format of weak labels, for messages."""

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Lengths in metres, by the names that a file may give."""

MISFIT = 0.15
"""Most that a pose may be off its detection, root mean square, in sizes of the person. Errors of 4 cm are
about 0.03; poses upside down, or of other people, are off by more than this."""

STEPS = 3
"""Gauss-Newton steps of the place at which a pose fits best."""


@dataclass(frozen=True)
class Footage:
    """A path of the target, as labels are matched with it.

    Args:
        name: of the path.
        detections: that were read of it.
        row: (D,) int64 row of the whole target for each detection, -1 for those that were left out.
    """

    name: str
    detections: Detections2D
    row: np.ndarray


@dataclass(frozen=True)
class _File:
    """N poses of a file.

    Args:
        path: of the file.
        pose: (N, J, 3), NaN where unknown.
        layout: of J joints.
        frame: (N,) int64.
        person, clip, camera: N names or numbers, or None where the file has none.
        metres: length of its unit, or None where unknown.
    """

    path: Path
    pose: np.ndarray
    layout: Layout
    frame: np.ndarray
    person: Sequence[str | int] | None
    clip: Sequence[str | int] | None
    camera: Sequence[str | int] | None
    metres: float | None


@dataclass(frozen=True)
class WeakReading:
    """The labels of all files, and what became of every pose of theirs.

    Args:
        labels: of the rows of the target.
        account: a sentence for each file.
        files: name of each file to its SHA-256, hexadecimal.
    """

    labels: WeakLabels
    account: tuple[str, ...]
    files: Mapping[str, str]


def read_weak_labels(
    paths: Sequence[str | Path],
    footage: Sequence[Footage],
    target: UnlabelledPoses,
    skeleton: Skeleton,
    joints: JointMap,
) -> WeakReading:
    """Read the files of ``--weak-labels`` and find the rows of the target that they belong to.

    Args:
        paths: files, of which the first that labels a row counts. With several paths of the target, a file
            has a member ``camera``, or there is a file for each path.
        footage: the paths of the target.
        target: the rows of all paths.
        skeleton: to convert to.
        joints: our joint to the files' name of it, where names do not tell.

    Raises:
        DataError: if a file cannot be read, or no pose of it can be used; one sentence.
    """
    parts: list[WeakLabels] = []
    account: list[str] = []
    taken: set[int] = set()
    for at, path in enumerate(map(Path, paths)):
        read = _read(path, joints)
        where = list(_paths_of(read, at, len(paths), footage))
        labels, left = _matched(read, where, target, skeleton, taken)
        account.append(_in_words(read, labels, left, skeleton))
        if not len(labels):
            raise DataError(f"{path}: expected weak labels of frames of the target, found {account[-1]}")
        taken |= set(labels.row.tolist())
        parts.append(labels)
    names = ("pose_3d", "known", "row", "metric")
    whole = WeakLabels(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
    return WeakReading(whole, tuple(account), _digests([Path(path) for path in paths]))


def _digests(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file by its name; files of one name also have their number."""
    names = Counter(path.name for path in paths)
    return {
        path.name if names[path.name] == 1 else f"{path.name} ({number})": _sha256(path)
        for number, path in enumerate(paths, 1)
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


# ----------------------------------------------------------------------------------------------- reading


def _read(path: Path, joints: JointMap) -> _File:
    kind = kind_of(path) if path.is_file() else "nothing"
    if kind == "npz":
        archive = Archive(path)
        return _of_export(export_of_npz(archive), joints) if is_own_npz(archive) else _of_npz(archive, joints)
    if kind == "json":
        file = read_json(path)
        if is_own_json(file):
            return _of_export(export_of_json(file), joints)
    if kind == "text" and is_own_csv(path):
        return _of_export(export_of_csv(path), joints)
    raise Field(path).fail(f"weak labels: {FORMATS}", f"other {kind}" if path.is_file() else "no file")


def _of_export(export: Export, joints: JointMap) -> _File:
    path = export.file.path
    layout = joints.renamed(named_layout(export.file.at("joint_names"), export.names), path)
    return _File(path, export.pose, layout, export.frame, export.person, export.clip, None, UNITS["m"])


def _of_npz(archive: Archive, joints: JointMap) -> _File:
    pose = archive.read("pose_3d", ("N", "J", 3)).astype(np.float64)
    rows = len(pose)

    def names(member: str) -> Sequence[str | int] | None:
        found: list[str | int] = archive.read(member, (rows,), "iuU").tolist() if member in archive else []
        return found or None

    if "valid" in archive:
        pose[~archive.read("valid", (rows,), "b")] = np.nan
    texts = archive.read("joint_names", (pose.shape[1],), "U").tolist()
    layout = joints.renamed(named_layout(Field(archive.path, "joint_names"), texts), archive.path)
    frame = archive.read("frame", (rows,), "iu").astype(np.int64)
    metres = None
    if "unit" in archive:
        unit = str(archive.read("unit", (), "U"))
        if unit not in UNITS:
            raise archive.fail("unit", f"one of {', '.join(UNITS)}", unit[:20])
        metres = UNITS[unit]
    return _File(archive.path, pose, layout, frame, names("person"), names("clip"), names("camera"), metres)


def _paths_of(file: _File, at: int, files: int, footage: Sequence[Footage]) -> Iterator[Footage]:
    """The path of the target that each pose of a file belongs to.

    Raises:
        DataError: if that is not known.
    """
    known = {path.name: path for path in footage}
    if file.camera is not None:
        for name in map(str, file.camera):
            if name not in known:
                raise Field(file.path, "camera").fail(f"a path of --target: {', '.join(known)}", name)
            yield known[name]
    elif len(footage) in (1, files):
        yield from [footage[at if len(footage) > 1 else 0]] * len(file.pose)
    else:
        raise Field(file.path, "camera").fail(
            f"the path of --target of each pose ({', '.join(known)}), or a file for each path", "none"
        )


# ---------------------------------------------------------------------------------------------- matching


def _matched(
    file: _File, where: Sequence[Footage], target: UnlabelledPoses, skeleton: Skeleton, taken: set[int]
) -> tuple[WeakLabels, Counter[str]]:
    """The labels of a file, and for each reason how many poses were left out."""
    pose, known = convert_known(np.where(np.isfinite(file.pose), file.pose, np.nan), file.layout, skeleton)
    found, left, used = [], Counter[str](), set(taken)
    candidates = {path.name: _by_frame(path) for path in where}
    for at, path in enumerate(where):
        rows = [
            row for row in candidates[path.name].get(int(file.frame[at]), []) if _same(file, at, path, row)
        ]
        row = int(path.row[rows[0]]) if len(rows) == 1 else -1
        if not known[at].any():
            left["without a pose"] += 1
        elif known[at].sum() < FEWEST_JOINTS:
            left[f"with fewer than {FEWEST_JOINTS} joints"] += 1
        elif len(rows) > 1:
            left["of frames with several people or clips, which the file does not tell apart"] += 1
        elif row < 0:
            left["of frames that the target does not have"] += 1
        elif row in used:
            left["of people who are labelled already"] += 1
        else:
            used.add(row)
            found.append((at, row))
    index = np.array(found, np.int64).reshape(-1, 2)
    labels = WeakLabels(
        torch.from_numpy(pose[index[:, 0]] * (file.metres or 1.0)).float(),
        torch.from_numpy(known[index[:, 0]]),
        torch.from_numpy(index[:, 1]),
        torch.full((len(index),), file.metres is not None),
    )
    fits = _fits(labels, target.rows(labels.row))
    off = int((~fits).sum())
    if 2 * off > len(labels):
        raise Field(file.path, "pose_3d").fail(
            "poses in camera axes (x right, y down, z forward) of the people in these frames",
            f"{off} of {len(labels)} that do not fit the detections; check axes, frame and person",
        )
    if off:
        left["that do not fit the detections"] = off
    return labels.at(fits), left


def _by_frame(path: Footage) -> dict[int, list[int]]:
    """The detections of each frame."""
    frames: dict[int, list[int]] = {}
    for at in np.flatnonzero(path.row >= 0).tolist():
        frames.setdefault(int(path.detections.frame[at]), []).append(at)
    return frames


def _same(file: _File, at: int, path: Footage, row: int) -> bool:
    """Whether a detection of the frame is of the person and clip that a pose names."""
    seen = path.detections
    clip = int(seen.clip[row])
    return (file.person is None or file.person[at] == int(seen.person[row])) and (
        file.clip is None or file.clip[at] in (clip, seen.clip_name(clip))
    )


def _fits(labels: WeakLabels, seen: UnlabelledPoses) -> Tensor:
    """(W,) bool, whether each pose can be placed so that it covers its detection."""
    shown = seen.shown
    both = labels.known if shown is None else labels.known & shown
    local = labels.pose_3d - labels.pose_3d[:, :1]
    camera = seen.camera
    root = locate(local.double(), seen.pose_2d.double(), camera.to(torch.float64), both, STEPS)
    off = (
        (project((local + root[:, None]).double(), camera.to(torch.float64)) - seen.pose_2d).square().sum(-1)
    )
    hidden = ~both[..., None]
    low, high = (seen.pose_2d.masked_fill(hidden, far) for far in (torch.inf, -torch.inf))
    size = (high.amax(1) - low.amin(1)).norm(dim=-1)
    misfit = (off.where(both, torch.zeros_like(off)).sum(1) / both.sum(1)).sqrt() / size
    return (both.sum(1) >= FEWEST_OWN) & (misfit < MISFIT)  # NaN does not fit


def _in_words(file: _File, labels: WeakLabels, left: Counter[str], skeleton: Skeleton) -> str:
    """What became of the poses of a file."""
    facts = [f"weak labels: {len(labels)} of {len(file.pose)} poses of {file.path.name}"]
    unknown = (~labels.known).sum(0).tolist()
    filled = [f"{name} {n}" for name, n in zip(skeleton.joint_names, unknown, strict=True) if n]
    if filled:
        facts.append(f"joints that the lifter fills in: {', '.join(filled)}")
    if file.metres is None:
        facts.append("no unit, so people get their usual lengths")
    return "; ".join([*facts, *(f"left out: {count} {reason}" for reason, count in left.items())])
