"""One function that writes any of the formats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from poseda.config.commands import POSES
from poseda.export.bvh import bvh_text
from poseda.export.c3d import c3d_bytes
from poseda.export.glb import glb_bytes
from poseda.export.mot import mot_text
from poseda.export.poses import LiftedPoses
from poseda.export.tables import csv_text, json_text, npz_bytes
from poseda.export.trc import trc_text
from poseda.export.world import Actor, actors, ended
from poseda.geometry.skeleton import Skeleton
from poseda.runs.atomic import write_atomically

WHOLE: dict[str, Callable[[LiftedPoses], bytes]] = {
    ".npz": npz_bytes,
    ".json": lambda poses: json_text(poses).encode(),
    ".csv": lambda poses: csv_text(poses).encode(),
}
"""Formats that hold any number of clips and persons, in the axes of the camera."""

PERSON: dict[str, Callable[[Actor, Skeleton, float], bytes]] = {
    ".bvh": lambda *given: bvh_text(*given).encode(),
    ".trc": lambda *given: trc_text(*given).encode(),
    ".c3d": c3d_bytes,
    ".mot": lambda *given: mot_text(*given).encode(),
}
"""Formats that hold one person, in a world: each has a person, the skeleton and the rate."""

CLIP = (".glb",)
"""Formats that hold the people of one clip, in a world."""

EXTRAS = {".c3d": "c3d"}
"""Formats that need a library, which has the name of its extra."""

BRIDGED = (".bvh", ".mot", ".glb")
"""Formats that have no gaps. Their files end with the last frame that is known of anybody in them."""

LONGEST = 80
"""Most letters of a clip's name in the name of a file."""

SUFFIXES = POSES
"""Endings of the files that can be written."""


def check_suffix(path: Path) -> None:
    """Refuse an ending that is no format's, or whose library is missing.

    Raises:
        ValueError: with the list of formats, or the command that installs the library.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"output: expected a file ending in {', '.join(SUFFIXES)}, got {path}")
    library = EXTRAS.get(path.suffix)
    if library is not None and find_spec(library) is None:
        remedy = f"pip install poseda[{library}]"
        raise ValueError(f"output: expected the library {library} for {path.suffix} ({remedy}), got none")


def planned_files(path: Path, poses: LiftedPoses) -> list[Path]:
    """The files that :func:`write_poses` will write.

    That is the path itself. A format that holds one person has a file beside it for each person with a valid
    frame, ``name_VIDEO_person0.bvh``, unless there is but one; a format that holds one clip has one for each
    clip, ``name_VIDEO.glb``. A clip without a name has its number there.

    Raises:
        ValueError: if the ending is no format's, or such a format is asked for and nobody has a valid frame.
    """
    check_suffix(path)
    if path.suffix in WHOLE:
        return [path]
    tracks, skipped = list(poses.tracks()), skipped_tracks(path, poses)
    if len(skipped) == len(tracks):
        raise ValueError(
            f"output: expected a person with a valid frame for {path.suffix}, got {len(tracks)} people and "
            f"clips without one; {', '.join(WHOLE)} hold such frames as gaps"
        )
    if path.suffix in CLIP:
        return clip_files(path, poses)
    if len(tracks) == 1:
        return [path]
    words = _words(poses, {clip for clip, _, _ in tracks})
    return [
        path.with_stem(f"{path.stem}_{words[clip]}_person{person}")
        for clip, person, _ in tracks
        if (clip, person) not in skipped
    ]


def clip_files(path: Path, poses: LiftedPoses) -> list[Path]:
    """A file for each clip with a valid frame, named after it; the path itself if there is but one clip."""
    clips = list(dict.fromkeys(clip for clip, _, _ in poses.tracks()))
    if len(clips) == 1:
        return [path]
    words, shown = _words(poses, set(clips)), set(poses.clip[poses.valid].tolist())
    return [path.with_stem(f"{path.stem}_{words[clip]}") for clip in clips if clip in shown]


def skipped_tracks(path: Path, poses: LiftedPoses) -> list[tuple[int, int]]:
    """Clip and person of those whom :func:`write_poses` leaves out: they have no valid frame."""
    if path.suffix in WHOLE:
        return []
    return [(clip, person) for clip, person, rows in poses.tracks() if not poses.valid[rows].any()]


def bridged_frames(path: Path, poses: LiftedPoses) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Clip and person to the stretches of frames, first and last, that a format without gaps bridges."""
    if path.suffix not in BRIDGED:
        return {}
    found = {(actor.clip, actor.person): actor.bridged() for actor in _people(path, poses)}
    return {key: stretches for key, stretches in found.items() if stretches}


