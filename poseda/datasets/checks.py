"""Does the content fit what is said about it? Pixels, a picture of this size, joints in this order.

Only joints that are seen count. Where the content cannot be what was said, it is refused with the remedy;
where it is doubtful, there is a sentence. Real people sit, lie, bend and stand on their hands, so what is
measured has no up and no scale, and medians over many detections decide.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseda.datasets.conversion import Conversion, conversion
from poseda.datasets.detections import DEFAULT_CONFIDENCE, Detections2D
from poseda.datasets.errors import DataError
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.datasets.proportions import CHECKED_ROWS, misfit
from poseda.datasets.timeline import single_pictures, tracks
from poseda.datasets.tracking import counted
from poseda.geometry.skeleton import Skeleton

OFF_PICTURE_WARNED, OFF_PICTURE_REFUSED = 0.05, 0.5
"""Shares of the seen joints that lie outside the picture."""

NORMALISED = 2.0
"""Coordinates of nearly all joints up to this are no pixels. Normalised ones end at 1, or a little beyond."""

NEARLY_ALL = 0.95
"""Share of the joints, or of the detections, that a statement about all of them needs."""

CENTRED = 0.1
"""World coordinates have the middle of the hips at the origin, to this share of the joints' distances."""

DOUBTFUL, UNLIKELY, IMPOSSIBLE = 1.15, 1.5, 2.5
"""Misfits of a layout, of :func:`poseda.datasets.proportions.misfit`. Real detections are below 1.1. Of 1 364
views of mocap clips from level to 75 degrees down, 1 % are above 1.4, and the worst is 2.1."""

FEWEST_BODIES = 20
"""Detections from which a layout can be impossible, even if no other fits."""

FAR = 1_000_000
"""Frames between two successive detections of a clip from which they are said: hours at any usual rate."""

BETTER, MUCH_BETTER = 0.4, 0.3
"""Another layout fits if its misfit is below this share of that of the layout at hand, the second share where
detections are few."""


def usable(detections: Detections2D, min_confidence: float = DEFAULT_CONFIDENCE) -> np.ndarray:
    """(N, J) bool: joints that are seen well enough."""
    confident = (detections.confidence > 0) & (detections.confidence >= min_confidence)
    return np.asarray(confident & np.isfinite(detections.pose_2d).all(-1))


def unseen(detections: Detections2D, min_confidence: float) -> DataError:
    """The refusal of detections without a joint that is seen well enough, with the remedy."""
    most = float(detections.confidence.max(initial=0.0))
    why = (
        f"the greatest is {most:g}; give a lower --min-confidence"
        if most > 0
        else "every confidence is 0, which says unseen; leave them out of the file if the detector has none"
    )
    bound = f"of at least {min_confidence:g}" if min_confidence > 0 else "above 0"
    return DataError(
        f"{detections.path}: confidence: expected a joint {bound}, found none in {len(detections)} "
        f"detections; {why}"
    )


def check_sized(detections: Detections2D) -> None:
    """Refuse pixels of pictures whose size is unknown.

    Raises:
        DataError: with the option that gives it.
    """
    if detections.image_size is None and detections.units == "pixels":
        raise DataError(
            f"{detections.path}: image size: expected width x height in pixels (--image-size), found none in "
            f"{detections.format}"
        )


def checked(detections: Detections2D) -> Detections2D:
    """The same detections with a sentence on each doubt.

    Raises:
        DataError: if the content cannot be what the file, or the user, says; one sentence with the remedy.
    """
    seen = usable(detections)
    if not seen.any():
        return detections
    if detections.units == "pixels":
        _refuse_other_units(detections, seen)
    doubts = [
        _off_picture(detections, seen),
        _proportions(detections, seen),
        _far_apart(detections),
        _single(detections),
    ]
    warnings = (*detections.reading.warnings, *(doubt for doubt in doubts if doubt))
    return replace(detections, reading=replace(detections.reading, warnings=warnings))


def off_picture(detections: Detections2D, sizes: np.ndarray | None = None) -> float | None:
    """Share of the seen joints that lie outside their pictures; None where the size is unknown.

    Args:
        detections: of any unit.
        sizes: (N, 2) of the pictures. Default: those of the detections.
    """
    sizes = detections.image_size if sizes is None else sizes
    if sizes is None:
        return None
    if detections.units == "screen":
        half = sizes[:, None] / sizes[:, None, :1]
        outside = (np.abs(detections.pose_2d) > half).any(-1)
    else:
        outside = ((detections.pose_2d < 0) | (detections.pose_2d > sizes[:, None])).any(-1)
    seen = usable(detections)
    return float(outside[seen].mean()) if seen.any() else 0.0


def refuse_off_picture(detections: Detections2D, sizes: np.ndarray | None, remedy: str) -> float:
    """Share of the joints off the picture, 0 where its size is unknown.

    Raises:
        DataError: if it is half of them or more: the size must be another one.
    """
    share = off_picture(detections, sizes) or 0.0
    if share >= OFF_PICTURE_REFUSED:
        sizes = detections.image_size if sizes is None else sizes
        assert sizes is not None
        width, height = sizes[0]
        raise DataError(
            f"{detections.path}: image size: expected a picture that holds the joints, found {share:.0%} of "
            f"the seen joints outside {width:g} x {height:g}; {remedy}"
        )
    return share


def without_number(places: np.ndarray, confidence: np.ndarray) -> tuple[str, ...]:
    """A sentence on joints that have a place and a confidence that is no number; they count as unseen.

    Args:
        places: (N, J, 2).
        confidence: (N, J).
    """
    count = int((np.isfinite(places).all(-1) & (places != 0).any(-1) & ~np.isfinite(confidence)).sum())
    return (f"joints with a place and NaN for a confidence count as unseen: {count}",) if count else ()


