"""Two-domain benchmarks from real motion capture and real camera calibrations.

- ``p1`` is a camera gap. The source is CMU clips under the Human3.6M rig. The target is other CMU clips, of
  the same people, under the chest and knee cameras of MPI-INF-3DHP.
- ``p2`` is the full gap. The source is Bandai motions on the bodies of some CMU subjects (the donors) under
  the Human3.6M rig. The target is other CMU subjects under the MPI-INF-3DHP cameras.
- ``dev`` has p2's source, and the donors as its target. They are not in p2's target, so recipes are chosen
  on it.
- ``back`` is dev the other way round: from the donors under the MPI-INF-3DHP cameras to Bandai motions on
  their bodies under the Human3.6M rig.
- ``p0`` has no gap: the clips of p1, both parts under the Human3.6M rig. The gate must keep the source model.

The user brings a folder with ``cmu.npz``, ``cmu_retargeted.npz``, ``bandai1.npz``, ``bandai2.npz`` and
``cameras.json``. The npz files hold positions (N, 16, 3) in metres, z up. The JSON holds the calibrations.
The package does not contain these files. Splits share no clip and are balanced within each subject. The
result is the table that :class:`poseda.datasets.domain_file.DomainFile` reads, with the same bits for the
same seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.mocap.config import PAIRS
from poseda.datasets.filming import FixedCamera, film
from poseda.datasets.formats.cameras import fixed_camera, read_cameras, read_rigs_by_subject
from poseda.datasets.formats.human36m import STUDIO_SUBJECTS
from poseda.datasets.formats.npz import Archive
from poseda.datasets.records import SPLITS, DataError
from poseda.geometry.anatomy import CLEARANCE
from poseda.geometry.kinematics import bones_of, forward_kinematics
from poseda.geometry.rotation import Array, shortest_rotation_matrix, unit
from poseda.geometry.skeleton import H36M16

BENCHMARKS = PAIRS

FILES = ("cmu.npz", "cmu_retargeted.npz", "bandai1.npz", "bandai2.npz", "cameras.json")
"""The files of the folder."""

SKELETON = H36M16
CLAVICLES = [SKELETON.joint(f"{side}_shoulder") - 1 for side in ("left", "right")]
"""Bones with a direction that belongs to the person, not to the posture."""

BODY_DONORS = ("cmu02", "cmu03", "cmu07", "cmu09", "cmu12")
"""Donors: the Bandai motions are put on their bodies, and they are not in p2's target."""

ALSO_DONOR = "cmu07@iclone"
"""A donor's retargeted motion, which is not in p2's target either."""

LOW_PITCH = 13.0
"""Degrees by which MPI-INF-3DHP's chest and knee cameras look down at most; its ceiling cameras exceed it."""

P2_SOURCE_ROWS = 40_000
"""Frames of p2's source, drawn from all frames; sequences take all."""

STUDIO_SHIFT, FIELD_SHIFT = 0.7, 0.5
"""Largest shift of clips on the floor under either rig, metres along each axis."""

REACH = 1.2
"""People stay within this distance of the middle of the capture volume along each axis, metres."""


@dataclass(frozen=True)
class Motion:
    """Clips of motion in a world with z up, N frames.

    Args:
        pose: (N, J, 3) metres.
        clip: (N,) int.
        subject: (N,) text.
        time: (N,) seconds within the clip.
    """

    pose: Array
    clip: np.ndarray
    subject: np.ndarray
    time: np.ndarray

    def rows(self, index: np.ndarray) -> Motion:
        """Pick frames by a mask or an index."""
        return Motion(self.pose[index], self.clip[index], self.subject[index], self.time[index])


@dataclass(frozen=True)
class Filming:
    """How one domain is filmed.

    Args:
        rig: its cameras.
        views: cameras a frame.
        shift: largest shift of clips along each axis, metres.
    """

    rig: Sequence[FixedCamera]
    views: int
    shift: float


