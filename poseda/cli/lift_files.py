"""Files of lifted poses: written together, and what must be said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseda.cli.lift_checks import check_free
from poseda.cli.program import UsageError
from poseda.cli.screen import LateBar

if TYPE_CHECKING:
    from poseda.export import LiftedPoses
    from poseda.video import Video

NAMED = 10
"""Most people, clips and stretches of frames that are named; all are counted."""


def write_files(
    outputs: Sequence[Path],
    poses: LiftedPoses,
    overwrite: bool,
    overlay: Path | None = None,
    pictures: Callable[[int], Video | None] | None = None,
) -> list[Path]:
    """Write all that is asked for; nothing if any of it exists.

    Args:
        outputs: a file of each kind.
        poses: to write.
        overwrite: replace files that exist.
        overlay: movie to draw as well.
        pictures: from the number of a clip to the video under the movie.

    Returns:
        the files written.

    Raises:
        UsageError: if a file exists or cannot be written.
        ValueError: if nobody has a valid frame for a format of one person.
    """
    from poseda.export import planned_files, planned_overlays, write_overlay, write_poses

    check_free([file for path in outputs for file in planned_files(path, poses)], overwrite)
    if overlay is not None:
        check_free(planned_overlays(overlay, poses), overwrite, "overlay")
    option, written = "output", list[Path]()
    try:
        for path in outputs:
            written += write_poses(path, poses)
        if overlay is not None and pictures is not None:
            option, path = "overlay", overlay
            written += write_overlay(overlay, poses, pictures, progress=LateBar("drawing"))
    except OSError as error:
        raise UsageError(
            f"--{option}: expected a file that can be written, got {path} ({error.strerror})"
        ) from error
    return written


def facts_of_files(outputs: Sequence[Path], poses: LiftedPoses) -> dict[str, Any]:
    """What files of these kinds leave out, bridge, hold and assume; for machines.

    ``skipped`` are people without a valid frame, ``bridged`` and ``held`` stretches of frames by person,
    ``filled`` the endings of the files that have a pose there, ``world`` is a sentence.
    ``rate_assumed`` is true where nobody told the ``rate``, frames a second.
    """
    from poseda.export import bridged_frames, held_frames, skipped_tracks, world_note

    skipped = {track: None for path in outputs for track in skipped_tracks(path, poses)}
    return {
        "rate": poses.rate,
        "rate_assumed": poses.rate_assumed,
        "skipped": [f"person {person} of clip {poses.clip_name(clip)}" for clip, person in skipped],
        "bridged": _named(outputs, bridged_frames, poses),
        "held": _named(outputs, held_frames, poses),
        "filled": list(
            dict.fromkeys(
                path.suffix for path in outputs if bridged_frames(path, poses) or held_frames(path, poses)
            )
        ),
        "world": next((note for path in outputs if (note := world_note(path, poses))), ""),
    }


Stretches = dict[tuple[int, int], list[tuple[int, int]]]
"""Clip and person to first and last frames."""


def _named(
    outputs: Sequence[Path], find: Callable[[Path, LiftedPoses], Stretches], poses: LiftedPoses
) -> list[dict[str, Any]]:
    """Stretches of frames of any of the files, with the person and the name of the clip."""
    found: dict[tuple[int, int], dict[tuple[int, int], None]] = {}
    for path in outputs:
        for key, stretches in find(path, poses).items():
            found.setdefault(key, {}).update(dict.fromkeys(stretches))
    return [
        {"clip": poses.clip_name(clip), "person": person, "frames": sorted(frames)}
        for (clip, person), frames in found.items()
    ]


def lines_of_files(facts: dict[str, Any]) -> list[str]:
    """What :func:`facts_of_files` found, for people."""
    people = facts["skipped"]
    kinds = " ".join(facts["filled"])  # other files leave these frames empty
    left_out = ", ".join(people[:NAMED]) + (f" and {len(people) - NAMED} more" if people[NAMED:] else "")
    return [
        *(
            [f"{facts['rate']:g} frames a second assumed (--rate of poseda lift)"]
            if facts["rate_assumed"]
            else []
        ),
        *([f"world: {facts['world']}"] if facts["world"] else []),
        *(
            [f"gaps bridged in {kinds} alone, frames of {_by_person(facts['bridged'])}"]
            if facts["bridged"]
            else []
        ),
        *(
            [f"one pose held in {kinds} alone, frames of {_by_person(facts['held'])}"]
            if facts["held"]
            else []
        ),
        *([f"left out, without a valid frame: {left_out}"] if people else []),
    ]


def _by_person(found: list[dict[str, Any]]) -> str:
    """Stretches of the first people, in words."""
    people = [
        f"person {one['person']} of clip {one['clip']}: {_stretches(one['frames'])}" for one in found[:NAMED]
    ]
    return "; ".join([*people, *(["…"] if found[NAMED:] else [])])


def _stretches(stretches: list[tuple[int, int]]) -> str:
    """Stretches of frames in words, the first of them."""
    words = [f"{first}-{last}" if last > first else str(first) for first, last in stretches[:NAMED]]
    return ", ".join(words) + (f" and {len(stretches) - NAMED} more" if stretches[NAMED:] else "")
