"""Detections of videos, kept as npz files so that a second run reads them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.connectors import from_arrays
from poseda.datasets.detection_files import SUFFIXES, read_detections
from poseda.datasets.detections import Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import MOST_NAMED, in_natural_order
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.plain_detections import MADE_BY, made_by
from poseda.datasets.formats.ultralytics import is_label_text
from poseda.datasets.tracking import counted
from poseda.video.container import Video, files_of, is_video
from poseda.video.detectors import Detector

Progress = Callable[[int, int], None]
Notice = Callable[[str], None]


def detect(video: Video, detector: Detector, progress: Progress = lambda done, total: None) -> Detections2D:
    """The people in a video. People are followed from picture to picture.

    Args:
        video: to look at.
        detector: finds people in its pictures.
        progress: gets the pictures done and the number of all.

    Raises:
        DataError: if the video cannot be decoded, or nobody is found in it.

    Example::

        from poseda.video import Video, detect, open_detector

        with open_detector("mediapipe") as detector:
            detections = detect(Video("walk.mp4"), detector)
    """
    people: list[np.ndarray] = []
    for picture in video:
        people.append(detector(picture))
        progress(len(people), max(video.frames, len(people)))
    progress(len(people), len(people))
    if not any(map(len, people)):
        raise Field(video.path).fail("a person in a picture", f"none in {len(people)}, by {detector.name}")
    return from_arrays(people, image_size=video.size, layout=detector.layout, rate=video.rate)


def detect_all(
    path: Path,
    kept: Sequence[Path],
    open_detector: Callable[[], Detector],
    asked: str,
    notice: Notice = lambda sentence: None,
    progress: Callable[[str], Progress] = lambda title: lambda done, total: None,
) -> Path:
    """Detections of a video, or of every video of a folder, as files that are read like any others.

    Other files of a folder are left out, and said.

    Args:
        path: the video or folder.
        kept: folders in which detections may be found, also in the folders below them: runs of several paths
            keep detections of one name apart. New ones go to the last, in which they are looked for first.
        open_detector: makes the detector; not called if all detections are there.
        asked: the detector as it was asked for; detections of another are made anew.
        notice: gets a sentence on what was found, made or doubtful.
        progress: makes a function that follows the pictures of a video, from a title.

    Returns:
        the npz file of a video; the folder with those of a folder's videos.

    Raises:
        DataError: if a video cannot be used, or a folder holds detections as well.
    """
    if path.is_dir():
        _say_left_out(path, notice)
    videos = videos_of(path)
    facts = [{"video": video.name, "sha256": _digest(video), "asked": asked} for video in videos]
    home = kept[-1] if path.is_file() else kept[-1] / path.resolve().name
    for below in [place for folder in dict.fromkeys([kept[-1], *kept]) for place in _places(folder, path)]:
        files = [_kept_file(below, path, video) for video in videos]
        others = path.is_dir() and _others(below, files)
        if all(_there(files, facts)) and not (others and below != home):  # those of another run stay
            if path.is_dir():
                _remove_others(below, files, notice)
            result = files[0] if path.is_file() else below
            notice(f"{path}: its detections are there already, in {result}")
            return result
    files = [_kept_file(home, path, video) for video in videos]
    there = _there(files, facts)
    if len({str(file) for file in files}) < len(files):
        raise Field(path).fail("videos with different names", "two whose names differ in their endings alone")
    opened = [None if done else Video(video) for video, done in zip(videos, there, strict=True)]
    for video, file, fact, pictures in zip(videos, files, facts, opened, strict=True):
        if pictures is None:
            notice(f"{video}: its detections are there already, in {file}")
            continue
        with open_detector() as detector:  # anew for each video: detectors remember where people were
            _make(pictures, file, detector, fact, notice, progress(f"2D poses of {video.name}"))
    if path.is_dir():
        _remove_others(home, files, notice)
        return home
    return files[0]


def pictures_of(path: Path, clip_name: Callable[[int], str]) -> Callable[[int], Video | None]:
    """The pictures of clips that were lifted from a video, or from a folder of videos.

    Args:
        path: of the input.
        clip_name: names the clip of a number; in a folder the video's own, without ending.

    Returns:
        from the number of a clip to its video; None where there is none.
    """
    if not path.is_dir():
        video = Video(path) if is_video(path) else None
        return lambda clip: video
    named = {file.relative_to(path).with_suffix("").as_posix(): file for file in videos_of(path)}

    def find(clip: int) -> Video | None:
        file = named.get(clip_name(clip))
        return None if file is None else Video(file)

    return find


def check_pictures(
    pictures: Callable[[int], Video | None], detections: Detections2D, size: tuple[int, int] | None = None
) -> None:
    """Check that videos have the pictures in which detections were made.

    Args:
        pictures: gives the video of a clip, or None.
        detections: of all clips.
        size: of the pictures, where the detections do not say.

    Raises:
        DataError: if a clip has no video of its own, or one of another size, or with too few pictures.
    """
    taken = set[Path]()
    for clip in np.unique(detections.clip).tolist():
        rows, video = detections.clip == clip, pictures(clip)
        place = Field(detections.path, f"clip {detections.clip_name(clip)}")
        if video is None or video.path in taken:
            found = "none" if video is None else f"{video.path}, which is that of another clip"
            raise place.fail("a video of its name in --video", found)
        taken.add(video.path)
        if detections.image_size is not None:
            width, height = detections.image_size[rows][0].tolist()
            size = round(width), round(height)
        if size is not None and size != video.size:
            shown = ["x".join(map(str, one)) for one in (size, video.size)]
            raise place.fail(f"pictures of {shown[0]} in {video.path}", shown[1])
        last = int(detections.frame[rows].max())
        # What a container announces may be off.
        if last >= video.frames and last >= (there := sum(1 for _ in video)):
            raise place.fail(
                f"a picture for frame {last}, counted from 0, in {video.path}", f"{there} pictures"
            )


def videos_of(folder: Path) -> list[Path]:
    """The videos of a folder and of those in it, in natural order; a file alone is its own."""
    if folder.is_file():
        return [folder]
    found = in_natural_order(list(filter(is_video, files_of(folder))))
    return sorted(found, key=lambda file: file.parent.parts)


def _say_left_out(folder: Path, notice: Notice) -> None:
    """Say which files of a folder are no videos.

    Raises:
        DataError: if one holds detections: then it is not clear what is meant.
    """
    others = sorted(file for file in files_of(folder) if not is_video(file))
    if not others:
        return
    if (detections := next(filter(_holds_detections, others), None)) is not None:
        name = detections.relative_to(folder)
        raise Field(folder, "folder").fail(
            "videos, or detections without videos",
            f"both ({name} holds detections); put them into two folders",
        )
    named = ", ".join(str(file.relative_to(folder)) for file in others[:MOST_NAMED])
    more = f" and {len(others) - MOST_NAMED} more" if others[MOST_NAMED:] else ""
    notice(f"{folder}: left out {counted(len(others), 'file')} beside the videos: {named}{more}")


def _holds_detections(file: Path) -> bool:
    if file.suffix.lower() not in SUFFIXES:
        return False
    try:
        return bool(is_label_text(file) or len(read_detections(file)))
    except DataError:
        return False


def _places(folder: Path, path: Path) -> list[Path]:
    """Where the detections of a video, or of a folder of videos, may be kept."""
    below = sorted(entry for entry in folder.rglob("*") if entry.is_dir())
    return [place if path.is_file() else place / path.resolve().name for place in (folder, *below)]


def _there(files: Sequence[Path], facts: Sequence[dict[str, str]]) -> list[bool]:
    """Whether each file holds what the same detector found in the same video."""
    return [fact.items() <= _made_by(file).items() for file, fact in zip(files, facts, strict=True)]


def _kept_file(below: Path, path: Path, video: Path) -> Path:
    """Where the detections of a video are kept."""
    way = video.relative_to(path) if path.is_dir() else Path(video.name)
    return (below / way).with_suffix(".npz")


def _make(
    video: Video, file: Path, detector: Detector, fact: dict[str, str], notice: Notice, progress: Progress
) -> None:
    """Detect, and keep the result."""
    _check_ours(file)
    for note in video.notes:
        notice(note)
    found = detect(video, detector, progress)
    _save(file, found, fact | {"detector": detector.name})
    poses, people = counted(len(found), "pose"), counted(len(np.unique(found.person)), "person", "people")
    notice(
        f"{video.path}: {poses} of {people}, {video.size[0]}x{video.size[1]}, by {detector.name}; "
        f"kept in {file}, so that a second run need not look for them"
    )


def _save(file: Path, found: Detections2D, made_by: dict[str, Any]) -> None:
    """Write a file that :mod:`poseda.datasets.formats.plain_detections` reads, whole or not at all."""
    assert found.image_size is not None
    points = np.concatenate([found.pose_2d, found.confidence[..., None]], -1)
    members: dict[str, Any] = {
        "keypoints": np.nan_to_num(points).round(3),
        "frame": found.frame,
        "person": found.person,
        "joint_names": np.array(found.layout.joint_names),
        "image_size": found.image_size[0],
        MADE_BY: np.array(json.dumps(made_by)),
    }
    if found.reading.rate is not None:
        members["rate"] = np.array(found.reading.rate)
    content = io.BytesIO()
    np.savez_compressed(content, **members)
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.getvalue())
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Field(file).fail("a file that can be written", error.strerror or error) from error


def _made_by(file: Path) -> dict[str, Any]:
    """What a kept file says about its making; nothing if it is not there or not ours."""
    if not file.is_file():
        return {}
    try:
        return made_by(Archive(file))
    except DataError:
        return {}


def _check_ours(file: Path) -> None:
    if file.exists() and not _made_by(file):
        raise Field(file).fail(
            "a free name for the detections of a video", "a file that was not made for them"
        )


def _remove_others(below: Path, files: list[Path], notice: Notice) -> None:
    """Kept detections of videos that are no longer in the folder would be read with the others."""
    for file in _others(below, files):
        file.unlink()
        notice(f"{file}: removed, as its video is no longer there")


def _others(below: Path, files: list[Path]) -> list[Path]:
    """Kept detections of other videos."""
    return [file for file in sorted(set(below.rglob("*.npz")) - set(files)) if _made_by(file)]


def _digest(video: Path) -> str:
    with video.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