@dataclass(frozen=True)
class Body:
    """A donor's bone lengths (K,), metres, and mean clavicle directions (2, 3) in the frame of the torso."""

    length: Array
    clavicles: Array


def build_benchmark(
    folder: str | Path, benchmark: str, seed: int = 0, sequences: bool = False
) -> dict[str, np.ndarray]:
    """Build the members of a domain npz.

    Args:
        folder: with the motion and calibration files.
        benchmark: ``p0``, ``p1``, ``p2``, ``dev`` or ``back``.
        seed: of splits, cameras and placements.
        sequences: whether to film whole clips in order, with fixed cameras for each, and to mark invalid
            frames. Otherwise each frame has its own cameras, invalid frames are left out, and the rest is
            shuffled.

    Returns:
        Arrays by member name, ready for ``numpy.savez_compressed``.

    Raises:
        ValueError: if the benchmark is unknown.
        DataError: if a file is missing or damaged.
    """
    if benchmark not in BENCHMARKS:
        raise ValueError(f"benchmark: expected one of {', '.join(BENCHMARKS)}, got {benchmark!r}")
    folder, rng = Path(folder), np.random.default_rng(seed)
    studio, field = read_rigs(folder / "cameras.json")
    cmu = read_motion(folder, "cmu", "cmu_retargeted")
    if benchmark in ("p2", "dev", "back"):
        source = _bandai(folder, cmu, rng, sequences)
        target = cmu.rows(np.isin(cmu.subject, [*BODY_DONORS, ALSO_DONOR]) == (benchmark != "p2"))
        filmed = Filming(studio, 1, STUDIO_SHIFT)
    else:
        source, target = split_clips(cmu, rng, 0.5)
        filmed = Filming(studio, 3, STUDIO_SHIFT)
    seen = filmed if benchmark == "p0" else Filming(field, 2, FIELD_SHIFT)
    if benchmark == "back":
        source, target, filmed, seen = target, source, seen, filmed
    source, validation = split_clips(place_clips(source, rng, filmed.shift), rng, 0.9)
    train, test = split_clips(place_clips(target, rng, seen.shift), rng, 0.5)
    table: dict[str, np.ndarray] = {}
    for split, motion in zip(SPLITS, (source, validation, train, test), strict=True):
        how = filmed if split.startswith("source") else seen
        columns = film_domain(motion, how, rng, sequences)
        table |= {f"{split}_{name}": values for name, values in columns.items()}
    return table


def _bandai(folder: Path, cmu: Motion, rng: np.random.Generator, sequences: bool) -> Motion:
    """Bandai motions on the donors' bodies, the source of p2."""
    donors = []
    for subject in BODY_DONORS:
        pose = cmu.pose[cmu.subject == subject]
        if not len(pose):
            raise DataError(f"{folder / 'cmu.npz'}: subject: expected {subject} among them, found none")
        donors.append(
            Body(np.linalg.norm(bones_of(pose, SKELETON.parents), axis=-1).mean(0), _mean_clavicles(pose))
        )
    motion = read_motion(folder, "bandai1", "bandai2")
    motion = replace(motion, subject=np.array([subject.split("@")[0] for subject in motion.subject]))
    if not sequences:
        chosen = rng.choice(len(motion.clip), min(P2_SOURCE_ROWS, len(motion.clip)), replace=False)
        motion = motion.rows(np.sort(chosen))
    return on_other_bodies(motion, donors, rng)


