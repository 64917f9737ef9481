"""Windows of frames as the rows they hold, so that what two windows share is never copied."""

from __future__ import annotations

from torch import Tensor

from poseda.datasets.order import disorder, pieces
from poseda.datasets.records import LabelledPoses
from poseda.lifters import ClipWindows


def windows_of(poses: LabelledPoses, frames: int, target_frame: int | None, name: str) -> ClipWindows | None:
    """The windows of some clips: none reaches beyond its clip, whose first or last frame is repeated instead.

    Args:
        poses: whose rows are drawn.
        frames: T; no windows are needed for 1.
        target_frame: see :class:`~poseda.lifters.ClipWindows`.
        name: of the poses, for the message.

    Raises:
        ValueError: if the rows are no sequences.
    """
    if frames == 1:
        return None
    check_sequences(poses, frames, name)
    return ClipWindows(pieces(poses), frames, target_frame)


def check_sequences(poses: LabelledPoses, frames: int, name: str) -> None:
    """Check that rows are frames in order, if more than one is to be seen at once.

    Raises:
        ValueError: if not.
    """
    wrong = disorder(poses) if frames > 1 else None
    if wrong:
        raise ValueError(f"{name}: expected clips of consecutive frames for frames = {frames}, found {wrong}")


def rows_around(index: Tensor, windows: ClipWindows | None) -> Tensor:
    """Rows of the windows around some frames: (N,) to (N, T)."""
    return index[:, None] if windows is None else windows.rows(index)


def middle(rows: Tensor) -> Tensor:
    """The middle frames of windows, those that are placed: (N, T) to (N,)."""
    return rows[:, rows.shape[1] // 2]
