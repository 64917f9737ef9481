"""A user's own pair of domains: a labelled source from files, a target of 2D detections without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch

from poseda.datasets.account import Account
from poseda.datasets.detection_files import SUFFIXES as DETECTION_SUFFIXES
from poseda.datasets.detections import DEFAULT_CONFIDENCE
from poseda.datasets.domain_file import DomainFile
from poseda.datasets.formats.files import kind_of
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.sightings import Size
from poseda.datasets.joint_map import JointMap
from poseda.datasets.records import (
    AdaptationData,
    DataError,
    Domains,
    LabelledPoses,
    UnlabelledPoses,
    check_evaluated,
    check_in_front,
)
from poseda.datasets.rig import names_of
from poseda.datasets.source_files import SUFFIXES as SOURCE_SUFFIXES
from poseda.datasets.source_files import read_source, source_account
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.datasets.target import TargetOptions, read_target
from poseda.datasets.upright import find_up
from poseda.datasets.weak_labels import WeakReading
from poseda.geometry.skeleton import H36M16, Skeleton

VALIDATION_SHARE = 0.1
"""Share of the source's clips kept for source_val. A single clip gives its last part."""

FASTER = 1.25
"""Frame rates that differ by this factor are said."""

READ = {*DETECTION_SUFFIXES, *SOURCE_SUFFIXES, ".calibration"}
"""Endings of the files of a folder that its fingerprint covers; videos beside them do not count."""


class NoLabelsError(DataError):
    """Labels were asked of a target that has none."""


class OwnDomains:
    """A source with labels and a target without; made by :func:`own_domains`.

    Args:
        name: for reports.
        data: to learn from.
        fingerprint: SHA-256 of the files and of the options they were read with.
        made_up: target joints that the detections lack, and how each is made.
        camera: the target's camera or cameras, in words.
        accounts: of the target's detections, by the name of each path.
        source_account: how the source was read, in sentences.
        source_up: what tells which way is up in the user's source, in words; None for the embedded one.
        weak: the files of weak labels, or None without any.
    """

    def __init__(
        self,
        name: str,
        data: AdaptationData,
        fingerprint: str,
        made_up: Mapping[str, str],
        camera: str = "unknown",
        accounts: Mapping[str, Account] | None = None,
        source_account: Sequence[str] = (),
        weak: WeakReading | None = None,
        source_up: str | None = None,
    ) -> None:
        self._name, self._data, self._fingerprint = name, data, fingerprint
        self.made_up, self.camera, self.accounts = dict(made_up), camera, dict(accounts or {})
        self.source_account, self.weak, self.source_up = tuple(source_account), weak, source_up

    @property
    def name(self) -> str:
        return self._name

    @property
    def skeleton(self) -> Skeleton:
        return self._data.skeleton

    def adaptation(self) -> AdaptationData:
        """The data to learn from."""
        return self._data

    def evaluation(self, split: str = "target_test") -> LabelledPoses:
        """Labelled poses of ``source_val``; the target has no labels.

        Raises:
            NoLabelsError: for ``target_test``.
        """
        if check_evaluated(split) == "source_val":
            return self._data.source_val
        raise NoLabelsError(f"{self.name}: {split}: expected 3D labels, found 2D detections without labels")

    def oracle(self) -> LabelledPoses:
        """Refuse the oracle arm, which needs labels of the target.

        Raises:
            NoLabelsError: always.
        """
        raise NoLabelsError(f"{self.name}: oracle: expected 3D labels, found 2D detections without labels")

    def fingerprint(self) -> str:
        """SHA-256 of the files and of the options they were read with, hexadecimal."""
        return self._fingerprint


