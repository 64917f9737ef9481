"""Motion in a world as a labelled source: joints are found by name, unit and axes by file and body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np

from poseda.datasets.conversion import conversion
from poseda.datasets.errors import DataError
from poseda.datasets.filming import FixedCamera, film_world
from poseda.datasets.formats.bvh import read_bvh
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_each
from poseda.datasets.formats.motion_names import MARKERS, SKELETONS, Vocabulary, find_joints
from poseda.datasets.formats.upright import Up, find_up, leg_length, turned
from poseda.datasets.joint_map import JointMap
from poseda.datasets.records import LabelledPoses, SourceReading
from poseda.geometry.skeleton import Skeleton

LEG_LENGTH = 0.85
"""Thigh and shin of an adult, metres. The unit of a file is the one that fits it best."""

UNITS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254, "CMU's": 0.0254 / 0.45}

UNIT_NAMES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "inch": 0.0254, "inches": 0.0254} | UNITS
"""Units as headers name them, in metres."""


@dataclass(frozen=True)
class Motion:
    """Named joints or markers that move in a world.

    Args:
        format: its name, for messages.
        names: J of them.
        position: (N, J, 3) the file's unit and axes, NaN where unseen.
        vocabulary: of the names.
        rate: frames per second, or None where unknown.
        unit: its name in the file, or empty.
        up: axis that the file or its format names, such as ``+y``, or empty.
        up_told_by: what names it.
        rest: (J, 3) the rest pose, or None.
        warnings: sentences about doubtful content.
    """

    format: str
    names: Sequence[str]
    position: np.ndarray
    vocabulary: Vocabulary = MARKERS
    rate: float | None = None
    unit: str = ""
    up: str = ""
    up_told_by: str = ""
    rest: np.ndarray | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorldPoses:
    """Poses of one file in a world with z up.

    Args:
        pose: (N, 17, 3) h36m17, metres.
        frame: (N,) number of each in the file.
        up: what told which axis is up.
        made_up: joints that the file lacks, and what each is made from.
        warnings: sentences about doubtful content.
        dropped: reason to the number of frames left out.
    """

    pose: np.ndarray
    frame: np.ndarray
    up: Up
    made_up: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)


def bvh_motion(path: Path) -> Motion:
    """The joints of a BVH file."""
    bvh = read_bvh(path)
    names = [joint.name for joint in bvh.joints]
    return Motion("BVH", names, bvh.position, SKELETONS, 1 / bvh.frame_time, rest=bvh.rest)


def read_motion(
    files: Sequence[Path],
    read: Callable[[Path], Motion],
    skeleton: Skeleton,
    joints: JointMap,
    stride: int,
    rig: Sequence[FixedCamera] | None,
    strict: bool = False,
) -> tuple[LabelledPoses, dict[str, str]]:
    """Files of motion, a clip each, seen by the assumed rig unless cameras are given.

    Args:
        files: to read.
        read: reads one.
        skeleton: to convert to.
        joints: our joints' names in the files, where the names do not tell.
        stride: keep one frame in this many.
        rig: cameras, or None.
        strict: refuse a bad file among good ones.

    Returns:
        the poses, and why each file that could not be read was left out.
    """
    convert = conversion("h36m17", skeleton)

    def clip(number: int, path: Path) -> _Clip:
        motion = read(path)
        world = world_poses(Field(path), motion, joints)
        kept = world.frame % stride == 0
        pose, frame = convert(world.pose[kept])[0], world.frame[kept]
        rows = {"subject": np.full(len(pose), path.stem), "clip": np.full(len(pose), number), "frame": frame}
        if motion.rate is not None:
            rows["time"] = frame / motion.rate
        return _Clip(pose, rows, _reading(path.name, motion, world, stride))

    good, bad = read_each(files, clip, strict)
    shared = set.intersection(*(set(part.rows) for part in good))
    table = {name: np.concatenate([part.rows[name] for part in good]) for name in sorted(shared)}
    filmed = film_world(np.concatenate([part.pose for part in good]), table.pop("clip"), table, rig)
    reading = reduce(SourceReading.joined, [part.reading for part in good])
    if len(reading.rates) > 1:
        rates = ", ".join(f"{rate:g}" for rate in reading.rates)
        reading = replace(reading, warnings=(*reading.warnings, f"files have {rates} frames per second"))
    return replace(filmed, reading=reading), bad


class _Clip(NamedTuple):
    """Poses of one file, their columns, and how it was read."""

    pose: np.ndarray
    rows: dict[str, np.ndarray]
    reading: SourceReading


def world_poses(file: Field, motion: Motion, given: JointMap | None = None) -> WorldPoses:
    """h36m17 in metres with z up, from named joints in any unit and axes.

    The pelvis is the middle of the hips. In animated skeletons the nose is the head joint, the base of the
    skull. Frames in which a joint is unseen are left out.

    Args:
        file: for messages.
        motion: its joints.
        given: our joints' names in the file, where the names do not tell.

    Raises:
        DataError: if joints or unit are not recognised, or no frame has every joint.
    """
    usual = _usual_places(motion.position) if motion.rest is None else motion.rest
    named = given.among(motion.names, file.path) if given else None
    try:
        joints = find_joints(file, motion.names, usual, motion.vocabulary, named)
    except DataError:
        if given:
            given.check()  # a mistyped pair says more than a missing joint
        raise
    used = (joints.weights != 0).any(0)
    whole = np.isfinite(motion.position[:, used]).all((1, 2))
    if not whole.any():
        seen = np.isfinite(motion.position).all(-1).sum(0)
        worst = min(np.flatnonzero(used).tolist(), key=lambda at: int(seen[at]))
        raise file.at("joints").fail(
            "a frame in which every joint is seen",
            f"none; {motion.names[worst]} is seen in {seen[worst]} of {len(whole)}",
        )
    pose = joints.weights @ np.where(np.isfinite(motion.position[whole]), motion.position[whole], 0)
    rest = None if motion.rest is None else joints.weights @ motion.rest
    up = find_up(pose, rest, motion.up, motion.up_told_by)
    metres, doubt = find_unit(file, pose, motion.unit)
    warnings = [sentence for sentence in (*motion.warnings, up.warning, doubt) if sentence]
    gaps = {"a joint is unseen": int((~whole).sum())} if not whole.all() else {}
    return WorldPoses(
        turned(pose, up.axis) * metres, np.flatnonzero(whole), up, joints.made_up, tuple(warnings), gaps
    )


def _usual_places(position: np.ndarray) -> np.ndarray:
    """(J, 3) median places about the middle of the joints that are seen; zeros where never seen."""
    seen = np.isfinite(position).all(-1)
    known = np.where(seen[..., None], position, 0)
    middle = known.sum(1, keepdims=True) / np.maximum(seen.sum(1), 1)[:, None, None]
    about = np.where(seen[..., None], position - middle, np.nan)
    about[:, ~seen.any(0)] = 0
    return np.asarray(np.nanmedian(about, 0))


def find_unit(file: Field, pose: np.ndarray, named: str) -> tuple[float, str]:
    """Metres of the file's unit, and a sentence if the unit that it names cannot be.

    The leg must be about as long as an adult's. If no unit is named, that in which it is nearest counts.

    Args:
        file: for messages.
        pose: (N, 17, 3) h36m17.
        named: the unit that the file or its format names, or empty.

    Raises:
        DataError: if no unit fits.
    """
    leg = float(np.median(leg_length(pose)))
    if leg <= 0:
        raise file.at("leg").fail("a positive length", leg)
    if named in UNIT_NAMES and 0.3 < leg * UNIT_NAMES[named] / LEG_LENGTH < 3:  # of a child, too
        return UNIT_NAMES[named], ""
    name, unit = min(UNITS.items(), key=lambda entry: abs(np.log(leg * entry[1] / LEG_LENGTH)))
    if not 0.5 < leg * unit / LEG_LENGTH < 2:
        raise file.at("leg").fail(f"about {LEG_LENGTH} m in {', '.join(UNITS)}", f"{leg:g} units")
    doubt = f"the unit should be {named}, but legs of {leg:g} units are in {name}" if named else ""
    return unit, doubt


def _reading(name: str, motion: Motion, world: WorldPoses, stride: int) -> SourceReading:
    """How one file was read."""
    return SourceReading(
        format=motion.format,
        files=1,
        rates=() if motion.rate is None else (round(motion.rate / stride, 2),),
        up=(str(world.up),),
        made_up=dict(world.made_up),
        dropped=dict(world.dropped),
        warnings=tuple(f"{name}: {sentence}" for sentence in world.warnings),
    )
