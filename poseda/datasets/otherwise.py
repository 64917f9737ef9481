"""What a file is that holds no detections: a run folder or a source of 3D poses. This needs no torch."""

from __future__ import annotations

from pathlib import Path

from poseda.config.commands import RUN_FILE
from poseda.datasets.errors import DataError
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import kind_of, read_json, reading
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.own_files import OWN, is_own_csv, is_own_json, is_own_npz

VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp")
"""Endings of the names of videos."""

VIDEO_OPTIONS = "for --target of poseda adapt and --input of poseda lift, which detect people first"
"""Which options take videos."""

BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid")
"""Names of the first box of MP4, QuickTime and 3GP."""

HEADS = (b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
"""First bytes of Matroska and WebM, of WMV, and of MPEG program and video streams."""

PACKETS = ((0, 188), (4, 192))
"""MPEG transport streams: where the first packet begins, and its length; each packet begins with G."""

MOTION = {"bvh": "BVH", "c3d": "C3D", "trc": "TRC", "mat5": "MPI-INF-3DHP", "pickle": "3DPW"}
"""Kinds of files that are sources alone, and their names."""

MEMBERS = {
    "source_pose_3d": "a domain file",
    "positions_3d": "Human3.6M as VideoPose3D stores it",
    "positions": "motion in a world",
    "pose_3d": "3D poses",
    "S": "3D poses of a training set",
}
"""Members of an npz that make it a source, and what it is then; the first that is there counts."""


def what_else(path: Path) -> str | None:
    """A sentence on a file that is no file of detections, and the option that takes it; None if unknown.

    Raises:
        DataError: if it has the name of a video and other content.
    """
    if (path / RUN_FILE).is_file():
        return "a run folder of poseda adapt, for --model of poseda lift"
    if path.suffix.lower() in VIDEOS and path.is_file():
        if not _begins_as_video(path):
            raise Field(path).fail(f"a video, as its name ends in {path.suffix}", "other content")
        return f"a video, {VIDEO_OPTIONS}"
    if path.is_dir() and any(file.suffix.lower() in VIDEOS for file in path.rglob("*")):
        return f"a folder of videos, {VIDEO_OPTIONS}"
    try:
        if is_own(path):
            return OWN
        kind = _source(path)
    except DataError:
        return None
    option = "--data of poseda adapt" if kind == "a domain file" else "--source of poseda adapt"
    return f"{kind}: labelled 3D, for {option}" if kind else None


def _begins_as_video(path: Path) -> bool:
    """Whether a file begins as a container of videos does."""
    with reading(path), path.open("rb") as file:
        head = file.read(256)
    return (
        head[4:8] in BOXES
        or head.startswith(HEADS)
        or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
        or any(head[at : at + 1] == head[at + step : at + step + 1] == b"G" for at, step in PACKETS)
    )


def _source(path: Path) -> str | None:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        kinds = {
            MOTION.get(kind_of(file))
            for file in files
            if file.suffix.lower() in (".bvh", ".c3d", ".trc", ".mat", ".pkl")
        }
        return f"a folder of {kinds.pop()} files" if len(kinds) == 1 and None not in kinds else None
    kind = kind_of(path)
    if kind in MOTION:
        return f"a {MOTION[kind]} file"
    if kind == "npz":
        members = Archive(path).members
        return next((words for name, words in MEMBERS.items() if name in members), None)
    return None


def is_own(path: Path) -> bool:
    """Whether a file is one that `poseda lift` wrote, as npz, JSON or CSV.

    Raises:
        DataError: if it is damaged.
    """
    if path.is_dir():
        return False
    kind = kind_of(path)
    if kind == "npz":
        return is_own_npz(Archive(path))
    return is_own_json(read_json(path)) if kind == "json" else kind == "text" and is_own_csv(path)