def _far_apart(detections: Detections2D) -> str:
    """A doubt about frame numbers, which may be times."""
    order = np.lexsort((detections.frame, detections.clip))
    clip, frame = detections.clip[order], detections.frame[order]
    steps = np.where(np.diff(clip) == 0, np.diff(frame), 0)
    gaps = int((steps >= FAR).sum())
    if not gaps:
        return ""
    name = detections.clip_name(int(clip[steps.argmax()]))
    return (
        f"frame numbers are up to {steps.max():g} apart (clip {name}, {gaps} gaps): "
        f"every such gap ends a motion, and numbers that are times do not count frames"
    )


def _single(detections: Detections2D) -> str:
    """A doubt about people whose pictures are too far apart in time for a film."""
    single, longest = 0, 0
    for _, rows, step in tracks(detections):
        frames = detections.frame[rows]
        if single_pictures(frames, step):
            single, longest = single + 1, max(longest, int(np.diff(frames).max()))
    if not single:
        return ""
    return (
        f"the pictures of {counted(single, 'person', 'people')} are up to {longest} frames apart: "
        f"each is lifted by itself, without smoothing or bones of one length"
    )


def _off_picture(detections: Detections2D, seen: np.ndarray) -> str:
    """A doubt about the size of the picture."""
    remedies = {
        "flag": "give the size of the detector's pictures with --image-size",
        "file": "the file gives this size, so its coordinates are those of another picture",
        "unknown": "check the size of the pictures",
    }
    remedy = remedies[detections.reading.image_size_told_by]
    share = refuse_off_picture(detections, None, remedy)
    return f"{share:.0%} of the seen joints lie outside the picture" if share >= OFF_PICTURE_WARNED else ""


def _refuse_other_units(detections: Detections2D, seen: np.ndarray) -> None:
    """Refuse normalised and world coordinates where pixels are expected.

    Raises:
        DataError: naming them, and the step to take.
    """
    pose = detections.pose_2d
    small = np.abs(pose[seen]) <= NORMALISED
    if _centred_on_the_hips(detections, seen):
        raise DataError(
            f"{detections.path}: keypoints: expected pixels, found world coordinates about the middle of the "
            f"hips; write the landmarks of the picture, such as pose_landmarks of MediaPipe, "
            f"not pose_world_landmarks"
        )
    if small.mean() >= NEARLY_ALL:
        raise DataError(
            f"{detections.path}: keypoints: expected pixels, found normalised coordinates "
            f"({small.mean():.0%} of the seen joints within {NORMALISED:g} of 0); multiply x by the width "
            f"and y by the height of the picture"
        )


def _centred_on_the_hips(detections: Detections2D, seen: np.ndarray) -> bool:
    """Whether the middle of the hips is the origin of nearly every detection."""
    names = detections.layout.joint_names
    if not {"left_hip", "right_hip"} <= set(names):
        return False
    hips = detections.layout.index(["left_hip", "right_hip"])
    rows = seen[:, hips].all(1)
    if not rows.any():
        return False
    pose = np.where(seen[rows, :, None], detections.pose_2d[rows], np.nan)
    spread = np.nanmedian(np.abs(pose).max(2), 1)
    middle = np.abs(pose[:, hips].mean(1)).max(1)
    return bool(np.mean(middle <= CENTRED * spread) >= NEARLY_ALL)


def _proportions(detections: Detections2D, seen: np.ndarray) -> str:
    """A doubt about the order of the joints.

    Raises:
        DataError: if the layout was told by the number of joints and does not fit.
    """
    told = detections.layout
    picked = np.linspace(0, len(seen) - 1, min(len(seen), CHECKED_ROWS)).astype(int)
    pose, seen = detections.pose_2d[picked], seen[picked]
    found = misfit(told, pose, seen)
    if found is None or found.total < DOUBTFUL:
        return ""
    others = fitting(
        told, pose, seen, found.total * (BETTER if found.bodies >= FEWEST_BODIES else MUCH_BETTER)
    )
    by_number = detections.reading.layout_told_by == "number"
    if by_number and (others or (found.total >= IMPOSSIBLE and found.bodies >= FEWEST_BODIES)):
        remedy = f"--layout {others[0]}" if others else "name the joints with --joints, or in the file"
        raise DataError(
            f"{detections.path}: joints: expected those of {told.name}, as there are {len(told)}, found a "
            f"body that does not fit ({found.words}); {remedy}{_more(others)}"
        )
    if not others and found.total < UNLIKELY:
        return ""
    would = f"; {' and '.join(others)} would fit" if others else ""
    return f"the body does not fit layout {told.name} ({found.words}){would}"


def fitting(told: Layout, pose: np.ndarray, seen: np.ndarray, most: float) -> list[str]:
    """Layouts of the same number of joints with a smaller misfit, the best first."""
    found = {}
    for layout in LAYOUTS.values():
        if len(layout) == len(told) and layout.joint_names != told.joint_names:
            other = misfit(layout, pose, seen)
            if other is not None and other.total < min(most, DOUBTFUL):
                found[layout.name] = other.total
    return sorted(found, key=found.__getitem__)


def _more(others: list[str]) -> str:
    return (
        f" would fit, and so would {' and '.join(others[1:])}"
        if others[1:]
        else " would fit"
        if others
        else ""
    )


def conversion_of(detections: Detections2D, target: Skeleton) -> Conversion:
    """The conversion of detections; a refusal names their file.

    Raises:
        DataError: if there is none.
    """
    try:
        return conversion(detections.layout, target)
    except DataError as error:
        raise DataError(f"{detections.path}: {error}") from error