def held_frames(path: Path, poses: LiftedPoses) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Clip and person to the stretches of frames in which a format without gaps holds one pose.

    They lie before the person's first known frame, and after the last while others of the file go on.
    """
    if path.suffix not in BRIDGED:
        return {}
    found = {(actor.clip, actor.person): actor.held() for actor in _people(path, poses)}
    return {key: stretches for key, stretches in found.items() if stretches}


def _people(path: Path, poses: LiftedPoses) -> list[Actor]:
    """Everybody whom a format of a world shows, as long as its files show them."""
    people = actors(poses)
    if path.suffix not in BRIDGED:
        return people
    if path.suffix not in CLIP:
        return [ended([actor])[0] for actor in people]
    clips = dict.fromkeys(actor.clip for actor in people)
    return [one for clip in clips for one in ended([actor for actor in people if actor.clip == clip])]


def world_note(path: Path, poses: LiftedPoses) -> str:
    """What is assumed of the world in which a format shows people, in words; empty for camera axes."""
    if path.suffix in WHOLE:
        return ""
    clips = {clip for clip, _, _ in poses.tracks()}
    known = len(clips & poses.up.keys())
    if known == len(clips):
        level = "upright by the camera's tilt"
    elif known:
        level = f"upright by the camera's tilt in {known} of {len(clips)} clips, the others taken for level"
    else:
        level = "the camera taken for level (--camera-pitch gives the tilt of one that rests)"
    where = "in their places" if poses.root is not None else "over the origin (--root gives their places)"
    return f"y up, on a floor, {where}; {level}"


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
        ValueError: if the ending is no format's, or nobody has a valid frame for a format of one person.
        OSError: if a file cannot be written.

    Example:
        >>> from tempfile import mkdtemp
        >>> import numpy as np
        >>> from poseda import H36M16
        >>> from poseda.export import LiftedPoses, read_poses
        >>> yes, zero = np.ones((2, 16), bool), np.zeros(2, int)
        >>> pose = np.zeros((2, 16, 3), np.float32)
        >>> poses = LiftedPoses(pose, None, yes[:, 0], yes, np.arange(2), zero, zero, H36M16, rate=30.0)
        >>> (file,) = write_poses(Path(mkdtemp()) / "dance.npz", poses)
        >>> len(read_poses(file))
        2
    """
    files = planned_files(path, poses)
    if path.suffix in WHOLE:
        write_atomically(path, WHOLE[path.suffix](poses))
        return files
    people = _people(path, poses)
    if path.suffix in CLIP:
        clips = {actor.clip: [one for one in people if one.clip == actor.clip] for actor in people}
        facts = {"arm": poses.arm, "camera": poses.camera, "world": world_note(path, poses)}
        for file, (clip, together) in zip(files, clips.items(), strict=True):
            write_atomically(file, glb_bytes(together, poses.skeleton, poses.clip_name(clip), facts))
        return files
    content = PERSON[path.suffix]
    for file, actor in zip(files, people, strict=True):
        # Some headers name the file: no line of them may be broken by its name.
        actor = replace(actor, title=" ".join(file.stem.split()))
        write_atomically(file, content(actor, poses.skeleton, poses.rate))
    return files
