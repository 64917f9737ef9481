"""Windows of frames: the rows they hold, windows as views, and whole clips lifted window by window.

One padding rule holds everywhere: a window that reaches beyond its clip repeats the first or last frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEWEST_WINDOWS = 64
"""Fewest windows that are lifted at once, however long they are."""


def lift_batch(frames: int, device: torch.device) -> int:
    """Windows to lift at once: as many as a CPU's caches hold, and eight times as many on a GPU."""
    return max(FEWEST_WINDOWS, (1024 if device.type == "cpu" else 8192) // frames)


class ClipWindows:
    """Rows of the window around each frame of a set of clips, from one small table, without copies.

    ``poses[windows.rows(index)]`` gathers a batch of any tensor that has one row a frame.

    Args:
        clip: (F,) int64, the clip of each frame; the frames of a clip stand together and in order.
        frames: T, the length of a window.
        target_frame: the place of the frame in its window. Default: the middle, ``frames // 2``. With
            ``frames - 1`` a window holds past frames only.

    Raises:
        ValueError: if the frames of a clip do not stand together, or ``target_frame`` is outside the window.
    """

    def __init__(self, clip: Tensor, frames: int, target_frame: int | None = None) -> None:
        if clip.dim() != 1 or len(clip) == 0:
            raise ValueError(f"clip: expected shape (F,) with F > 0, got {tuple(clip.shape)}")
        self.frames, self.target_frame = frames, _check_target(frames, target_frame)
        names, lengths = clip.unique_consecutive(return_counts=True)
        if len(names) != len(names.unique()):
            split = names[(names[:, None] == names).sum(1) > 1][0]
            raise ValueError(
                f"clip: expected the frames of each clip to stand together, got clip {int(split)} split"
            )
        end = lengths.cumsum(0)
        # (F,) each: where the frame's clip begins and ends.
        self.first = (end - lengths).repeat_interleave(lengths)
        self.last = (end - 1).repeat_interleave(lengths)
        self._offset = torch.arange(frames, device=clip.device) - self.target_frame

    def __len__(self) -> int:
        return len(self.first)

    def rows(self, index: Tensor) -> Tensor:
        """Rows of the windows around some frames: (N,) int64 to (N, T) int64."""
        rows = index[:, None] + self._offset
        return rows.clamp(min=self.first[index][:, None], max=self.last[index][:, None])


def sliding_windows(pose: Tensor, frames: int, target_frame: int | None = None, stride: int = 1) -> Tensor:
    """The window around every ``stride``-th frame of one clip, as a view.

    Only the padded clip is copied: L + T - 1 frames, not L * T.

    Args:
        pose: (L, J, C) with L > 0.
        frames: T.
        target_frame: see :class:`ClipWindows`.
        stride: frames between two windows.

    Returns:
        (ceil(L / stride), T, J, C), a view with overlapping windows: do not write to it.

    Raises:
        ValueError: if the clip is empty or ``target_frame`` lies outside the window.
    """
    if pose.dim() != 3 or len(pose) == 0:
        raise ValueError(f"pose: expected shape (L, J, C) with L > 0, got {tuple(pose.shape)}")
    before = _check_target(frames, target_frame)
    after = frames - 1 - before
    padded = torch.cat([pose[:1].expand(before, -1, -1), pose, pose[-1:].expand(after, -1, -1)])
    return padded.unfold(0, frames, stride).movedim(-1, 1)


def lift_clip(lifter: nn.Module, pose_2d: Tensor, frames: int, target_frame: int | None = None) -> Tensor:
    """Lift every frame of one clip: (L, J, C) to (L, J, 3). See :func:`lift_clips`."""
    return lift_clips(
        lifter, pose_2d, torch.zeros_like(pose_2d[:, 0, 0], dtype=torch.int64), frames, target_frame
    )


@torch.no_grad()
def lift_clips(
    lifter: nn.Module, pose_2d: Tensor, clip: Tensor, frames: int, target_frame: int | None = None
) -> Tensor:
    """Lift every frame of some clips once.

    A lifter with a method ``sequence``, such as ``VideoPose3D``, lifts each clip with it. A lifter that
    returns one pose a window sees one window for each frame. A lifter that returns a pose a frame sees each
    clip cut into windows side by side; the last of them ends with the clip.

    Args:
        lifter: (N, T, J, C) to (N, T or 1, J, 3), in evaluation mode.
        pose_2d: (F, J, C) screen coordinates, F > 0.
        clip: (F,) int64, the clip of each frame; the frames of a clip stand together and in order.
        frames: T.
        target_frame: see :class:`ClipWindows`; read for lifters of one pose a window. Default: the lifter's.

    Returns:
        (F, J, 3) metres.

    Raises:
        ValueError: if the frames of a clip do not stand together, or the lifter returns neither one pose a
            window nor one a frame.
    """
    own_target = getattr(lifter, "target_frame", None) if target_frame is None else target_frame
    windows = ClipWindows(clip, frames, own_target)
    lift_sequence = getattr(lifter, "sequence", None)
    if lift_sequence is not None:
        lengths = clip.unique_consecutive(return_counts=True)[1].tolist()
        return torch.cat([lift_sequence(part[None])[0] for part in pose_2d.split(lengths)])
    returned = lifter(pose_2d[windows.rows(torch.zeros_like(clip[:1]))]).shape[1]
    if returned == 1:
        batches = _every_row(windows).split(lift_batch(frames, pose_2d.device))
        return torch.cat([lifter(pose_2d[windows.rows(rows)])[:, 0] for rows in batches])
    if returned != frames:
        raise ValueError(f"lifter: expected 1 or {frames} poses from {frames} frames, got {returned}")
    return _lift_side_by_side(lifter, pose_2d, clip, windows)


def _lift_side_by_side(lifter: nn.Module, pose_2d: Tensor, clip: Tensor, windows: ClipWindows) -> Tensor:
    """Lift clips with a lifter that returns a pose a frame, in windows side by side."""
    frames, every = windows.frames, _every_row(windows)
    # First row of the window that lifts each row. The last window of a clip ends with it.
    begin = every - (every - windows.first) % frames
    begin = torch.minimum(begin, (windows.last + 1 - frames).clamp(min=windows.first))
    starts, window = begin.unique_consecutive(return_inverse=True)
    tiles = ClipWindows(clip, frames, target_frame=0)
    batches = starts.split(lift_batch(frames, pose_2d.device))
    lifted = torch.cat([lifter(pose_2d[tiles.rows(rows)]) for rows in batches])
    return lifted[window, every - begin]


def _every_row(windows: ClipWindows) -> Tensor:
    return torch.arange(len(windows), device=windows.first.device)


def _check_target(frames: int, target_frame: int | None) -> int:
    if frames < 1:
        raise ValueError(f"frames: expected at least 1, got {frames}")
    target = frames // 2 if target_frame is None else target_frame
    if not 0 <= target < frames:
        raise ValueError(f"target_frame: expected 0 to {frames - 1}, got {target_frame}")
    return target
