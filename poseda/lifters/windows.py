"""Windows of frames: which rows they hold, windows as views, and whole clips lifted through them.

The padding rule everywhere: where a window reaches beyond its clip, the first or last frame is repeated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIFT_BATCH = 1024
"""Windows lifted at once by :func:`lift_clip`."""


class ClipWindows:
    """Rows of the window around any frame of a set of clips: one small table, no copies of windows.

    ``poses[windows.rows(index)]`` gathers a batch, for poses, cameras and whatever else has a row a frame.

    Args:
        clip: (F,) int64, the clip of each frame; the frames of a clip stand together and in order.
        frames: T, the length of a window.
        target_frame: which frame of the window is the asked one. Default: the middle, ``frames // 2``;
            ``frames - 1`` looks at the past only.

    Raises:
        ValueError: if a clip is in pieces, or ``target_frame`` lies outside the window.
    """

    def __init__(self, clip: Tensor, frames: int, target_frame: int | None = None) -> None:
        if clip.dim() != 1 or len(clip) == 0:
            raise ValueError(f"clip: expected shape (F,) with F > 0, got {tuple(clip.shape)}")
        self.frames, self.target_frame = frames, _check_target(frames, target_frame)
        names, lengths = clip.unique_consecutive(return_counts=True)
        if len(names) != len(names.unique()):
            split = names[(names[:, None] == names).sum(1) > 1][0]
            raise ValueError(
                f"clip: expected each clip's frames in one piece, got clip {int(split)} in several"
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
        pose: (L, J, C), L > 0.
        frames: T.
        target_frame: see :class:`ClipWindows`.
        stride: frames between two windows.

    Returns:
        (ceil(L / stride), T, J, C), a view in which windows overlap: read it, do not write to it.

    Raises:
        ValueError: if the clip is empty or ``target_frame`` lies outside the window.
    """
    if pose.dim() != 3 or len(pose) == 0:
        raise ValueError(f"pose: expected shape (L, J, C) with L > 0, got {tuple(pose.shape)}")
    before = _check_target(frames, target_frame)
    after = frames - 1 - before
    padded = torch.cat([pose[:1].expand(before, -1, -1), pose, pose[-1:].expand(after, -1, -1)])
    return padded.unfold(0, frames, stride).movedim(-1, 1)


@torch.no_grad()
def lift_clip(lifter: nn.Module, pose_2d: Tensor, frames: int, target_frame: int | None = None) -> Tensor:
    """Lift every frame of a clip once.

    A lifter that returns one pose a window sees one window a frame; one that returns a pose a frame sees the
    clip cut into windows side by side, the last of which ends with the clip. (``VideoPose3D.sequence`` gives
    the same as the former for less.)

    Args:
        lifter: (N, T, J, C) to (N, T or 1, J, 3), in evaluation mode.
        pose_2d: (L, J, C) screen coordinates, L > 0.
        frames: T.
        target_frame: for lifters of one pose a window, see :class:`ClipWindows`.

    Returns:
        (L, J, 3) metres.

    Raises:
        ValueError: if the lifter returns neither one pose a window nor one a frame.
    """
    windows = sliding_windows(pose_2d, frames, target_frame)
    returned = lifter(windows[:1]).shape[1]
    if returned == 1:
        return torch.cat([lifter(batch)[:, 0] for batch in windows.split(LIFT_BATCH)])
    if returned != frames:
        raise ValueError(f"lifter: expected 1 or {frames} poses from {frames} frames, got {returned}")
    length = len(pose_2d)
    starts = [*range(0, length - frames, frames), max(length - frames, 0)]
    tiles = sliding_windows(pose_2d, frames, target_frame=0)[starts]
    lifted = torch.cat([lifter(batch) for batch in tiles.split(LIFT_BATCH)])
    new = length - (len(starts) - 1) * frames  # what the last window adds
    last = lifted[-1, :length][-new:]
    return torch.cat([lifted[:-1].flatten(0, 1), last])


def _check_target(frames: int, target_frame: int | None) -> int:
    if frames < 1:
        raise ValueError(f"frames: expected at least 1, got {frames}")
    target = frames // 2 if target_frame is None else target_frame
    if not 0 <= target < frames:
        raise ValueError(f"target_frame: expected 0 to {frames - 1}, got {target_frame}")
    return target