def read_motion(folder: Path, *names: str) -> Motion:
    """Read motion files as one table, with clips of different numbers.

    Raises:
        DataError: if a file is missing or damaged.
    """
    parts: list[Motion] = []
    offset = 0
    for name in names:
        archive = Archive(folder / f"{name}.npz")
        pose = archive.read("positions", ("N", SKELETON.num_joints, 3)).astype(np.float64)
        clip = archive.read("clip_index", (len(pose),), "iu")
        subject = archive.read("subject", ("clips",), "U")
        if clip.min() < 0 or clip.max() >= len(subject):
            found = f"{clip.min()} to {clip.max()}"
            raise archive.fail("clip_index", f"numbers from 0 to {len(subject) - 1}", found)
        if not np.isfinite(pose).all():
            raise archive.fail("positions", "finite numbers", "NaN or Inf")
        time = archive.read("frame_time", (len(pose),))
        parts.append(Motion(pose, clip + offset, subject[clip].astype(str), time))
        offset += len(subject)
    return Motion(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("pose", "clip", "subject", "time")
        )
    )


def read_rigs(path: Path) -> tuple[list[FixedCamera], list[FixedCamera]]:
    """Read the cameras of Human3.6M's training subjects and MPI-INF-3DHP's low cameras.

    Raises:
        DataError: if the file is missing or lacks a calibration.
    """
    by_subject = read_rigs_by_subject(path)
    missing = [subject for subject in STUDIO_SUBJECTS if subject not in by_subject]
    if missing:
        found = ", ".join(by_subject)
        raise DataError(f"{path}: human36m.extrinsics: expected subject {missing[0]}, found {found}")
    studio = [camera for subject in STUDIO_SUBJECTS for camera in by_subject[subject]]
    field = []
    for camera in read_cameras(path, "mpi_inf_3dhp")["training_cameras"].elements():
        if camera["pitch_down_deg"].number() < LOW_PITCH:
            field.append(fixed_camera(camera, camera))
    return studio, field


def split_clips(motion: Motion, rng: np.random.Generator, share: float) -> tuple[Motion, Motion]:
    """Split by clips. The first part gets about ``share`` of each subject's frames."""
    first = np.zeros(len(motion.clip), bool)
    for subject in np.unique(motion.subject):
        own = motion.subject == subject
        clips, frames = np.unique(motion.clip[own], return_counts=True)
        taken = 0
        for i in rng.permutation(len(clips)):
            if taken + frames[i] * rng.random() <= share * frames.sum():
                first[own & (motion.clip == clips[i])] = True
                taken += frames[i]
    return motion.rows(first), motion.rows(~first)


def on_other_bodies(motion: Motion, donors: Sequence[Body], rng: np.random.Generator) -> Motion:
    """The same motion, with a donor's bone lengths (+-4 % stature) and clavicle directions for each clip."""
    own, out = _mean_clavicles(motion.pose), np.empty_like(motion.pose)
    ankles = [SKELETON.joint(f"{side}_ankle") for side in ("right", "left")]
    for clip in np.unique(motion.clip):
        rows = motion.clip == clip
        pose = motion.pose[rows]
        donor = donors[int(rng.integers(len(donors)))]
        direction, frame = unit(bones_of(pose, SKELETON.parents)), _torso_frame(pose)
        for side, bone in enumerate(CLAVICLES):
            change = shortest_rotation_matrix(own[side], donor.clavicles[side])
            rotation = frame @ change @ frame.transpose(0, 2, 1)
            direction[:, bone] = np.einsum("nij,nj->ni", rotation, direction[:, bone])
        length = donor.length * (1 + rng.uniform(-0.04, 0.04))
        body = forward_kinematics(pose[:, 0], direction * length[:, None], SKELETON.parents)
        lowest = np.minimum(*(body[:, ankle, 2] for ankle in ankles))
        body[..., 2] += CLEARANCE["ankle"] - np.percentile(lowest, 1)
        out[rows] = body
    return replace(motion, pose=out)


