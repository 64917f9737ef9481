"""Windows of frames, given by the rows they hold, so that windows that overlap share their poses."""

from __future__ import annotations

from torch import Tensor

from poseda.datasets.order import continuous_runs, why_unordered
from poseda.datasets.records import LabelledPoses
from poseda.lifters import ClipWindows


def windows_of(poses: LabelledPoses, frames: int, target_frame: int | None, name: str) -> ClipWindows | None:
    """The windows around the frames of labelled poses, or None for single frames.

    No window reaches beyond its run of consecutive frames: the first or last frame is repeated instead.

    Args:
        poses: labelled poses.
        frames: T, the length of a window.
        target_frame: see :class:`~poseda.lifters.ClipWindows`.
        name: of the poses, for the message.

    Raises:
        ValueError: if the rows are not frames in order.
    """
    if frames == 1:
        return None
    check_sequences(poses, frames, name)
    return ClipWindows(continuous_runs(poses), frames, target_frame)


def check_sequences(poses: LabelledPoses, frames: int, name: str) -> None:
    """Check that rows are frames in order; single frames need no order.

    Args:
        poses: labelled poses.
        frames: T, the length of a window.
        name: of the poses, for the message.

    Raises:
        ValueError: if they are not.
    """
    wrong = why_unordered(poses) if frames > 1 else None
    if wrong:
        raise ValueError(f"{name}: expected clips of consecutive frames for frames = {frames}, found {wrong}")


def rows_around(index: Tensor, windows: ClipWindows | None) -> Tensor:
    """Rows of the windows around some frames: (N,) to (N, T)."""
    return index[:, None] if windows is None else windows.rows(index)


def middle(rows: Tensor) -> Tensor:
    """Rows of the middle frames of windows: (N, T) to (N,). GPA places the middle frame."""
    return rows[:, rows.shape[1] // 2]
