"""Lifted poses back from the npz that was written of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.npz import Archive
from poseda.export.poses import BoneLengths, LiftedPoses
from poseda.geometry.skeleton import BUILT_IN, Skeleton


def read_poses(path: Path | str) -> LiftedPoses:
    """Read an npz of `poseda lift`; those of 0.1.0 lack 2D, sizes, tilt and words.

    Raises:
        DataError: if the file is damaged, or something else; the message names the member.
    """
    archive = Archive(path)
    pose = archive.read("pose_3d", ("N", "J", 3)).astype(np.float32)
    frames, joints = pose.shape[:2]
    names = archive.read("joint_names", (joints,), "U").tolist()
    parents = archive.read("parents", (joints,), "iu").tolist()
    try:
        skeleton = _skeleton(names, parents)
    except ValueError as error:
        raise archive.fail("parents", "the tree of a skeleton", str(error)) from error
    rate = float(archive.read("rate", (), "fiu"))
    if not 0 < rate < np.inf:
        raise archive.fail("rate", "frames a second above 0", f"{rate:g}")
    shapes = {"root": (frames, 3), "error": (frames, joints), "pose_2d": (frames, joints, 2)}
    perhaps: dict[str, Any] = {
        name: archive.read(name, shape).astype(np.float32) if name in archive else None
        for name, shape in shapes.items()
    }
    clip, person, frame = (
        archive.read(name, (frames,), "iu").astype(np.int64) for name in ("clip", "person", "frame")
    )
    order = np.lexsort((frame, person, clip))
    key = np.stack([clip, person, frame], -1)
    if not np.array_equal(order, np.arange(frames)) or not (key[1:] != key[:-1]).any(1).all():
        raise archive.fail("frame", "rows in order of clip, person and frame, each once", "another order")
    # A pose that is not finite is none, even if the file says so.
    valid = archive.read("valid", (frames,), "b") & np.isfinite(pose).all((1, 2))
    return LiftedPoses(
        pose_3d=pose,
        valid=valid,
        visible=archive.read("visible", (frames, joints), "b"),
        frame=frame,
        person=person,
        clip=clip,
        skeleton=skeleton,
        rate=rate,
        rate_assumed="rate_assumed" in archive and bool(archive.read("rate_assumed", (), "b")),
        clip_names=_clip_names(archive),
        lengths=_lengths(archive, skeleton),
        made_up=_made_up(archive),
        **perhaps,
        **_facts(archive, np.unique(clip)),
    )


def _skeleton(names: list[str], parents: list[int]) -> Skeleton:
    """The skeleton of that name and tree; one of the file's own where none is built in."""
    for known in BUILT_IN.values():
        if known.joint_names == tuple(names) and known.parents == tuple(parents):
            return known
    pairs = [
        (at, names.index(f"right_{name.removeprefix('left_')}"))
        for at, name in enumerate(names)
        if name.startswith("left_") and f"right_{name.removeprefix('left_')}" in names
    ]
    return Skeleton("own", tuple(names), tuple(parents), tuple(pairs))


def _clip_names(archive: Archive) -> dict[int, str]:
    if "clip_names" not in archive:
        return {}
    names = archive.read("clip_names", ("C",), "U").tolist()
    return {number: name for number, name in enumerate(names) if name}


def _made_up(archive: Archive) -> dict[str, str]:
    """Joints that the input lacked; files of earlier versions do not say them."""
    if "made_up" not in archive:
        return {}
    names = archive.read("made_up", ("K",), "U").tolist()
    return dict(zip(names, archive.read("made_up_how", (len(names),), "U").tolist(), strict=True))


def _lengths(archive: Archive, skeleton: Skeleton) -> BoneLengths | None:
    """Lengths of people's bones; files of 0.1.0 and of narrow lifters have none."""
    if "lengths_metres" not in archive:
        return None
    people = len(archive.read("lengths_person", ("P",), "iu"))
    clip, person = (archive.read(f"lengths_{name}", (people,), "iu") for name in ("clip", "person"))
    shapes: dict[str, tuple[int, ...]] = {
        "metres": (people, skeleton.num_groups),
        "error": (people, skeleton.num_groups),
    }
    shapes |= {"height": (people,), "height_error": (people,)}
    parts = {
        name: archive.read(f"lengths_{name}", shape).astype(np.float32) for name, shape in shapes.items()
    }
    told_by = str(archive.read("lengths_told_by", (), "U"))
    return BoneLengths(clip.astype(np.int64), person.astype(np.int64), **parts, told_by=told_by)


def _facts(archive: Archive, clips: np.ndarray) -> dict[str, Any]:
    """Size of pictures and upward direction by clip, arm and camera."""
    if "clip_numbers" not in archive:
        return {}
    up = archive.read("up", (len(clips), 3)).astype(float)
    size = archive.read("image_size", (len(clips), 2), "iu").tolist()
    numbers = clips.tolist()
    return {
        "up": {
            clip: tuple(row.tolist())
            for clip, row in zip(numbers, up, strict=True)
            if np.isfinite(row).all() and row.any()
        },
        "image_size": {clip: (w, h) for clip, (w, h) in zip(numbers, size, strict=True) if w > 0 and h > 0},
        "arm": str(archive.read("arm", (), "U")),
        "camera": str(archive.read("camera", (), "U")),
    }
