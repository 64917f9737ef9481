"""One function that writes any of the formats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from poseda.export.bvh import bvh_text
from poseda.export.poses import LiftedPoses
from poseda.export.tables import csv_text, json_text, npz_bytes
from poseda.runs.atomic import write_atomically

WHOLE: dict[str, Callable[[LiftedPoses], bytes]] = {
    ".npz": npz_bytes,
    ".json": lambda poses: json_text(poses).encode(),
    ".csv": lambda poses: csv_text(poses).encode(),
}
"""Formats that hold any number of clips and persons."""

LONGEST = 80
"""Most letters of a clip's name in the name of a file."""

SUFFIXES = (*WHOLE, ".bvh")
"""Endings of the files that can be written."""


def planned_files(path: Path, poses: LiftedPoses) -> list[Path]:
    """The files that :func:`write_poses` will write.

    That is the path itself. A format that holds one person has a file beside it for each person with a valid
    frame, ``name_VIDEO_person1.bvh``, with the number of a clip without a name, unless there is but one.

    Raises:
        ValueError: if the ending is no format's, or a BVH is asked for and nobody has a valid frame.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"output: expected a file ending in {', '.join(SUFFIXES)}, got {path}")
    if path.suffix in WHOLE:
        return [path]
    tracks, skipped = list(poses.tracks()), skipped_tracks(path, poses)
    if len(skipped) == len(tracks):
        raise ValueError(
            f"output: expected a person with a valid frame for a BVH, got {len(tracks)} people and clips "
            f"without one; {', '.join(WHOLE)} hold such frames as gaps"
        )
    if len(tracks) == 1:
        return [path]
    words = _words(poses, {clip for clip, _, _ in tracks})
    return [
        path.with_stem(f"{path.stem}_{words[clip]}_person{person}")
        for clip, person, _ in tracks
        if (clip, person) not in skipped
    ]


def skipped_tracks(path: Path, poses: LiftedPoses) -> list[tuple[int, int]]:
    """Clip and person of those whom :func:`write_poses` leaves out: a BVH needs a valid frame."""
    if path.suffix in WHOLE:
        return []
    return [(clip, person) for clip, person, rows in poses.tracks() if not poses.valid[rows].any()]


def _words(poses: LiftedPoses, clips: set[int]) -> dict[int, str]:
    """Words for clips that may stand in the name of a file; no two are alike."""
    words = {
        clip: re.sub(r"[^\w.-]+", "-", poses.clip_names.get(clip, "")).strip("-.")[:LONGEST] for clip in clips
    }
    times = Counter(word.lower() for word in words.values())
    return {
        clip: f"{word}_clip{clip}" if word and times[word.lower()] > 1 else word or f"clip{clip}"
        for clip, word in words.items()
    }


def write_poses(path: Path, poses: LiftedPoses) -> list[Path]:
    """Write lifted poses in the format of the path's ending; each file is there whole or not at all.

    People whom :func:`skipped_tracks` names are left out.

    Returns:
        the files written.

    Raises:
        ValueError: if the ending is no format's, or a BVH is asked for and nobody has a valid frame.
        OSError: if a file cannot be written.
    """
    files = planned_files(path, poses)
    if path.suffix in WHOLE:
        write_atomically(path, WHOLE[path.suffix](poses))
        return files
    texts = [bvh_text(poses, rows) for *_, rows in poses.tracks() if poses.valid[rows].any()]
    for file, text in zip(files, texts, strict=True):
        write_atomically(file, text.encode())
    return files