def own_domains(
    source: str | Path | None,
    target: str | Path | Sequence[str | Path],
    image_size: Size | Sequence[Size] | None = None,
    fov: float | str | Sequence[float | str] | None = None,
    *,
    skeleton: Skeleton = H36M16,
    cameras: str | Path | None = None,
    intrinsics: str | Path | Sequence[str | Path] | None = None,
    min_confidence: float = DEFAULT_CONFIDENCE,
    layout: str | None = None,
    people: str | int = "all",
    joints: Mapping[str, str | int] | Sequence[str] | None = None,
    weak_labels: str | Path | Sequence[str | Path] = (),
    camera_pitch: float | Sequence[float] | None = None,
    camera_roll: float | Sequence[float] | None = None,
    stride: int = 1,
    seed: int = 0,
    strict: bool = False,
) -> OwnDomains:
    """Pair a labelled source with the user's own footage.

    Args:
        source: what :func:`read_source` reads, a domain npz, or None for the embedded studio.
        target: what :func:`read_detections` reads: one path, or one for each camera of a rig.
        image_size: of the target's pictures, width and height in pixels, where the format does not say. Like
            the next two, one for all paths, or one each.
        fov: the target camera's horizontal field of view, degrees, or ``estimate``. Default: 55 across the
            longer side.
        skeleton: both are converted to.
        cameras: JSON of the source's cameras, for sources that need one.
        intrinsics: file of the target's camera, or of all cameras; ``fov`` has no effect then.
        min_confidence: target joints of less confidence are unseen.
        layout: of the target's joints, where its file does not give it.
        people: of the target, as :func:`poseda.datasets.people.choose_people` takes them.
        joints: our joint to its name in the target or the source, where names do not tell; or what an option
            holds, see :meth:`JointMap.read`.
        weak_labels: files of 3D poses of a few frames of the target, which the arm wide_target learns from.
        camera_pitch, camera_roll: how far the target's cameras look down and are rolled, degrees, in place of
            what wide lifters find in the footage. One for all paths, or one each. The roll needs the pitch.
        stride: keep one frame of the source in this many.
        seed: of the split into source and source_val, and of the embedded studio.
        strict: refuse bad files of a folder.

    Raises:
        DataError: if a file cannot be used; one sentence.
    """
    names = JointMap.of(joints or None)
    one_size = isinstance(image_size, tuple) and len(image_size) == 2 and isinstance(image_size[0], Real)
    paths, fovs, lenses, labels = map(_listed, (target, fov, intrinsics, weak_labels))
    tilt = _listed(camera_pitch), _listed(camera_roll)
    sizes: list[Any] = [image_size] if one_size else _listed(image_size)
    asked = TargetOptions(
        skeleton, sizes, fovs, lenses, min_confidence, layout, people, names, strict, labels, *tilt
    )
    found = read_target(paths, asked)
    learn, hold = _source(source, skeleton, cameras, names, stride, seed, strict)
    names.check()
    named = sorted(names.pairs.items())
    options: tuple[Any, ...] = (_alone(sizes), _alone(fovs), skeleton.name, min_confidence)
    options += (layout, named, stride, seed)
    options += (names.order,) if names.order else ()
    options += () if people == "all" else (people,)
    options += (("tilt", *tilt),) if tilt[0] else ()
    options += tuple(digest([Path(path)], "weak labels") for path in labels)
    # Of several paths each has a sum of its own: files that move from one to another change the whole.
    options += () if len(paths) == 1 else tuple(digest([Path(path)], "") for path in paths)
    alone = paths if len(paths) == 1 else []
    files = [Path(file) for file in (source, *alone, cameras, *lenses) if file is not None]
    account, up = _account(learn, source, found.rates, stride), None
    if source is not None:
        up = find_up(learn, skeleton)
    return OwnDomains(
        " + ".join(names_of(paths)),
        AdaptationData(
            *(skeleton, learn, hold, _numbered(found.poses, learn, hold)),
            weak=None if found.weak is None else found.weak.labels,
        ),
        digest(files, repr(options)),
        found.made_up,
        found.camera,
        found.accounts,
        [*account[:1], *([] if up is None else [up.line]), *account[1:]],
        found.weak,
        None if up is None else up.note,
    )


def _listed(value: Any) -> list[Any]:
    """None, one value or several as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _alone(values: list[Any]) -> Any:
    return values if len(values) > 1 else values[0] if values else None


def _account(
    source: LabelledPoses, path: str | Path | None, target: Sequence[float | None], stride: int
) -> list[str]:
    """How the source was read, in sentences, and whether its frames are as fast as the target's."""
    if path is None or not source.reading.format:
        return []
    lines, rates = source_account(source, Path(path)), source.reading.rates
    rate = target[0] if len(set(target)) == 1 else None
    if len(rates) == 1 and rate is not None and not 1 / FASTER < rates[0] / rate < FASTER:
        wanted = max(1, round(rates[0] * stride / rate))
        lines.append(
            f"the source has {rates[0]:g} frames per second and the target {rate:g}, which matters to "
            f"lifters of several frames; --stride {wanted} is nearest"
        )
    return lines


def _source(
    source: str | Path | None,
    skeleton: Skeleton,
    cameras: str | Path | None,
    joints: JointMap,
    stride: int,
    seed: int,
    strict: bool,
) -> tuple[LabelledPoses, LabelledPoses]:
    """Source and source_val: as a domain file splits them, otherwise by clips."""
    made: Domains
    if source is None:
        made = EmbeddedDomains(seed=seed)
    elif Path(source).is_file() and kind_of(Path(source)) == "npz" and "source_pose_3d" in Archive(source):
        made = DomainFile(source, skeleton)
    else:
        poses = read_source(
            source, skeleton=skeleton, cameras=cameras, joints=joints, stride=stride, strict=strict
        )
        return split_source(check_in_front(poses, f"{source}: pose_3d"), seed)
    if made.skeleton != skeleton:
        raise DataError(
            f"{source or 'embedded source'}: skeleton: expected {skeleton.name}, found {made.skeleton.name}"
        )
    if isinstance(made, DomainFile):
        return made.source(), made.evaluation("source_val")
    data = made.adaptation()
    return data.source, data.source_val


def split_source(poses: LabelledPoses, seed: int = 0) -> tuple[LabelledPoses, LabelledPoses]:
    """Keep whole clips for validation. A single clip gives its last tenth, under a new clip number.

    Raises:
        DataError: if there are fewer than two rows.
    """
    rows = len(poses)
    if rows < 2:
        raise DataError(f"source: expected at least two poses, found {rows}")
    clips = poses.clip.unique()
    held = torch.zeros(rows, dtype=torch.bool)
    if len(clips) == 1:
        held[rows - max(1, round(rows * VALIDATION_SHARE)) :] = True
        clip = torch.where(held, poses.clip + 1, poses.clip)
        poses = replace(poses, clip=clip)
    else:
        order = clips[torch.from_numpy(np.random.default_rng(seed).permutation(len(clips)))]
        held = torch.isin(poses.clip, order[: max(1, round(len(clips) * VALIDATION_SHARE))])
    return poses.rows(~held), poses.rows(held)


def _numbered(target: UnlabelledPoses, *others: LabelledPoses) -> UnlabelledPoses:
    """The target with clip numbers after the source's, so that no clip is in two splits."""
    offset = 1 + max(int(poses.clip.max()) for poses in others)
    return replace(target, clip=target.clip + offset)


def digest(paths: list[Path], options: str) -> str:
    """SHA-256 of files, of the files that are read in folders, and of options, hexadecimal."""
    total = hashlib.sha256(options.encode())
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and (file == path or file.suffix.lower() in READ):
                total.update(file.name.encode())
                with file.open("rb") as content:
                    total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()