def place_clips(motion: Motion, rng: np.random.Generator, shift: float) -> Motion:
    """Rotate each clip about the vertical, keep it within :data:`REACH` of the middle, and shift it."""
    out = motion.pose.copy()
    for clip in np.unique(motion.clip):
        rows = motion.clip == clip
        pose, angle = out[rows], rng.uniform(0, 2 * np.pi)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        ground = (pose[..., :2] - pose[:, 0, :2].mean(0)) @ rotation.T
        root = ground[:, :1]
        pose[..., :2] = ground - root + np.clip(root, -REACH, REACH) + rng.uniform(-shift, shift, 2)
        out[rows] = pose
    return replace(motion, pose=out)


def film_domain(
    motion: Motion, how: Filming, rng: np.random.Generator, sequences: bool
) -> dict[str, np.ndarray]:
    """Film each frame by some cameras of a rig; columns of a domain npz by field name."""
    rig, rows = how.rig, len(motion.pose)
    centre = _floor_centre(rig)
    if sequences:
        chosen = {clip: rng.permutation(len(rig))[: how.views] for clip in np.unique(motion.clip)}
        pick = np.array([chosen[clip] for clip in motion.clip])
    else:
        pick = rng.random((rows, len(rig))).argsort(1)[:, : how.views]
    blocks = [
        _columns(motion.rows(np.flatnonzero(pick[:, view] == number)), camera, number, centre)
        for number, camera in enumerate(rig)
        for view in range(how.views)
    ]
    table = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if sequences:
        order = np.lexsort((table["time"], table["camera"], table["clip"]))
    else:
        order = rng.permutation(np.flatnonzero(table["valid"]))
    return {
        name: values[order].astype(np.float32) if values.dtype == np.float64 else values[order]
        for name, values in table.items()
    }


def _columns(motion: Motion, camera: FixedCamera, number: int, centre: Array) -> dict[str, np.ndarray]:
    """What one camera sees, as columns; rows that are not wholly in its picture are marked invalid."""
    rows, lens = len(motion.pose), camera.lens
    shot = film(motion.pose + centre, camera)
    assert lens.distortion is not None and lens.aspect is not None
    fixed = {
        "focal": lens.focal[0].numpy(),
        "center": lens.center[0].numpy(),
        "distortion": lens.distortion[0].numpy(),
        "rotation": camera.rotation,
        "aspect": lens.aspect[0].numpy(),
        "pitch": camera.pitch,
    }
    return {
        "pose_3d": shot.pose_3d,
        "pose_2d": shot.pose_2d,
        "valid": shot.in_front & shot.on_screen,
        "clip": motion.clip,
        "subject": motion.subject,
        "time": motion.time,
        **{name: np.broadcast_to(value, (rows, *value.shape)) for name, value in fixed.items()},
        "camera": np.full(rows, number),
    }


def _floor_centre(rig: Sequence[FixedCamera]) -> Array:
    """The point nearest to all optical axes, dropped to the floor, (3,) metres."""
    normal, rhs = np.zeros((3, 3)), np.zeros(3)
    for camera in rig:
        projector = np.eye(3) - np.outer(camera.rotation[2], camera.rotation[2])
        normal += projector
        rhs += projector @ camera.position
    return np.asarray(np.linalg.solve(normal, rhs) * [1, 1, 0])


def _torso_frame(pose: Array) -> Array:
    """(N, 3, 3) axes of the torso in the world, in columns: left, up, forward."""
    up = unit(pose[:, SKELETON.joint("thorax")] - pose[:, SKELETON.joint("pelvis")])
    left = pose[:, SKELETON.joint("left_hip")] - pose[:, SKELETON.joint("right_hip")]
    left = unit(left - (left * up).sum(-1, keepdims=True) * up)
    return np.stack([left, up, np.cross(left, up)], -1)


def _mean_clavicles(pose: Array) -> Array:
    """(2, 3) mean direction of the left and the right clavicle in the frame of the torso."""
    local = np.einsum(
        "nji,nkj->nki", _torso_frame(pose), unit(bones_of(pose, SKELETON.parents)[:, CLAVICLES])
    )
    return unit(local.mean(0))
