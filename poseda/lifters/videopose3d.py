"""The temporal convolutions of Pavllo, Feichtenhofer, Grangier and Auli (CVPR 2019, arXiv 1811.11742).

Written from the paper. B convolutions reduce a window of ``w1 * w2 * ... * wB`` frames to the pose of one
frame. After each but the first come a second convolution over single frames and a residual sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from poseda.geometry.skeleton import Skeleton
from poseda.lifters.dropout import Dropout
from poseda.lifters.registry import Lifter, register_lifter, start_small

SINGLE_FRAME_WIDTHS = (1, 1, 1)
"""Filter widths of the one-frame model that the field compares with: three levels of single frames."""


class TemporalBlock(nn.Module):
    """A convolution over time, one over features, and the residual around both.

    Args:
        channels: C.
        width: frames its filter spans, odd.
        dilation: frames between two taps in the dilated form.
        dropout: probability.
        causal: take the residual from the last frame instead of the middle one.
    """

    def __init__(self, channels: int, width: int, dilation: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.width, self.dilation = width, dilation
        self.time = nn.Conv1d(channels, channels, width, bias=False)
        self.time_norm = nn.BatchNorm1d(channels)
        self.features = nn.Conv1d(channels, channels, 1, bias=False)
        self.features_norm = nn.BatchNorm1d(channels)
        self.activation = nn.Sequential(nn.ReLU(), Dropout(dropout))
        self.tap = width - 1 if causal else width // 2  # the tap at the frame of the output

    def forward(self, frames: Tensor, strided: bool) -> Tensor:
        """(N, C, T) to (N, C, T / width) strided, or to (N, C, T - (width - 1) * dilation) dilated."""
        if strided:
            kept = frames[:, :, self.tap :: self.width]
            mixed = conv1d(frames, self.time.weight, stride=self.width)
        else:
            mixed = conv1d(frames, self.time.weight, dilation=self.dilation)
            first = self.tap * self.dilation
            kept = frames[:, :, first : first + mixed.shape[2]]
        mixed = self.activation(self.time_norm(mixed))
        return kept + self.activation(self.features_norm(self.features(mixed)))


@register_lifter("videopose3d")
class VideoPose3D(Lifter):
    """Temporal convolutions from a window of 2D poses to one 3D pose.

    Two forms share the weights. :meth:`forward` is for training: it takes windows of exactly ``frames`` and
    strides, so that it computes only what their one output needs. :meth:`sequence` dilates over a whole
    recording and computes each feature once. In evaluation mode they agree.

    Args:
        skeleton: of the poses.
        frames: T, the product of the filter widths.
        filter_widths: odd. Default: 3, 3, ... for a power of three, 1, 1, 1 for one frame.
        channels: features of each level.
        dropout: probability.
        causal: use past frames only; the output is then the window's last frame, not its middle.
        in_channels: 2, or 3 with confidence.

    Raises:
        ValueError: if a width is even or the widths do not multiply to ``frames``.
    """

    any_frames = False

    def __init__(
        self,
        skeleton: Skeleton,
        frames: int = 1,
        filter_widths: Sequence[int] | None = None,
        channels: int = 1024,
        dropout: float = 0.25,
        causal: bool = False,
        in_channels: int = 2,
    ) -> None:
        widths = _default_widths(frames) if filter_widths is None else tuple(filter_widths)
        if not widths or any(width < 1 or width % 2 == 0 for width in widths):
            raise ValueError(f"filter_widths: expected odd numbers, got {widths}")
        if prod(widths) != frames:
            raise ValueError(
                f"filter_widths: expected a product of frames = {frames}, got {widths} ({prod(widths)})"
            )
        super().__init__(skeleton, frames, in_channels)
        self.causal = causal
        self.expand = nn.Conv1d(self.joints * in_channels, channels, widths[0], bias=False)
        self.expand_norm = nn.BatchNorm1d(channels)
        self.activation = nn.Sequential(nn.ReLU(), Dropout(dropout))
        self.blocks = nn.ModuleList(
            TemporalBlock(channels, width, prod(widths[:level]), dropout, causal)
            for level, width in enumerate(widths)
            if level > 0
        )
        self.shrink = nn.Conv1d(channels, self.joints * 3, 1)
        start_small(self.shrink)

    @property
    def target_frame(self) -> int:
        """The frame of a window that the output belongs to: the middle one, or the last one if causal."""
        return self.frames - 1 if self.causal else self.frames // 2

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift windows (N, T, J, C) screen coordinates to (N, 1, J, 3) metres, root at the origin.

        Raises:
            ValueError: if T is not ``frames``.
        """
        self.check_input(pose_2d)
        if pose_2d.shape[1] != self.frames:
            raise ValueError(
                f"pose_2d: expected {self.frames} frames, got {pose_2d.shape[1]}; see sequence()"
            )
        return self._lift(pose_2d.flatten(2).transpose(1, 2), strided=True)

    def sequence(self, pose_2d: Tensor) -> Tensor:
        """Lift recordings (N, T, J, C) of any length to (N, T, J, 3); the ends are padded by repetition."""
        self.check_input(pose_2d)
        before = self.target_frame
        frames = pad(pose_2d.flatten(2).transpose(1, 2), (before, self.frames - 1 - before), mode="replicate")
        return self._lift(frames, strided=False)

    def _lift(self, frames: Tensor, strided: bool) -> Tensor:
        stride = self.expand.kernel_size[0] if strided else 1
        features = self.activation(self.expand_norm(conv1d(frames, self.expand.weight, stride=stride)))
        for block in self.blocks:
            features = block(features, strided)
        pose = self.shrink(features).transpose(1, 2).unflatten(2, (self.joints, 3))
        # The layer predicts all J joints, as published, so that published weights fit.
        return pose - pose[:, :, :1]


def _default_widths(frames: int) -> tuple[int, ...]:
    if frames == 1:
        return SINGLE_FRAME_WIDTHS
    widths: list[int] = []
    rest = frames
    while rest > 1 and rest % 3 == 0:
        widths.append(3)
        rest //= 3
    if rest != 1:
        raise ValueError(f"frames: expected 1 or a power of 3 unless filter_widths are given, got {frames}")
    return tuple(widths)
