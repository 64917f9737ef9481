"""The target of a run: detections of one path, or of a path for each camera of a rig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from poseda.config.limits import for_each
from poseda.datasets.account import Account, account_of
from poseda.datasets.conversion import conversion
from poseda.datasets.detection_files import read_detections
from poseda.datasets.detections import Detections2D
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.sightings import Size
from poseda.datasets.joint_map import JointMap
from poseda.datasets.lens import Lens, find_cameras, find_lens
from poseda.datasets.people import choose_people
from poseda.datasets.records import UnlabelledPoses
from poseda.datasets.rig import Rig, names_of
from poseda.datasets.screen import on_screen, unlabelled
from poseda.datasets.weak_labels import Footage, WeakReading, read_weak_labels
from poseda.geometry.camera import Camera, tilted_up
from poseda.geometry.skeleton import Skeleton


@dataclass(frozen=True)
class TargetOptions:
    """How the paths of a target are read.

    Args:
        skeleton: they are converted to.
        image_sizes, fovs: one for all paths or one each.
        intrinsics: files of cameras: one of all, or one for each path.
        min_confidence: joints of less confidence are unseen.
        layout: of the joints, or None.
        people: see :func:`choose_people`.
        joints: what the files call our joints.
        strict: refuse bad files of a folder.
        weak_labels: files of 3D poses of a few frames.
        pitches, rolls: tilt of the cameras, degrees, where it is given: one for all paths or one each.
    """

    skeleton: Skeleton
    image_sizes: Sequence[Size]
    fovs: Sequence[float | str]
    intrinsics: Sequence[str | Path]
    min_confidence: float
    layout: str | None
    people: str | int
    joints: JointMap
    strict: bool
    weak_labels: Sequence[str | Path] = ()
    pitches: Sequence[float] = ()
    rolls: Sequence[float] = ()


@dataclass(frozen=True)
class Target:
    """What was read.

    Args:
        poses: of all paths, path by path; their clips are tracks, none in two paths.
        accounts: by the short name of each path.
        made_up: joints that the detections lack, and how each is made.
        camera: in words.
        rates: frames per second of each path, None where unknown.
        weak: what the files of weak labels hold, or None without any.
    """

    poses: UnlabelledPoses
    accounts: Mapping[str, Account]
    made_up: Mapping[str, str]
    camera: str
    rates: tuple[float | None, ...]
    weak: WeakReading | None = None


def read_target(paths: Sequence[str | Path], options: TargetOptions) -> Target:
    """Read every path of a target.

    Raises:
        DataError: if a file cannot be used, or the paths are not of one detector.
        ValueError: if an option has another number of values than one, or one for each path.
    """
    names = names_of(paths)
    sizes = for_each("image_size", options.image_sizes, len(paths))
    fovs = for_each("fov", options.fovs, len(paths))
    for_each("intrinsics", options.intrinsics, len(paths))
    tilts = _tilts(options, len(paths))
    cameras = find_cameras(options.intrinsics, names)
    found: list[Detections2D] = []
    lenses: list[Lens] = []
    for path, size, fov, camera in zip(paths, sizes, fovs, cameras, strict=True):
        read = read_detections(
            path, size, layout=options.layout, joints=options.joints, strict=options.strict
        )
        _check_alike(read, found)
        found.append(choose_people(read, options.people))
        lenses.append(find_lens(found[-1], options.skeleton, camera, fov, options.min_confidence))
    rigs = _rigs(found, lenses, names) if len(paths) > 1 else [None]
    poses = [
        _told(
            unlabelled(
                detections,
                options.skeleton,
                intrinsics=lens.intrinsics,
                fov=lens.fov,
                min_confidence=options.min_confidence,
                rig=rig,
            ),
            tilt,
        )
        for detections, lens, rig, tilt in zip(found, lenses, rigs, tilts, strict=True)
    ]
    whole, weak = _joined(poses), None
    if options.weak_labels:
        footage = _footage(names, found, lenses, options)
        weak = read_weak_labels(options.weak_labels, footage, whole, options.skeleton, options.joints)
    return Target(
        whole,
        {
            name: account_of(detections, options.skeleton, options.min_confidence)
            for name, detections in zip(names, found, strict=True)
        },
        conversion(found[0].layout, options.skeleton).made_up,
        _in_words(names, lenses, tilts),
        tuple(detections.reading.rate for detections in found),
        weak,
    )


def _tilts(options: TargetOptions, paths: int) -> list[tuple[float, float] | None]:
    """Pitch and roll of the camera of each path, degrees; None where they are not given."""
    pitches = for_each("camera_pitch", options.pitches, paths)
    rolls = for_each("camera_roll", options.rolls, paths)
    return [
        None if pitch is None else (pitch, roll or 0.0) for pitch, roll in zip(pitches, rolls, strict=True)
    ]


def _told(poses: UnlabelledPoses, tilt: tuple[float, float] | None) -> UnlabelledPoses:
    """Poses with the upward direction that the tilt of their camera gives."""
    if tilt is None:
        return poses
    up = tilted_up(torch.tensor(tilt, dtype=torch.float64).deg2rad()).float()
    return replace(poses, up=up.expand(len(poses), 3))


def _footage(
    names: Sequence[str], found: Sequence[Detections2D], lenses: Sequence[Lens], options: TargetOptions
) -> list[Footage]:
    """The detections of each path, and their rows in the target, which keeps those with a seen joint."""
    footage, first = [], 0
    for name, detections, lens in zip(names, found, lenses, strict=True):
        seen = on_screen(
            detections,
            options.skeleton,
            intrinsics=lens.intrinsics,
            fov=lens.fov,
            min_confidence=options.min_confidence,
        ).visible
        kept = np.ones(len(detections), bool) if seen is None else seen.any(1).numpy()
        row = np.where(kept, first + kept.cumsum() - 1, -1)
        footage.append(Footage(name, detections, row))
        first += int(kept.sum())
    return footage


def _check_alike(read: Detections2D, before: Sequence[Detections2D]) -> None:
    """Refuse paths of different detectors: a lifter learns which joints one detector shows."""
    if before and read.layout != before[0].layout:
        raise Field(read.path, "joints").fail(
            f"those of {before[0].path} ({before[0].layout.name}), as both are one target", read.layout.name
        )


def _rigs(found: Sequence[Detections2D], lenses: Sequence[Lens], names: Sequence[str]) -> list[Rig]:
    """What is known of the rows of each path beside their poses."""
    rotations = [lens.rotation for lens in lenses]
    known = [rotation for rotation in rotations if rotation is not None]
    rotation = torch.from_numpy(np.stack(known)).float() if len(known) == len(rotations) else None
    recordings: dict[str, int] = {}
    rigs = []
    for at, (detections, name, moment) in enumerate(zip(found, names, _moments(found), strict=True)):
        own = {clip: f"{name}/{detections.clip_name(clip)}" for clip in np.unique(detections.clip).tolist()}
        if len(own) == 1:
            own = dict.fromkeys(own, name)
        number = {clip: recordings.setdefault(title, len(recordings)) for clip, title in own.items()}
        recording = torch.tensor([number[clip] for clip in detections.clip.tolist()], dtype=torch.int64)
        rigs.append(Rig(torch.full_like(recording, at), moment, recording, (), len(found), rotation))
    return [replace(rig, recordings=tuple(recordings)) for rig in rigs]


def _moments(found: Sequence[Detections2D]) -> list[Tensor]:
    """Numbers of the moments at which a camera sees one person alone; -1 where it sees several.

    Frames of one number are of one moment, in recordings of one name, or where each path has one recording.
    Cameras of other frame rates share no moments. Who is who among several people cannot be told.
    """
    alone = all(len(np.unique(detections.clip)) == 1 for detections in found)
    in_step = len({detections.reading.rate for detections in found}) == 1
    numbers: dict[tuple[object, int], int] = {}
    moments = []
    for detections in found:
        pictures = np.stack([detections.clip, detections.frame], -1)
        kinds, which, count = np.unique(pictures, axis=0, return_inverse=True, return_counts=True)
        of_kind = [
            numbers.setdefault((alone or detections.clip_name(clip), frame), len(numbers))
            if in_step and people == 1
            else -1
            for (clip, frame), people in zip(kinds.tolist(), count.tolist(), strict=True)
        ]
        moments.append(torch.tensor(of_kind, dtype=torch.int64)[torch.from_numpy(which.reshape(-1))])
    return moments


def _joined(parts: Sequence[UnlabelledPoses]) -> UnlabelledPoses:
    """The rows of all paths, with clips of different numbers."""
    if len(parts) == 1:
        return parts[0]
    clips, offset = [], 0
    for part in parts:
        clips.append(part.clip + offset)
        offset += int(part.clip.max()) + 1
    whole = [torch.ones(part.pose_2d.shape[:2], dtype=torch.bool) for part in parts]
    masks = [one if part.visible is None else part.visible for part, one in zip(parts, whole, strict=True)]
    times = [part.time for part in parts]
    return UnlabelledPoses(
        torch.cat([part.pose_2d for part in parts]),
        Camera.cat([part.camera.expand(len(part)) for part in parts]),
        torch.cat(clips),
        None if all(part.visible is None for part in parts) else torch.cat(masks),
        parts[0].observed,
        Rig.joined([part.rig for part in parts if part.rig is not None]),
        None if None in times else torch.cat([time for time in times if time is not None]),
        None if parts[0].up is None else torch.cat([part.up for part in parts if part.up is not None]),
        torch.cat([part.liftable for part in parts]),
    )


def _in_words(
    names: Sequence[str], lenses: Sequence[Lens], tilts: Sequence[tuple[float, float] | None]
) -> str:
    notes = [
        lens.note if tilt is None else f"{lens.note}, given as {tilt[0]:g} degrees down, rolled {tilt[1]:g}"
        for lens, tilt in zip(lenses, tilts, strict=True)
    ]
    if len(lenses) == 1:
        return notes[0]
    each = "; ".join(f"{name}: {note}" for name, note in zip(names, notes, strict=True))
    if None not in tilts:
        return each
    if all(lens.rotation is not None for lens in lenses):
        return f"{each}; calibrated to each other, so that they find the upward direction together"
    return f"{each}; the tilt of each is found by itself"
