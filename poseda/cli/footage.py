"""Videos where a command takes 2D detections: a detector looks at them first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from poseda.cli.program import UsageError, option_name
from poseda.cli.screen import LateBar, complain
from poseda.config import ConfigError

if TYPE_CHECKING:
    from poseda.video import Detector


def kept_beside(result: Path) -> Path:
    """The folder of the detections that were made for a result: ``run-detections`` beside ``run``."""
    named = result.resolve() if result.name in ("", "..") else result
    return named.with_name(f"{named.name}-detections")


def with_detections(
    path: Path,
    results: Sequence[Path],
    detector: str,
    model: Path | None,
    notice: Callable[[str], None] = complain,
    below: str = "",
) -> Path:
    """A path of detections: the given one, or those made of the videos that it holds.

    Detections of the same content by the same detector are taken from wherever commands keep them: beside
    these results, beside others in the folder of the last, and beside others in the working directory.

    Args:
        path: of an option.
        results: names, without endings, beside which detections may be kept; new ones are kept beside the
            last.
        detector: of ``--video-detector``.
        model: of ``--video-model``.
        notice: gets sentences.
        below: folder within that of the kept detections.

    Raises:
        UsageError: if a video or the detector cannot be used.
    """
    from poseda.datasets.errors import DataError
    from poseda.video import detect_all, holds_videos
    from poseda.video.extras import MissingExtra

    if not holds_videos(path):
        return path
    for result in results:
        if path.is_dir() and path.resolve() in result.resolve().parents:
            raise UsageError(f"{path}: expected results outside the folder of videos, got {result}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            f"{path}: expected files of 2D detections for several processes, got videos; run one process "
            f"first, which keeps the detections"
        )
    try:
        return detect_all(
            path,
            [*_kept_by_others(results[-1], below), *(kept_beside(result) / below for result in results)],
            lambda: detector_of(detector, model),
            detector if model is None else f"{detector} {model.name}",
            notice,
            LateBar,
        )
    except (DataError, MissingExtra) as error:
        raise UsageError(str(error)) from error


def _kept_by_others(result: Path, below: str) -> list[Path]:
    """Folders of detections of other results; none where folders must tell paths of one name apart."""
    if below:
        return []
    places = {place.resolve(): place for place in (Path(), kept_beside(result).parent)}
    return [
        folder
        for place in places.values()
        for folder in sorted(place.glob("*-detections"))
        if folder.is_dir()
    ]


def check_videos(path: Path) -> None:
    """Refuse a video, or a folder of videos, that does not open.

    Raises:
        UsageError: naming the first that does not.
    """
    from poseda.datasets.errors import DataError
    from poseda.video import Video, videos_of
    from poseda.video.extras import MissingExtra

    try:
        for video in videos_of(path):
            Video(video)
    except MissingExtra:
        return  # kept detections need no package
    except DataError as error:
        raise UsageError(str(error)) from error


def with_all_detections(paths: Sequence[Path], result: Path, detector: str, model: Path | None) -> list[Path]:
    """Paths of detections for those of a target; see :func:`with_detections`.

    Videos of one name keep their detections apart: below the names of their folders, or below their own with
    its ending.

    Raises:
        UsageError: if a video or the detector cannot be used.
    """
    from poseda.datasets.rig import names_of
    from poseda.video import holds_videos

    for path in filter(holds_videos, paths):
        check_videos(path)  # the last of them, too, before the first is looked at for long
    whole = [path.resolve().with_suffix("") for path in paths]
    stems = [path.name for path in whole]

    def below(path: Path, at: Path, name: str) -> str:
        if stems.count(at.name) == 1:
            return ""
        return path.name if whole.count(at) > 1 else name.rpartition("/")[0]

    return [
        with_detections(path, [result], detector, model, below=below(path, at, name))
        for path, at, name in zip(paths, whole, names_of(paths), strict=True)
    ]


def detector_of(name: str, model: Path | None) -> Detector:
    """The detector that options ask for.

    Raises:
        UsageError: if its package or its model is missing.
    """
    from poseda.video import open_detector
    from poseda.video.extras import MissingExtra

    try:
        return open_detector(name, model)
    except ConfigError as error:
        raise UsageError(error.naming(option_name)) from error
    except MissingExtra as error:
        raise UsageError(str(error)) from error
